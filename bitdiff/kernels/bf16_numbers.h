#pragma once

#include <cstring>

#include <ATen/ops/empty.h>

#include "bitdiff/base/tensor.h"

/// Room for numbers in bfloat16.
namespace bitdiff::kernels::cpu::bf16 {

inline Tensor numbers(int64_t count) { return at::empty({count}, at::kBFloat16); }

/// All of them 0; at::zeros goes one by one.
inline Tensor zeros(int64_t count) {
  auto t = numbers(count);
  std::memset(t.mutable_data_ptr(), 0, t.nbytes());
  return t;
}

}  // namespace bitdiff::kernels::cpu::bf16
