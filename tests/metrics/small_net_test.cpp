#include "bitdiff/metrics/small_net.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

const SmallNetOptions kOptions{.name = "test", .size = 8, .widths = {16, 32}, .blocks = 1};

Tensor some_images(int64_t count, int64_t size) {
  return (at::arange(count * 3 * size * size) * 37 % 256)
      .reshape({count, 3, size, size})
      .to(at::kFloat);
}

TEST(SmallNet, GivesTheWidthOfItsLastStageAndItsClasses) {
  const SmallNet net(kOptions, 5, 0);
  const auto features = net.features(some_images(3, 8));
  EXPECT_EQ(features.sizes(), IntArrayRef({3, 32}));
  EXPECT_EQ(net.logits(features).sizes(), IntArrayRef({3, 5}));
}

TEST(SmallNet, IsAFunctionOfItsSeed) {
  const auto features = [](uint64_t seed) {
    return SmallNet(kOptions, 0, seed).features(some_images(3, 8));
  };
  EXPECT_TRUE(features(1).equal(features(1)));
  EXPECT_FALSE(features(1).equal(features(2)));
}

TEST(SmallNet, GivesEveryParameterAGradient) {
  const SmallNet net(kOptions, 5, 0);
  net.logits(net.features(some_images(3, 8))).square().sum().backward();
  for (const auto& [name, value] : net.parameters().named()) {
    ASSERT_TRUE(value.grad().defined()) << name;
    EXPECT_GT(value.grad().abs().max().item<double>(), 0) << name;
  }
}

TEST(SmallNet, RefusesASizeThatCannotBeHalvedSoOften) {
  EXPECT_THROW(SmallNet({.size = 6, .widths = {16, 16, 16}}, 0, 0), UsageError);
  EXPECT_THROW(SmallNet({.size = 8, .widths = {}}, 0, 0), UsageError);
}

}  // namespace
}  // namespace bitdiff
