#include "bitdiff/train/feature_trainer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cdist.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include "bitdiff/base/autocast.h"
#include "bitdiff/base/error.h"
#include "bitdiff/metrics/small_features.h"
#include "bitdiff/report/sheet.h"
#include "bitdiff/train/trainer.h"

namespace bitdiff {
namespace {

constexpr int64_t kEvalBatch = 256;

/// The images of another data set, each with a class of its own.
class Exemplars final : public Dataset {
 public:
  explicit Exemplars(std::shared_ptr<const Dataset> images)
      : images_(std::move(images)), info_(images_->info()) {
    info_.classes = images_->size();
  }

  const DataInfo& info() const override { return info_; }
  int64_t size() const override { return images_->size(); }
  Batch get(std::span<const int64_t> indices) const override {
    auto batch = images_->get(indices);
    batch.label = at::tensor(at::ArrayRef<int64_t>(indices.data(), indices.size()), at::kLong);
    return batch;
  }

 private:
  std::shared_ptr<const Dataset> images_;
  DataInfo info_;
};

std::shared_ptr<const Dataset> with_classes(std::shared_ptr<const Dataset> data) {
  if (!is_picture(data->info())) {
    throw UsageError("features: expected data that are pictures, [C, H, W] of one channel, of ",
                     "three, or of one with a palette");
  }
  if (data->info().classes > 0) return data;
  return std::make_shared<Exemplars>(std::move(data));
}

/// Calls use(batch, rows) for all examples, in pieces.
template <class Use>
void each_batch(const Dataset& data, const Use& use) {
  for (int64_t begin = 0; begin < data.size(); begin += kEvalBatch) {
    std::vector<int64_t> rows(std::min(kEvalBatch, data.size() - begin));
    std::iota(rows.begin(), rows.end(), begin);
    use(data.get(rows), rows);
  }
}

}  // namespace

FeatureTrainer::FeatureTrainer(const FeatureTrainOptions& options, const SmallNetOptions& net,
                               std::shared_ptr<const Dataset> data, const PassOptions& passes)
    : options_(options),
      labelled_(data->info().classes > 0),
      loader_(with_classes(std::move(data)), {.batch = options.batch,
                                              .seed = options.seed,
                                              .flip = passes.flip,
                                              .window = passes.window}),
      net_(net, loader_.dataset().info().classes, static_cast<uint64_t>(options.seed)),
      adam_(options.adam, net_.parameters().named()) {
  if (options.augment.shift >= net.size) {
    throw UsageError("train.shift: expected less than features.size, ", net.size, ", found ",
                     options.augment.shift);
  }
}

double FeatureTrainer::update() {
  const auto batch = loader_.get(step_);
  const Streams streams(static_cast<uint64_t>(options_.seed), loader_.rows(step_));
  const auto pictures = fit_images(to_rgb(batch.x, loader_.dataset().info()), net_.options().size);
  const auto scores = [&] {
    const Autocast bf16(options_.bf16, at::kCPU);
    return net_.logits(net_.features(augment(pictures, options_.augment, streams)));
  }();
  const auto loss = at::cross_entropy_loss(scores.to(at::kFloat), batch.label, {},
                                           at::Reduction::Mean, -100, options_.label_smoothing);
  loss.backward();
  const auto value = loss.item<double>();
  const double norm = adam_.step(lr_at(step_, {.steps = options_.steps,
                                               .adam = options_.adam,
                                               .warmup = options_.warmup,
                                               .decay = LrDecay::kCosine}));
  if (!std::isfinite(value) || !std::isfinite(norm)) {
    throw NumbersError("step ", step_ + 1, ": the loss is ", value, ", the gradient's norm ", norm,
                       "; try a smaller train.lr");
  }
  ++step_;
  return value;
}

double FeatureTrainer::accuracy(const Dataset& data) const {
  const c10::NoGradGuard no_grad;
  return labelled_ ? correct_classes(data) : found_again(data);
}

double FeatureTrainer::correct_classes(const Dataset& data) const {
  int64_t correct = 0;
  each_batch(data, [&](const Batch& batch, const std::vector<int64_t>&) {
    const auto scores = net_.logits(small_features(net_, to_rgb(batch.x, data.info())));
    correct += scores.argmax(1).eq(batch.label).sum().item<int64_t>();
  });
  return static_cast<double>(correct) / static_cast<double>(data.size());
}

double FeatureTrainer::found_again(const Dataset& data) const {
  std::vector<Tensor> views[2];
  each_batch(data, [&](const Batch& batch, const std::vector<int64_t>& rows) {
    const auto pictures = fit_images(to_rgb(batch.x, data.info()), net_.options().size);
    for (int view = 0; view < 2; ++view) {
      const auto streams =
          Streams(static_cast<uint64_t>(options_.seed), rows).fork(Purpose::kEval, view);
      views[view].push_back(net_.features(augment(pictures, options_.augment, streams)));
    }
  });
  const auto nearest = at::cdist(at::cat(views[0]), at::cat(views[1])).argmin(1);
  return nearest.eq(at::arange(data.size())).to(at::kDouble).mean().item<double>();
}

}  // namespace bitdiff
