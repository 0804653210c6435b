#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "bitdiff/base/error.h"
#include "bitdiff/base/suggest.h"
#include "bitdiff/cli/commands.h"
#include "bitdiff/cli/image_source.h"
#include "bitdiff/cli/number_pair.h"
#include "bitdiff/cli/output_path.h"
#include "bitdiff/cli/progress.h"
#include "bitdiff/dist/group.h"
#include "bitdiff/io/atomic_file.h"
#include "bitdiff/metrics/features.h"
#include "bitdiff/metrics/image_figures.h"
#include "bitdiff/metrics/open_features.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Output = FeatureExtractor::Output;

struct Flags {
  std::string samples;
  std::string reference;
  std::string features;
  std::vector<std::string> metrics;
  std::string resize = "tf";
  std::string palette;
  std::string json;
  std::string cache;
  std::string work;
  std::string shard;
  uint64_t seed = 0;
};

template <class Enum>
Enum choose(const std::string& flag, const std::string& word, const Words<Enum>& words) {
  std::vector<std::string> known;
  for (const auto& [name, value] : words) {
    if (name == word) return value;
    known.push_back(name);
  }
  std::string all;
  for (const auto& name : known) all += (all.empty() ? "" : ", ") + name;
  throw UsageError(flag, " ", word, ": expected one of ", all, ".", did_you_mean(word, known));
}

std::vector<ImageMetric> metrics_of(const Flags& flags) {
  std::vector<ImageMetric> metrics;
  for (const auto& word : flags.metrics) {
    metrics.push_back(choose("--metrics", word, image_metric_words()));
  }
  return metrics;
}

fs::path cache_folder(const Flags& flags) {
  if (!flags.cache.empty()) return flags.cache;
  const char* base = std::getenv("XDG_CACHE_HOME");
  if (base && *base) return fs::path(base) / "bitdiff/statistics";
  const char* home = std::getenv("HOME");
  if (home && *home) return fs::path(home) / ".cache/bitdiff/statistics";
  throw UsageError("eval images: neither XDG_CACHE_HOME nor HOME is set; name a folder by --cache");
}

/// What this process is to compute.
Shard shard_of(const Flags& flags, const Group& group) {
  if (group.size() > 1) {
    if (!flags.shard.empty()) {
      throw UsageError("--shard ", flags.shard, ": expected one process, found ", group.size(),
                       ", which are a shard each without it");
    }
    if (flags.work.empty()) {
      throw UsageError("eval images with ", group.size(),
                       " processes: expected --work FOLDER, where they meet");
    }
    return {group.rank(), group.size()};
  }
  if (flags.shard.empty()) return {};
  const auto shard = read_pair(flags.shard, '/');
  if (!shard || shard->first < 1 || shard->first > shard->second) {
    throw UsageError("--shard ", flags.shard, ": expected I/N with 1 <= I <= N");
  }
  if (flags.work.empty()) {
    throw UsageError("--shard ", flags.shard, ": expected --work FOLDER, where shards meet");
  }
  return {shard->first - 1, shard->second};
}

/// Several processes meet after every chunk, so that none waits long for the others.
void compute(FeatureChunks& chunks, int64_t images, const Shard& shard, Group& group,
             const std::function<void(int64_t)>& show) {
  if (group.size() == 1) return chunks.compute(shard, show);
  const int64_t count = (images + FeatureChunks::kChunk - 1) / FeatureChunks::kChunk;
  const int64_t rounds = (count + shard.count - 1) / shard.count;
  for (int64_t round = 0; round < rounds; ++round) {
    chunks.compute({round * shard.count + shard.index, rounds * shard.count}, show);
    group.barrier();
  }
}

/// All features, or nothing while other shards have work to do and in all processes but the first.
std::optional<Output> features_of(const std::string& what, const ImageSet& images,
                                  const FeatureExtractor& extractor, const fs::path& folder,
                                  const Shard& shard, Group& group) {
  FeatureChunks chunks(images, extractor, folder);
  {
    const auto missing = chunks.missing(shard);
    std::optional<Progress> progress;
    if (missing > 0 && group.first()) progress.emplace(what, 0, missing, "images", 1);
    int64_t done = 0;
    compute(chunks, images.count, shard, group, [&](int64_t count) {
      done += count;
      if (progress) progress->show(done, extractor.name());
    });
  }
  if (!group.first()) return {};
  if (const auto missing = chunks.missing(); missing > 0) {
    if (group.size() > 1) {
      throw StorageError(folder.string(), ": ", missing, " images that other processes computed ",
                         "are not here; expected a folder that all machines share");
    }
    std::cerr << what << ": " << missing << " images are left to the other shards\n";
    return {};
  }
  return chunks.all();
}

std::string number(double value) {
  std::ostringstream text;
  text << std::setprecision(6) << value;
  return text.str();
}

/// FID, KID and Inception Score are what they are called in Inception's features; in those of
/// another network they get other names: that of the network for the first.
void name_figures(std::vector<Figure>& figures, const FeatureExtractor& extractor) {
  if (extractor.name().starts_with("inception")) return;
  for (auto& figure : figures) {
    if (figure.name == "fid") figure.name = extractor.name();
    if (figure.name == "kid") figure.name = "kernel";
    if (figure.name == "is") figure.name = "score";
  }
}

