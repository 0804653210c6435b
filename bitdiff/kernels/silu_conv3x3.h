#pragma once

#include <optional>
#include <vector>

#include "bitdiff/base/tensor.h"

namespace bitdiff::kernels {

/// The weights of a group normalisation, as group_norm.h takes them.
struct Norm {
  int64_t groups;
  Tensor weight, bias;
};

/// What is added to a result y: (y + x) * factor.
struct Residual {
  Tensor x;
  double factor;
};

/// (conv3x3(silu(group_norm(x))) + residual) * factor: half of a residual block, as one operation
/// that keeps nothing for its gradient but x.
///
/// `x`: [B, K, H, W], whose channels may come in several tensors, one behind the other. `weight`:
/// [N, K, 3, 3]. `bias`: [N]. Returns [B, N, H, W]. Fast where conv3x3.h is, differentiable once
/// there.
Tensor silu_conv3x3(const std::vector<Tensor>& x, const Norm& norm, const Tensor& weight,
                    const Tensor& bias, const std::optional<Residual>& residual = {});

/// The same in one operation after the other: what the fast twin is tested against.
namespace reference {
Tensor silu_conv3x3(const std::vector<Tensor>& x, const Norm& norm, const Tensor& weight,
                    const Tensor& bias, const std::optional<Residual>& residual = {});
}  // namespace reference

}  // namespace bitdiff::kernels
