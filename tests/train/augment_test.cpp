#include "bitdiff/train/augment.h"

#include <numeric>
#include <set>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace bitdiff {
namespace {

/// Images whose pixels are all different.
Tensor ramp(int64_t count) {
  return at::arange(count * 48, at::kFloat).reshape({count, 3, 4, 4}) * (255.0 / (48.0 * 8));
}

TEST(Augment, WithoutChangesGivesTheImages) {
  EXPECT_TRUE(augment(ramp(2), {.shift = 0, .colour = 0}, Streams(0, {0, 1})).equal(ramp(2)));
}

TEST(Augment, DependsOnTheRowAlone) {
  const AugmentOptions options{.shift = 2, .colour = 0.5};
  const auto all = augment(ramp(8), options, Streams(3, {0, 1, 2, 3, 4, 5, 6, 7}));
  const auto some = augment(ramp(8).slice(0, 4, 6), options, Streams(3, {4, 5}));
  EXPECT_TRUE(all.slice(0, 4, 6).equal(some));
  const auto same = ramp(1).expand({8, 3, 4, 4});
  const auto moved = augment(same, options, Streams(3, {0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_FALSE(moved[0].equal(moved[1]));
}

TEST(Augment, MovesEachWayAndMirrorsAtTheEdge) {
  constexpr int64_t kCount = 400;
  std::vector<int64_t> rows(kCount);
  std::iota(rows.begin(), rows.end(), 0);
  // A pixel holds its own place, 10 y + x.
  const auto axis = at::arange(4, at::kFloat);
  const auto places = (axis.unsqueeze(1) * 10 + axis).expand({kCount, 3, 4, 4});
  const auto moved = augment(places, {.shift = 1, .colour = 0}, Streams(0, rows));
  // The pixel at (1, 1) says where the image went; the others follow it, mirrored at 0 and 3.
  std::set<int64_t> seen;
  const auto mirror = [](int64_t i) { return i < 0 ? -i : i > 3 ? 6 - i : i; };
  for (int64_t i = 0; i < kCount; ++i) {
    const auto centre = moved[i][0][1][1].item<int64_t>();
    const auto dy = centre / 10 - 1, dx = centre % 10 - 1;
    seen.insert(centre);
    for (int64_t y = 0; y < 4; ++y) {
      for (int64_t x = 0; x < 4; ++x) {
        ASSERT_EQ(moved[i][2][y][x].item<int64_t>(), 10 * mirror(y + dy) + mirror(x + dx));
      }
    }
  }
  EXPECT_EQ(seen.size(), 9U);
}

TEST(Augment, ColoursEachChannelAndStaysInRange) {
  const auto grey = at::full({64, 3, 2, 2}, 200.0F);
  std::vector<int64_t> rows(64);
  std::iota(rows.begin(), rows.end(), 0);
  const auto coloured = augment(grey, {.shift = 0, .colour = 0.2}, Streams(0, rows));
  EXPECT_LE(coloured.max().item<double>(), 255);
  EXPECT_GE(coloured.min().item<double>(), 200 * 0.8 - 127.5 * 0.2 - 1e-3);
  EXPECT_TRUE(coloured.select(2, 0).select(2, 0).equal(coloured.select(2, 1).select(2, 1)));
  EXPECT_FALSE(coloured.select(1, 0).equal(coloured.select(1, 1)));
}

}  // namespace
}  // namespace bitdiff
