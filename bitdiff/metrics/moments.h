#pragma once

#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// Mean and covariance of vectors that come in pieces, in float64.
class Moments {
 public:
  /// `features`: [N, D] of floats. Pieces may come in any sizes.
  void add(const Tensor& features);

  /// As if what the other was given had been given to this one (Chan et al., 1979).
  void merge(const Moments& other);

  int64_t count() const { return count_; }
  const Tensor& mean() const { return mean_; }  ///< float64 [D].
  Tensor covariance() const;                    ///< float64 [D, D], divided by count() - 1.

 private:
  int64_t count_ = 0;
  Tensor mean_;
  Tensor scatter_;  // The sum of (x - mean)(x - mean)^T.
};

/// The squared Frechet distance of two normal distributions, |m1 - m2|^2 + Tr(S1 + S2 -
/// 2 (S1^.5 S2 S1^.5)^.5): FID where they are those of Inception's features (Heusel et al., 2017).
///
/// float64 [D] and [D, D], covariances symmetric and positive semi-definite; they may be singular.
/// The root is taken of a symmetric matrix by its eigenvalues, so nothing is added to a diagonal.
double frechet_distance(const Tensor& mean1, const Tensor& covariance1, const Tensor& mean2,
                        const Tensor& covariance2);

/// The same of two sets of vectors [N, D], [M, D], each of at least 2. Where they are fewer than
/// dimensions, frechet_distance_of_few(), in a fraction of the time.
double frechet_distance(const Tensor& features1, const Tensor& features2);

/// The same by the vectors alone: for covariances A^T A and B^T B the trace of the root is the sum
/// of the singular values of A B^T, [N, M].
double frechet_distance_of_few(const Tensor& features1, const Tensor& features2);

}  // namespace bitdiff
