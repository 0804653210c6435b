#include "bitdiff/diffusion/process.h"

#include <ATen/ATen.h>

namespace bitdiff {
namespace {

/// float64 [B] -> float32 [B, 1, ..., 1], to multiply a tensor like `x`.
Tensor spread(const Tensor& per_row, const Tensor& x) {
  return per_row.to(x.scalar_type()).reshape(row_shape(x.sizes()));
}

}  // namespace

Tensor corrupt(const Tensor& x_0, const Tensor& eps, const Tensor& gamma) {
  return spread(sqrt(gamma), x_0) * x_0 + spread(sqrt(1 - gamma), x_0) * eps;
}

Tensor target_of(Prediction prediction, const Tensor& x_0, const Tensor& eps, const Tensor& gamma) {
  switch (prediction) {
    case Prediction::kX0:
      return x_0;
    case Prediction::kEps:
      return eps;
    case Prediction::kV:
      return spread(sqrt(gamma), x_0) * eps - spread(sqrt(1 - gamma), x_0) * x_0;
  }
  TORCH_CHECK(false, "target_of: unknown prediction");
}

Tensor loss_of(const Process& process, const Tensor& out, const Tensor& x_0, const Tensor& eps,
               const Tensor& gamma) {
  switch (process.loss) {
    case Loss::kL2:
      return at::mse_loss(out, target_of(process.prediction, x_0, eps, gamma));
    case Loss::kLogistic:
      return at::softplus(out * x_0 / -process.codec.scale()).mean();
  }
  TORCH_CHECK(false, "loss_of: unknown loss");
}

Tensor estimate_x0(const Process& process, const Tensor& out, const Tensor& x_t,
                   const Tensor& gamma) {
  const double scale = process.codec.scale();
  if (process.loss == Loss::kLogistic) return (out / 2).tanh() * scale;
  const auto x_0 = [&]() -> Tensor {
    switch (process.prediction) {
      case Prediction::kX0:
        return out;
      case Prediction::kEps:
        return (x_t - spread(sqrt(1 - gamma), x_t) * out) / spread(sqrt(gamma), x_t);
      case Prediction::kV:
        return spread(sqrt(gamma), x_t) * x_t - spread(sqrt(1 - gamma), x_t) * out;
    }
    TORCH_CHECK(false, "estimate_x0: unknown prediction");
  }();
  return x_0.clamp(-scale, scale);
}

}  // namespace bitdiff