Json describe(const Flags& flags, const FeatureExtractor& extractor, const ImageSet& samples,
              const ImageSet& reference, const std::vector<Figure>& figures) {
  Json result{
      {"network", extractor.name()},
      {"network_details", extractor.description()},
      {"samples", {{"path", flags.samples}, {"count", samples.count}, {"sha256", samples.hash}}},
      {"reference",
       {{"path", flags.reference}, {"count", reference.count}, {"sha256", reference.hash}}},
      {"moments_dtype", "float64"},
      {"seed", flags.seed}};
  for (const auto& figure : figures) {
    Json entry{{"value", figure.value}, {"floor", figure.floor}};
    if (figure.deviation) entry["deviation"] = *figure.deviation;
    result["figures"][figure.name] = entry;
  }
  return result;
}

void print(const FeatureExtractor& extractor, const ImageSet& samples, const ImageSet& reference,
           const std::vector<Figure>& figures, uint64_t seed) {
  std::cout << "network    " << extractor.name() << ", " << extractor.description()
            << "; figures in float64\n"
            << "samples    " << samples.count << " images, sha256 " << samples.hash << "\n"
            << "reference  " << reference.count << " images, sha256 " << reference.hash << "\n"
            << "floor      the reference's halves, " << reference.count / 2 << " images each, seed "
            << seed << "; for is, all of it\n\n"
            << std::left << std::setw(11) << "metric" << std::setw(27) << "value"
            << "floor\n";
  for (const auto& figure : figures) {
    const auto value =
        number(figure.value) + (figure.deviation ? " +- " + number(*figure.deviation) : "");
    std::cout << std::setw(11) << figure.name << std::setw(27) << value << number(figure.floor)
              << "\n";
  }
}

int eval_images(const Flags& flags) {
  const auto group = join_group(at::kCPU);
  const auto shard = shard_of(flags, *group);
  auto metrics = metrics_of(flags);
  const auto resize = choose("--resize", flags.resize, inception_resize_words());
  check_folder_of("--json", flags.json);
  const auto extractor = open_features(flags.features, {.resize = resize});
  const auto reference = open_image_set(flags.reference, flags.palette);
  const auto samples = open_image_set(flags.samples, flags.palette);
  const auto y =
      features_of("reference", reference, *extractor, cache_folder(flags), shard, *group);
  const auto x = features_of("samples", samples, *extractor, flags.work, shard, *group);
  if (!x || !y) return 0;

  if (metrics.empty()) metrics = metrics_from(*x);
  auto figures = image_figures(*x, *y, metrics, flags.seed);
  name_figures(figures, *extractor);
  print(*extractor, samples, reference, figures, flags.seed);
  if (!flags.json.empty()) {
    write_file_atomically(flags.json,
                          describe(flags, *extractor, samples, reference, figures).dump(2) + "\n");
  }
  return 0;
}

void add_storage_options(CLI::App& command, Flags& flags) {
  command
      .add_option("--cache", flags.cache,
                  "keeps features of references; default: bitdiff/statistics in the user's cache")
      ->type_name("FOLDER");
  command
      .add_option("--work", flags.work,
                  "keeps features of the samples, so that an interrupted evaluation goes on")
      ->type_name("FOLDER");
  command
      .add_option("--shard", flags.shard,
                  "compute part I of N; the call that finds all parts done prints the figures")
      ->type_name("I/N");
}

}  // namespace

Action add_eval_images(CLI::App& eval) {
  auto flags = std::make_shared<Flags>();
  auto* command = eval.add_subcommand("images", "Compare images with a reference.");
  command
      ->add_option("samples", flags->samples,
                   ".npz or .npy of images, folder of PNG and JPEG, or CIFAR-10 binaries")
      ->required()
      ->type_name("SAMPLES");
  command->add_option("reference", flags->reference, "real images, in one of the same forms")
      ->required()
      ->type_name("REFERENCE");
  command
      ->add_option("--features", flags->features,
                   "network whose features are compared; see `bitdiff convert inception`")
      ->required()
      ->type_name("FILE.safetensors");
  command->add_option("--metrics", flags->metrics, "of fid, kid, is, prc, sfid; default: all")
      ->delimiter(',')
      ->type_name("NAME,...");
  command
      ->add_option("--resize", flags->resize,
                   "to 299 x 299 like TensorFlow 1 (tf) or pytorch-fid (torch)")
      ->capture_default_str()
      ->type_name("NAME");
  command->add_option("--palette", flags->palette, "colours of images that are categories")
      ->type_name("FILE.npz");
  command->add_option("--seed", flags->seed, "draws halves, subsets and splits")
      ->type_name("S")
      ->capture_default_str();
  command->add_option("--json", flags->json, "also write the figures here")->type_name("OUT");
  add_storage_options(*command, *flags);
  return [flags] { return eval_images(*flags); };
}

}  // namespace bitdiff
