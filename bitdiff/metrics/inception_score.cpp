#include "bitdiff/metrics/inception_score.h"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>

#include "bitdiff/base/random.h"

namespace bitdiff {

MeanAndDeviation inception_score(const Tensor& logits, const InceptionScoreOptions& options) {
  const auto n = logits.size(0);
  TORCH_CHECK(n > 0, "expected at least one image");
  const auto order = at::tensor(permutation(options.seed, Purpose::kScoreSplit, 0, n));
  const auto log_p = at::log_softmax(logits.index_select(0, order), 1, at::kDouble);
  const auto splits = std::min(options.splits, n);
  auto scores = at::empty({splits}, at::kDouble);
  for (int64_t i = 0; i < splits; ++i) {
    const auto part = log_p.slice(0, i * n / splits, (i + 1) * n / splits);
    const auto log_mean = part.logsumexp(0) - std::log(static_cast<double>(part.size(0)));
    scores[i] = (part.exp() * (part - log_mean)).sum(1).mean().exp();
  }
  return {scores.mean().item<double>(), scores.std(/*unbiased=*/false).item<double>()};
}

}  // namespace bitdiff
