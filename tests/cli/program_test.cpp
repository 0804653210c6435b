// The program from outside: what a person types, what is on the disk and the exit code after it.

#include "tests/cli/program.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>
#include <sys/file.h>
#include <unistd.h>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/io/image.h"
#include "bitdiff/io/npz.h"
#include "bitdiff/io/safetensors.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

class Program : public ProgramTest {
 protected:
  void SetUp() override {
    write_npz(folder_ / "data.npz",
              {{"images", at::arange(20 * 64).reshape({20, 8, 8}).remainder(5).to(at::kByte)}});
    folder_.write("tiny.toml",
                  str("[data]\npath = \"", (folder_ / "data.npz").string(),
                      "\"\ncategories = [5]\nholdout = 4\n[unet]\ndim = 32\nmult = [1]\n"
                      "blocks = 1\n[train]\nsteps = 4\nbatch = 4\nsave_every = 2\n"
                      "eval_every = 2\nsample_every = 4\n[sample]\nsteps = 3\n"));
  }

  std::string train(const std::string& out, const std::string& more = "") const {
    return str("train ", path("tiny.toml"), " --out ", path(out), " ", more);
  }
};

TEST_F(Program, TrainsAndLeavesARunFolder) {
  ASSERT_EQ(run(train("run")), 0) << said_;
  std::istringstream lines(content(path("run/metrics.jsonl")));
  int64_t step = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto metrics = nlohmann::json::parse(line);
    EXPECT_EQ(metrics.at("step"), ++step);
    EXPECT_TRUE(metrics.at("loss").is_number());
    EXPECT_GT(metrics.at("images_per_s"), 0.0);
    EXPECT_EQ(metrics.contains("held_out_loss"), step % 2 == 0);
  }
  EXPECT_EQ(step, 4);
  for (const auto* name : {"config.toml", "state.json", "model.safetensors", "ema.safetensors",
                           "optimizer.safetensors"}) {
    EXPECT_TRUE(fs::exists(path("run/checkpoints/step-00000004") + "/" + name)) << name;
  }
  EXPECT_EQ(read_image(path("run/samples/step-00000004.png")).size(0), 3);
}

TEST_F(Program, AnInterruptedRunResumesBitForBit) {
  ASSERT_EQ(run(train("whole")), 0) << said_;
  ASSERT_EQ(run(train("parts", "--steps 2")), 0) << said_;
  ASSERT_EQ(run(train("parts", "--resume")), 0) << said_;
  for (const auto* name : {"model.safetensors", "ema.safetensors", "optimizer.safetensors"}) {
    EXPECT_EQ(content(path("whole/checkpoints/step-00000004/") + name),
              content(path("parts/checkpoints/step-00000004/") + name))
        << name;
  }
}

TEST_F(Program, SamplesDependOnNothingButTheirIndex) {
  ASSERT_EQ(run(train("run")), 0) << said_;
  const auto sample = [&](const std::string& more) {
    EXPECT_EQ(run(str("sample ", path("run"), " --out ", path("s.npz"), " ", more)), 0) << said_;
    return read_arrays(path("s.npz")).at(0);
  };
  const auto [name, all] = sample("--num 20");
  EXPECT_EQ(name, "arr_0");
  EXPECT_EQ(all.sizes(), (IntArrayRef{20, 1, 8, 8}));
  EXPECT_LT(all.max().item<int64_t>(), 5);
  EXPECT_TRUE(all.equal(sample("--num 20 --batch 3").second));
  EXPECT_TRUE(all.slice(0, 7, 18).equal(sample("--indices 7-17").second));
  EXPECT_FALSE(all.equal(sample("--num 20 --seed 1").second));
  sample("--num 2 --steps 5 --td 1.5 --solver ddpm");
  sample("--num 2 --set sample.solver=heun --set sample.momentum=0.5");
  EXPECT_EQ(run(str("sample ", path("run"), " --num 4 --out ", path("s.png"))), 0) << said_;
}

