#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include <gtest/gtest.h>

#include "bitdiff/base/error.h"
#include "bitdiff/metrics/caption_bleu.h"
#include "bitdiff/metrics/caption_cider.h"
#include "bitdiff/metrics/caption_consensus.h"
#include "bitdiff/metrics/caption_rouge.h"
#include "bitdiff/metrics/caption_words.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

CaptionWords words(const std::string& text) { return caption_words(text, CaptionTokenizer::kNone); }

CaptionPair pair(const std::string& candidate, const std::vector<std::string>& references) {
  CaptionPair result{words(candidate), {}};
  for (const auto& reference : references) result.references.push_back(words(reference));
  return result;
}

TEST(Likeness, IsTheMeanF1OfNgrams) {
  const auto alike = [](const std::string& a, const std::string& b) {
    return likeness(count_ngrams(words(a)), count_ngrams(words(b)));
  };
  EXPECT_DOUBLE_EQ(alike("a dog runs fast", "a dog runs fast"), 1);
  // Both have "a", "dog" and "runs" once, "a dog", "dog runs" and "a dog runs".
  EXPECT_DOUBLE_EQ(alike("a dog runs fast", "a a dog runs far"),
                   (6.0 / 9 + 4.0 / 7 + 2.0 / 5 + 0) / 4);
  EXPECT_EQ(alike("a dog", "two cats"), 0);
  EXPECT_EQ(alike("", ""), 0);
}

TEST(Consensus, IsTheCaptionMostLikeTheOthers) {
  EXPECT_EQ(find_consensus({words("two cats"), words("a dog runs in snow"), words("a dog runs"),
                            words("the dog runs")}),
            2U);
  EXPECT_EQ(find_consensus({words("a"), words("b")}), 0U);
  EXPECT_EQ(find_consensus({words(""), words("a dog"), words("a cat")}), 1U);
}

TEST(Bleu, OfTheCaptionsOfAPersonIsOne) {
  const auto scores = bleu({pair("a dog runs in the park", {"no", "a dog runs in the park"}),
                            pair("two men are eating", {"two men are eating"})});
  ASSERT_EQ(scores.size(), 4U);
  for (const auto& score : scores) {
    EXPECT_NEAR(score.corpus, 1, 1e-8) << score.name;
    for (const double each : score.each) EXPECT_NEAR(each, 1, 1e-8) << score.name;
  }
}

TEST(Bleu, CountsAWordAsOftenAsOneReferenceHasIt) {
  // Papineni et al. (2002), example 2: 2 of 7.
  const auto the = bleu({pair("the the the the the the the",
                              {"the cat is on the mat", "there is a cat on the mat"})});
  EXPECT_NEAR(the[0].corpus, 2.0 / 7, 1e-8);
}

TEST(Bleu, OfTheCorpusIsOfSummedCounts) {
  // 1 of 2 words and 4 of 4: 5 of 6, not the mean of the two.
  const auto score = bleu({pair("a x", {"a b"}), pair("a b c d", {"a b c d"})})[0];
  EXPECT_NEAR(score.each[0], 0.5, 1e-8);
  EXPECT_NEAR(score.corpus, 5.0 / 6, 1e-8);
}

TEST(Bleu, PunishesBrevityBesideTheReferenceClosestInLength) {
  const auto score = bleu({pair("a b", {"a b c", "a b c d e f"})})[0];
  EXPECT_NEAR(score.corpus, std::exp(1 - 3.0 / 2), 1e-8);
  // Of two equally close the shorter: nothing to punish.
  EXPECT_NEAR(bleu({pair("a b", {"a b c", "a"})})[0].corpus, 1, 1e-8);
  EXPECT_NEAR(bleu({pair("", {"a b c"})})[0].corpus, 0, 1e-8);
}

