#include "bitdiff/metrics/bit_figures.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/histc.h>

namespace bitdiff {
namespace {

constexpr double kNear = 0.1;

double entropy_of(double p) {
  if (p <= 0 || p >= 1) return 0;
  return -p * std::log2(p) - (1 - p) * std::log2(1 - p);
}

}  // namespace

void BitFigures::add(const Tensor& x_bits) {
  TORCH_CHECK(x_bits.dim() >= 2, "BitFigures: expected [N, bits, ...], got ", x_bits.sizes());
  const auto bits = (x_bits / scale_).clamp(-1, 1);
  count_ += bits.numel();
  near_modes_ += bits.abs().ge(1 - kNear).sum().item<int64_t>();

  const auto bins = at::histc(bits.to(at::kDouble), kBins, -1, 1).to(at::kLong);
  for (int64_t i = 0; i < kBins; ++i) bins_[i] += bins[i].item<int64_t>();

  const auto ones = bits.gt(0).transpose(0, 1).flatten(1).sum(1);
  ones_.resize(ones.size(0), 0);
  for (int64_t i = 0; i < ones.size(0); ++i) ones_[i] += ones[i].item<int64_t>();
}

double BitFigures::share_near_modes() const {
  return static_cast<double>(near_modes_) / static_cast<double>(count_);
}

std::vector<double> BitFigures::entropy() const {
  const double each = static_cast<double>(count_) / static_cast<double>(ones_.size());
  std::vector<double> entropy;
  for (const int64_t ones : ones_) entropy.push_back(entropy_of(static_cast<double>(ones) / each));
  return entropy;
}

}  // namespace bitdiff
