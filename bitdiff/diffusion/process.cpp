#include "bitdiff/diffusion/process.h"

#include <numeric>
#include <vector>

#include <ATen/ATen.h>

#include "bitdiff/base/autocast.h"
#include "bitdiff/diffusion/likelihood.h"

namespace bitdiff {
namespace {

/// float64 [B] -> float32 [B, 1, ..., 1], to multiply a tensor like `x`.
Tensor spread(const Tensor& per_row, const Tensor& x) {
  return per_row.to(x.scalar_type()).reshape(row_shape(x.sizes()));
}

bool answers_with_categories(const Process& process) {
  return process.head != Head::kBits || process.loss == Loss::kSoftmax;
}

/// log p(category) of each channel's values but for a constant, [B, *S, K]. Only kPosterior looks
/// at `x_t` and `gamma`.
std::vector<Tensor> category_logits(const Process& process, const Tensor& out, const Tensor& x_t,
                                    const Tensor& gamma) {
  std::vector<Tensor> logits;
  for (const auto& part : out.split_with_sizes(process.codec.categories(), 1))
    logits.push_back(part.movedim(1, -1));
  if (process.head != Head::kPosterior) return logits;
  const auto bits = x_t.split_with_sizes(process.codec.bits(), 1);
  for (size_t c = 0; c < bits.size(); ++c) {
    const auto codes = process.codec.codes(static_cast<int64_t>(c), out.device());
    logits[c] = logits[c] + log_likelihood(codes, bits[c], gamma);
  }
  return logits;
}

/// The expectation of the analog bits, [B, bit channels, *S], under the softmax of `logits`.
Tensor expected_bits(const Process& process, const std::vector<Tensor>& logits,
                     double temperature = 1) {
  const Autocast exact(false, logits[0].device().type());
  std::vector<Tensor> bits;
  for (const auto& part : logits) {
    const auto codes = process.codec.codes(static_cast<int64_t>(bits.size()), part.device());
    bits.push_back(at::matmul(at::softmax(part.to(codes.scalar_type()) / temperature, -1), codes)
                       .movedim(-1, 1));
  }
  return at::cat(bits, 1);
}

/// The -log p(category x) of each value, [B, C, *S].
Tensor category_loss(const std::vector<Tensor>& logits, const Tensor& x) {
  std::vector<Tensor> losses;
  for (const auto& part : logits) {
    const auto truth = x.select(1, static_cast<int64_t>(losses.size())).to(at::kLong);
    // Autocast on a GPU would leave the logarithm in bfloat16.
    const auto rows = part.reshape({-1, part.size(-1)}).to(at::kFloat);
    losses.push_back(
        at::cross_entropy_loss(rows, truth.reshape(-1), {}, at::Reduction::None).view_as(truth));
  }
  return at::stack(losses, 1);
}

/// The loss of each bit, or of each value, [B, ..., *S].
Tensor each_loss(const Process& process, const Tensor& out, const Tensor& x_0, const Tensor& eps,
                 const Tensor& gamma, const Tensor& x) {
  const auto logits = [&] {
    const bool looks = process.head == Head::kPosterior;
    return category_logits(process, out, looks ? corrupt(x_0, eps, gamma) : Tensor(), gamma);
  };
  switch (process.loss) {
    case Loss::kL2:
      return at::mse_loss(process.head == Head::kBits ? out : expected_bits(process, logits()),
                          target_of(process.prediction, x_0, eps, gamma), at::Reduction::None);
    case Loss::kLogistic:
      return at::softplus(out * x_0 / -process.codec.scale());
    case Loss::kSoftmax:
      return category_loss(logits(), x.defined() ? x : process.codec.decode(x_0).x);
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
               const Tensor& gamma, const Tensor& weight, const Tensor& x) {
  const auto each = each_loss(process, out, x_0, eps, gamma, x);
  return weight.defined() ? (each * weight).mean() : each.mean();
}

Tensor estimate_x0(const Process& process, const Tensor& out, const Tensor& x_t,
                   const Tensor& gamma, double temperature) {
  const double scale = process.codec.scale();
  if (process.loss == Loss::kLogistic) return (out / (2 * temperature)).tanh() * scale;
  if (answers_with_categories(process))
    return expected_bits(process, category_logits(process, out, x_t, gamma), temperature);
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
