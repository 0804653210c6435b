#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

struct Layer {
  std::string folder;
  std::set<std::string> may_include;
};

// The layers of the library, lowest first. This table is the one source of truth: a folder may
// include itself and what stands beside it here, and that stands above it. Changing the table is a
// design decision and a commit of its own.
//
//   cuda       what is built for NVIDIA GPUs alone: libraries of their own, and the doors to them
//   base       errors, options, random streams: what every folder may use
//   dist       several processes at one job
//   kernels    operations with a fast twin
//   io         bytes on disk: tensors, images
//   bits       discrete data <-> analog bits
//   data       where examples come from
//   diffusion  the paper; no files, no devices, and networks only as the interface Denoiser
//   ar         the autoregressive baseline of the paper; networks only as the interface NextToken
//   nn         layers, and the networks that are Denoisers or NextTokens; seen only by metrics and
//              model
//   metrics    how good samples are; knows neither diffusion nor networks that generate
//   report     pictures for people
//   model      a process and its network as one thing on disk
//   train      making a model better
//   cli        the program: assembles, reports, owns nothing
const std::vector<Layer> kLayers = {
    {"cuda", {}},
    {"base", {"cuda"}},
    {"dist", {"base"}},
    {"kernels", {"base", "cuda"}},
    {"io", {"base"}},
    {"bits", {"base", "kernels"}},
    {"data", {"base", "io"}},
    {"diffusion", {"base", "bits", "kernels"}},
    {"ar", {"base", "diffusion"}},
    {"nn", {"base", "ar", "cuda", "diffusion", "kernels"}},
    {"metrics", {"base", "io", "nn"}},
    {"report", {"base", "data", "io"}},
    {"model", {"base", "ar", "bits", "cuda", "data", "diffusion", "dist", "io", "nn"}},
    {"train",
     {"base", "ar", "bits", "data", "diffusion", "dist", "io", "metrics", "report", "model"}},
    {"cli",
     {"base", "ar", "io", "bits", "data", "diffusion", "dist", "metrics", "report", "model",
      "train"}},
};

// Headers that pull in most of LibTorch's front end: seconds of compile time for each file.
const std::vector<std::string> kHeavyHeaders = {"torch/", "ATen/Functions.h", "ATen/autograd.h"};

// Not among them, though they are called so: the one way to give loops of our own a gradient, that
// to ask for one without adding it up, and talk between processes.
const std::vector<std::string> kLightHeaders = {"torch/csrc/autograd/custom_function.h",
                                                "torch/csrc/autograd/autograd.h",
                                                "torch/csrc/distributed/c10d/"};

bool starts_with_one_of(const std::string& name, const std::vector<std::string>& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](const auto& beginning) { return name.starts_with(beginning); });
}

constexpr size_t kMostLines = 400;

const fs::path kRoot = BITDIFF_SOURCE_DIR;

struct File {
  std::string name;  // From the root of the sources.
  std::vector<std::string> lines;
};

bool is_text(const fs::path& path) {
  static const std::set<std::string> extensions = {".h",  ".cpp", ".cu",  ".cuh",
                                                   ".py", ".sh",  ".txt", ".cmake"};
  return extensions.count(path.extension().string()) > 0;
}

std::vector<File> files_under(const std::vector<std::string>& folders) {
  std::vector<File> files;
  for (const auto& folder : folders) {
    if (!fs::exists(kRoot / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      if (!entry.is_regular_file() || !is_text(entry.path())) continue;
      File file{fs::relative(entry.path(), kRoot).generic_string(), {}};
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) file.lines.push_back(line);
      files.push_back(std::move(file));
    }
  }
  return files;
}

std::vector<File> our_files() {
  return files_under({"bitdiff", "tests", "scripts", "bench", "cmake", "python"});
}

