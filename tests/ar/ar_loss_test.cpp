#include "bitdiff/ar/ar_loss.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/ar/markov_chain.h"

namespace bitdiff {
namespace {

/// Two tokens, first 0 with probability 0.25, then like the one before with 0.9.
MarkovChain sticky() {
  const auto stay = at::tensor({0.9, 0.1, 0.1, 0.9, 0.25, 0.75}).view({1, 1, 3, 2});
  return MarkovChain(stay.expand({1, 3, 3, 2}));
}

double loss_of(const Tensor& tokens, int64_t eos) {
  return ar_loss(sticky(), tokens, {}, {.eos = eos}).item<double>();
}

TEST(ArLoss, IsTheMeanCrossEntropyOfTheTokens) {
  const auto tokens = at::tensor({0, 0, 1, 1, 1, 0}).view({2, 3});
  const double expected = -std::log(0.25) - std::log(0.9) - std::log(0.1)    // 0 0 1
                          - std::log(0.75) - std::log(0.9) - std::log(0.1);  // 1 1 0
  EXPECT_NEAR(loss_of(tokens, -1), expected / 6, 1e-6);
}

TEST(ArLoss, CountsTokensUpToTheFirstEosAndWithIt) {
  const auto tokens = at::tensor({0, 0, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0}).view({3, 4});
  const double expected = -std::log(0.25) - std::log(0.9) - std::log(0.1)  // 0 0 1
                          - std::log(0.75)                                 // 1
                          - std::log(0.25) - 3 * std::log(0.9);            // 0 0 0 0
  EXPECT_NEAR(loss_of(tokens, 1), expected / 8, 1e-6);
}

TEST(ArLoss, DoesNotSeeWhatFillsARow) {
  const auto zeros = at::tensor({0, 1, 0, 0}).view({1, 4});
  const auto ones = at::tensor({0, 1, 1, 1}).view({1, 4});
  EXPECT_EQ(loss_of(zeros, 1), loss_of(ones, 1));
  EXPECT_NE(loss_of(zeros, -1), loss_of(ones, -1));
}

TEST(ArLoss, TakesTokensAsDataHoldThem) {
  const auto tokens = at::tensor({0, 0, 1, 1, 1, 0}).view({2, 3});
  const double expected = loss_of(tokens, -1);
  EXPECT_EQ(loss_of(tokens.unsqueeze(1).to(at::kByte), -1), expected);
  EXPECT_EQ(loss_of(tokens.to(at::kInt), -1), expected);
  EXPECT_THROW(loss_of(tokens.view({1, 2, 3}), -1), c10::Error);
}

TEST(CountTokens, CountsThoseBeforeThePadding) {
  const auto tokens = at::tensor({255, 3, 0, 0, 7, 0, 3, 3}).view({2, 1, 4});
  for (const auto type : {at::kByte, at::kInt, at::kLong}) {
    EXPECT_EQ(count_tokens(tokens.to(type), 0), 3 + 2);
    EXPECT_EQ(count_tokens(tokens.to(type), 3), 2 + 3);
    EXPECT_EQ(count_tokens(tokens.to(type), -1), 8) << type;  // None, not 255.
  }
}

TEST(ArLoss, AddsUpToTheLogProbabilitiesOfTexts) {
  const auto chain = MarkovChain::random(1, 4);
  const auto texts = chain.all_texts(3, 2, 0);
  const auto log_p = chain.log_p(texts, 2);
  EXPECT_NEAR(log_p.exp().sum().item<double>(), 1, 1e-6);
  const auto counted = (~MarkovChain::after_eos(texts, 2)).sum().item<double>();
  EXPECT_NEAR(ar_loss(chain, texts, {}, {.eos = 2}).item<double>(),
              -log_p.sum().item<double>() / counted, 1e-5);
}

}  // namespace
}  // namespace bitdiff