TEST_F(Program, SamplesOfFewerDigitsAreNearlyTheSame) {
  ASSERT_EQ(run(train("run", "--steps 200 --set train.save_every=200 --set train.eval_every=0")), 0)
      << said_;
  const auto sample = [&](const std::string& more) {
    EXPECT_EQ(run(str("sample ", path("run"), " --num 64 --steps 20 --out ", path("s.npz"), more)),
              0)
        << said_;
    return read_arrays(path("s.npz")).at(0).second;
  };
  const auto exact = sample("");
  for (const std::string flag : {" --int8", " --bf16"}) {
    const auto near = sample(flag);
    EXPECT_TRUE(near.equal(sample(flag + " --batch 3"))) << flag;
    const double same = near.eq(exact).to(at::kDouble).mean().item<double>();
    EXPECT_GT(same, 0.9) << flag;
    EXPECT_LT(same, 1) << flag;
  }
}

TEST_F(Program, MistakesOnTheCommandLineExitWith2AndAHint) {
  EXPECT_EQ(run(""), 2);
  EXPECT_EQ(run(train("run", "--seeds 3")), 2);
  expect_contains(said_, "Did you mean \"--seed\"?");
  EXPECT_EQ(run(train("run", "--set train.stepz=3")), 2);
  expect_contains(said_, "Did you mean \"steps\"?");
  EXPECT_EQ(run(train("run", "--set train.batch=0")), 2);
  EXPECT_FALSE(fs::exists(path("run")));
  ASSERT_EQ(run(train("run")), 0) << said_;
  EXPECT_EQ(run(train("run")), 2);
  expect_contains(said_, "--resume");
  EXPECT_EQ(run(str("sample ", path("run"), " --num 1 --indices 1-2 --out ", path("s.npz"))), 2);
  for (const char* range : {"2", "2-1", "-1-2", "1-2 ", "1-2x", "1-9223372036854775807"}) {
    EXPECT_EQ(run(str("sample ", path("run"), " '--indices=", range, "' --out ", path("s.npz"))), 2)
        << range;
  }
  EXPECT_EQ(run(str("sample ", path("run"), " --num 1 --out ", path("s.jpg"))), 2);
  EXPECT_EQ(run(str("sample ", path("run"), " --num 1 --class 3 --out ", path("s.npz"))), 2);
  EXPECT_EQ(run(str("sample ", path("run"), " --num 1 --class -2 --out ", path("s.npz"))), 2);
  EXPECT_EQ(run(str("sample ", path("run"), " --num 1 --set codec.scale=2 --out ", path("s.npz"))),
            2);
  EXPECT_EQ(
      run(str("sample ", path("run"), " --num 1 --set sample.guidance=2 --out ", path("s.npz"))),
      2);
  EXPECT_EQ(run(str("sample ", path("run"), " --num 1 --set sample.step=5 --out ", path("s.npz"))),
            2);
  expect_contains(said_, "Did you mean \"steps\"?");
  EXPECT_EQ(run(str("sample ", path("run"), " --num 1 --int8 --bf16 --out ", path("s.npz"))), 2);
  expect_contains(said_, "--int8: expected sample.bf16 = false");
  EXPECT_FALSE(fs::exists(path("s.npz")));
}

TEST_F(Program, SaysWhichDeviceItHasNot) {
  EXPECT_EQ(run(train("run", "--device tpu")), 2);
  expect_contains(said_, "--device tpu: expected cpu, cuda or cuda:N");
  EXPECT_EQ(run(train("run", "--device cuda:100")), 2);
  EXPECT_EQ(run(train("run", "--device cuda:99")), 2);  // However many GPUs there are.
  expect_contains(said_, "--device cuda:99: ");
  EXPECT_EQ(std::count(said_.begin(), said_.end(), '\n'), 1) << said_;
  EXPECT_FALSE(fs::exists(path("run")));
  EXPECT_EQ(run(train("run", "--cuda-graphs")), 2);
  expect_contains(said_, "--cuda-graphs: expected --device cuda, found cpu");
  EXPECT_EQ(run(train("run", "--cuda-graphs --set unet.activation_checkpointing=true")), 2);
  expect_contains(said_, "--cuda-graphs: expected unet.activation_checkpointing = false");
  EXPECT_FALSE(fs::exists(path("run")));
  ASSERT_EQ(run(train("run")), 0) << said_;
  const auto sample = str("sample ", path("run"), " --num 1 --out ", path("s.npz"));
  EXPECT_EQ(run(sample + " --int8 --device cuda"), 2);
  expect_contains(said_, "--int8: expected --device cpu");
  EXPECT_EQ(run(sample + " --cuda-graphs"), 2);
  expect_contains(said_, "--cuda-graphs: expected --device cuda, found cpu");
  EXPECT_FALSE(fs::exists(path("s.npz")));
}

