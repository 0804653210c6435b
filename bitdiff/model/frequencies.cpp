#include "bitdiff/model/frequencies.h"

#include <algorithm>
#include <vector>

#include <ATen/ATen.h>
#include <c10/util/accumulate.h>

namespace bitdiff {
namespace {

constexpr int64_t kChunk = 256;   // Examples read at once.
constexpr double kSmoothing = 5;  // Examples that the frequencies over all places count for.

class FrequencyDenoiser final : public Denoiser {
 public:
  explicit FrequencyDenoiser(const Tensor& log_frequencies) : log_p_(log_frequencies) {}

  Tensor forward(const Tensor& x_t, const Tensor&, const Tensor&, const Condition&) const override {
    auto shape = log_p_.sizes().vec();
    shape.insert(shape.begin(), x_t.size(0));
    return log_p_.to(x_t.device()).expand(shape);
  }

 private:
  Tensor log_p_;
};

}  // namespace

Tensor log_frequencies(const Dataset& data, const std::vector<int64_t>& categories, int64_t count) {
  const auto& shape = data.info().shape;
  const std::vector<int64_t> places(shape.begin() + 1, shape.end());
  std::vector<Tensor> counts;  // Of each channel, [places, K].
  for (const int64_t k : categories)
    counts.push_back(at::zeros({c10::multiply_integers(places), k}, at::kDouble));
  count = std::min(count, data.size());
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    std::vector<int64_t> rows;
    for (int64_t i = begin; i < std::min(begin + kChunk, count); ++i)
      rows.push_back(i * data.size() / count);
    const auto x = data.get(rows).x.to(at::kLong).flatten(2);  // [rows, C, places]
    for (size_t c = 0; c < counts.size(); ++c) {
      const auto values = x.select(1, static_cast<int64_t>(c)).t().contiguous();
      counts[c].scatter_add_(1, values, at::ones(values.sizes(), at::kDouble));
    }
  }
  std::vector<Tensor> logs;
  for (auto& n : counts) {
    const auto everywhere = n.sum(0) + 1;
    n += kSmoothing * everywhere / everywhere.sum();
    auto channel = places;
    channel.insert(channel.begin(), n.size(1));
    logs.push_back((n / n.sum(1, true)).log().to(at::kFloat).t().reshape(channel));
  }
  return at::cat(logs, 0);
}

std::unique_ptr<Denoiser> make_frequency_denoiser(const Tensor& log_frequencies) {
  return std::make_unique<FrequencyDenoiser>(log_frequencies);
}

}  // namespace bitdiff
