#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// The learnable tensors of a network by name, in the order of their creation.
///
/// Layers keep handles to the same tensors, so that writing into one here changes the network.
class Parameters {
 public:
  /// Initial values are a function of `seed` and the order of creation, the same on every device.
  /// On at::kMeta parameters have shapes but neither values nor memory: enough to count them.
  explicit Parameters(uint64_t seed, at::Device device = at::kCPU) : seed_(seed), device_(device) {}

  /// Parameters whose values are still to be read from somewhere: until then they are anything.
  static Parameters unset(at::Device device = at::kCPU);

  /// A new float32 parameter, uniform in +-sqrt(3 * scale / fan_avg) (VarianceScaling of Keras with
  /// fan_avg and uniform): fan_in = the product of all sizes but the first, fan_out likewise
  /// without the second. scale 0 gives zeros. Kernels of convolutions ([out, in, h, w]) are stored
  /// channels last, as the convolutions want them; their shape and numbers do not depend on that.
  Tensor add(const std::string& name, IntArrayRef shape, double scale = 1);

  /// A new float32 parameter filled with one number.
  Tensor add_filled(const std::string& name, IntArrayRef shape, double value);

  at::Device device() const { return device_; }
  const std::vector<std::pair<std::string, Tensor>>& named() const { return named_; }
  std::vector<Tensor> tensors() const;
  int64_t count() const;  ///< How many numbers in all.

 private:
  Tensor keep(const std::string& name, const Tensor& value);

  uint64_t seed_;
  at::Device device_;
  bool draws_ = true;  ///< Initial values.
  std::vector<std::pair<std::string, Tensor>> named_;
};

/// A place in the tree of names: Scope(parameters) / "down" / 0 / "conv0" names "down.0.conv0.*".
class Scope {
 public:
  explicit Scope(Parameters& parameters, std::string prefix = "")
      : parameters_(parameters), prefix_(std::move(prefix)) {}

  Scope operator/(const std::string& part) const {
    return Scope(parameters_, prefix_ + part + ".");
  }
  Scope operator/(int64_t index) const { return *this / std::to_string(index); }

  Tensor add(const std::string& name, IntArrayRef shape, double scale = 1) const {
    return parameters_.add(prefix_ + name, shape, scale);
  }
  Tensor add_filled(const std::string& name, IntArrayRef shape, double value) const {
    return parameters_.add_filled(prefix_ + name, shape, value);
  }

 private:
  Parameters& parameters_;
  std::string prefix_;
};

}  // namespace bitdiff
