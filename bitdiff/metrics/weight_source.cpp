#include "bitdiff/metrics/weight_source.h"

#include <map>
#include <memory>

#include "bitdiff/base/error.h"

namespace bitdiff {

WeightSource weights_from(NamedTensors tensors, const std::string& file) {
  const auto by_name =
      std::make_shared<std::map<std::string, Tensor>>(tensors.begin(), tensors.end());
  return [by_name, file](const std::string& name, IntArrayRef shape) {
    const auto found = by_name->find(name);
    if (found == by_name->end()) {
      throw InputError(file, ": expected a weight \"", name, "\" of shape ", shape, ", found none");
    }
    const auto& weight = found->second;
    if (weight.sizes() != shape || weight.scalar_type() != at::kFloat) {
      throw InputError(file, ": weight \"", name, "\": expected float32 of shape ", shape,
                       ", found ", weight.scalar_type(), " of shape ", weight.sizes());
    }
    return weight;
  };
}

}  // namespace bitdiff
