// The program started by mpirun: what several processes do is what one does.

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/io/npz.h"
#include "bitdiff/io/safetensors.h"
#include "tests/cli/program.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

class Together : public ProgramTest {
 protected:
  void SetUp() override {
    if (std::string(BITDIFF_MPIRUN).empty()) {
      GTEST_SKIP() << "built without MPI; scripts/setup.sh test installs it, then build anew";
    }
    write_npz(folder_ / "data.npz",
              {{"images", at::arange(90 * 64).reshape({90, 8, 8}).remainder(5).to(at::kByte)}});
    folder_.write("tiny.toml",
                  str("[data]\npath = \"", (folder_ / "data.npz").string(),
                      "\"\ncategories = [5]\nholdout = 70\n[unet]\ndim = 32\nmult = [1]\n"
                      "blocks = 1\n[train]\nsteps = 3\nbatch = 4\nlr = 1e-3\nsave_every = 3\n"
                      "eval_every = 3\nsample_every = 3\n[sample]\nsteps = 3\n"));
  }

  std::string train(const std::string& out, const std::string& more = "") const {
    return str("train ", path("tiny.toml"), " --out ", path(out), " ", more);
  }

  static std::string by_two(const std::string& arguments) {
    return str(BITDIFF_MPIRUN, " -n 2 ", BITDIFF_PROGRAM, " ", arguments);
  }

  /// What the two processes are to do differs.
  static std::string by_each(const std::string& first, const std::string& second) {
    return str(BITDIFF_MPIRUN, " -n 1 ", first, " : -n 1 ", second);
  }

  std::vector<nlohmann::json> metrics(const std::string& out) const {
    std::vector<nlohmann::json> all;
    std::istringstream lines(content(path(out + "/metrics.jsonl")));
    for (std::string line; std::getline(lines, line);) all.push_back(nlohmann::json::parse(line));
    return all;
  }

  void expect_near(const std::string& a, const std::string& b) const {
    const auto of_a = metrics(a), of_b = metrics(b);
    ASSERT_EQ(of_a.size(), of_b.size());
    EXPECT_NEAR(of_a[0].at("loss"), of_b[0].at("loss"), 1e-6);
    for (size_t i = 0; i < of_a.size(); ++i) {
      EXPECT_NEAR(of_a[i].at("loss"), of_b[i].at("loss"), 1e-4);
      EXPECT_EQ(of_a[i].at("lr"), of_b[i].at("lr"));
    }
    EXPECT_NEAR(of_a.back().at("held_out_loss"), of_b.back().at("held_out_loss"), 1e-4);
    const auto weights = [&](const std::string& run) {
      return read_safetensors(path(run + "/checkpoints/step-00000003/model.safetensors")).tensors;
    };
    const auto of_a_weights = weights(a), of_b_weights = weights(b);
    for (size_t i = 0; i < of_a_weights.size(); ++i) {
      const auto& [name, value] = of_a_weights[i];
      const auto most = (value - of_b_weights[i].second).abs().max().item<double>();
      EXPECT_LT(most, 1e-4) << name;
    }
  }
};

TEST_F(Together, TrainingDoesNotDependOnTheNumberOfProcesses) {
  ASSERT_EQ(run(train("one")), 0) << said_;
  ASSERT_EQ(run_command(by_two(train("two"))), 0) << said_;
  EXPECT_NE(said_.find("with 2 processes"), std::string::npos);
  expect_near("one", "two");
  EXPECT_TRUE(fs::exists(path("two/samples/step-00000003.png")));
  ASSERT_EQ(run_command(by_two(train("pieces", "--set train.accumulate=2"))), 0) << said_;
  expect_near("one", "pieces");
}

TEST_F(Together, ARunGoesOnWithAnotherNumberOfProcesses) {
  ASSERT_EQ(run(train("one")), 0) << said_;
  ASSERT_EQ(run(train("parts", "--steps 1")), 0) << said_;
  ASSERT_EQ(run_command(by_two(train("parts", "--resume"))), 0) << said_;
  expect_near("one", "parts");
}

TEST_F(Together, SamplesAreTheSameToTheLastBit) {
  ASSERT_EQ(run(train("run")), 0) << said_;
  const auto sample = [&](const std::string& out, const std::string& range) {
    return str("sample ", path("run"), " --out ", path(out), " --micro-batch 3 --batch 6 ", range);
  };
  for (const std::string range : {"--indices 7-27", "--num 1"}) {
    ASSERT_EQ(run(sample("one.npz", range)), 0) << said_;
    ASSERT_EQ(run_command(by_two(sample("two.npz", range))), 0) << said_;
    EXPECT_EQ(content(path("one.npz")), content(path("two.npz"))) << range;
  }
}

