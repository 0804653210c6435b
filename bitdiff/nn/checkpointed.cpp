#include "bitdiff/nn/checkpointed.h"

#include <memory>
#include <utility>

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bitdiff/base/autocast.h"

namespace bitdiff {
namespace {

using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

/// The place of a part in the graph of gradients.
class Recompute final : public torch::autograd::Node {
 public:
  Recompute(Part part, const std::vector<Tensor>& x)
      : Node(torch::autograd::collect_next_edges(x)),
        part_(std::move(part)),
        device_(x[0].device().type()),
        bf16_(has_autocast_on(device_)) {
    for (const auto& tensor : x) x_.emplace_back(tensor, /*is_output=*/false);
  }

  variable_list apply(variable_list&& upper) override {
    const at::AutoGradMode enable(true);
    variable_list x;
    for (size_t i = 0; i < x_.size(); ++i)
      x.push_back(x_[i].unpack().detach().requires_grad_(task_should_compute_output(i)));
    [&] {
      const Autocast as_before(bf16_, device_);
      return part_(x);
    }()
        .backward(upper[0]);
    variable_list gradients;
    for (const auto& tensor : x) gradients.push_back(tensor.grad());
    return gradients;
  }

  void release_variables() override { x_.clear(); }

 private:
  Part part_;
  at::DeviceType device_;
  bool bf16_;
  std::vector<SavedVariable> x_;
};

}  // namespace

Tensor checkpointed(const Part& part, const std::vector<Tensor>& x) {
  if (!at::GradMode::is_enabled()) return part(x);
  auto y = [&] {
    const c10::NoGradGuard no_grad;
    return part(x);
  }();
  const auto node = std::make_shared<Recompute>(part, x);
  torch::autograd::impl::set_gradient_edge(y, {node, node->add_input_metadata(y)});
  return y;
}

}  // namespace bitdiff
