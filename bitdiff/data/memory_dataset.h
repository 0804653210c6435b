#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "bitdiff/data/dataset.h"

namespace bitdiff {

/// Rows of a contiguous tensor [N, ...], each of `indices` in [0, N), in memory of their own.
Tensor take_rows(const Tensor& x, std::span<const int64_t> indices);

/// Examples that lie in memory.
class MemoryDataset final : public Dataset {
 public:
  /// `x`: [N, C, *S] as in Batch. `label`: int64 [N], or undefined.
  MemoryDataset(DataInfo info, const Tensor& x, const Tensor& label);

  const DataInfo& info() const override { return info_; }
  int64_t size() const override { return x_.size(0); }
  Batch get(std::span<const int64_t> indices) const override;

 private:
  DataInfo info_;
  Tensor x_;
  Tensor label_;
};

}  // namespace bitdiff
