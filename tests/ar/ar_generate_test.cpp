#include "bitdiff/ar/ar_generate.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/error.h"
#include "tests/ar/markov_chain.h"

namespace bitdiff {
namespace {

constexpr TextShape kText{.length = 4, .eos = 2, .pad = 0};
constexpr DecodeMethod kMethods[] = {DecodeMethod::kSample, DecodeMethod::kGreedy,
                                     DecodeMethod::kBeam};

Streams first_rows(int64_t n, uint64_t seed = 0) {
  std::vector<int64_t> rows(n);
  std::iota(rows.begin(), rows.end(), 0);
  return {seed, rows};
}

/// The number of each text [B, length] in `all` [N, length].
Tensor index_in(const Tensor& texts, const Tensor& all) {
  const auto same = texts.unsqueeze(1).eq(all.unsqueeze(0)).all(2);
  EXPECT_TRUE(same.sum(1).eq(1).all().item<bool>()) << "a text that is none";
  return same.to(at::kByte).argmax(1);
}

TEST(ArGenerate, SamplesTextsInTheirProportions) {
  const auto chain = MarkovChain::random(2, 3);
  const int64_t n = 20000;
  const auto all = chain.all_texts(kText.length, kText.eos, kText.pad);
  const auto texts = ar_generate(chain, kText, {}, {}, first_rows(n));
  const auto share = at::bincount(index_in(texts, all), {}, all.size(0)).to(at::kDouble) / n;
  const auto p = chain.log_p(all, kText.eos).exp();
  EXPECT_NEAR(p.sum().item<double>(), 1, 1e-6);
  const auto deviation = at::sqrt(p * (1 - p) / n);
  EXPECT_LT(((share - p) / deviation).abs().max().item<double>(), 5);
}

TEST(ArGenerate, SamplesAsItsOptionsSay) {
  const auto chain = MarkovChain::random(1, 5);
  const auto greedy =
      ar_generate(chain, kText, {}, {.method = DecodeMethod::kGreedy}, first_rows(100));
  const auto sample = [&](const SampleTokenOptions& options) {
    return ar_generate(chain, kText, {}, {.sample = options}, first_rows(100));
  };
  EXPECT_TRUE(sample({.top_k = 1}).equal(greedy));
  EXPECT_TRUE(sample({.top_p = 1e-6}).equal(greedy));
  EXPECT_TRUE(sample({.temperature = 1e-3}).equal(greedy));
  EXPECT_FALSE(sample({}).equal(greedy));
}

TEST(ArGenerate, GreedyTakesTheLikeliestTokenEachTime) {
  // 0 is followed by 1, then 2, which ends the text; after no token comes 0.
  auto p = at::full({1, 4, 4, 3}, 0.1);
  p.select(2, 3).select(2, 0).fill_(0.8);
  p.select(2, 0).select(2, 1).fill_(0.8);
  p.select(2, 1).select(2, 2).fill_(0.8);
  const TextShape text{.length = 6, .eos = 2, .pad = 7};
  const auto texts =
      ar_generate(MarkovChain(p), text, {}, {.method = DecodeMethod::kGreedy}, first_rows(2));
  EXPECT_TRUE(texts.equal(at::tensor({0, 1, 2, 7, 7, 7}).expand({2, 6}))) << texts;
}

TEST(ArGenerate, FillsRowsOnlyBehindTheirFirstEos) {
  const auto chain = MarkovChain::random(1, 4);
  for (const auto method : kMethods) {
    const auto options = DecodeOptions{.method = method};
    const TextShape text{.length = 9, .eos = 1, .pad = 77};
    const auto texts = ar_generate(chain, text, {}, options, first_rows(200));
    EXPECT_TRUE(texts.eq(77).equal(MarkovChain::after_eos(texts, 1)));
    const auto endless = ar_generate(chain, {.length = 9}, {}, options, first_rows(200));
    EXPECT_TRUE((endless >= 0).all().item<bool>() && (endless < 4).all().item<bool>());
    EXPECT_EQ(endless.sizes(), texts.sizes());
  }
}

TEST(ArGenerate, ARowIsTheSameInAnyCompany) {
  const auto chain = MarkovChain::random(3, 6);
  const auto label = at::tensor({0, 1, 2, 0, 2});
  for (const auto method : kMethods) {
    const auto draw = [&](const std::vector<int64_t>& rows) {
      const Condition cond{.label = label.index_select(0, at::tensor(rows)), .dropout = {}};
      return ar_generate(chain, {.length = 8, .eos = 3}, cond, {.method = method},
                         Streams(4, rows));
    };
    const auto all = draw({0, 1, 2, 3, 4});
    EXPECT_TRUE(draw({3, 1}).equal(all.index_select(0, at::tensor({3, 1}))));
    EXPECT_TRUE(draw({4}).equal(all.slice(0, 4)));
    EXPECT_FALSE(all[0].equal(all[1]));
  }
}

TEST(ArGenerate, SamplesAreAFunctionOfTheSeed) {
  const auto chain = MarkovChain::random(1, 6);
  const auto draw = [&](uint64_t seed) {
    return ar_generate(chain, {.length = 8}, {}, {}, first_rows(5, seed));
  };
  EXPECT_TRUE(draw(1).equal(draw(1)));
  EXPECT_FALSE(draw(1).equal(draw(2)));
}

TEST(ArGenerate, StopsWhenAllTextsHaveEnded) {
  auto p = at::full({1, 4, 4, 3}, 1e-12);
  p.select(3, 2).fill_(1);  // eos at once.
  for (const auto method : kMethods) {
    const MarkovChain chain(p);
    ar_generate(chain, {.length = 50, .eos = 2}, {}, {.method = method, .beam = {.width = 1}},
                first_rows(3));
    EXPECT_EQ(chain.steps(), 1);
    const MarkovChain endless(p);
    ar_generate(endless, {.length = 50}, {}, {.method = method}, first_rows(3));
    EXPECT_EQ(endless.steps(), 50);
  }
}

TEST(ArGenerate, SaysWhenTheNetworkHasDiverged) {
  auto p = at::full({1, 4, 4, 3}, 1.0 / 3);
  p[0][3][0].fill_(std::numeric_limits<double>::quiet_NaN());
  p.select(3, 0).fill_(0.9);
  for (const auto method : kMethods) {
    EXPECT_THROW(ar_generate(MarkovChain(p), kText, {}, {.method = method}, first_rows(3)),
                 NumbersError);
  }
}

}  // namespace
}  // namespace bitdiff
