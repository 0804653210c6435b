#pragma once

#include <cmath>
#include <string>

#include <ATen/ops/arange.h>
#include <c10/util/accumulate.h>

#include "bitdiff/metrics/inception.h"

namespace bitdiff {

/// Weights of the right shapes for Inception, without pattern, of sizes that let signals neither
/// die nor explode; `made` gets all that were asked for.
inline WeightSource random_weights(NamedTensors& made) {
  return [&made](const std::string& name, IntArrayRef shape) {
    const auto seed = static_cast<double>(made.size());
    const auto index = at::arange(c10::multiply_integers(shape), at::kDouble);
    // Uniform in [-sqrt(3), sqrt(3)], whose variance is 1.
    auto value = index.add(1000 * seed).mul(12.9898).sin().mul(43758.5453).frac().mul(std::sqrt(3));
    if (name.ends_with("running_var")) {
      value = value.square().add(0.5);
    } else if (name.ends_with("bn.weight")) {
      value = value.mul(0.1).add(1);
    } else if (shape.size() == 1) {
      value = value.mul(0.1);
    } else {
      const auto fan_in = c10::multiply_integers(shape.slice(1));
      value = value.mul(std::sqrt(2.0 / static_cast<double>(fan_in)));
    }
    made.emplace_back(name, value.to(at::kFloat).view(shape));
    return made.back().second;
  };
}

}  // namespace bitdiff
