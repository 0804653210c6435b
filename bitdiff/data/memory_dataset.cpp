#include "bitdiff/data/memory_dataset.h"

#include <cstring>

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

namespace bitdiff {

// The calling thread copies them, for a batch is small, and the loader's thread, which is new for
// each, would have to start others for it.
Tensor take_rows(const Tensor& x, std::span<const int64_t> indices) {
  auto shape = x.sizes().vec();
  shape[0] = static_cast<int64_t>(indices.size());
  auto rows = at::empty(shape, x.options());
  // Not the stride, which can be anything where there is one row.
  const auto bytes = x.size(0) > 0 ? x.nbytes() / static_cast<size_t>(x.size(0)) : 0;
  const auto* const from = static_cast<const char*>(x.const_data_ptr());
  auto* to = static_cast<char*>(rows.mutable_data_ptr());
  for (const int64_t index : indices) {
    TORCH_CHECK(index >= 0 && index < x.size(0), "expected an example in [0, ", x.size(0),
                "), got ", index);
    std::memcpy(to, from + static_cast<size_t>(index) * bytes, bytes);
    to += bytes;
  }
  return rows;
}

MemoryDataset::MemoryDataset(DataInfo info, const Tensor& x, const Tensor& label)
    : info_(std::move(info)), x_(x.contiguous()) {
  TORCH_CHECK(x_.sizes().slice(1) == IntArrayRef(info_.shape), "expected examples of shape ",
              IntArrayRef(info_.shape), ", got ", x_.sizes());
  if (!label.defined()) return;
  TORCH_CHECK(label.sizes() == IntArrayRef({x_.size(0)}),
              "expected one label for each example, got ", label.sizes());
  label_ = label.contiguous();
}

Batch MemoryDataset::get(std::span<const int64_t> indices) const {
  return {take_rows(x_, indices), label_.defined() ? take_rows(label_, indices) : Tensor()};
}

}  // namespace bitdiff
