#include "bitdiff/nn/recorded.h"

#include <optional>
#include <utility>

#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bitdiff/base/autocast.h"
#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

/// How often a call is rehearsed before it is recorded; the first ones choose kernels.
constexpr int kRehearsals = 3;

/// The arguments of Denoiser::forward as a list of tensors, and back.
struct Call {
  Tensor x_t, x0_prev, gamma;
  Condition cond;

  std::vector<Tensor> tensors() const {
    std::vector<Tensor> all{x_t, x0_prev, gamma};
    if (cond.label.defined()) all.push_back(cond.label);
    // Who has seen it does not look again.
    if (cond.context.defined() && cond.seen.empty()) all.push_back(cond.context);
    all.insert(all.end(), cond.seen.begin(), cond.seen.end());
    if (cond.dropout) all.push_back(cond.dropout->numbers());
    return all;
  }

  /// The same call of other tensors, in the order of tensors().
  Call with(const std::vector<Tensor>& all) const {
    auto next = all.begin();
    Call call{*next++, *next++, *next++, cond};
    if (cond.label.defined()) call.cond.label = *next++;
    if (cond.context.defined()) call.cond.context = cond.seen.empty() ? *next++ : Tensor();
    for (auto& seen : call.cond.seen) seen = *next++;
    if (cond.dropout) call.cond.dropout = cond.dropout->reading(*next++);
    return call;
  }
};

/// What two calls must share to be the same work.
struct Kind {
  struct Input {
    std::vector<int64_t> shape;
    at::ScalarType type;
    bool wants_gradient;
    bool operator==(const Input&) const = default;
  };
  std::vector<Input> inputs;
  bool label, seen, gradients, bf16;
  std::optional<uint64_t> dropout;
  bool operator==(const Kind&) const = default;
};

Kind kind_of(const Call& call) {
  Kind kind{.inputs = {},
            .label = call.cond.label.defined(),
            .seen = !call.cond.seen.empty(),
            .gradients = at::GradMode::is_enabled(),
            .bf16 = has_autocast_on(call.x_t.device().type()),
            .dropout = {}};
  if (call.cond.dropout) kind.dropout = call.cond.dropout->seed();
  for (const auto& t : call.tensors())
    kind.inputs.push_back({t.sizes().vec(), t.scalar_type(), t.requires_grad()});
  return kind;
}

/// While it lives parameters have no gradient; after it the same as before.
class WithoutGradients {
 public:
  explicit WithoutGradients(const std::vector<Tensor>& parameters) : parameters_(parameters) {
    for (auto& p : parameters_) before_.push_back(std::exchange(p.mutable_grad(), Tensor()));
  }
  ~WithoutGradients() {
    for (size_t i = 0; i < parameters_.size(); ++i) parameters_[i].mutable_grad() = before_[i];
  }
  WithoutGradients(const WithoutGradients&) = delete;
  WithoutGradients& operator=(const WithoutGradients&) = delete;

  /// Throws UsageError if a parameter got one all the same.
  void check() const {
    for (const auto& p : parameters_) {
      if (p.grad().defined())
        throw UsageError("this network cannot be recorded, for it adds up gradients by itself (as ",
                         "with activation checkpointing); leave --cuda-graphs out");
    }
  }

 private:
  std::vector<Tensor> parameters_, before_;
};

/// One kind of call, recorded.
class Recording {
 public:
  Recording(const Denoiser& net, const Call& call, const std::vector<Tensor>& parameters,
            std::unique_ptr<cuda::Recorder> recorder);

  /// The answer to `inputs`, Call::tensors(), without a gradient.
  Tensor forward(const std::vector<Tensor>& inputs);

  /// Changes with each call of forward or backward.
  int64_t number_of_call() const { return calls_; }
  /// Of the sum of the last answer times `dy`, the gradients of those inputs that want one and of
  /// the parameters, or undefined.
  std::vector<Tensor> backward(const Tensor& dy, int64_t call);

 private:
  std::unique_ptr<cuda::Recorder> recorder_;  // First: the rest is in its memory.
  std::vector<Tensor> inputs_;
  Tensor y_, dy_;
  std::vector<Tensor> gradients_;
  size_t forward_ = 0, backward_ = 0;
  int64_t calls_ = 0;
};

Recording::Recording(const Denoiser& net, const Call& call, const std::vector<Tensor>& parameters,
                     std::unique_ptr<cuda::Recorder> recorder)
    : recorder_(std::move(recorder)) {
  std::vector<Tensor> sources;
  for (const auto& t : call.tensors()) {
    inputs_.push_back(t.detach().clone().set_requires_grad(t.requires_grad()));
    if (t.requires_grad()) sources.push_back(inputs_.back());
  }
  sources.insert(sources.end(), parameters.begin(), parameters.end());

  const auto run = [this, &net, own = call.with(inputs_)] {
    y_ = net.forward(own.x_t, own.x0_prev, own.gamma, own.cond);
  };
  const auto go_back = [this, sources] {
    const Autocast off(false, dy_.device().type());  // As who calls backward().
    gradients_ = torch::autograd::grad({y_}, sources, {dy_}, /*retain_graph=*/false,
                                       /*create_graph=*/false, /*allow_unused=*/true);
  };
  const WithoutGradients none(parameters);
  // What autocast keeps from one use to the next would belong to the recorder.
  const NoAutocastCache no_cache;
  const bool gradients = at::GradMode::is_enabled();
  for (int i = 0; i < kRehearsals; ++i) {
    recorder_->rehearse([&] {
      run();
      if (!gradients) return;
      if (!dy_.defined()) dy_ = at::empty_like(y_.detach());
      go_back();
    });
    gradients_.clear();
    none.check();
  }
  try {
    forward_ = recorder_->record(run);
    if (gradients) backward_ = recorder_->record(go_back);
  } catch (const c10::OutOfMemoryError&) {
    throw;
  } catch (const c10::Error& error) {
    throw UsageError("this network cannot be recorded (",
                     first_line(error.what_without_backtrace()), "); leave --cuda-graphs out");
  }
  y_ = y_.detach();  // Its graph would add gradients up on the recorder's stream.
}

