#include "bitdiff/base/config.h"

#include <gtest/gtest.h>

#include "bitdiff/base/error.h"
#include "bitdiff/base/suggest.h"

namespace bitdiff {
namespace {

enum class Colour { kRed, kGreen };

struct Options {
  int64_t steps = 10;
  double lr = 2e-4;
  std::vector<int64_t> mult = {1, 2};
  bool flip = false;
  std::string path = "a \"quoted\" name\n";
  Colour colour = Colour::kRed;

  template <class Visitor>
  void visit(Visitor& v) {
    v.number("steps", steps, between(1, 100), "how many");
    v.number("lr", lr, at_least(0), "how fast");
    v.numbers("mult", mult, at_least(1), "widths");
    v.flag("flip", flip, "mirror");
    v.text("path", path, "where");
    v.choice("colour", colour, Words<Colour>{{"red", Colour::kRed}, {"green", Colour::kGreen}},
             "which");
  }
};

Options read(const std::string& text, const std::string& assignment = "") {
  Options options;
  auto config = Config::parse(text, "x.toml");
  if (!assignment.empty()) config.set(assignment);
  config.read("train", options);
  config.refuse_unknown();
  return options;
}

std::string refusal(const std::string& text, const std::string& assignment = "") {
  try {
    read(text, assignment);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "accepted";
}

TEST(Config, FillsWhatTheFileNamesAndLeavesTheRest) {
  const auto options = read("[train]\nsteps = 7\nmult = [3]\ncolour = \"green\"\nlr = 1\n");
  EXPECT_EQ(options.steps, 7);
  EXPECT_EQ(options.lr, 1);
  EXPECT_EQ(options.mult, std::vector<int64_t>{3});
  EXPECT_EQ(options.colour, Colour::kGreen);
  EXPECT_FALSE(options.flip);
}

TEST(Config, SetOverridesTheFileAndTakesBareWords) {
  EXPECT_EQ(read("[train]\nsteps = 7\n", "train.steps=9").steps, 9);
  EXPECT_EQ(read("", "train.path=here").path, "here");
  EXPECT_EQ(read("", "train.colour=green").colour, Colour::kGreen);
  EXPECT_EQ(read("", "train.mult=[4, 5]").mult, (std::vector<int64_t>{4, 5}));
}

TEST(Config, WrittenOptionsReadBackEqual) {
  Options options;
  options.lr = 1.0 / 3;
  options.colour = Colour::kGreen;
  ConfigWriter writer;
  writer.write("train", options);
  const auto back = read(writer.text());
  EXPECT_EQ(back.lr, options.lr);
  EXPECT_EQ(back.path, options.path);
  EXPECT_EQ(back.mult, options.mult);
  EXPECT_EQ(back.colour, options.colour);
}

TEST(Config, ErrorsNamePlaceValueAndWhatIsAllowed) {
  EXPECT_EQ(refusal("[train]\n\nsteps = 101\n"),
            "x.toml:3: train.steps = 101: expected an integer in [1, 100]");
  EXPECT_EQ(refusal("[train]\nsteps = 1.5\n"),
            "x.toml:2: train.steps = 1.5: expected an integer in [1, 100]");
  EXPECT_EQ(refusal("[train]\nlr = -1\n"), "x.toml:2: train.lr = -1: expected a number at least 0");
  EXPECT_EQ(refusal("[train]\nlr = nan\n"),
            "x.toml:2: train.lr = nan: expected a number at least 0");
  EXPECT_EQ(refusal("[train]\nmult = [0]\n"),
            "x.toml:2: train.mult = [ 0 ]: expected a list of integers at least 1");
  EXPECT_EQ(refusal("[train]\ncolour = 'gren'\n"),
            "x.toml:2: train.colour = 'gren': expected one of red, green. Did you mean \"green\"?");
  EXPECT_EQ(refusal("", "train.steps=x"),
            "--set train.steps = 'x': expected an integer in [1, 100]");
}

TEST(Config, UnknownKeysAndSectionsAreRefusedWithASuggestion) {
  EXPECT_EQ(refusal("[train]\nstep = 1\n"),
            "x.toml:2: train.step: unknown key; [train] has colour, flip, lr, mult, path, steps. "
            "Did you mean \"steps\"?");
  EXPECT_EQ(refusal("[trian]\nsteps = 1\n"),
            "x.toml:2: trian.steps: unknown section [trian]; the sections here are train. "
            "Did you mean \"train\"?");
  EXPECT_EQ(refusal("", "train.stps=1").find("--set train.stps: unknown key"), 0u);
}

TEST(Config, WhatIsNoConfigIsRefused) {
  EXPECT_EQ(refusal("[train\n").find("x.toml:1: not valid TOML: "), 0u);
  EXPECT_EQ(refusal("steps = 1\n").find("x.toml:1: steps stands outside of any section"), 0u);
  EXPECT_EQ(refusal("", "steps=1"), "--set steps=1: expected section.key=value");
  EXPECT_THROW(Config::load("/nowhere/x.toml"), UsageError);
}

TEST(Suggest, FindsTyposAndLeavesStrangersAlone) {
  EXPECT_EQ(nearest("stpes", {"lr", "steps", "seed"}), "steps");
  EXPECT_EQ(nearest("step", {"lr", "steps", "seed"}), "steps");
  EXPECT_EQ(nearest("warm_up", {"warmup", "width"}), "warmup");
  EXPECT_EQ(nearest("colour", {"lr", "steps"}), "");
}

}  // namespace
}  // namespace bitdiff