TEST_F(Program, EvalBitsCountsTheBitsOfSamples) {
  ASSERT_EQ(run(train("run")), 0) << said_;
  ASSERT_EQ(run(str("eval bits ", path("run"), " --num 20 --json ", path("bits.json"),
                    " --picture ", path("bits.svg"))),
            0)
      << said_;
  const auto figures = nlohmann::json::parse(content(path("bits.json")));
  EXPECT_EQ(figures.at("bits"), 20 * 3 * 64);
  EXPECT_EQ(figures.at("entropy_of_each_bit").size(), 3u);
  const auto histogram = figures.at("histogram").get<std::vector<int64_t>>();
  EXPECT_EQ(std::accumulate(histogram.begin(), histogram.end(), int64_t{0}), 20 * 3 * 64);
  expect_contains(content(path("bits.svg")), "</svg>");
}

TEST_F(Program, EvalLossTellsTheLossByNoise) {
  ASSERT_EQ(run(train("run")), 0) << said_;
  ASSERT_EQ(run(str("eval loss ", path("run"), " --times 4 --json ", path("loss.json"))), 0)
      << said_;
  const auto figures = nlohmann::json::parse(content(path("loss.json")));
  EXPECT_EQ(figures.at("examples"), 4);
  ASSERT_EQ(figures.at("times").size(), 4u);
  double gamma = 1, alone = 0;
  for (const auto& at_time : figures.at("times")) {
    EXPECT_LT(at_time.at("gamma"), gamma);
    EXPECT_GT(at_time.at("loss"), 0);
    EXPECT_GE(at_time.at("bits_alone"), alone);  // More noise, less known.
    gamma = at_time.at("gamma");
    alone = at_time.at("bits_alone");
  }
  EXPECT_GT(alone, 0.1);
  expect_contains(printed_, "bits alone");
  ASSERT_EQ(run(train("eps", "--set diffusion.prediction=eps")), 0) << said_;
  ASSERT_EQ(run(str("eval loss ", path("eps"), " --times 2")), 0) << said_;
  EXPECT_EQ(printed_.find("bits alone"), std::string::npos);
  ASSERT_EQ(run(train("whole", "--set data.holdout=0")), 0) << said_;
  EXPECT_EQ(run(str("eval loss ", path("whole"))), 2);
  expect_contains(said_, "holdout");
}

TEST_F(Program, BadInputExitsWith3AndWritesNothing) {
  EXPECT_EQ(run(train("run", "--set data.categories=[4]")), 3);
  expect_contains(said_, "data.npz");
  EXPECT_EQ(run(train("run", "--set data.path=nowhere.npz")), 3);
  EXPECT_FALSE(fs::exists(path("run")));
  EXPECT_EQ(run(str("sample ", path("run"), " --num 1 --out ", path("s.npz"))), 3);
}

TEST_F(Program, HelpNeedsNothingButTheLauncher) {
  ASSERT_EQ(run("--help"), 0);
  const auto help = printed_;
  EXPECT_NE(help.find("train"), std::string::npos);
  // Alone, without the program proper and so without LibTorch.
  fs::copy_file(BITDIFF_PROGRAM, path("alone"));
  EXPECT_EQ(run_command(path("alone") + " --help"), 0);
  EXPECT_EQ(printed_, help);
  EXPECT_EQ(run_command(path("alone") + " inspect run"), 1);
  EXPECT_NE(said_.find("bitdiff-program: No such file"), std::string::npos) << said_;
}

