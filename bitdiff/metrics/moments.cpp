#include "bitdiff/metrics/moments.h"

#include <algorithm>
#include <cmath>

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/linalg_svdvals.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/outer.h>

namespace bitdiff {
namespace {

constexpr int64_t kPiece = 4096;  // Vectors that are made float64 at once.

Tensor square_root_of_diagonal(const Tensor& eigenvalues) {
  // Rounding leaves the zero eigenvalues of a singular matrix a little below zero.
  return eigenvalues.clamp_min(0).sqrt();
}

// A with A^T A = the covariance of x.
Tensor factor_of(const Tensor& x) {
  TORCH_CHECK(x.size(0) > 1, "a covariance takes two vectors, got ", x.size(0));
  return (x - x.mean(0)).div_(std::sqrt(static_cast<double>(x.size(0) - 1)));
}

Moments moments_of(const Tensor& features) {
  Moments moments;
  moments.add(features);
  return moments;
}

}  // namespace

void Moments::add(const Tensor& features) {
  TORCH_CHECK(features.dim() == 2, "expected features [N, D], got ", features.sizes());
  for (int64_t begin = 0; begin < features.size(0); begin += kPiece) {
    const auto end = std::min(begin + kPiece, features.size(0));
    const auto x = features.slice(0, begin, end).to(at::kDouble);
    Moments piece;
    piece.count_ = x.size(0);
    piece.mean_ = x.mean(0);
    const auto centred = x - piece.mean_;
    piece.scatter_ = at::matmul(centred.t(), centred);
    merge(piece);
  }
}

void Moments::merge(const Moments& other) {
  if (other.count_ == 0) return;
  if (count_ == 0) {
    *this = other;
    return;
  }
  const auto n = static_cast<double>(count_), m = static_cast<double>(other.count_);
  const auto difference = other.mean_ - mean_;
  scatter_ = scatter_ + other.scatter_ + at::outer(difference, difference).mul_(n * m / (n + m));
  mean_ = mean_ + difference.mul(m / (n + m));
  count_ += other.count_;
}

Tensor Moments::covariance() const {
  TORCH_CHECK(count_ > 1, "a covariance takes two vectors, got ", count_);
  return scatter_.div(static_cast<double>(count_ - 1));
}

double frechet_distance(const Tensor& mean1, const Tensor& covariance1, const Tensor& mean2,
                        const Tensor& covariance2) {
  const auto [values, vectors] = at::linalg_eigh(covariance1);
  const auto root = at::matmul(vectors * square_root_of_diagonal(values), vectors.t());
  auto product = at::matmul(at::matmul(root, covariance2), root);
  product = (product + product.t()).div(2);
  const auto trace_root = square_root_of_diagonal(at::linalg_eigvalsh(product)).sum();
  const auto distance =
      (mean1 - mean2).square().sum() + covariance1.trace() + covariance2.trace() - 2 * trace_root;
  return distance.item<double>();
}

double frechet_distance_of_few(const Tensor& features1, const Tensor& features2) {
  const auto x = features1.to(at::kDouble), y = features2.to(at::kDouble);
  const auto a = factor_of(x), b = factor_of(y);
  const auto trace_root = at::linalg_svdvals(at::matmul(a, b.t())).sum();
  const auto distance =
      (x.mean(0) - y.mean(0)).square().sum() + a.square().sum() + b.square().sum() - 2 * trace_root;
  return distance.item<double>();
}

double frechet_distance(const Tensor& features1, const Tensor& features2) {
  if (features1.size(0) + features2.size(0) <= features1.size(1)) {
    return frechet_distance_of_few(features1, features2);
  }
  const auto a = moments_of(features1), b = moments_of(features2);
  return frechet_distance(a.mean(), a.covariance(), b.mean(), b.covariance());
}

}  // namespace bitdiff
