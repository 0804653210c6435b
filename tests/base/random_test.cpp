#include "bitdiff/base/random.h"

#include <set>

#include <ATen/ATen.h>
#include <ATen/core/PhiloxRNGEngine.h>
#include <gtest/gtest.h>

namespace bitdiff {
namespace {

TEST(Streams, GiveTheSameNumbersEachTimeTheyAreAsked) {
  const Streams streams(7, {0, 1, 2});
  EXPECT_TRUE(streams.normal({3, 5}).equal(streams.normal({3, 5})));
}

TEST(Streams, GiveARowTheSameNumbersInAnyCompany) {
  const auto all = Streams(7, {10, 11, 12, 13}).normal({4, 6});
  const auto some = Streams(7, {13, 10}).normal({2, 6});
  EXPECT_TRUE(all[3].equal(some[0]));
  EXPECT_TRUE(all[0].equal(some[1]));
  EXPECT_TRUE(all.slice(0, 1, 3).equal(Streams(7, {10, 11, 12, 13}).slice(1, 3).normal({2, 6})));
}

TEST(Streams, DifferBySeedPurposeIndexAndRow) {
  const Streams base(1, {0});
  const auto numbers = [](const Streams& s) { return s.uniform({1, 8}); };
  const auto here = numbers(base.fork(Purpose::kNoise, 3));
  EXPECT_FALSE(here.equal(numbers(base.fork(Purpose::kNoise, 4))));
  EXPECT_FALSE(here.equal(numbers(base.fork(Purpose::kTime, 3))));
  EXPECT_FALSE(here.equal(numbers(Streams(2, {0}).fork(Purpose::kNoise, 3))));
  EXPECT_FALSE(here.equal(numbers(Streams(1, {1}).fork(Purpose::kNoise, 3))));
}

TEST(Streams, AreUniformAndNormal) {
  std::vector<int64_t> rows(1000);
  for (int64_t i = 0; i < 1000; ++i) rows[i] = i;
  const Streams streams(0, rows);
  const int64_t n = 1000 * 200;
  const auto u = streams.uniform({1000, 200}).to(at::kDouble);
  EXPECT_GE(u.min().item<double>(), 0);
  EXPECT_LT(u.max().item<double>(), 1);
  EXPECT_NEAR(u.mean().item<double>(), 0.5, 5 * std::sqrt(1.0 / 12 / n));
  const auto z = streams.normal({1000, 200}).to(at::kDouble);
  EXPECT_NEAR(z.mean().item<double>(), 0, 5 / std::sqrt(n));
  EXPECT_NEAR(z.square().mean().item<double>(), 1, 5 * std::sqrt(2.0 / n));
  EXPECT_NEAR(z.pow(4).mean().item<double>(), 3, 5 * std::sqrt(96.0 / n));
  // Neighbours in a row and in a column are uncorrelated.
  EXPECT_NEAR((z.slice(1, 1) * z.slice(1, 0, -1)).mean().item<double>(), 0, 5 / std::sqrt(n));
  EXPECT_NEAR((z.slice(0, 1) * z.slice(0, 0, -1)).mean().item<double>(), 0, 5 / std::sqrt(n));
}

TEST(Streams, ReadTheNumbersOfTheirRowsAtEachDraw) {
  const Streams streams(5, {3, 9});
  EXPECT_TRUE(streams.numbers().equal(at::tensor({3, 9}, at::kLong)));
  const auto numbers = at::tensor({3, 9}, at::kLong);
  const auto reading = streams.reading(numbers);
  EXPECT_EQ(reading.size(), 2);
  EXPECT_TRUE(reading.normal({2, 7}).equal(streams.normal({2, 7})));
  const auto forked = reading.fork(Purpose::kNoise).slice(1, 2);
  numbers.copy_(at::tensor({4, 1}, at::kLong));
  EXPECT_TRUE(reading.uniform({2, 7}).equal(Streams(5, {4, 1}).uniform({2, 7})));
  EXPECT_TRUE(forked.normal({1, 7}).equal(Streams(5, {1}).fork(Purpose::kNoise).normal({1, 7})));
  EXPECT_THROW(streams.reading(numbers.to(at::kInt)), c10::Error);
  EXPECT_THROW(reading.on(at::kCPU), c10::Error);
}

// The vectors of Random123's kat_vectors for philox4x32-10 with counter and key zero.
TEST(Streams, StandOnPhiloxKnownAnswers) {
  at::Philox4_32 engine(0, 0, 0);
  EXPECT_EQ(engine(), 0x6627e8d5u);
  EXPECT_EQ(engine(), 0xe169c58du);
  EXPECT_EQ(engine(), 0xbc57ac4cu);
  EXPECT_EQ(engine(), 0x9b00dbd8u);
}

TEST(Permutation, HoldsEveryNumberOnceAndDependsOnItsIndex) {
  const auto order = permutation(3, Purpose::kOrder, 0, 1000);
  EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), 1000u);
  EXPECT_EQ(order, permutation(3, Purpose::kOrder, 0, 1000));
  EXPECT_NE(order, permutation(3, Purpose::kOrder, 1, 1000));
}

TEST(Permutation, IsUniform) {
  std::vector<int> first(5, 0);
  for (int64_t i = 0; i < 5000; ++i) ++first[permutation(0, Purpose::kOrder, i, 5)[0]];
  for (const int count : first) EXPECT_NEAR(count, 1000, 5 * std::sqrt(5000 * 0.2 * 0.8));
}

}  // namespace
}  // namespace bitdiff
