#include <functional>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/custom_function.h>

#include "bitdiff/kernels/group_norm_cuda.h"
#include "bitdiff/kernels/layer_norm.h"
#include "bitdiff/kernels/layer_norm_cuda.h"
#include "gpu_test.h"
#include "kernels_on_cpu.h"

namespace bitdiff::kernels {
namespace {

using Results = std::vector<Tensor>;

const std::vector<at::ScalarType> kTypes = {at::kFloat, at::kBFloat16};

// A number of `type` keeps this share of a result, and sums in float32 the rest.
double tolerance(at::ScalarType type) { return type == at::kFloat ? 2e-6 : 4e-3; }

void expect_equal(const Results& found, const Results& exact, at::ScalarType type,
                  const std::string& what) {
  ASSERT_EQ(found.size(), exact.size());
  for (size_t i = 0; i < exact.size(); ++i) {
    ASSERT_EQ(found[i].sizes(), exact[i].sizes()) << what << ", result " << i;
    const auto error = (found[i].to(at::kDouble).cpu() - exact[i]).norm().item<double>();
    EXPECT_LE(error, tolerance(type) * exact[i].norm().item<double>() + 1e-5)
        << what << ", result " << i;
  }
}

struct ImageCase {
  std::string name;
  std::vector<int64_t> channels;  // Of each part.
  int64_t images, height, width, groups;
};

const std::vector<ImageCase> kImages = {
    {"groups of 8 in fours", {256}, 2, 4, 4, 32},
    {"one group", {33}, 4, 3, 2, 1},
    {"groups of one", {6}, 1, 1, 9, 6},
    {"a group across parts", {20, 12}, 3, 5, 3, 4},
    {"odd parts", {7, 5}, 2, 5, 7, 3},
    {"wide groups", {250}, 1, 3, 3, 1},
    {"the widest in fours", {256}, 2, 2, 3, 1},
    {"many places", {16, 16}, 1, 16, 17, 8},
    {"a prime of groups", {74}, 2, 3, 3, 37},
    {"a prime of more groups than threads", {263}, 1, 2, 3, 263},
    {"one place", {8}, 2, 1, 1, 2},
    {"no image", {8}, 0, 4, 4, 2}};

struct Images {
  Images(const ImageCase& c, at::ScalarType type) {
    at::manual_seed(0);
    const auto in_order = [&](int64_t channels) {
      return at::randn({c.images, channels, c.height, c.width})
          .to(type)
          .contiguous(at::MemoryFormat::ChannelsLast);
    };
    int64_t all = 0;
    for (const auto channels : c.channels) {
      x.push_back((in_order(channels) * 3 + 2).contiguous(at::MemoryFormat::ChannelsLast));
      all += channels;
    }
    probe = in_order(all);
    weight = at::randn({c.images, all});
    bias = at::randn({c.images, all});
  }
  Parts x;
  Tensor probe, weight, bias;
};

using ImageNorm = std::function<Tensor(const Parts&, int64_t, const Tensor&, const Tensor&)>;

// y and the gradients of sum(y * probe) by each part, weight and bias.
Results by_autograd(const ImageNorm& norm, const Images& in, int64_t groups,
                    const at::TensorOptions& images, const at::TensorOptions& rest) {
  const auto leaf = [](const Tensor& t, const at::TensorOptions& options) {
    return t.to(options).detach().requires_grad_();
  };
  Parts x;
  for (const auto& part : in.x) x.push_back(leaf(part, images));
  const auto weight = leaf(in.weight, rest), bias = leaf(in.bias, rest);
  const auto y = norm(x, groups, weight, bias);
  if (y.is_cuda()) {
    EXPECT_NE(y.grad_fn()->name().find("ChannelsLastGroupNorm"), std::string::npos);
  }
  (y * in.probe.to(images)).sum().backward();
  Results results{y.detach()};
  for (const auto& part : x) results.push_back(part.grad());
  results.push_back(weight.grad());
  results.push_back(bias.grad());
  return results;
}

Results exact_group_norm(const Images& in, int64_t groups, Activation activation) {
  const auto norm = [&](const Parts& x, int64_t count, const Tensor& weight, const Tensor& bias) {
    return reference::group_norm(at::cat(x, 1), count, weight, bias, activation);
  };
  return by_autograd(norm, in, groups, at::kDouble, at::kDouble);
}

TEST(GroupNormOnGpus, EqualsTheReferenceWhereItsThreadsTakeTurnsOnTheCpu) {
  for (const auto type : kTypes) {
    for (const auto activation : {Activation::kNone, Activation::kSilu}) {
      for (const auto& c : kImages) {
        const Images in(c, type);
        ASSERT_TRUE(gpu::fits_group_norm(in.x, c.groups)) << c.name;
        const auto norm =
            gpu::group_norm(cuda::on_cpu(), in.x, c.groups, in.weight, in.bias, activation);
        const auto gradient = gpu::group_norm_gradient(cuda::on_cpu(), in.probe, in.x, c.groups,
                                                       in.weight, in.bias, activation, norm);
        Results found{norm.y};
        found.insert(found.end(), gradient.x.begin(), gradient.x.end());
        found.insert(found.end(), {gradient.weight, gradient.bias});
        expect_equal(found, exact_group_norm(in, c.groups, activation), type, c.name);
        for (const auto& images : {norm.y, gradient.x[0]}) EXPECT_EQ(images.scalar_type(), type);
      }
    }
  }
}

TEST(GroupNormOnGpus, KeepsItsDigitsFarFromZero) {
  Images in({"", {32}, 2, 8, 8, 4}, at::kFloat);
  const auto norm = [&] {
    return gpu::group_norm(cuda::on_cpu(), in.x, 4, in.weight, in.bias, Activation::kNone).y;
  };
  const auto near = norm();
  in.x[0] += 1000;
  EXPECT_TRUE(norm().allclose(near, 0, 2e-3));
}

TEST(GroupNormOnGpus, ReadsWhatDoesNotLieAtMultiplesOfFour) {
  const Images in({"", {8}, 2, 3, 3, 2}, at::kFloat);
  auto moved =
      at::empty({in.x[0].numel() + 1}).slice(0, 1).view({2, 3, 3, 8}).permute({0, 3, 1, 2});
  moved.copy_(in.x[0]);
  const auto norm = [&](const Tensor& x) {
    return gpu::group_norm(cuda::on_cpu(), {x}, 2, in.weight, in.bias, Activation::kSilu).y;
  };
  EXPECT_TRUE(norm(moved).allclose(norm(in.x[0])));
}

TEST(GroupNormOnGpus, TakesWhatItsKernelsCanRead) {
  const auto x = at::zeros({2, 512, 4, 4}).contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_TRUE(gpu::fits_group_norm({x, x}, 4));
  EXPECT_FALSE(gpu::fits_group_norm({x}, 1)) << "a group of 512 channels";
  EXPECT_FALSE(gpu::fits_group_norm({x, x, x}, 8)) << "three parts";
  EXPECT_FALSE(gpu::fits_group_norm({x.contiguous()}, 4)) << "another order of memory";
  EXPECT_FALSE(gpu::fits_group_norm({x, x.to(at::kBFloat16)}, 4)) << "two types";
  EXPECT_FALSE(gpu::fits_group_norm({x.to(at::kHalf)}, 4)) << "half precision";
}

struct Sequences {
  Sequences(IntArrayRef shape, at::ScalarType type) {
    at::manual_seed(0);
    x = (at::randn(shape) * 3 + 2).to(type);
    probe = at::randn(shape).to(type);
    weight = at::randn({shape[0], shape[2]});
    bias = at::randn({shape[0], shape[2]});
  }
  Tensor x, probe, weight, bias;
};

using SequenceNorm = std::function<Tensor(const Tensor&, const Tensor&, const Tensor&)>;

// y and the gradients of sum(y * probe) by x, weight and bias.
Results by_autograd(const SequenceNorm& norm, const Sequences& in,
                    const at::TensorOptions& sequences, const at::TensorOptions& rest) {
  const auto leaf = [](const Tensor& t, const at::TensorOptions& options) {
    return t.to(options).detach().requires_grad_();
  };
  const auto x = leaf(in.x, sequences), weight = leaf(in.weight, rest), bias = leaf(in.bias, rest);
  const auto y = norm(x, weight, bias);
  if (y.is_cuda()) {
    EXPECT_NE(y.grad_fn()->name().find("LayerNorm"), std::string::npos);
  }
  (y * in.probe.to(sequences)).sum().backward();
  return {y.detach(), x.grad(), weight.grad(), bias.grad()};
}

const std::vector<std::vector<int64_t>> kSequences = {{3, 5, 64}, {2, 1, 16}, {1, 90, 129},
                                                      {4, 3, 20}, {0, 4, 32}, {2, 33, 1}};

TEST(LayerNormOnGpus, EqualsTheReferenceWhereItsThreadsTakeTurnsOnTheCpu) {
  for (const auto type : kTypes) {
    for (const auto& shape : kSequences) {
      const Sequences in(shape, type);
      ASSERT_TRUE(gpu::fits_layer_norm(in.x));
      const auto norm = gpu::layer_norm(cuda::on_cpu(), in.x, in.weight, in.bias);
      const auto gradient =
          gpu::layer_norm_gradient(cuda::on_cpu(), in.probe, in.x, in.weight, norm);
      const auto exact = by_autograd(reference::layer_norm, in, at::kDouble, at::kDouble);
      expect_equal({norm.y, gradient.x, gradient.weight, gradient.bias}, exact, type,
                   "width " + std::to_string(shape[2]));
    }
  }
}

TEST_F(OnAGpu, GroupNormEqualsTheReference) {
  for (const auto type : kTypes) {
    for (const auto& c : kImages) {
      const Images in(c, type);
      const auto norm = [](const Parts& x, int64_t groups, const Tensor& weight,
                           const Tensor& bias) {
        return group_norm(x, groups, weight, bias, Activation::kSilu);
      };
      const auto options = at::TensorOptions().device(device_);
      expect_equal(by_autograd(norm, in, c.groups, options.dtype(type), options.dtype(at::kFloat)),
                   exact_group_norm(in, c.groups, Activation::kSilu), type, c.name);
    }
  }
}

TEST_F(OnAGpu, LayerNormEqualsTheReference) {
  for (const auto type : kTypes) {
    for (const auto& shape : kSequences) {
      const Sequences in(shape, type);
      const auto options = at::TensorOptions().device(device_);
      const SequenceNorm norm = layer_norm;
      expect_equal(by_autograd(norm, in, options.dtype(type), options.dtype(at::kFloat)),
                   by_autograd(reference::layer_norm, in, at::kDouble, at::kDouble), type,
                   "width " + std::to_string(shape[2]));
    }
  }
}

}  // namespace
}  // namespace bitdiff::kernels
