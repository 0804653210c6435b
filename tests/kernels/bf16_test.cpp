// Products in bfloat16 where the processor has tiles for them: of numbers that bfloat16 holds they
// are exact, so that the results are float32's.
#include <functional>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include "bitdiff/kernels/conv3x3.h"
#include "bitdiff/kernels/linear.h"
#include "bitdiff/kernels/silu_conv3x3.h"
#include "bitdiff/kernels/tiles.h"
#include "bitdiff/kernels/vectors.h"

namespace bitdiff::kernels {
namespace {

using Leaves = std::vector<Tensor>;
using Function = std::function<Tensor(const Leaves&)>;

Tensor held(const Tensor& x) { return x.to(at::kBFloat16).to(at::kFloat); }
Tensor numbers(at::IntArrayRef shape) { return held(at::randn(shape)); }
Tensor image(at::IntArrayRef shape) {
  return numbers(shape).contiguous(at::MemoryFormat::ChannelsLast);
}

class Bf16 : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_tiles()) GTEST_SKIP() << "this processor has no tiles of bfloat16";
    at::manual_seed(0);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  }
  void TearDown() override { at::autocast::set_autocast_enabled(at::kCPU, false); }
};

// y and the gradients of sum(y * probe) by the leaves.
Leaves run(const Function& function, const Leaves& tensors, at::ScalarType type, bool autocast) {
  Leaves leaves;
  for (const auto& tensor : tensors) leaves.push_back(tensor.to(type).detach().requires_grad_());
  at::autocast::set_autocast_enabled(at::kCPU, autocast);
  const auto y = function(leaves);
  at::autocast::set_autocast_enabled(at::kCPU, false);
  const auto probe = held(at::linspace(0, 99, y.numel(), at::kDouble).cos()).view(y.sizes());
  (y * probe.to(type)).sum().backward();
  Leaves results{y.detach()};
  for (const auto& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

void expect_near(const Leaves& some, const Leaves& exact, double most, const std::string& what) {
  ASSERT_EQ(some.size(), exact.size());
  for (size_t i = 0; i < some.size(); ++i) {
    ASSERT_EQ(some[i].sizes(), exact[i].sizes());
    EXPECT_EQ(some[i].scalar_type(), at::kFloat);
    const auto error = (some[i] - exact[i]).norm().item<double>();
    EXPECT_LE(error, most * exact[i].norm().item<double>()) << what << ", tensor " << i;
  }
}

void expect_exact(const Function& fast, const Function& plain, const Leaves& tensors,
                  const std::string& what) {
  expect_near(run(fast, tensors, at::kFloat, true), run(plain, tensors, at::kDouble, false), 1e-6,
              what);
}

Leaves parts_of(const Leaves& leaves) { return {leaves.begin(), leaves.end() - 2}; }

const Function kLinear = [](const Leaves& t) { return linear(parts_of(t), t.end()[-2], t.back()); };
const Function kLinearReference = [](const Leaves& t) {
  return reference::linear(parts_of(t), t.end()[-2], t.back());
};
const Function kConv = [](const Leaves& t) { return conv3x3(t[0], t[1], t[2]); };
const Function kConvReference = [](const Leaves& t) {
  return reference::conv3x3(t[0], t[1], t[2]);
};

TEST_F(Bf16, LinearAndItsGradientsAreExact) {
  // Few rows, more than a block of them, and more than a chunk; widths of half a tile.
  for (const int64_t rows : {32, 97, 2100}) {
    for (const auto& widths : std::vector<std::vector<int64_t>>{{48}, {16, 144}, {560, 32}}) {
      Leaves tensors;
      int64_t inputs = 0;
      for (const auto width : widths) {
        tensors.push_back(numbers({rows, width}));
        inputs += width;
      }
      tensors.push_back(numbers({112, inputs}));
      tensors.push_back(numbers({112}));
      expect_exact(kLinear, kLinearReference, tensors, std::to_string(rows) + " rows");
    }
  }
}

TEST_F(Bf16, Conv3x3AndItsGradientsAreExact) {
  for (const auto& [shape, outputs] :
       std::vector<std::pair<std::vector<int64_t>, int64_t>>{{{2, 64, 8, 8}, 64},
                                                             {{3, 16, 7, 5}, 16},
                                                             {{1, 48, 6, 9}, 112},
                                                             {{1, 144, 4, 4}, 80},
                                                             {{2, 16, 1, 1}, 32},
                                                             {{0, 16, 4, 4}, 16},
                                                             {{1, 288, 12, 4}, 32},
                                                             {{5, 32, 24, 24}, 48}}) {
    const Leaves tensors{image(shape), image({outputs, shape[1], 3, 3}), numbers({outputs})};
    expect_exact(kConv, kConvReference, tensors, "conv of " + std::to_string(shape[1]));
  }
}

TEST_F(Bf16, ResidualBlocksAreAsExactAsBfloat16) {
  const Leaves tensors{image({2, 32, 6, 10}), image({2, 64, 6, 10}),  image({32, 96, 3, 3}),
                       image({2, 32, 6, 10}), at::randn({2, 96}) + 1, at::randn({2, 96}),
                       at::randn({32})};
  const auto block = [](auto conv) {
    return [conv](const Leaves& t) {
      return conv({t[0], t[1]}, Norm{8, t[4], t[5]}, t[2], t[6], Residual{t[3], 0.5});
    };
  };
  const auto fast = run(block(silu_conv3x3), tensors, at::kFloat, true);
  const auto exact = run(block(reference::silu_conv3x3), tensors, at::kDouble, false);
  expect_near(fast, exact, 5e-3, "block");
  EXPECT_FALSE(fast[0].equal(run(block(silu_conv3x3), tensors, at::kFloat, false)[0]));
}

TEST_F(Bf16, WhatTilesCannotDoComesBackInFloat32) {
  const Leaves odd{numbers({40, 10}), numbers({7, 10}), numbers({7})};
  expect_near(run(kLinear, odd, at::kFloat, true), run(kLinearReference, odd, at::kDouble, false),
              1e-2, "odd widths");
  const Leaves thin{image({2, 3, 5, 5}), image({16, 3, 3, 3}), numbers({16})};
  expect_near(run(kConv, thin, at::kFloat, true), run(kConvReference, thin, at::kDouble, false),
              1e-2, "three channels");
}

TEST_F(Bf16, DoesNotDependOnThreads) {
  const Leaves dense{numbers({2100, 160}), numbers({96, 160}), numbers({96})};
  const Leaves images{image({5, 32, 12, 12}), image({48, 32, 3, 3}), numbers({48})};
  const auto all = [&] {
    auto results = run(kLinear, dense, at::kFloat, true);
    for (auto& t : run(kConv, images, at::kFloat, true)) results.push_back(t);
    return results;
  };
  const auto some = all();
  const int threads = at::get_num_threads();
  at::set_num_threads(threads + 2);
  const auto more = all();
  at::set_num_threads(threads);
  for (size_t i = 0; i < some.size(); ++i) EXPECT_TRUE(some[i].equal(more[i])) << i;
}

TEST(Tiles, AreHiddenWithAvx512) { EXPECT_LE(has_tiles(), has_avx512()); }

}  // namespace
}  // namespace bitdiff::kernels
