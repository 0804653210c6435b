#include "bitdiff/nn/parameters.h"

#include <cmath>

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include "bitdiff/base/random.h"

namespace bitdiff {

Parameters Parameters::unset(at::Device device) {
  Parameters parameters(0, device);
  parameters.draws_ = false;
  return parameters;
}

Tensor Parameters::add(const std::string& name, IntArrayRef shape, double scale) {
  if (device_.is_meta() || !draws_)
    return keep(name, at::empty(shape, at::dtype(at::kFloat).device(device_)));
  const auto stream = Streams(seed_, {0}).fork(Purpose::kInit, named_.size());
  std::vector<int64_t> row{1};
  row.insert(row.end(), shape.begin(), shape.end());
  auto value = stream.uniform(row).squeeze(0);

  double receptive = 1;  // The positions of a convolution's kernel.
  for (size_t axis = 2; axis < shape.size(); ++axis) receptive *= static_cast<double>(shape[axis]);
  const auto fan_out = static_cast<double>(shape[0]) * receptive;
  const auto fan_in = static_cast<double>(shape.size() > 1 ? shape[1] : 1) * receptive;
  const double limit = std::sqrt(3 * scale / ((fan_in + fan_out) / 2));
  return keep(name, value.mul_(2 * limit).sub_(limit));
}

Tensor Parameters::add_filled(const std::string& name, IntArrayRef shape, double value) {
  return keep(name, at::full(shape, value, at::kFloat));
}

Tensor Parameters::keep(const std::string& name, const Tensor& value) {
  const auto format =
      value.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Preserve;
  auto parameter = value.to(value.options().device(device_), false, false, format);
  parameter.requires_grad_();
  named_.emplace_back(name, parameter);
  return parameter;
}

std::vector<Tensor> Parameters::tensors() const {
  std::vector<Tensor> all;
  all.reserve(named_.size());
  for (const auto& [name, tensor] : named_) all.push_back(tensor);
  return all;
}

int64_t Parameters::count() const {
  int64_t count = 0;
  for (const auto& [name, tensor] : named_) count += tensor.numel();
  return count;
}

}  // namespace bitdiff
