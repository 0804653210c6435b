#include "bitdiff/cli/number_pair.h"

#include <charconv>
#include <limits>

namespace bitdiff {
namespace {

std::optional<int64_t> read_number(std::string_view text) {
  int64_t number = 0;
  const auto [last, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || last != text.data() + text.size() || number < 0 ||
      number == std::numeric_limits<int64_t>::max()) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

std::optional<std::pair<int64_t, int64_t>> read_pair(std::string_view text, char separator) {
  const auto middle = text.find(separator);
  if (middle == std::string_view::npos) return std::nullopt;
  const auto first = read_number(text.substr(0, middle));
  const auto second = read_number(text.substr(middle + 1));
  if (!first || !second) return std::nullopt;
  return std::pair{*first, *second};
}

}  // namespace bitdiff
