#include "bitdiff/io/named_tensors.h"

#include <c10/core/GradMode.h>

#include "bitdiff/base/error.h"

namespace bitdiff {

void assign(const std::string& where, const NamedTensors& from, const NamedTensors& to) {
  const c10::NoGradGuard no_grad;
  if (from.size() != to.size()) {
    throw InputError(where, ": expected ", to.size(), " tensors, found ", from.size(),
                     "; the weights belong to another network");
  }
  for (size_t i = 0; i < to.size(); ++i) {
    if (from[i].first != to[i].first || from[i].second.sizes() != to[i].second.sizes()) {
      throw InputError(where, ": tensor ", i, ": expected ", to[i].first, " ", to[i].second.sizes(),
                       ", found ", from[i].first, " ", from[i].second.sizes(),
                       "; the weights belong to another network");
    }
  }
  for (size_t i = 0; i < to.size(); ++i) to[i].second.copy_(from[i].second);
}

}  // namespace bitdiff
