#include "bitdiff/nn/token_vectors.h"

#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/matmul.h>

#include "bitdiff/kernels/linear.h"

namespace bitdiff {

Tensor add_vectors(const Scope& scope, const std::string& name, int64_t count, int64_t width,
                   double variance) {
  const double fan_avg = static_cast<double>(count + width) / 2;
  return scope.add(name, {count, width}, variance * fan_avg);
}

TokenVectors::TokenVectors(int64_t categories, int64_t width, const Scope& scope)
    : scale_in(std::sqrt(static_cast<double>(width))),
      // Logits are products with normalised vectors and start with deviation 1/2. So do the
      // vectors that go in, by a factor of sqrt(width) (Vaswani et al., 2017).
      embedding(
          add_vectors(scope, "embedding", categories, width, 0.25 / static_cast<double>(width))) {}

Tensor TokenVectors::of(const Tensor& tokens) const {
  return at::embedding(embedding, tokens) * scale_in;
}

Tensor TokenVectors::mean(const Tensor& p) const { return at::matmul(p, embedding) * scale_in; }

Tensor TokenVectors::logits(const Tensor& state, const Tensor& bias) const {
  return kernels::linear({state}, embedding, bias);
}

}  // namespace bitdiff
