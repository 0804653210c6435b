#include "tests/nn/tape.h"

#include <string>
#include <utility>

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include "bitdiff/base/autocast.h"

namespace bitdiff {

struct Tape::Step {
  c10::OperatorHandle operation;
  torch::jit::Stack arguments, results;
};

namespace {

constexpr auto kMode = c10::DispatchKey::TESTING_ONLY_GenericMode;
constexpr auto kAutocast = c10::DispatchKey::AutocastCPU;
constexpr auto kComposite = c10::DispatchKey::CompositeImplicitAutograd;

thread_local std::vector<Tape::Step>* now = nullptr;  // What is being recorded.

/// While it lives operations are put down in `steps`.
class PutDownIn {
 public:
  explicit PutDownIn(std::vector<Tape::Step>& steps) { now = &steps; }
  ~PutDownIn() { now = nullptr; }
  PutDownIn(const PutDownIn&) = delete;
  PutDownIn& operator=(const PutDownIn&) = delete;

 private:
  c10::impl::IncludeDispatchKeyGuard mode_{kMode};
};

/// Puts `result`, a tensor or a list of them, where `place` is.
void put(const c10::IValue& place, const c10::IValue& result) {
  if (place.isTensor()) {
    const auto& to = place.toTensor();
    if (to.defined() && !to.is_same(result.toTensor())) to.copy_(result.toTensor());
  } else if (place.isTensorList()) {
    const auto to = place.toTensorVector(), from = result.toTensorVector();
    for (size_t i = 0; i < to.size(); ++i) to[i].copy_(from[i]);
  }
}

void put_down(const c10::OperatorHandle& operation, c10::DispatchKeySet keys,
              torch::jit::Stack* stack) {
  // Autocast comes first and calls again, with other numbers.
  if (keys.has(kAutocast) && operation.hasKernelForDispatchKey(kAutocast)) {
    operation.redispatchBoxed(keys.remove(kMode), stack);
    return;
  }
  // Made of others, which come by one by one.
  if (operation.hasKernelForDispatchKey(kComposite)) {
    operation.callBoxedForDispatchKey(kComposite, *stack);
    return;
  }
  const auto name = operation.operator_name().name;
  TORCH_CHECK(name != "aten::_local_scalar_dense" && name != "aten::nonzero",
              "a recording cannot look at a value, as ", name, " does");
  const c10::impl::ExcludeDispatchKeyGuard plain(kMode);
  const auto arguments = torch::jit::last(*stack, operation.schema().arguments().size()).vec();
  operation.callBoxed(*stack);
  if (now) {
    const auto results = torch::jit::last(*stack, operation.schema().returns().size()).vec();
    now->push_back({operation, arguments, results});
  }
}

}  // namespace

Tape::Tape() {
  static const auto registered = c10::Dispatcher::singleton().registerFallback(
      kMode, c10::KernelFunction::makeFromBoxedFunction<&put_down>(), "the tests' tape");
}

Tape::~Tape() = default;

size_t Tape::record(const Work& work) {
  std::vector<Step> steps;
  {
    const PutDownIn recording(steps);
    work();
  }
  recordings_.push_back(std::move(steps));
  return recordings_.size() - 1;
}

void Tape::repeat(size_t number) {
  const c10::NoGradGuard no_grad;
  const Autocast as_put_down(false, at::kCPU);
  for (const auto& step : recordings_.at(number)) {
    auto stack = step.arguments;
    step.operation.callBoxed(stack);
    for (size_t i = 0; i < stack.size(); ++i) put(step.results[i], stack[i]);
  }
}

size_t Again::record(const Work& work) {
  works_.emplace_back([work, gradients = at::GradMode::is_enabled()] {
    const at::AutoGradMode as_recorded(gradients);
    work();
  });
  return works_.size() - 1;
}

}  // namespace bitdiff