TEST_F(Program, ARunFolderInUseExitsWith7) {
  fs::create_directories(path("run"));
  const int lock = ::open(path("run/.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  EXPECT_EQ(run(train("run")), 7);
  ::close(lock);
}

TEST_F(Program, NumbersThatAreNotFiniteExitWith5) {
  // Such a decay multiplies the weights by -99 at each step.
  EXPECT_EQ(run(train("run", "--set train.lr=10 --set train.weight_decay=10 --steps 400")), 5)
      << said_;
}

TEST_F(Program, ATerminatedRunSavesAndExitsWith130) {
  // After the first step, however long a start takes.
  const auto command =
      str(BITDIFF_PROGRAM, " ", train("run", "--steps 1000000 --set train.save_every=1000000"),
          " >/dev/null 2>&1 & until [ -s ", path("run/metrics.jsonl"),
          " ]; do sleep 0.1; done; kill -s TERM $!; wait $!");
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 130);
  EXPECT_EQ(run(str("inspect ", path("run"), " --json")), 0) << said_;
  EXPECT_GT(nlohmann::json::parse(said_).at("step"), 0);
}

TEST_F(Program, AFreshRunKeepsNoMetricsOfOneThatDiedBeforeItsFirstCheckpoint) {
  folder_.write("run/metrics.jsonl", "{\"step\":1}\n{\"step\":2}\n{\"st");
  ASSERT_EQ(run(train("run")), 0) << said_;
  const auto metrics = content(path("run/metrics.jsonl"));
  EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 4);
}

TEST_F(Program, ResumingWhatIsNoRunWritesNothing) {
  EXPECT_EQ(run(train("none", "--resume")), 3);
  EXPECT_FALSE(fs::exists(path("none")));
  ASSERT_EQ(run(train("run", "--steps 2")), 0) << said_;
  for (const std::string more : {"--resume", ""}) {
    EXPECT_EQ(run(train("run/checkpoints/step-00000002", more)), 2);
    expect_contains(said_, "expected a run folder, found a checkpoint");
    EXPECT_FALSE(fs::exists(path("run/checkpoints/step-00000002/checkpoints")));
  }
}

TEST_F(Program, ResumesOnlyWhatTheWeightsMean) {
  ASSERT_EQ(run(train("run", "--steps 2")), 0) << said_;
  const auto config = content(path("run/config.toml"));
  for (const std::string changed :
       {"codec.encoding=gray", "codec.scale=0.5", "schedule.kind=linear",
        "diffusion.prediction=eps", "diffusion.loss=logistic"}) {
    EXPECT_EQ(run(train("run", "--resume --set " + changed)), 2) << changed;
    expect_contains(said_, "was trained with " + changed.substr(0, changed.find('=')));
  }
  write_npz(folder_ / "more.npz",
            {{"images", at::arange(64 * 64).reshape({64, 8, 8}).remainder(6).to(at::kByte)}});
  EXPECT_EQ(run(train("run", str("--resume --set data.categories=[6] --set data.path=",
                                 path("more.npz")))),
            2);
  expect_contains(said_, "was trained on data of categories [5], found [6]");
  EXPECT_EQ(content(path("run/config.toml")), config);
  EXPECT_EQ(run(train("run",
                      "--resume --set train.lr=1e-5 --set unet.dropout=0.1 "
                      "--set diffusion.self_cond_rate=0.25")),
            0)
      << said_;
}

TEST_F(Program, WhatCannotBePrintedOrLookedAtIsNoSuccess) {
  if (fs::exists("/dev/full")) {
    const auto command = str(BITDIFF_PROGRAM, " plan ", path("tiny.toml"), " >/dev/full 2>&1");
    EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 4);
  }
  fs::create_symlink(path("loop"), path("loop"));
  EXPECT_EQ(run(str("sample ", path("loop/run"), " --num 1 --out ", path("s.npz"))), 3);
  EXPECT_EQ(run(str("inspect ", path("loop"))), 3);
  expect_contains(said_, "loop");
}

TEST_F(Program, ImagesThatCannotBeHalvedAreRefusedBeforeAFolderIsMade) {
  for (const auto& shape : {std::vector<int64_t>{64, 8, 6}, {64, 6, 8}}) {
    write_npz(folder_ / "odd.npz", {{"images", at::zeros(shape, at::kByte)}});
    EXPECT_EQ(run(train("run", str("--set unet.mult=[1,1,1] --set data.path=", path("odd.npz")))),
              2);
    expect_contains(said_, "cannot be halved 2 times");
    EXPECT_FALSE(fs::exists(path("run")));
  }
}

