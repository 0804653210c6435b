#include "bitdiff/metrics/inception_blocks.h"

#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/max_pool2d.h>
#include <c10/core/MemoryFormat.h>

namespace bitdiff::inception {
namespace {

constexpr double kEpsilon = 1e-3;

// As TensorFlow averages: over the pixels that are there.
Tensor average_pool(const Tensor& x) {
  return at::avg_pool2d(x, 3, 1, 1, /*ceil_mode=*/false, /*count_include_pad=*/false);
}

Tensor halving_pool(const Tensor& x) { return at::max_pool2d(x, 3, 2); }

}  // namespace

Conv::Conv(const Place& place, int64_t in, int64_t out, std::array<int64_t, 2> kernel,
           int64_t stride, Border border)
    : stride_(stride), padding_{0, 0} {
  if (border == Border::kSame) padding_ = {kernel[0] / 2, kernel[1] / 2};
  const auto norm = place / "bn";
  const auto double_of = [&](const char* name) { return norm.get(name, {out}).to(at::kDouble); };
  const auto scale = double_of("weight").div(double_of("running_var").add(kEpsilon).sqrt());
  bias_ = double_of("bias").sub(double_of("running_mean").mul(scale)).to(at::kFloat);
  weight_ = (place / "conv")
                .get("weight", {out, in, kernel[0], kernel[1]})
                .to(at::kDouble)
                .mul(scale.view({out, 1, 1, 1}))
                .to(at::kFloat)
                .contiguous(at::MemoryFormat::ChannelsLast);
}

Tensor Conv::operator()(const Tensor& x) const {
  return at::conv2d(x, weight_, bias_, stride_, padding_).relu_();
}

BlockA::BlockA(const Place& place, int64_t in, int64_t pool_features)
    : branch1x1_(place / "branch1x1", in, 64, {1, 1}),
      branch5x5_1_(place / "branch5x5_1", in, 48, {1, 1}),
      branch5x5_2_(place / "branch5x5_2", 48, 64, {5, 5}),
      branch3x3dbl_1_(place / "branch3x3dbl_1", in, 64, {1, 1}),
      branch3x3dbl_2_(place / "branch3x3dbl_2", 64, 96, {3, 3}),
      branch3x3dbl_3_(place / "branch3x3dbl_3", 96, 96, {3, 3}),
      branch_pool_(place / "branch_pool", in, pool_features, {1, 1}) {}

Tensor BlockA::operator()(const Tensor& x) const {
  return at::cat(
      {branch1x1_(x), branch5x5_2_(branch5x5_1_(x)),
       branch3x3dbl_3_(branch3x3dbl_2_(branch3x3dbl_1_(x))), branch_pool_(average_pool(x))},
      1);
}

BlockB::BlockB(const Place& place, int64_t in)
    : branch3x3_(place / "branch3x3", in, 384, {3, 3}, 2, Border::kValid),
      branch3x3dbl_1_(place / "branch3x3dbl_1", in, 64, {1, 1}),
      branch3x3dbl_2_(place / "branch3x3dbl_2", 64, 96, {3, 3}),
      branch3x3dbl_3_(place / "branch3x3dbl_3", 96, 96, {3, 3}, 2, Border::kValid) {}

Tensor BlockB::operator()(const Tensor& x) const {
  return at::cat(
      {branch3x3_(x), branch3x3dbl_3_(branch3x3dbl_2_(branch3x3dbl_1_(x))), halving_pool(x)}, 1);
}

BlockC::BlockC(const Place& place, int64_t in, int64_t width)
    : branch1x1_(place / "branch1x1", in, 192, {1, 1}),
      branch7x7_1_(place / "branch7x7_1", in, width, {1, 1}),
      branch7x7_2_(place / "branch7x7_2", width, width, {1, 7}),
      branch7x7_3_(place / "branch7x7_3", width, 192, {7, 1}),
      branch7x7dbl_1_(place / "branch7x7dbl_1", in, width, {1, 1}),
      branch7x7dbl_2_(place / "branch7x7dbl_2", width, width, {7, 1}),
      branch7x7dbl_3_(place / "branch7x7dbl_3", width, width, {1, 7}),
      branch7x7dbl_4_(place / "branch7x7dbl_4", width, width, {7, 1}),
      branch7x7dbl_5_(place / "branch7x7dbl_5", width, 192, {1, 7}),
      branch_pool_(place / "branch_pool", in, 192, {1, 1}) {}

Tensor BlockC::operator()(const Tensor& x) const {
  const auto twice = branch7x7dbl_3_(branch7x7dbl_2_(branch7x7dbl_1_(x)));
  return at::cat({branch1x1_(x), branch7x7_3_(branch7x7_2_(branch7x7_1_(x))),
                  branch7x7dbl_5_(branch7x7dbl_4_(twice)), branch_pool_(average_pool(x))},
                 1);
}

BlockD::BlockD(const Place& place, int64_t in)
    : branch3x3_1_(place / "branch3x3_1", in, 192, {1, 1}),
      branch3x3_2_(place / "branch3x3_2", 192, 320, {3, 3}, 2, Border::kValid),
      branch7x7x3_1_(place / "branch7x7x3_1", in, 192, {1, 1}),
      branch7x7x3_2_(place / "branch7x7x3_2", 192, 192, {1, 7}),
      branch7x7x3_3_(place / "branch7x7x3_3", 192, 192, {7, 1}),
      branch7x7x3_4_(place / "branch7x7x3_4", 192, 192, {3, 3}, 2, Border::kValid) {}

Tensor BlockD::operator()(const Tensor& x) const {
  const auto seven = branch7x7x3_3_(branch7x7x3_2_(branch7x7x3_1_(x)));
  return at::cat({branch3x3_2_(branch3x3_1_(x)), branch7x7x3_4_(seven), halving_pool(x)}, 1);
}

BlockE::BlockE(const Place& place, int64_t in, Pool pool)
    : pool_(pool),
      branch1x1_(place / "branch1x1", in, 320, {1, 1}),
      branch3x3_1_(place / "branch3x3_1", in, 384, {1, 1}),
      branch3x3_2a_(place / "branch3x3_2a", 384, 384, {1, 3}),
      branch3x3_2b_(place / "branch3x3_2b", 384, 384, {3, 1}),
      branch3x3dbl_1_(place / "branch3x3dbl_1", in, 448, {1, 1}),
      branch3x3dbl_2_(place / "branch3x3dbl_2", 448, 384, {3, 3}),
      branch3x3dbl_3a_(place / "branch3x3dbl_3a", 384, 384, {1, 3}),
      branch3x3dbl_3b_(place / "branch3x3dbl_3b", 384, 384, {3, 1}),
      branch_pool_(place / "branch_pool", in, 192, {1, 1}) {}

Tensor BlockE::operator()(const Tensor& x) const {
  const auto once = branch3x3_1_(x);
  const auto twice = branch3x3dbl_2_(branch3x3dbl_1_(x));
  const auto pooled = pool_ == Pool::kMax ? at::max_pool2d(x, 3, 1, 1) : average_pool(x);
  return at::cat({branch1x1_(x), branch3x3_2a_(once), branch3x3_2b_(once), branch3x3dbl_3a_(twice),
                  branch3x3dbl_3b_(twice), branch_pool_(pooled)},
                 1);
}

}  // namespace bitdiff::inception
