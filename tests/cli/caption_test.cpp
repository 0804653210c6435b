// Models that describe images, from data to scores.

#include <nlohmann/json.hpp>

#include <ATen/ATen.h>

#include "bitdiff/base/random.h"
#include "bitdiff/io/image.h"
#include "bitdiff/io/npz.h"
#include "tests/cli/program.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

class CaptionProgram : public ProgramTest {
 protected:
  void SetUp() override {
    const std::vector<int64_t> rows = {0, 1, 2, 3, 4, 5};
    const auto images = (Streams(1, rows).uniform({6, 16, 16, 3}) * 255).to(at::kByte);
    write_npy(path("images.npy"), images);
    write_png(path("own.png"), images[0].permute({2, 0, 1}).contiguous());
    std::string records;
    for (const int64_t row : rows) {
      records += str(R"({"row": )", row, R"(, "split": ")", row < 4 ? "train" : "test",
                     R"(", "captions": ["a dog", "two cats"]})", "\n");
    }
    folder_.write("captions.jsonl", records);
  }

  /// Trains a small model for two steps into `out`.
  int train(const std::string& out, const std::string& network, const std::string& more = "") {
    folder_.write(
        "c.toml",
        str("[data]\nsource = \"captions\"\npath = \"", path("images.npy"), "\"\ncaptions = \"",
            path("captions.jsonl"), "\"\nsplit = \"train\"\nholdout_split = \"test\"\n",
            "holdout = 3\ntokenizer = \"bytes\"\nlength = 10\n[model]\nnetwork = \"", network,
            "\"\n[transformer]\nlayers = 1\nwidth = 16\nheads = 2\n",
            "[encoder]\npatch = 8\nlayers = 1\nwidth = 8\nheads = 2\n",
            "[train]\nsteps = 2\nbatch = 4\nsample_every = 2\n"));
    return run(str("train ", path("c.toml"), " --out ", path(out), " ", more));
  }
};

TEST_F(CaptionProgram, DescribesAnImageOfOnesOwn) {
  ASSERT_EQ(train("run", "transformer", "--set sample.steps=2"), 0) << said_;
  expect_contains(said_, "8 examples");
  EXPECT_TRUE(fs::exists(path("run/samples/step-00000002.txt")));
  // The checkpoint alone is enough.
  fs::remove(path("captions.jsonl"));
  const auto caption = str("caption ", path("run"), " ", path("own.png"), " ");
  ASSERT_EQ(run(caption), 0) << said_;
  EXPECT_EQ(std::count(printed_.begin(), printed_.end(), '\n'), 1) << printed_;
  ASSERT_EQ(run(caption + path("own.png") + " --num 3 --steps 3 --td 1 --json"), 0) << said_;
  std::istringstream lines(printed_);
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  const auto first = nlohmann::json::parse(line);
  EXPECT_EQ(first["image"], path("own.png"));
  EXPECT_EQ(first["captions"].size(), 3U);
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_FALSE(std::getline(lines, line));
}

TEST_F(CaptionProgram, KeepsOneOfTheCaptionsItDrew) {
  ASSERT_EQ(train("run", "transformer", "--set sample.steps=2"), 0) << said_;
  const auto caption = str("caption ", path("run"), " ", path("own.png"), " --json ");
  ASSERT_EQ(run(caption + "--num 5"), 0) << said_;
  const auto drawn = nlohmann::json::parse(printed_)["captions"];
  ASSERT_EQ(run(caption + "--consensus 5"), 0) << said_;
  const auto kept = nlohmann::json::parse(printed_)["captions"];
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(std::count(drawn.begin(), drawn.end(), kept[0]), 1) << kept << drawn;
  EXPECT_EQ(run(caption + "--consensus 5 --num 5"), 2);
}

TEST_F(CaptionProgram, WritesWhatEvalCaptionsScores) {
  for (const std::string network : {"transformer", "ar_transformer"}) {
    ASSERT_EQ(train(network, network), 0) << said_;
    ASSERT_EQ(run(str("caption ", path(network), " --split test --out ", path("out.jsonl"))), 0)
        << said_;
    const auto records = content(path("out.jsonl"));
    EXPECT_EQ(std::count(records.begin(), records.end(), '\n'), 2) << records;
    ASSERT_EQ(run(str("eval captions --candidates ", path("out.jsonl"), " --references ",
                      path("captions.jsonl"))),
              0)
        << said_;
    expect_contains(said_, "2 images, 4 references");
  }
}