Tensor Recording::forward(const std::vector<Tensor>& inputs) {
  const c10::NoGradGuard no_grad;
  for (size_t i = 0; i < inputs.size(); ++i) inputs_[i].copy_(inputs[i], /*non_blocking=*/true);
  recorder_->repeat(forward_);
  ++calls_;
  return y_.detach().clone();
}

std::vector<Tensor> Recording::backward(const Tensor& dy, int64_t call) {
  TORCH_CHECK(call == calls_,
              "the answer of a recorded network goes backwards twice, or after the ",
              "next call of its kind; expected once and before");
  const c10::NoGradGuard no_grad;
  dy_.copy_(dy, /*non_blocking=*/true);
  recorder_->repeat(backward_);
  ++calls_;
  // Copies, all at once: the next call writes over the recording's own.
  std::vector<Tensor> own, copies, gradients;
  for (const auto& g : gradients_) {
    gradients.push_back(g.defined() ? at::empty_like(g) : Tensor());
    if (!g.defined()) continue;
    own.push_back(g);
    copies.push_back(gradients.back());
  }
  if (!own.empty()) at::_foreach_copy_(copies, own, /*non_blocking=*/true);
  return gradients;
}

/// The place of a recorded call in the graph of gradients.
class GoBack final : public torch::autograd::Node {
 public:
  GoBack(std::shared_ptr<Recording> recording, const std::vector<Tensor>& sources)
      : Node(torch::autograd::collect_next_edges(sources)),
        recording_(std::move(recording)),
        call_(recording_->number_of_call()) {}

  torch::autograd::variable_list apply(torch::autograd::variable_list&& upper) override {
    return recording_->backward(upper[0], call_);
  }

 private:
  std::shared_ptr<Recording> recording_;
  int64_t call_;
};

class Recorded final : public Denoiser {
 public:
  Recorded(std::unique_ptr<Denoiser> net, std::vector<Tensor> parameters,
           cuda::MakeRecorder make_recorder)
      : net_(std::move(net)),
        parameters_(std::move(parameters)),
        make_recorder_(std::move(make_recorder)) {}

  Tensor forward(const Tensor& x_t, const Tensor& x0_prev, const Tensor& gamma,
                 const Condition& cond) const override {
    const Call call{x_t, x0_prev, gamma, cond};
    const auto recording = recording_of(call);
    if (!recording) return net_->forward(x_t, x0_prev, gamma, cond);
    const auto inputs = call.tensors();
    auto y = recording->forward(inputs);
    if (!at::GradMode::is_enabled()) return y;
    std::vector<Tensor> sources;
    for (const auto& t : inputs)
      if (t.requires_grad()) sources.push_back(t);
    sources.insert(sources.end(), parameters_.begin(), parameters_.end());
    const auto node = std::make_shared<GoBack>(recording, sources);
    torch::autograd::impl::set_gradient_edge(y, {node, node->add_input_metadata(y)});
    return y;
  }

  Condition look(const Condition& cond) const override { return net_->look(cond); }

  void quantize() override {
    net_->quantize();
    recordings_.clear();
  }

 private:
  /// Null: one kind too many, which is said once.
  std::shared_ptr<Recording> recording_of(const Call& call) const {
    const auto kind = kind_of(call);
    for (const auto& [known, recording] : recordings_)
      if (known == kind) return recording;
    if (recordings_.size() == kMostKinds) {
      TORCH_WARN_ONCE("calls of more than ", kMostKinds, " kinds: the rest is not recorded");
      return nullptr;
    }
    recordings_.emplace_back(kind, std::make_shared<Recording>(*net_, call, parameters_,
                                                               make_recorder_(call.x_t.device())));
    return recordings_.back().second;
  }

  std::unique_ptr<Denoiser> net_;
  std::vector<Tensor> parameters_;
  cuda::MakeRecorder make_recorder_;
  mutable std::vector<std::pair<Kind, std::shared_ptr<Recording>>> recordings_;
};

}  // namespace

std::unique_ptr<Denoiser> recorded(std::unique_ptr<Denoiser> net, std::vector<Tensor> parameters,
                                   cuda::MakeRecorder make_recorder) {
  return std::make_unique<Recorded>(std::move(net), std::move(parameters),
                                    std::move(make_recorder));
}

}  // namespace bitdiff
