#include "bitdiff/ar/sample_token.h"

#include <cmath>
#include <limits>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace bitdiff {
namespace {

constexpr int64_t kDraws = 10000;

/// How often each token comes when u goes evenly from 0 to 1: exact but for a draw a token.
std::vector<double> shares(const std::vector<double>& p, const SampleTokenOptions& options) {
  const auto k = static_cast<int64_t>(p.size());
  const auto logits = at::log(at::tensor(p, at::kDouble)).to(at::kFloat) - 5;
  const auto u = (at::arange(kDraws, at::kDouble) + 0.5) / kDraws;
  const auto token = sample_token(logits.expand({kDraws, k}), options, u.to(at::kFloat));
  const auto share = at::bincount(token, {}, k).to(at::kDouble) / kDraws;
  return {share.const_data_ptr<double>(), share.const_data_ptr<double>() + k};
}

void expect_shares(const std::vector<double>& p, const SampleTokenOptions& options,
                   const std::vector<double>& expected) {
  const auto share = shares(p, options);
  ASSERT_EQ(share.size(), expected.size());
  for (size_t i = 0; i < p.size(); ++i) {
    EXPECT_NEAR(share[i], expected[i], expected[i] == 0 ? 0 : 1.5 / kDraws) << "token " << i;
  }
}

const std::vector<double> kP = {0.1, 0.4, 0.0, 0.2, 0.3};

TEST(SampleToken, DrawsFromTheSoftmaxOfTheLogits) { expect_shares(kP, {}, kP); }

TEST(SampleToken, TemperatureRaisesProbabilitiesToAPower) {
  for (const double temperature : {0.5, 2.0}) {
    std::vector<double> expected;
    double sum = 0;
    for (const double p : kP) sum += std::pow(p, 1 / temperature);
    for (const double p : kP) expected.push_back(std::pow(p, 1 / temperature) / sum);
    expect_shares(kP, {.temperature = temperature}, expected);
  }
}

TEST(SampleToken, TopKKeepsTheLikeliestTokens) {
  expect_shares(kP, {.top_k = 1}, {0, 1, 0, 0, 0});
  expect_shares(kP, {.top_k = 2}, {0, 0.4 / 0.7, 0, 0, 0.3 / 0.7});
  expect_shares(kP, {.top_k = 5}, kP);
  expect_shares(kP, {.top_k = 99}, kP);
}

TEST(SampleToken, TopPKeepsTheFewestTokensThatHoldIt) {
  expect_shares(kP, {.top_p = 0.39}, {0, 1, 0, 0, 0});
  expect_shares(kP, {.top_p = 0.41}, {0, 0.4 / 0.7, 0, 0, 0.3 / 0.7});
  expect_shares(kP, {.top_p = 0.89}, {0, 0.4 / 0.9, 0, 0.2 / 0.9, 0.3 / 0.9});
  expect_shares(kP, {.top_p = 0.91}, kP);
}

// Of the top three, 0.4 / 0.9 and 0.3 / 0.9 hold 0.75; of all tokens they would not.
TEST(SampleToken, TopPCountsWhatTopKHasLeft) {
  expect_shares(kP, {.top_k = 3, .top_p = 0.75}, {0, 0.4 / 0.7, 0, 0, 0.3 / 0.7});
  expect_shares(kP, {.top_p = 0.75}, {0, 0.4 / 0.9, 0, 0.2 / 0.9, 0.3 / 0.9});
}

TEST(SampleToken, NeverDrawsATokenWithoutProbability) {
  const auto logits = at::tensor({0.f, -std::numeric_limits<float>::infinity()});
  const auto ends = at::tensor({0.f, 1 - 0x1p-24f});
  for (const auto& row : {logits, logits.flip(0)}) {
    const auto rows = row.expand({2, 2});
    const auto only = rows.argmax(1);
    EXPECT_TRUE(sample_token(rows, {}, ends).equal(only));
    EXPECT_TRUE(sample_token(rows, {.top_k = 2}, ends).equal(only));
  }
}

}  // namespace
}  // namespace bitdiff
