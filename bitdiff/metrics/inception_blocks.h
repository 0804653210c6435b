#pragma once

#include <array>
#include <string>

#include "bitdiff/metrics/weight_source.h"

namespace bitdiff::inception {

/// A place among the names of weights: Place(source) / "Mixed_5b" names "Mixed_5b.*".
struct Place {
  const WeightSource& source;
  std::string prefix = {};

  Place operator/(const std::string& part) const { return {source, prefix + part + "."}; }
  Tensor get(const std::string& name, IntArrayRef shape) const {
    return source(prefix + name, shape);
  }
};

enum class Border { kSame, kValid };

/// Convolution, batch normalisation (eps 0.001) with its running moments, ReLU; the normalisation
/// is folded into the kernel. kSame pads by half the kernel.
class Conv {
 public:
  Conv(const Place& place, int64_t in, int64_t out, std::array<int64_t, 2> kernel,
       int64_t stride = 1, Border border = Border::kSame);
  Tensor operator()(const Tensor& x) const;

 private:
  Tensor weight_, bias_;
  int64_t stride_;
  std::array<int64_t, 2> padding_;
};

/// The block of torchvision's InceptionA: 35 x 35.
class BlockA {
 public:
  BlockA(const Place& place, int64_t in, int64_t pool_features);
  Tensor operator()(const Tensor& x) const;

 private:
  Conv branch1x1_, branch5x5_1_, branch5x5_2_, branch3x3dbl_1_, branch3x3dbl_2_, branch3x3dbl_3_,
      branch_pool_;
};

/// InceptionB: 35 x 35 to 17 x 17.
class BlockB {
 public:
  explicit BlockB(const Place& place, int64_t in);
  Tensor operator()(const Tensor& x) const;

 private:
  Conv branch3x3_, branch3x3dbl_1_, branch3x3dbl_2_, branch3x3dbl_3_;
};

/// InceptionC: 17 x 17.
class BlockC {
 public:
  BlockC(const Place& place, int64_t in, int64_t width);
  Tensor operator()(const Tensor& x) const;

  /// The branch of one convolution, the first of the block's outputs: [N, 192, 17, 17].
  Tensor first_branch(const Tensor& x) const { return branch1x1_(x); }

 private:
  Conv branch1x1_, branch7x7_1_, branch7x7_2_, branch7x7_3_, branch7x7dbl_1_, branch7x7dbl_2_,
      branch7x7dbl_3_, branch7x7dbl_4_, branch7x7dbl_5_, branch_pool_;
};

/// InceptionD: 17 x 17 to 8 x 8.
class BlockD {
 public:
  explicit BlockD(const Place& place, int64_t in);
  Tensor operator()(const Tensor& x) const;

 private:
  Conv branch3x3_1_, branch3x3_2_, branch7x7x3_1_, branch7x7x3_2_, branch7x7x3_3_, branch7x7x3_4_;
};

enum class Pool { kAverage, kMax };

/// InceptionE: 8 x 8.
class BlockE {
 public:
  BlockE(const Place& place, int64_t in, Pool pool);
  Tensor operator()(const Tensor& x) const;

 private:
  Pool pool_;
  Conv branch1x1_, branch3x3_1_, branch3x3_2a_, branch3x3_2b_, branch3x3dbl_1_, branch3x3dbl_2_,
      branch3x3dbl_3a_, branch3x3dbl_3b_, branch_pool_;
};

}  // namespace bitdiff::inception
