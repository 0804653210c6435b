// Text from outside: tokenizers, models of text, scores of captions.

#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

class TextProgram : public ProgramTest {
 protected:
  void SetUp() override {
    std::string lines;
    for (int i = 0; i < 400; ++i) {
      lines += str("the ", i % 7, " dogs of house ", i, " run to the ", i % 3 ? "park" : "river",
                   " with ", i % 5, " red balls\n");
    }
    folder_.write("text.txt", lines);
  }

  /// Trains a small model of text for a few steps into `out`.
  int train(const std::string& out, const std::string& tokenizer, const std::string& more = "") {
    folder_.write("text.toml",
                  str("[data]\nsource = \"text\"\npath = \"", path("text.txt"),
                      "\"\nlength = 12\n[model]\nnetwork = \"transformer\"\n[transformer]\n"
                      "layers = 1\nwidth = 16\nheads = 2\n[train]\nsteps = 2\nbatch = 4\n"
                      "sample_every = 2\n[sample]\nsteps = 2\n"));
    return run(str("train ", path("text.toml"), " --out ", path(out),
                   " --set data.tokenizer=", tokenizer, " ", more));
  }

  int train_tokenizer(int pieces) {
    return run(str("tokenizer train ", path("text.txt"), " --vocab ", pieces, " --out ",
                   path(str(pieces, ".model"))));
  }
};

TEST_F(TextProgram, TrainsATokenizerAndAModelWhoseSamplesAreText) {
  ASSERT_EQ(train_tokenizer(300), 0) << said_;
  ASSERT_EQ(run(str("inspect ", path("300.model"), " --json")), 0) << said_;
  EXPECT_EQ(nlohmann::json::parse(printed_),
            nlohmann::json::parse(R"({"kind": "tokenizer", "pieces": 300, "eos": 1, "pad": 0})"));
  ASSERT_EQ(train("run", path("300.model")), 0) << said_;
  expect_contains(said_, "400 lines are longer than data.length = 12");
  EXPECT_TRUE(fs::exists(path("run/samples/step-00000002.txt")));
  EXPECT_EQ(content(path("run/checkpoints/step-00000002/tokenizer.model")),
            content(path("300.model")));

  // The checkpoint alone is enough.
  fs::remove(path("300.model"));
  const auto sample = str("sample ", path("run"), " --num 5 ");
  ASSERT_EQ(run(sample + "--out " + path("s.txt")), 0) << said_;
  const auto written = content(path("s.txt"));
  EXPECT_EQ(std::count(written.begin(), written.end(), '\n'), 5) << written;
  ASSERT_EQ(run(sample), 0) << said_;
  EXPECT_EQ(printed_, written);
  EXPECT_EQ(run(sample + "--out " + path("s.npz")), 0) << said_;
  EXPECT_EQ(run(sample + "--out " + path("s.png")), 2);
}

TEST_F(TextProgram, ResumesWithItsOwnTokenizerOnly) {
  ASSERT_EQ(train_tokenizer(300), 0) << said_;
  ASSERT_EQ(train("run", path("300.model")), 0) << said_;
  fs::copy(path("text.txt"), path("first.txt"));
  std::string others;
  for (int i = 0; i < 400; ++i) others += str("quick foxes ", i, " jump over lazy cats ", i, "\n");
  folder_.write("text.txt", others);
  fs::rename(path("300.model"), path("old.model"));
  ASSERT_EQ(train_tokenizer(300), 0) << said_;
  EXPECT_EQ(train("run", path("300.model"), "--resume --steps 3"), 2);
  expect_contains(said_, "another tokenizer");
  EXPECT_EQ(train("run", path("old.model"), "--resume --steps 3"), 0) << said_;
}

TEST_F(TextProgram, EvalLossReadsByTheTokenizerOfTheCheckpoint) {
  ASSERT_EQ(train_tokenizer(300), 0) << said_;
  ASSERT_EQ(train("run", path("300.model"), "--set data.holdout=20"), 0) << said_;
  const auto eval = str("eval loss ", path("run"), " --times 2");
  ASSERT_EQ(run(eval), 0) << said_;
  const auto before = printed_;
  ASSERT_EQ(train_tokenizer(310), 0) << said_;
  fs::rename(path("310.model"), path("300.model"));
  ASSERT_EQ(run(eval), 0) << said_;
  EXPECT_EQ(printed_, before);
  fs::remove(path("300.model"));
  ASSERT_EQ(run(eval), 0) << said_;
  EXPECT_EQ(printed_, before);
}

TEST_F(TextProgram, BytesNeedNoTokenizer) {
  ASSERT_EQ(train("run", "bytes"), 0) << said_;
  EXPECT_FALSE(fs::exists(path("run/checkpoints/step-00000002/tokenizer.model")));
  EXPECT_EQ(run(str("sample ", path("run"), " --num 3")), 0) << said_;
}

TEST_F(TextProgram, TextThatDoesNotSufficeLeavesNoFile) {
  EXPECT_EQ(train_tokenizer(5000), 2);
  EXPECT_EQ(std::count(said_.begin(), said_.end(), '\n'), 1) << said_;
  EXPECT_FALSE(fs::exists(path("5000.model")));
  folder_.write("bad.model", "no model");
  EXPECT_EQ(run(str("inspect ", path("bad.model"))), 3);
  EXPECT_EQ(train("run", path("bad.model")), 3);
  EXPECT_EQ(train("run", "\"\""), 2);
  EXPECT_EQ(train("run", "bytes", "--set data.flip=true"), 2);
  EXPECT_FALSE(fs::exists(path("run")));
}

TEST_F(TextProgram, ScoresCaptions) {
  folder_.write("references.jsonl",
                "{\"row\": 1, \"captions\": [\"A dog runs in the park.\", \"The dog.\"]}\n"
                "{\"row\": 2, \"captions\": [\"Two men are eating.\"]}\n"
                "{\"row\": 3, \"captions\": [\"Nobody.\"]}\n");
  folder_.write("candidates.json",
                "[{\"row\": 2, \"caption\": \"two men are eating\"},"
                " {\"row\": 1, \"caption\": \"a dog runs in the park\"}]");
  const auto eval = str("eval captions --candidates ", path("candidates.json"), " --references ",
                        path("references.jsonl"));
  ASSERT_EQ(run(eval + " --json " + path("scores.json")), 0) << said_;
  expect_contains(said_, "2 images, 3 references, tokenizer ptb; 1 images have no candidate");
  expect_contains(printed_, "BLEU-1: 1\n");
  const auto report = nlohmann::json::parse(content(path("scores.json")));
  EXPECT_NEAR(report["scores"]["BLEU-4"].get<double>(), 1, 1e-8);
  EXPECT_NEAR(report["scores"]["ROUGE-L"].get<double>(), 1, 1e-12);
  EXPECT_EQ(report["each"].size(), 2U);
  EXPECT_EQ(report["each"][0]["image"], "2");
  EXPECT_EQ(run(eval + " --tokenizer stanford"), 2);
  folder_.write("candidates.json", "[{\"row\": 9, \"caption\": \"two\"}]");
  EXPECT_EQ(run(eval), 3);
  EXPECT_EQ(std::count(said_.begin(), said_.end(), '\n'), 1) << said_;
}

}  // namespace
}  // namespace bitdiff
