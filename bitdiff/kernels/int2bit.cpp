#include "bitdiff/kernels/int2bit.h"

#include <algorithm>
#include <numeric>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bitwise_and.h>
#include <ATen/ops/bitwise_left_shift.h>
#include <ATen/ops/bitwise_right_shift.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sum.h>

#include "bitdiff/kernels/int2bit_cpu.h"

namespace bitdiff::kernels {
namespace {

int64_t sum_of(IntArrayRef bits) { return std::accumulate(bits.begin(), bits.end(), int64_t{0}); }

at::ScalarType code_type(IntArrayRef bits) {
  const bool small = std::all_of(bits.begin(), bits.end(), [](int64_t n) { return n <= 8; });
  return small ? at::kByte : at::kInt;
}

void check_codes(const Tensor& codes, IntArrayRef bits) {
  TORCH_CHECK(codes.scalar_type() == at::kByte || codes.scalar_type() == at::kInt,
              "expected uint8 or int32 codes, got ", codes.scalar_type());
  TORCH_CHECK(codes.dim() >= 2 && codes.size(1) == static_cast<int64_t>(bits.size()),
              "expected [B, ", bits.size(), ", ...] codes, got ", codes.sizes());
}

void check_bits(const Tensor& x_bits, IntArrayRef bits) {
  TORCH_CHECK(x_bits.scalar_type() == at::kFloat, "expected float32 bits, got ",
              x_bits.scalar_type());
  TORCH_CHECK(x_bits.dim() >= 2 && x_bits.size(1) == sum_of(bits), "expected [B, ", sum_of(bits),
              ", ...] bits, got ", x_bits.sizes());
}

}  // namespace

Tensor int2bit(const Tensor& codes, IntArrayRef bits, double scale) {
  check_codes(codes, bits);
  if (codes.is_cpu()) return cpu::int2bit(codes, bits, scale);
  return reference::int2bit(codes, bits, scale);
}

Codes bit2int(const Tensor& x_bits, IntArrayRef bits) {
  check_bits(x_bits, bits);
  if (x_bits.is_cpu()) return cpu::bit2int(x_bits, bits);
  return reference::bit2int(x_bits, bits);
}

Tensor reference::int2bit(const Tensor& codes, IntArrayRef bits, double scale) {
  check_codes(codes, bits);
  std::vector<Tensor> channels;
  for (int64_t c = 0; c < codes.size(1); ++c) {
    std::vector<int64_t> shape(codes.dim(), 1);
    shape[1] = bits[c];
    const auto shifts = at::arange(bits[c], codes.options()).reshape(shape);
    channels.push_back(at::bitwise_and(at::bitwise_right_shift(codes.narrow(1, c, 1), shifts), 1));
  }
  return (at::cat(channels, 1).to(at::kFloat) * 2 - 1) * scale;
}

Codes reference::bit2int(const Tensor& x_bits, IntArrayRef bits) {
  check_bits(x_bits, bits);
  std::vector<Tensor> channels;
  int64_t row = 0;
  for (const int64_t n : bits) {
    const auto ones = x_bits.narrow(1, row, n).gt(0).to(at::kInt);
    std::vector<int64_t> shape(ones.dim(), 1);
    shape[1] = n;
    const auto shifts = at::arange(n, ones.options()).reshape(shape);
    channels.push_back(at::bitwise_left_shift(ones, shifts).sum(1, false, at::kInt));
    row += n;
  }
  return {at::stack(channels, 1).to(code_type(bits)), at::isnan(x_bits).any().item<bool>()};
}

}  // namespace bitdiff::kernels
