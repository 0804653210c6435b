#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace bitdiff {

/// Bytes that come one after the other, from a file or from a member of an archive.
struct ByteSource {
  std::string name;                                    ///< What errors call it.
  uint64_t size = 0;                                   ///< How many bytes there are in all.
  std::function<void(void* to, uint64_t count)> read;  ///< The next bytes; throws when they end.
};

}  // namespace bitdiff
