// `bitdiff eval images` and `bitdiff convert` from outside, with Inception of random weights.

#include <cmath>
#include <nlohmann/json.hpp>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/io/image.h"
#include "bitdiff/io/npz.h"
#include "bitdiff/io/safetensors.h"
#include "tests/cli/program.h"
#include "tests/support/random_inception.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// uint8 [count, 3, 8, 8], no two alike.
Tensor pictures(int64_t count) {
  return at::arange(count * 192)
      .mul(1103515245)
      .div(65536, "trunc")
      .remainder(256)
      .to(at::kByte)
      .view({count, 3, 8, 8});
}

class Eval : public ProgramTest {
 protected:
  void write_network() {
    TensorFile file{{}, {{"bitdiff.features", "inception"}}};
    make_inception(random_weights(file.tensors), InceptionResize::kTf, "");
    write_safetensors(folder_ / "net.safetensors", file);
  }

  int eval(const std::string& samples, const std::string& reference, const std::string& more) {
    return run(str("eval images ", path(samples), " ", path(reference), " --features ",
                   path("net.safetensors"), " --cache ", path("cache"), " ", more));
  }

  Json answer() const { return Json::parse(content(path("out.json"))); }
  std::string json() const { return "--json " + path("out.json"); }
};

TEST_F(Eval, ComparesImagesHoweverTheyAreStored) {
  write_network();
  const auto images = pictures(8);
  write_npz(folder_ / "first.npz", {{"arr_0", images}});
  write_npz(folder_ / "last.npz", {{"x", images.permute({0, 2, 3, 1}).contiguous()}});
  fs::create_directories(folder_ / "folder");
  for (int64_t i = 0; i < 8; ++i) {
    write_png(folder_ / "folder" / str(char('a' + i), ".png"), images[i]);
  }

  ASSERT_EQ(eval("first.npz", "folder", json()), 0) << said_;
  for (const auto* word : {"inception-2015-12-05, weights sha256 ", "resize tf, float32",
                           "8 images", "floor", "fid", "kid", "is", "recall", "sfid"}) {
    expect_contains(said_, word);
  }
  const auto folder = answer();
  const auto& figures = folder.at("figures");
  for (const auto* name : {"fid", "sfid"}) {
    const double value = figures.at(name).at("value"), floor = figures.at(name).at("floor");
    EXPECT_GT(floor, 0) << name;
    EXPECT_LT(std::abs(value), 1e-4 * floor) << name;
  }
  EXPECT_EQ(figures.at("precision").at("value"), 1);
  EXPECT_EQ(figures.at("is").at("value"), figures.at("is").at("floor"));

  ASSERT_EQ(eval("first.npz", "last.npz", "--metrics kid --resize torch " + json()), 0) << said_;
  EXPECT_EQ(answer().at("samples").at("sha256"), answer().at("reference").at("sha256"));
  EXPECT_EQ(answer().at("figures").size(), 1U);
  expect_contains(said_, "resize torch");
}

TEST_F(Eval, SharesTheWorkAndKeepsIt) {
  write_network();
  write_npz(folder_ / "s.npz", {{"arr_0", pictures(8)}});
  write_npz(folder_ / "r.npz", {{"arr_0", pictures(16).slice(0, 8)}});
  const auto part = [&](const std::string& which) {
    return "--metrics kid --work " + path("work") + " " + json() + which;
  };
  ASSERT_EQ(eval("s.npz", "r.npz", part(" --shard 2/2")), 0) << said_;
  expect_contains(said_, "samples: 8 images are left to the other shards");
  EXPECT_FALSE(fs::exists(path("out.json")));
  ASSERT_EQ(eval("s.npz", "r.npz", part(" --shard 1/2")), 0) << said_;
  const auto shared = answer();
  ASSERT_EQ(eval("s.npz", "r.npz", part("")), 0) << said_;
  EXPECT_EQ(said_.find("images/s"), std::string::npos) << "nothing was left to compute: " << said_;
  EXPECT_EQ(answer(), shared);

  EXPECT_EQ(eval("s.npz", "r.npz", part(" --shard 3/2")), 2);
  EXPECT_EQ(eval("s.npz", "r.npz", "--shard 1/2"), 2);
  expect_contains(said_, "--work");
  EXPECT_EQ(eval("s.npz", "r.npz", "--metrics kid,fed"), 2);
  expect_contains(said_, "Did you mean \"fid\"?");
  EXPECT_EQ(eval("s.npz", "r.npz", "--metric kid"), 2);
  expect_contains(said_, "Did you mean \"--metrics\"? See bitdiff eval images --help.");
}

TEST_F(Eval, GivesCategoriesTheirColours) {
  write_network();
  const auto palette = at::arange(15).mul(17).to(at::kByte).view({5, 3});
  const auto categories = at::arange(8 * 16).remainder(5).to(at::kByte).view({8, 1, 4, 4});
  const auto colours =
      palette.index_select(0, categories.flatten().to(at::kLong)).view({8, 4, 4, 3});
  write_npz(folder_ / "index.npz", {{"arr_0", categories}});
  write_npz(folder_ / "data.npz", {{"images", categories.squeeze(1)}, {"palette", palette}});
  write_npz(folder_ / "rgb.npz", {{"arr_0", colours}});

  EXPECT_EQ(eval("index.npz", "rgb.npz", ""), 3);
  expect_contains(said_, "--palette");
  ASSERT_EQ(eval("data.npz", "rgb.npz", "--metrics is " + json()), 0) << said_;
  EXPECT_EQ(answer().at("samples").at("sha256"), answer().at("reference").at("sha256"));
  ASSERT_EQ(
      eval("index.npz", "rgb.npz", "--metrics is --palette " + path("data.npz") + " " + json()), 0)
      << said_;
  EXPECT_EQ(answer().at("samples").at("sha256"), answer().at("reference").at("sha256"));

  write_npz(folder_ / "more.npz", {{"arr_0", categories.add(1)}, {"palette", palette}});
  EXPECT_EQ(eval("more.npz", "rgb.npz", ""), 3);
  expect_contains(said_, "expected categories in 0..4, the colours of the palette, found 5");
}

TEST_F(Eval, ConvertRefusesWhatIsNotInception) {
  const auto convert = [&](const std::string& name) {
    const auto file = fs::path(BITDIFF_SOURCE_DIR) / "tests/io/checkpoints" / name;
    return run(str("convert inception ", file.string(), " ", path("out.safetensors")));
  };
  EXPECT_EQ(convert("hostile-old.pth"), 3);
  expect_contains(said_, "refuses the global \"posix system\"");
  EXPECT_EQ(convert("zip.pth"), 3);
  expect_contains(said_, "expected a weight \"Conv2d_1a_3x3.");
  EXPECT_FALSE(fs::exists(path("out.safetensors")));
  EXPECT_EQ(run("convert"), 2);
  expect_contains(said_, "See bitdiff convert --help.");
}

}  // namespace
}  // namespace bitdiff
