#include "bitdiff/diffusion/process.h"

#include <numeric>
#include <vector>

#include <ATen/ATen.h>

namespace bitdiff {
namespace {

/// float64 [B] -> float32 [B, 1, ..., 1], to multiply a tensor like `x`.
Tensor spread(const Tensor& per_row, const Tensor& x) {
  return per_row.to(x.scalar_type()).reshape(row_shape(x.sizes()));
}

bool answers_with_categories(const Process& process) {
  return process.head == Head::kSoftmax || process.loss == Loss::kSoftmax;
}

/// The logits of each channel of the data, [B, K, *S].
std::vector<Tensor> split_categories(const Process& process, const Tensor& logits) {
  return logits.split_with_sizes(process.codec.categories(), 1);
}

/// The expectation of the analog bits, [B, bit channels, *S], under the softmax of `logits`.
Tensor expected_bits(const Process& process, const Tensor& logits) {
  std::vector<Tensor> bits;
  for (const auto& part : split_categories(process, logits)) {
    const auto codes = process.codec.codes(static_cast<int64_t>(bits.size())).to(part.device());
    const auto p = at::softmax(part.movedim(1, -1), -1);  // [B, *S, K]
    bits.push_back(at::matmul(p, codes).movedim(-1, 1));
  }
  return at::cat(bits, 1);
}

/// The -log p(category of x_0) of each value, [B, C, *S].
Tensor category_loss(const Process& process, const Tensor& logits, const Tensor& x_0) {
  const auto x = process.codec.decode(x_0).x.to(at::kLong);
  std::vector<Tensor> losses;
  for (const auto& part : split_categories(process, logits)) {
    const auto c = static_cast<int64_t>(losses.size());
    losses.push_back(at::cross_entropy_loss(part, x.select(1, c), {}, at::Reduction::None));
  }
  return at::stack(losses, 1);
}

/// The loss of each bit, or of each value, [B, ..., *S].
Tensor each_loss(const Process& process, const Tensor& out, const Tensor& x_0, const Tensor& eps,
                 const Tensor& gamma) {
  switch (process.loss) {
    case Loss::kL2:
      return at::mse_loss(process.head == Head::kSoftmax ? expected_bits(process, out) : out,
                          target_of(process.prediction, x_0, eps, gamma), at::Reduction::None);
    case Loss::kLogistic:
      return at::softplus(out * x_0 / -process.codec.scale());
    case Loss::kSoftmax:
      return category_loss(process, out, x_0);
  }
  TORCH_CHECK(false, "loss_of: unknown loss");
}

}  // namespace

int64_t Process::out_channels() const {
  if (head == Head::kBits) return codec.bit_channels();
  const auto& k = codec.categories();
  return std::accumulate(k.begin(), k.end(), int64_t{0});
}

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
               const Tensor& gamma, const Tensor& weight) {
  const auto each = each_loss(process, out, x_0, eps, gamma);
  return weight.defined() ? (each * weight).mean() : each.mean();
}

Tensor estimate_x0(const Process& process, const Tensor& out, const Tensor& x_t,
                   const Tensor& gamma, double temperature) {
  const double scale = process.codec.scale();
  if (process.loss == Loss::kLogistic) return (out / (2 * temperature)).tanh() * scale;
  if (answers_with_categories(process)) return expected_bits(process, out / temperature);
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
