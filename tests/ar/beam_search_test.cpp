#include "bitdiff/ar/beam_search.h"

#include <limits>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/ar/ar_generate.h"
#include "tests/ar/markov_chain.h"

namespace bitdiff {
namespace {

constexpr int64_t kLabels = 5;

Condition each_label() { return {.label = at::arange(kLabels), .dropout = {}}; }

/// log p / length^penalty of each row, the length with eos.
Tensor scores_of(const MarkovChain& chain, const Tensor& texts, int64_t eos, double penalty,
                 const Condition& cond) {
  const auto length = MarkovChain::after_eos(texts, eos).logical_not().sum(1).to(at::kDouble);
  return chain.log_p(texts, eos, cond) / length.pow(penalty);
}

/// The best of all texts for each label.
Tensor exhaustive(const MarkovChain& chain, const TextShape& text, double penalty) {
  const auto all = chain.all_texts(text.length, text.eos, text.pad);
  std::vector<Tensor> best;
  for (int64_t label = 0; label < kLabels; ++label) {
    const Condition cond{.label = at::full({all.size(0)}, label), .dropout = {}};
    best.push_back(all[scores_of(chain, all, text.eos, penalty, cond).argmax().item<int64_t>()]);
  }
  return at::stack(best);
}

TEST(BeamSearch, WithAWideBeamFindsTheBestOfAllTexts) {
  const TextShape text{.length = 4, .eos = 2, .pad = 1};
  const auto chain = MarkovChain::random(kLabels, 3);
  for (const double penalty : {0.0, 0.7, 1.0, 3.0}) {
    const auto found =
        beam_search(chain, text, kLabels, each_label(), {.width = 81, .length_penalty = penalty});
    EXPECT_TRUE(found.equal(exhaustive(chain, text, penalty))) << penalty << '\n' << found;
  }
  // The penalty matters, or the above would say little.
  EXPECT_FALSE(exhaustive(chain, text, 0).equal(exhaustive(chain, text, 3)));
}

TEST(BeamSearch, WithAWideBeamFindsTheLikeliestOfTextsWithoutEnd) {
  const TextShape text{.length = 5};
  const auto chain = MarkovChain::random(kLabels, 3);
  const auto found = beam_search(chain, text, kLabels, each_label(), {.width = 243});
  EXPECT_TRUE(found.equal(exhaustive(chain, text, 1)));
}

TEST(BeamSearch, WithABeamOfOneIsGreedy) {
  const auto chain = MarkovChain::random(kLabels, 7, 1);
  const TextShape text{.length = 12, .eos = 3, .pad = 3};
  const auto greedy = ar_generate(chain, text, each_label(), {.method = DecodeMethod::kGreedy},
                                  Streams(0, {0, 1, 2, 3, 4}));
  EXPECT_TRUE(beam_search(chain, text, kLabels, each_label(), {.width = 1}).equal(greedy));
}

TEST(BeamSearch, FindsLikelierTextsThanGreedySearch) {
  const auto chain = MarkovChain::random(kLabels, 7);
  const TextShape text{.length = 10};
  const auto log_p = [&](int64_t width) {
    return chain.log_p(beam_search(chain, text, kLabels, each_label(), {.width = width}), text.eos,
                       each_label());
  };
  EXPECT_GT((log_p(4) - log_p(1)).max().item<double>(), 0.1);
  EXPECT_GT((log_p(40) - log_p(1)).min().item<double>(), -1e-5);
}

/// A first token 0 (0.6) or 1 (0.4); after 0 three ways on, after 1 one.
TEST(BeamSearch, LooksBehindALikelyFirstToken) {
  auto p = at::full({1, 4, 4, 3}, 1.0 / 3);
  p[0][3][3].copy_(at::tensor({0.6, 0.4, 0.0}));
  p[0][3][1].copy_(at::tensor({0.0, 0.0, 1.0}));
  const auto best = [&](int64_t width) {
    return beam_search(MarkovChain(p), {.length = 2}, 1, {}, {.width = width});
  };
  EXPECT_EQ(best(1)[0][0].item<int64_t>(), 0);
  EXPECT_TRUE(best(2).equal(at::tensor({1, 2}).view({1, 2})));
}

// The other token is no eos: the texts are 1, 01, 001, ..., each likelier than the next.
TEST(BeamSearch, IsDoneAfterAsManyTextsAsItIsWide) {
  const MarkovChain chain(at::tensor({0.4, 0.6}).expand({1, 3, 3, 2}));
  for (const int64_t width : {1, 2, 5}) {
    const int64_t before = chain.steps();
    beam_search(chain, {.length = 40, .eos = 1}, 1, {}, {.width = width});
    EXPECT_EQ(chain.steps() - before, width);
  }
}

}  // namespace
}  // namespace bitdiff
