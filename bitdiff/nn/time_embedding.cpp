#include "bitdiff/nn/time_embedding.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/zeros.h>

namespace bitdiff {
namespace {

Tensor clock_of(TimeInput input, const Tensor& gamma) {
  if (input == TimeInput::kGamma) return gamma * 1000;
  return (gamma.logit(1e-12).clamp(-20, 20) + 20) * (1000.0 / 40);
}

}  // namespace

Tensor positional_encoding(const Tensor& clock, int64_t dim) {
  // In float64: float32 would keep only four decimals of an angle near 1000.
  const int64_t half = dim / 2;
  const auto k = at::arange(half, clock.options().dtype(at::kDouble));
  const auto angle = clock.unsqueeze(1) * (k * (-std::log(10000.0) / half)).exp();
  return at::cat({angle.sin(), angle.cos()}, 1).to(at::kFloat);
}

Tensor one_hot_or_zero(const Tensor& label, int64_t batch, int64_t classes, at::Device device) {
  if (!label.defined()) return at::zeros({batch, classes}, at::dtype(at::kFloat).device(device));
  TORCH_CHECK(label.dim() == 1 && label.size(0) == batch, "label: expected [", batch, "], got ",
              label.sizes());
  // Elsewhere than on the CPU looking at a value would wait for the device.
  TORCH_CHECK(!label.is_cpu() || label.ge(-1).logical_and_(label.lt(classes)).all().item<bool>(),
              "label: expected classes in [0, ", classes, ") or -1, got ", label);
  const auto each = at::arange(classes, at::dtype(at::kLong).device(device));
  return label.to(device).unsqueeze(1).eq(each).to(at::kFloat);
}

TimeEmbedding::TimeEmbedding(TimeInput what, Shape sizes, const Scope& scope)
    : input(what),
      shape(sizes),
      dense0(sizes.dim, sizes.width, scope / "dense0"),
      dense1(sizes.width + sizes.classes, sizes.width, scope / "dense1") {}

Tensor TimeEmbedding::operator()(const Tensor& gamma, const Tensor& label) const {
  auto hidden = activate(dense0(positional_encoding(clock_of(input, gamma), shape.dim)));
  if (shape.classes > 0) {
    const auto classes = one_hot_or_zero(label, gamma.size(0), shape.classes, gamma.device());
    hidden = at::cat({hidden, classes}, 1);
  }
  return activate(dense1(hidden));
}

}  // namespace bitdiff