// What a file includes, without quotes or brackets.
std::vector<std::string> includes_of(const File& file) {
  static const std::regex pattern(R"(^\s*#\s*include\s*[<"]([^>"]+)[>"].*)");
  std::vector<std::string> includes;
  for (const auto& line : file.lines) {
    std::smatch match;
    if (std::regex_match(line, match, pattern)) includes.push_back(match[1]);
  }
  return includes;
}

// "bitdiff/bits/codec.h" -> "bits"; "" for what is not of the library.
std::string layer_of(const std::string& name) {
  static const std::regex pattern("bitdiff/([^/]+)/.*");
  std::smatch match;
  return std::regex_match(name, match, pattern) ? match[1].str() : "";
}

TEST(Layers, NameOnlyLayersAboveThem) {
  std::set<std::string> above;
  for (const auto& layer : kLayers) {
    for (const auto& other : layer.may_include) {
      EXPECT_TRUE(above.count(other)) << layer.folder << " names " << other << ", which is later";
    }
    above.insert(layer.folder);
  }
}

TEST(Layers, AreTheFoldersOfTheLibrary) {
  std::set<std::string> listed, found;
  for (const auto& layer : kLayers) listed.insert(layer.folder);
  for (const auto& entry : fs::directory_iterator(kRoot / "bitdiff")) {
    if (entry.is_directory()) found.insert(entry.path().filename().string());
  }
  EXPECT_EQ(listed, found);
}

TEST(Layers, IncludeOnlyWhatTheTableAllows) {
  std::map<std::string, std::set<std::string>> allowed;
  for (const auto& layer : kLayers) {
    allowed[layer.folder] = layer.may_include;
    allowed[layer.folder].insert(layer.folder);
  }
  int edges = 0;
  for (const auto& file : files_under({"bitdiff"})) {
    for (const auto& include : includes_of(file)) {
      const auto other = layer_of(include);
      if (other.empty()) continue;
      ++edges;
      EXPECT_TRUE(allowed[layer_of(file.name)].count(other))
          << file.name << " includes " << include;
    }
  }
  EXPECT_GT(edges, 20) << "the includes of the library were not found";
}

TEST(Files, AreShort) {
  for (const auto& file : our_files()) {
    EXPECT_LE(file.lines.size(), kMostLines) << file.name;
  }
}

TEST(Files, LeaveHeavyHeadersOut) {
  for (const auto& file : our_files()) {
    const bool header = file.name.ends_with(".h");
    for (const auto& include : includes_of(file)) {
      EXPECT_FALSE(starts_with_one_of(include, kHeavyHeaders) &&
                   !starts_with_one_of(include, kLightHeaders))
          << file.name << " includes " << include;
      EXPECT_FALSE(header && include == "ATen/ATen.h")
          << file.name << " includes ATen/ATen.h; a header takes bitdiff/base/tensor.h";
    }
  }
}

TEST(Files, IncludeOursByTheirPathFromTheRoot) {
  for (const auto& file : our_files()) {
    for (const auto& include : includes_of(file)) {
      EXPECT_FALSE(include.starts_with("../") || include.starts_with("./"))
          << file.name << " includes " << include;
    }
  }
}

TEST(Files, LeaveNoWorkBehind) {
  // Put together here, or this file would be found.
  const std::vector<std::string> marks = {std::string("TO") + "DO", std::string("FIX") + "ME"};
  for (const auto& file : our_files()) {
    for (size_t i = 0; i < file.lines.size(); ++i) {
      for (const auto& mark : marks) {
        EXPECT_EQ(file.lines[i].find(mark), std::string::npos) << file.name << ":" << i + 1;
      }
    }
  }
}

TEST(Files, HeadersAreIncludedOnce) {
  for (const auto& file : our_files()) {
    if (!file.name.ends_with(".h")) continue;
    EXPECT_TRUE(std::count(file.lines.begin(), file.lines.end(), "#pragma once") == 1) << file.name;
  }
}

}  // namespace
}  // namespace bitdiff
