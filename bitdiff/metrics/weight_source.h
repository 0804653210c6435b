#pragma once

#include <functional>
#include <string>

#include "bitdiff/base/tensor.h"
#include "bitdiff/io/named_tensors.h"

namespace bitdiff {

/// Gives the weight of a name and shape, float32; throws InputError when it has none such.
using WeightSource = std::function<Tensor(const std::string& name, IntArrayRef shape)>;

/// The weights among `tensors`, which errors call `file`.
WeightSource weights_from(NamedTensors tensors, const std::string& file);

}  // namespace bitdiff
