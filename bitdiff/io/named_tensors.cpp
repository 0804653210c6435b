#include "bitdiff/io/named_tensors.h"

#include <map>
#include <string_view>

#include <c10/core/GradMode.h>

#include "bitdiff/base/error.h"

namespace bitdiff {

void assign(const std::string& where, const NamedTensors& from, const NamedTensors& to) {
  const c10::NoGradGuard no_grad;
  if (from.size() != to.size()) {
    throw InputError(where, ": expected ", to.size(), " tensors, found ", from.size(),
                     "; the weights belong to another network");
  }
  // A network may come to make its layers in another order than the one that wrote the file did.
  std::map<std::string_view, Tensor> found;
  for (const auto& [name, tensor] : from) found.emplace(name, tensor);
  for (const auto& [name, tensor] : to) {
    const auto at = found.find(name);
    if (at == found.end() || at->second.sizes() != tensor.sizes()) {
      throw InputError(where, ": expected ", name, " ", tensor.sizes(), ", found ",
                       at == found.end() ? "none" : bitdiff::str(at->second.sizes()),
                       "; the weights belong to another network");
    }
  }
  for (const auto& [name, tensor] : to) Tensor(tensor).copy_(found.at(name));
}

}  // namespace bitdiff