TEST_F(Together, CaptionsAreTheSameAsByOne) {
  write_npy(path("images.npy"), at::arange(5 * 8 * 8 * 3).reshape({5, 8, 8, 3}).to(at::kByte));
  std::string records;
  for (int64_t row = 0; row < 5; ++row)
    records +=
        str(R"({"row": )", row, R"(, "split": "all", "captions": ["a dog", "two cats"]})", "\n");
  folder_.write("captions.jsonl", records);
  folder_.write("c.toml",
                str("[data]\nsource = \"captions\"\npath = \"", path("images.npy"),
                    "\"\ncaptions = \"", path("captions.jsonl"),
                    "\"\nholdout = 1\ntokenizer = \"bytes\"\nlength = 10\n[model]\n"
                    "network = \"transformer\"\n[transformer]\nlayers = 1\nwidth = 16\nheads = 2\n"
                    "[encoder]\npatch = 4\nlayers = 1\nwidth = 8\nheads = 2\n"
                    "[train]\nsteps = 2\nbatch = 4\neval_every = 0\n[sample]\nsteps = 3\n"));
  ASSERT_EQ(run(str("train ", path("c.toml"), " --out ", path("run"))), 0) << said_;
  const auto caption = str("caption ", path("run"), " --split all --num 2 --json --micro-batch 2");
  ASSERT_EQ(run(caption), 0) << said_;
  const auto by_one = printed_;
  ASSERT_EQ(run_command(by_two(caption)), 0) << said_;
  EXPECT_EQ(printed_, by_one);
  EXPECT_EQ(std::count(by_one.begin(), by_one.end(), '\n'), 5);
}

TEST_F(Together, FiguresOfImagesAreTheSameAsByOne) {
  // Three chunks of features, of which the first process has two.
  const auto images = at::arange(1100 * 192).mul(1103515245).div(65536, "trunc").remainder(256);
  write_npz(folder_ / "images.npz", {{"arr_0", images.to(at::kByte).view({1100, 3, 8, 8})}});
  const auto eval = [&](const std::string& out, const std::string& more) {
    return str("eval images ", path("images.npz"), " ", path("images.npz"), " --features ",
               BITDIFF_SOURCE_DIR, "/data/features/cifar10.safetensors --metrics fid,kid --cache ",
               path(out + "-cache"), " --json ", path(out), " ", more);
  };
  ASSERT_EQ(run(eval("one.json", "")), 0) << said_;
  ASSERT_EQ(run_command(by_two(eval("two.json", "--work " + path("work")))), 0) << said_;
  EXPECT_EQ(content(path("one.json")), content(path("two.json")));
  EXPECT_EQ(printed_.find("metric"), printed_.rfind("metric")) << "said twice: " << printed_;

  EXPECT_EQ(run_command(by_two(eval("two.json", ""))), 2) << said_;
  EXPECT_NE(said_.find("--work FOLDER"), std::string::npos) << said_;
  const auto sharded = eval("two.json", "--shard 1/2 --work " + path("work"));
  EXPECT_EQ(run_command(by_two(sharded)), 2) << said_;
  EXPECT_NE(said_.find("--shard 1/2"), std::string::npos) << said_;
}

TEST_F(Together, AProcessThatFailsEndsTheOthers) {
  // The first waits for the second, which has joined and then finds fault.
  const auto good = str(BITDIFF_PROGRAM, " ", train("run", "--steps 1000000"));
  const auto bad = str(good, " --set train.accumulate=3");
  EXPECT_EQ(run_command(by_each(good, bad)), 2) << said_;
  EXPECT_NE(said_.find("bitdiff (process 1): train.batch"), std::string::npos) << said_;
}

TEST_F(Together, WhatAllProcessesFindIsSaidOnce) {
  EXPECT_EQ(run_command(by_two(train("run", "--set train.batch=3"))), 2) << said_;
  const auto first = said_.find("bitdiff: train.batch = 3");
  EXPECT_NE(first, std::string::npos) << said_;
  EXPECT_EQ(said_.find("train.batch = 3", first + 20), std::string::npos) << said_;
}

TEST_F(Together, CommandsThatDoNotShareTheirWorkAreRefused) {
  EXPECT_EQ(run_command(by_two("inspect " + path("data.npz"))), 2) << said_;
  EXPECT_EQ(run_command(by_two("eval bits " + path("run"))), 2) << said_;
  EXPECT_NE(said_.find("eval bits: expected one process"), std::string::npos) << said_;
}

TEST_F(Together, ASignalToOneStopsAll) {
  const auto long_run = str(BITDIFF_PROGRAM, " ", train("run", "--steps 1000000"));
  folder_.write("second.sh", str(long_run, " &\nuntil [ -s ", path("run/metrics.jsonl"),
                                 " ]; do sleep 0.1; done\nkill -s TERM $!\nwait $!\n"));
  EXPECT_EQ(run_command(by_each(long_run, "sh " + path("second.sh"))), 130) << said_;
  EXPECT_NE(said_.find("--resume goes on from there"), std::string::npos) << said_;
  const auto step = metrics("run").back().at("step").get<int64_t>();
  char name[32];
  std::snprintf(name, sizeof name, "step-%08ld", step);
  EXPECT_TRUE(fs::exists(path("run/checkpoints/") + name));
}

}  // namespace
}  // namespace bitdiff
