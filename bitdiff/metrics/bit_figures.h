#pragma once

#include <cstdint>
#include <vector>

#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// What analog bits look like before they are thresholded (Fig. 7 of Chen et al., 2022). Bits are
/// counted in units of the scale: -1 and +1 are the modes.
class BitFigures {
 public:
  static constexpr int64_t kBins = 80;  ///< Equal ones over [-1, 1], 0.025 wide.

  /// `scale`: magnitude of an analog bit.
  explicit BitFigures(double scale) : scale_(scale) {}

  /// Adds `x_bits`, float32 [N, bit channels, *S].
  void add(const Tensor& x_bits);

  int64_t count() const { return count_; }                         ///< Bits in all.
  const std::vector<int64_t>& histogram() const { return bins_; }  ///< [kBins]
  double share_near_modes() const;                                 ///< Within 0.1 of -1 or +1.
  std::vector<double> entropy() const;  ///< [bit channels], in bits: 1 where 0 and 1 are as common.

 private:
  double scale_;
  int64_t count_ = 0;
  int64_t near_modes_ = 0;
  std::vector<int64_t> bins_ = std::vector<int64_t>(kBins, 0);
  std::vector<int64_t> ones_;  // [bit channels]
};

}  // namespace bitdiff