TEST(Rouge, IsTheFMeasureOfTheLongestCommonSubsequence) {
  // The subsequence "a c d" of 4 and of 5 words.
  const double p = 3.0 / 4, r = 3.0 / 5, square = 1.2 * 1.2;
  const auto score = rouge_l(
      {pair("a c x d", {"a b c d e"}), pair("y", {"z"}), pair("", {"z"}), pair("b a", {"b a"})});
  EXPECT_NEAR(score.each[0], (1 + square) * p * r / (r + square * p), 1e-12);
  EXPECT_EQ(score.each[1], 0);
  EXPECT_EQ(score.each[2], 0);
  EXPECT_NEAR(score.each[3], 1, 1e-12);
  EXPECT_NEAR(score.corpus, (score.each[0] + 1) / 4, 1e-12);
}

TEST(Rouge, TakesPrecisionAndRecallFromAnyReference) {
  EXPECT_NEAR(rouge_l({pair("a b", {"a b c d", "a"})}).corpus, 1, 1e-12);
}

TEST(Cider, IsTenWhereEveryNgramIsOfItsImageAlone) {
  const auto score = cider({pair("a b c d", {"a b c d"}), pair("e f g h", {"e f g h"})});
  EXPECT_NEAR(score.corpus, 10, 1e-12);
}

TEST(Cider, GivesNothingForWordsOfEveryImage) {
  const auto score = cider({pair("a", {"a b c d"}), pair("a", {"a f g h"})});
  EXPECT_EQ(score.corpus, 0);
  EXPECT_EQ(cider({pair("a b c d", {"a b c d"})}).corpus, 0);
}

TEST(Cider, PunishesRepetitionAndLength) {
  // Repeated three times: only single words match as they are; the norm grows with them.
  const auto score = cider({pair("a a a", {"a"}), pair("b", {"b"})});
  const double cosine = 1.0 / 3;  // min(3, 1) * 1 / (3 * 1)
  EXPECT_NEAR(score.each[0], 10 * cosine / 4 * std::exp(-2.0 * 2 / 72), 1e-12);
  EXPECT_NEAR(score.each[1], 10.0 / 4, 1e-12);
}

class CaptionOracle : public ::testing::TestWithParam<const char*> {};

TEST_P(CaptionOracle, GivesTheFiguresOfTheReferenceScorers) {
  const char* data = std::getenv("BITDIFF_DATA");
  const auto folder = fs::path(data ? data : "") / "caption_oracle";
  if (!data || !fs::exists(folder)) {
    GTEST_SKIP() << "BITDIFF_DATA names no folder with caption_oracle/";
  }
  std::vector<CaptionPair> pairs;
  std::vector<Json> expected;
  std::ifstream file(folder / str(GetParam(), ".jsonl"));
  for (std::string line; std::getline(file, line);) {
    expected.push_back(Json::parse(line));
    pairs.push_back(pair(expected.back()["hyp"], expected.back()["refs"]));
  }
  const auto corpus = Json::parse(std::ifstream(folder / "scores.json"))[GetParam()];
  ASSERT_EQ(pairs.size(), corpus["n"]);
  constexpr double kClose = 1e-9;
  const auto check = [&](const CaptionScore& score, const char* name, const auto& of_image) {
    EXPECT_NEAR(score.corpus, corpus[name].get<double>(), kClose) << name;
    for (size_t i = 0; i < pairs.size(); ++i) {
      ASSERT_NEAR(score.each[i], of_image(expected[i]).template get<double>(), kClose)
          << name << " of image " << i;
    }
  };
  const auto bleus = bleu(pairs);
  for (size_t n = 0; n < 4; ++n) {
    check(bleus[n], str("Bleu_", n + 1).c_str(), [&](const Json& j) { return j["bleu"][n]; });
  }
  check(cider(pairs), "CIDEr", [](const Json& j) { return j["cider"]; });
  check(rouge_l(pairs), "ROUGE_L", [](const Json& j) { return j["rouge_l"]; });
}

INSTANTIATE_TEST_SUITE_P(Of, CaptionOracle, ::testing::Values("fakecap_126", "human_last_vs_rest"));

}  // namespace
}  // namespace bitdiff