TEST_F(CaptionProgram, DescribesOtherImagesThanThoseOfTheRun) {
  ASSERT_EQ(train("run", "transformer", "--set sample.steps=2"), 0) << said_;
  fs::create_directory(path("val"));
  fs::copy(path("own.png"), path("val/1.png"));
  folder_.write("val.json", R"({"images": [{"id": 7, "file_name": "1.png"}],
                                "annotations": [{"image_id": 7, "caption": "a dog"}]})");
  const auto others = str(" --captions ", path("val.json"), " --path ", path("val"));
  ASSERT_EQ(run(str("caption ", path("run"), " --split \"\" --out ", path("out.jsonl"), others)), 0)
      << said_;
  expect_contains(content(path("out.jsonl")), R"("image_id":7)");
  ASSERT_EQ(run(str("eval captions --candidates ", path("out.jsonl"), " --references ",
                    path("val.json"))),
            0)
      << said_;
  EXPECT_EQ(run(str("caption ", path("run"), " ", path("own.png"), others)), 2);
}

TEST_F(CaptionProgram, OfAnAutoregressiveModelTakesNoSteps) {
  ASSERT_EQ(train("run", "ar_transformer"), 0) << said_;
  const auto caption = str("caption ", path("run"), " ", path("own.png"), " ");
  for (const std::string method : {"greedy", "beam", "sample"}) {
    ASSERT_EQ(run(str(caption, "--set decode.method=", method)), 0) << said_;
  }
  EXPECT_EQ(run(caption + "--steps 5"), 2);
  EXPECT_EQ(run(caption + "--set sample.steps=5"), 2);
  // Nothing is drawn where the most likely is taken: several would be the same one.
  for (const std::string several : {"--num 2", "--consensus 2"}) {
    EXPECT_EQ(run(caption + several + " --set decode.method=beam"), 2);
    expect_contains(said_, several + ": expected decode.method = sample");
    EXPECT_EQ(run(caption + several + " --set decode.method=sample"), 0) << said_;
  }
  EXPECT_EQ(run(str("eval bits ", path("run"))), 2);
  EXPECT_EQ(run(str("eval loss ", path("run"))), 2);
  EXPECT_EQ(std::count(said_.begin(), said_.end(), '\n'), 1) << said_;
}

TEST_F(CaptionProgram, IsGuidedByTheImageWhereTrainingHidIt) {
  const std::string guided = " --num 4 --json --set sample.guidance=4";
  ASSERT_EQ(train("run", "transformer", "--set sample.steps=2"), 0) << said_;
  EXPECT_EQ(run(str("caption ", path("run"), " ", path("own.png"), guided)), 2);
  expect_contains(said_, "diffusion.label_dropout = 0");
  EXPECT_EQ(train("refused", "transformer", "--set sample.guidance=4"), 2);
  EXPECT_FALSE(fs::exists(path("refused")));
  ASSERT_EQ(train("hid", "transformer", "--set sample.steps=2 --set diffusion.label_dropout=0.5"),
            0)
      << said_;
  EXPECT_EQ(run(str("caption ", path("hid"), " ", path("own.png"), guided)), 0) << said_;
}

TEST_F(CaptionProgram, RefusesWhatItCannotDescribe) {
  ASSERT_EQ(train("run", "transformer", "--set sample.steps=2"), 0) << said_;
  const auto caption = str("caption ", path("run"), " ");
  EXPECT_EQ(run(caption), 2);
  EXPECT_EQ(run(caption + path("own.png") + " --split test"), 2);
  EXPECT_EQ(run(caption + path("own.png") + " --num 2 --out " + path("o.jsonl")), 2);
  EXPECT_EQ(run(caption + path("none.png")), 3);
  EXPECT_EQ(run(caption + "--split dev"), 3);
  EXPECT_EQ(run(str("sample ", path("run"), " --num 1")), 2);
  expect_contains(said_, "use bitdiff caption");
  EXPECT_EQ(train("other", "unet"), 2);
  EXPECT_EQ(train("other", "transformer", "--set encoder.patch=5"), 2);
  EXPECT_FALSE(fs::exists(path("other")));
}

}  // namespace
}  // namespace bitdiff
