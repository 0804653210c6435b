#pragma once

#include <cstdint>

#include "bitdiff/base/options.h"
#include "bitdiff/base/tensor.h"
#include "bitdiff/nn/layers.h"

namespace bitdiff {

/// What a network is told of the noise in its input.
enum class TimeInput {
  kGamma,   ///< 1000 gamma(t), as the authors' code.
  kLogSnr,  ///< log(gamma / (1 - gamma)), of which [-20, 20] is spread over [0, 1000].
};

inline Words<TimeInput> time_input_words() {
  return {{"gamma", TimeInput::kGamma}, {"log_snr", TimeInput::kLogSnr}};
}

/// [sin(c w_0) ... sin(c w_{n-1}), cos(c w_0) ... cos(c w_{n-1})], n = dim / 2, w_k = 10000^(-k/n).
/// `clock`: float64 [B]. Returns float32 [B, dim].
Tensor positional_encoding(const Tensor& clock, int64_t dim);

/// float32 [B, classes], a one in the column of each row's class and none where the label is -1.
/// `label`: int64 [B], or undefined: all -1.
Tensor one_hot_or_zero(const Tensor& label, int64_t batch, int64_t classes, at::Device device);

/// The vector that conditions every block of a network: the clock and, if there are any, classes.
struct TimeEmbedding {
  struct Shape {
    int64_t dim;      ///< Of the positional encoding; even.
    int64_t width;    ///< Of the result.
    int64_t classes;  ///< 0: labels are ignored.
  };
  TimeEmbedding(TimeInput what, Shape sizes, const Scope& scope);

  /// `gamma`: float64 [B]. `label`: int64 [B] or undefined. Returns float32 [B, width].
  Tensor operator()(const Tensor& gamma, const Tensor& label) const;

  TimeInput input;
  Shape shape;
  Linear dense0, dense1;
};

}  // namespace bitdiff
