#include "bitdiff/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include "bitdiff/base/autocast.h"
#include "bitdiff/base/error.h"
#include "bitdiff/model/loss.h"

namespace bitdiff {
namespace {

constexpr int64_t kEvalBatch = 64;

/// Of the rows of a piece, how many see their own estimate: the first rate * batch of the batch, of
/// which a piece holds every `pieces`-th.
int64_t self_cond_rows(double rate, int64_t batch, int64_t piece, int64_t pieces) {
  const auto chosen = static_cast<int64_t>(rate * static_cast<double>(batch));
  return (chosen - piece + pieces - 1) / pieces;
}

}  // namespace

double lr_at(int64_t step, const TrainOptions& options) {
  const double lr = options.adam.lr;
  if (step < options.warmup) {
    return lr * static_cast<double>(step + 1) / static_cast<double>(options.warmup);
  }
  const auto span = static_cast<double>(std::max<int64_t>(options.steps - options.warmup, 1));
  const double done = std::min(static_cast<double>(step - options.warmup) / span, 1.0);
  switch (options.decay) {
    case LrDecay::kNone:
      return lr;
    case LrDecay::kLinear:
      return lr * (1 - done);
    case LrDecay::kCosine:
      return lr * (1 + std::cos(done * std::numbers::pi)) / 2;
  }
  TORCH_CHECK(false, "lr_at: unknown decay");
}

Trainer::Trainer(const TrainOptions& options, Model& model, std::shared_ptr<const Dataset> data,
                 const PassOptions& passes, Group& group)
    : options_(options),
      model_(model),
      group_(group),
      loader_(std::move(data), {.batch = options.batch,
                                .seed = options.seed,
                                .flip = passes.flip,
                                .window = passes.window}),
      gradient_sum_(group, model.parameters.tensors()),
      adam_(options.adam, model.parameters.named()),
      ema_(options.ema, model.parameters.named()) {
  if (options.batch % (options.accumulate * group.size()) != 0) {
    throw UsageError("train.batch = ", options.batch,
                     ": expected a multiple of accumulate = ", options.accumulate,
                     group.size() > 1 ? str(" times the ", group.size(), " processes") : "");
  }
}

void Trainer::LossSum::add(const Tensor& loss, double of) {
  const auto more = loss.detach().to(at::kDouble);
  sum = sum.defined() ? sum + more : more;
  count += of;
}

void Trainer::add_loss_and_gradient(int64_t piece, int64_t pieces, LossSum& own) {
  const auto batch = loader_.get(step_, piece, pieces);
  const Streams streams(static_cast<uint64_t>(options_.seed), loader_.rows(step_, piece, pieces),
                        device());
  const int64_t chosen =
      self_cond_rows(model_.process.self_cond_rate, options_.batch, piece, pieces);
  const auto [mean, count] = [&] {
    const Autocast bf16(options_.bf16, device().type());
    return model_loss(model_, batch, streams, chosen, /*dropout=*/true);
  }();
  const auto sum = mean * count;
  sum.backward();
  own.add(sum, static_cast<double>(count));
}

Trainer::Update Trainer::update(const std::function<bool()>& told_to_stop) {
  // A process has every size()-th piece of the batch.
  const int64_t pieces = options_.accumulate * group_.size();
  LossSum own;
  for (int64_t piece = group_.rank(); piece < pieces; piece += group_.size()) {
    const bool last = piece + group_.size() >= pieces;
    if (last) gradient_sum_.begin();
    add_loss_and_gradient(piece, pieces, own);
  }
  gradient_sum_.finish();
  const double stop = told_to_stop && told_to_stop() ? 1 : 0;
  const auto sums = group_.sum(at::tensor({own.value(), own.count, stop}, at::kDouble));
  const double count = sums[1].item<double>();

  Update update{.loss = sums[0].item<double>() / count, .stop = sums[2].item<double>() > 0};
  update.lr = lr_at(step_, options_);
  if (!std::isfinite(update.loss)) {
    throw NumbersError("step ", step_ + 1, ": the loss is ", update.loss,
                       "; resume from the last checkpoint with a smaller train.lr");
  }
  update.grad_norm = adam_.step(update.lr, count);
  if (!std::isfinite(update.grad_norm)) {
    throw NumbersError("step ", step_ + 1, ": the gradient's norm is ", update.grad_norm,
                       "; resume from the last checkpoint with a smaller train.lr");
  }
  ema_.update();
  ++step_;
  return update;
}

double Trainer::evaluate(const Dataset& data) {
  const c10::NoGradGuard no_grad;
  const Ema::Scope averaged(ema_);
  LossSum own;
  for (int64_t begin = group_.rank() * kEvalBatch; begin < data.size();
       begin += group_.size() * kEvalBatch) {
    std::vector<int64_t> rows(std::min(kEvalBatch, data.size() - begin));
    std::iota(rows.begin(), rows.end(), begin);
    const auto batch = data.get(rows);
    const auto streams =
        Streams(static_cast<uint64_t>(options_.seed), rows, device()).fork(Purpose::kEval);
    const int64_t chosen =
        self_cond_rows(model_.process.self_cond_rate, static_cast<int64_t>(rows.size()), 0, 1);
    const auto [mean, count] = model_loss(model_, batch, streams, chosen, /*dropout=*/false);
    own.add(mean.to(at::kDouble) * count, static_cast<double>(count));
  }
  const auto sums = group_.sum(at::tensor({own.value(), own.count}, at::kDouble));
  return sums[0].item<double>() / sums[1].item<double>();
}

Checkpoint Trainer::checkpoint() const {
  return {.config = {},
          .step = step_,
          .seed = options_.seed,
          .data = model_.data,
          .weights = model_.parameters.named(),
          .ema = ema_.averages(),
          .optimizer = adam_.state()};
}

void Trainer::resume(const std::string& where, const Checkpoint& checkpoint) {
  assign(where + "/model.safetensors", checkpoint.weights, model_.parameters.named());
  assign(where + "/ema.safetensors", checkpoint.ema, ema_.averages());
  assign(where + "/optimizer.safetensors", checkpoint.optimizer, adam_.state());
  step_ = checkpoint.step;
}

void Trainer::share_state() {
  const c10::NoGradGuard no_grad;
  const auto step = at::full({}, step_, at::kLong);
  group_.broadcast(step);
  step_ = step.item<int64_t>();
  for (const auto& tensors : {model_.parameters.named(), ema_.averages(), adam_.state()}) {
    for (const auto& [name, tensor] : tensors) group_.broadcast(tensor);
  }
}

}  // namespace bitdiff
