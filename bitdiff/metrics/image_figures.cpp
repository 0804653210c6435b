#include "bitdiff/metrics/image_figures.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/tensor.h>

#include "bitdiff/base/error.h"
#include "bitdiff/base/random.h"
#include "bitdiff/metrics/inception_score.h"
#include "bitdiff/metrics/kid.h"
#include "bitdiff/metrics/moments.h"
#include "bitdiff/metrics/precision_recall.h"

namespace bitdiff {
namespace {

using Output = FeatureExtractor::Output;

constexpr int64_t kFewest = 8;  // So that half the reference has more than three neighbours.

std::pair<Tensor, Tensor> halves_of(const Tensor& x, uint64_t seed) {
  const auto order = at::tensor(permutation(seed, Purpose::kHalves, 0, x.size(0)));
  const auto middle = x.size(0) / 2;
  return {x.index_select(0, order.slice(0, 0, middle)),
          x.index_select(0, order.slice(0, middle, 2 * middle))};
}

Figure frechet_figure(const std::string& name, const Tensor& samples, const Tensor& reference,
                      uint64_t seed) {
  const auto [first, second] = halves_of(reference, seed);
  return {name, frechet_distance(samples, reference), {}, frechet_distance(first, second)};
}

Figure kid_figure(const Tensor& samples, const Tensor& reference, uint64_t seed) {
  const KidOptions options{.seed = seed};
  const auto [first, second] = halves_of(reference, seed);
  const auto kid = kernel_inception_distance(samples, reference, options);
  return {"kid", kid.mean, kid.deviation, kernel_inception_distance(first, second, options).mean};
}

Figure score_figure(const Tensor& samples, const Tensor& reference, uint64_t seed) {
  const InceptionScoreOptions options{.seed = seed};
  const auto score = inception_score(samples, options);
  return {"is", score.mean, score.deviation, inception_score(reference, options).mean};
}

}  // namespace

const Words<ImageMetric>& image_metric_words() {
  static const Words<ImageMetric> words = {{"fid", ImageMetric::kFid},
                                           {"kid", ImageMetric::kKid},
                                           {"is", ImageMetric::kIs},
                                           {"prc", ImageMetric::kPrc},
                                           {"sfid", ImageMetric::kSfid}};
  return words;
}

std::vector<ImageMetric> metrics_from(const Output& output) {
  std::vector<ImageMetric> metrics = {ImageMetric::kFid, ImageMetric::kKid};
  if (output.logits.defined()) metrics.push_back(ImageMetric::kIs);
  metrics.push_back(ImageMetric::kPrc);
  if (output.spatial.defined()) metrics.push_back(ImageMetric::kSfid);
  return metrics;
}

std::vector<Figure> image_figures(const Output& samples, const Output& reference,
                                  const std::vector<ImageMetric>& metrics, uint64_t seed) {
  const auto& x = samples.features;
  const auto& y = reference.features;
  if (x.size(0) < kFewest || y.size(0) < kFewest) {
    throw InputError("expected at least ", kFewest, " samples and ", kFewest,
                     " images of reference, found ", x.size(0), " and ", y.size(0));
  }
  const auto possible = metrics_from(samples);
  std::vector<Figure> figures;
  for (const auto metric : metrics) {
    if (std::find(possible.begin(), possible.end(), metric) == possible.end()) {
      throw InputError(metric == ImageMetric::kIs ? "is: the network has no classes"
                                                  : "sfid: the network has no spatial features",
                       "; leave it out of the metrics");
    }
    switch (metric) {
      case ImageMetric::kFid:
        figures.push_back(frechet_figure("fid", x, y, seed));
        break;
      case ImageMetric::kKid:
        figures.push_back(kid_figure(x, y, seed));
        break;
      case ImageMetric::kIs:
        figures.push_back(score_figure(samples.logits, reference.logits, seed));
        break;
      case ImageMetric::kPrc: {
        const auto [first, second] = halves_of(y, seed);
        const auto found = precision_recall(x, y), floor = precision_recall(first, second);
        figures.push_back({"precision", found.precision, {}, floor.precision});
        figures.push_back({"recall", found.recall, {}, floor.recall});
        break;
      }
      case ImageMetric::kSfid:
        figures.push_back(frechet_figure("sfid", samples.spatial, reference.spatial, seed));
        break;
    }
  }
  return figures;
}

}  // namespace bitdiff
