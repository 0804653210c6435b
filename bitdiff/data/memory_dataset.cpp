#include "bitdiff/data/memory_dataset.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>

namespace bitdiff {

MemoryDataset::MemoryDataset(DataInfo info, Tensor x, Tensor label)
    : info_(std::move(info)), x_(std::move(x)), label_(std::move(label)) {
  TORCH_CHECK(x_.sizes().slice(1) == IntArrayRef(info_.shape), "expected examples of shape ",
              IntArrayRef(info_.shape), ", got ", x_.sizes());
  TORCH_CHECK(!label_.defined() || label_.sizes() == IntArrayRef({x_.size(0)}),
              "expected one label for each example, got ", label_.sizes());
}

Batch MemoryDataset::get(std::span<const int64_t> indices) const {
  const auto count = static_cast<int64_t>(indices.size());
  const auto index = at::from_blob(const_cast<int64_t*>(indices.data()), {count}, at::kLong);
  return {at::index_select(x_, 0, index),
          label_.defined() ? at::index_select(label_, 0, index) : Tensor()};
}

}  // namespace bitdiff
