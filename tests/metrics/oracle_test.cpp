// The Frechet distance against SciPy, where BITDIFF_PYTHON names a Python that has it, and
// Inception and all figures against torch-fidelity and pytorch-fid, where BITDIFF_TORCH_PYTHON
// does.

#include <cstdlib>
#include <map>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/io/npz.h"
#include "bitdiff/metrics/image_figures.h"
#include "bitdiff/metrics/inception_score.h"
#include "bitdiff/metrics/moments.h"
#include "bitdiff/metrics/open_features.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

using Arrays = std::map<std::string, Tensor>;

class MetricsOracle : public testing::Test {
 protected:
  /// Whether the environment variable names a Python; else the test is skipped.
  bool has(const char* variable) {
    const char* python = std::getenv(variable);
    if (python && std::filesystem::exists(python)) {
      python_ = python;
      return true;
    }
    return false;
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  void run(const std::string& arguments) const {
    const auto script = std::string(BITDIFF_SOURCE_DIR) + "/tests/metrics/oracle.py";
    const auto command = "'" + python_ + "' '" + script + "' " + arguments;
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }

  Arrays arrays(const std::string& name) const {
    const auto read = read_arrays(folder_ / name);
    return {read.begin(), read.end()};
  }

  const TemporaryFolder folder_;
  std::string python_;
};

TEST_F(MetricsOracle, AgreesOnTheFrechetDistance) {
  if (!has("BITDIFF_PYTHON")) GTEST_SKIP() << "BITDIFF_PYTHON names no Python with SciPy";
  run("frechet '" + path("frechet.npz") + "'");
  auto answer = arrays("frechet.npz");
  for (int64_t i = 0; i < 20; ++i) {
    const auto get = [&](const std::string& what, int j) {
      return answer.at(str(what, i, "_", j));
    };
    const auto theirs = answer.at("distances")[i].item<double>();
    const auto ours = frechet_distance(get("mean", 0), get("covariance", 0), get("mean", 1),
                                       get("covariance", 1));
    EXPECT_NEAR(ours, theirs, 1e-6 * theirs) << i;
  }
}

void expect_close(const Tensor& ours, const Tensor& theirs, const std::string& what) {
  ASSERT_EQ(ours.sizes(), theirs.sizes()) << what;
  const auto error = (ours.to(at::kDouble) - theirs).norm() / theirs.norm();
  EXPECT_LT(error.item<double>(), 1e-4) << what;
}

// Smooth pictures with some noise: uint8 [count, 3, height, width].
Tensor pictures(int64_t count, int64_t height, int64_t width, double tilt) {
  const auto y = at::arange(height, at::kFloat).view({height, 1}).div(height);
  const auto x = at::arange(width, at::kFloat).div(width);
  const auto phase = at::arange(count * 3, at::kFloat).mul(1.7).sin().mul(3).view({count, 3, 1, 1});
  const auto noise =
      at::arange(count * 3 * height * width, at::kFloat).mul(12.9898).sin().mul(43758.5).frac();
  const auto wave = (phase + y.mul(7 * tilt) + x.mul(5)).sin().mul(90).add(128);
  return (wave + noise.view({count, 3, height, width}).mul(30)).clamp(0, 255).to(at::kByte);
}

TEST_F(MetricsOracle, AgreesOnInceptionAndItsFigures) {
  if (!has("BITDIFF_TORCH_PYTHON")) {
    GTEST_SKIP() << "BITDIFF_TORCH_PYTHON names no Python with torch-fidelity and pytorch-fid";
  }
  const Arrays images = {{"a", pictures(24, 32, 32, 1)},
                         {"b", pictures(24, 32, 32, 1.2)},
                         {"large", pictures(2, 350, 200, 1)}};
  write_npz(folder_ / "images.npz", {images.begin(), images.end()});
  run("weights '" + path("w.pth") + "'");
  run("features '" + path("w.pth") + "' '" + path("images.npz") + "' '" + path("out.npz") + "'");
  const auto theirs = arrays("out.npz");

  write_safetensors(folder_ / "w.safetensors", inception_file(folder_ / "w.pth"));
  const auto tf = open_features(folder_ / "w.safetensors", {});
  const auto torch = open_features(folder_ / "w.safetensors", {InceptionResize::kTorch});
  std::map<std::string, FeatureExtractor::Output> ours;
  for (const auto& [name, batch] : images) {
    ours[name] = (*tf)(batch);
    expect_close(ours[name].features, theirs.at("features_" + name), "features of " + name);
    expect_close(ours[name].logits, theirs.at("logits_" + name), "logits of " + name);
    expect_close(ours[name].spatial, theirs.at("spatial_" + name), "spatial features of " + name);
    expect_close((*torch)(batch).features, theirs.at("torch_" + name), "pytorch-fid, " + name);
  }

  using enum ImageMetric;
  const auto figures = image_figures(ours["a"], ours["b"], {kFid, kKid, kPrc}, 0);
  const auto expected = theirs.at("figures");
  const auto expect_figure = [&](double value, int64_t place, const std::string& what) {
    const auto other = expected[place].item<double>();
    EXPECT_NEAR(value, other, 1e-3 * std::abs(other)) << what;
  };
  expect_figure(figures[0].value, 0, "fid");
  expect_figure(figures[1].value, 1, "kid");
  expect_figure(inception_score(ours["a"].logits, {.splits = 1}).mean, 2, "is");
  expect_figure(figures[2].value, 3, "precision");
  expect_figure(figures[3].value, 4, "recall");
}

}  // namespace
}  // namespace bitdiff
