#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// Tensors by name, in the order of the file or of their creation.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

/// How many bytes a tensor takes, or nothing when that, or the product of the sizes above 0, is
/// 2^63 or more. For shapes from files: `shape` holds numbers >= 0, `size` is that of an element.
inline std::optional<uint64_t> bytes_of(IntArrayRef shape, uint64_t size) {
  uint64_t bound = size;
  bool empty = false;
  for (const int64_t length : shape) {
    empty = empty || length == 0;
    const auto factor = static_cast<uint64_t>(std::max<int64_t>(length, 1));
    if (__builtin_mul_overflow(bound, factor, &bound) || bound > INT64_MAX) return std::nullopt;
  }
  return empty ? 0 : bound;
}

/// Copies `from` into `to` name by name, in whatever order. Throws InputError that begins with
/// `where` unless both have the same names and shapes.
void assign(const std::string& where, const NamedTensors& from, const NamedTensors& to);

}  // namespace bitdiff