TEST_F(Program, TrainsFeaturesToTheSameBytesOrLeavesNothing) {
  write_npz(folder_ / "pictures.npz",
            {{"images", at::arange(20 * 64).reshape({20, 8, 8}).remainder(5).to(at::kByte)},
             {"palette", at::arange(15).reshape({5, 3}).to(at::kByte)}});
  folder_.write("features.toml", str("[data]\npath = \"", path("pictures.npz"),
                                     "\"\nkey = \"images\"\ncategories = [5]\nholdout = 4\n"
                                     "[features]\nsize = 8\nwidths = [16, 16]\n"
                                     "[train]\nsteps = 3\nbatch = 4\n"));
  const auto features = [&](const std::string& out, const std::string& more = "") {
    return str("features ", path("features.toml"), " --out ", path(out), " ", more);
  };
  ASSERT_EQ(run(features("a.safetensors")), 0) << said_;
  expect_contains(said_, "held-out accuracy");
  ASSERT_EQ(run(features("b.safetensors")), 0) << said_;
  EXPECT_EQ(content(path("a.safetensors")), content(path("b.safetensors")));
  ASSERT_EQ(run(features("b.safetensors", "--seed 1")), 0) << said_;
  EXPECT_NE(content(path("a.safetensors")), content(path("b.safetensors")));
  ASSERT_EQ(run(str("inspect ", path("a.safetensors"))), 0) << said_;
  expect_contains(said_, "held_out_accuracy");

  EXPECT_EQ(run(features("c.npz")), 2);
  EXPECT_EQ(run(features("nowhere/c.safetensors")), 2);
  EXPECT_EQ(run(features("c.safetensors", "--set data.holdout=0")), 2);
  EXPECT_EQ(run(features("c.safetensors", "--set features.widths=[16,16,16,16,16]")), 2);
  const auto log = path("features.log");
  const auto command =
      str(BITDIFF_PROGRAM, " ", features("c.safetensors", "--set train.steps=1000000"), " 2>", log,
          " & until grep -q training ", log, "; do sleep 0.1; done; ", "kill -s TERM $!; wait $!");
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 130);
  EXPECT_FALSE(fs::exists(path("c.safetensors")));
}

TEST_F(Program, PlanReckonsWithoutTrainingAndWhereItCanWithoutData) {
  const std::string configs = str(BITDIFF_SOURCE_DIR, "/configs/");
  ASSERT_EQ(run(str("plan ", configs, "cifar10-uint8.toml --gpus 1,2 --json")), 0) << said_;
  const auto reckoned = nlohmann::json::parse(printed_);
  EXPECT_EQ(reckoned.at("parameters"), 52017432);
  ASSERT_EQ(reckoned.at("by_gpus").size(), 2u);
  EXPECT_EQ(reckoned["by_gpus"][0].at("efficiency"), 1.0);
  EXPECT_LT(reckoned["by_gpus"][1].at("efficiency"), 1.0);
  EXPECT_EQ(run(str("plan ", path("tiny.toml"))), 0) << said_;
  expect_contains(said_, "efficiency");
  // The text of a caption has the tokenizer's K, and what it describes is looked at.
  const auto parameters = [&](const std::string& set) {
    EXPECT_EQ(run(str("plan ", configs, "coco-bits.toml --shape 1,64 --json",
                      " --set data.tokenizer=bytes ", set)),
              0)
        << said_;
    return nlohmann::json::parse(printed_).at("parameters").get<int64_t>();
  };
  EXPECT_EQ(parameters("--set data.categories=[5]"), parameters(""));
  EXPECT_GT(parameters("--set encoder.layers=2") - parameters("--set encoder.layers=1"), 7'000'000);
  EXPECT_EQ(
      run(str("plan ", configs, "flickr8k-bits.toml --shape 1,24", " --set data.tokenizer=bytes")),
      2);
  expect_contains(said_, "flickr8k_64.npy");
  EXPECT_EQ(run(str("plan ", configs, "imagenet64-uint8.toml")), 2);
  expect_contains(said_, "--classes");
}

TEST_F(Program, InspectDescribesRunsAndFiles) {
  ASSERT_EQ(run(train("run")), 0) << said_;
  ASSERT_EQ(run(str("inspect ", path("run"), " --json")), 0) << said_;
  const auto description = nlohmann::json::parse(said_);
  EXPECT_EQ(description.at("step"), 4);
  EXPECT_EQ(description.at("bit_channels"), 3);
  ASSERT_EQ(run(str("inspect ", path("data.npz"))), 0) << said_;
  expect_contains(said_, "images");
  EXPECT_EQ(run(str("inspect ", path("nothing"))), 3);
}

}  // namespace
}  // namespace bitdiff
