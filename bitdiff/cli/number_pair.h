#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace bitdiff {

/// Two whole numbers of at least 0 with `separator` between them, as in "3/8"; nothing of any other
/// text, or where a number is 2^63 - 1 or more.
std::optional<std::pair<int64_t, int64_t>> read_pair(std::string_view text, char separator);

}  // namespace bitdiff
