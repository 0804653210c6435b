#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "bitdiff/base/config.h"
#include "bitdiff/base/error.h"
#include "bitdiff/cli/commands.h"
#include "bitdiff/cli/output_path.h"
#include "bitdiff/cli/progress.h"
#include "bitdiff/cli/stop_signal.h"
#include "bitdiff/data/open.h"
#include "bitdiff/data/split.h"
#include "bitdiff/io/sha256.h"
#include "bitdiff/metrics/small_features.h"
#include "bitdiff/train/feature_trainer.h"

namespace bitdiff {
namespace {

constexpr int kInterrupted = 130;

struct Flags {
  std::string config;
  std::string out;
  std::vector<std::string> set;
  std::optional<int64_t> seed;
};

struct Options {
  DataOptions data;
  SmallNetOptions net;
  FeatureTrainOptions train;
};

Options options_of(const Flags& flags) {
  auto config = Config::load(flags.config);
  for (const auto& assignment : flags.set) config.set(assignment);
  if (flags.seed) config.set("train.seed=" + std::to_string(*flags.seed));
  Options options;
  config.read("data", options.data);
  config.read("features", options.net);
  config.read("train", options.train);
  config.refuse_unknown();
  if (options.data.holdout == 0) {
    throw UsageError(flags.config, ": data.holdout: expected at least 1 example to test on");
  }
  return options;
}

void check_out(const std::filesystem::path& out) {
  if (out.extension() != ".safetensors") {
    throw UsageError("--out ", out.string(), ": expected a name that ends in .safetensors");
  }
  check_folder_of("--out", out);
}

/// The hash of all examples and labels, in their order.
std::string hash_of(const Dataset& data) {
  constexpr int64_t kRows = 1024;
  Sha256 sha;
  const auto add = [&](const Tensor& values) {
    const auto plain = values.contiguous();
    sha.add(plain.const_data_ptr(), plain.nbytes());
  };
  for (int64_t begin = 0; begin < data.size(); begin += kRows) {
    std::vector<int64_t> rows(std::min(kRows, data.size() - begin));
    std::iota(rows.begin(), rows.end(), begin);
    const auto batch = data.get(rows);
    add(batch.x);
    if (batch.label.defined()) add(batch.label);
  }
  return sha.hex();
}

int features(const Flags& flags) {
  StopSignal stop;
  auto options = options_of(flags);
  check_out(flags.out);
  const auto data = open_dataset(options.data);
  const auto split = split_holdout(data, options.train.seed, options.data.holdout);
  FeatureTrainer trainer(options.train, options.net, split.train, options.data.passes());
  const bool labelled = split.train->info().classes > 0;
  std::cerr << "training " << trainer.net().parameters().count() << " parameters on "
            << split.train->size() << " examples to know " << trainer.net().classes()
            << (labelled ? " classes\n" : " images again\n");
  {
    Progress progress("features", 0, options.train.steps, "images",
                      static_cast<double>(options.train.batch));
    while (trainer.step() < options.train.steps) {
      const double loss = trainer.update();
      progress.show(trainer.step(), str("loss ", loss));
      if (stop.raised()) {
        std::cerr << "\nstopped at step " << trainer.step() << "; nothing was written\n";
        return kInterrupted;
      }
    }
  }
  round_to_file(trainer.net());
  const double accuracy = trainer.accuracy(*split.held_out);
  options.data.path.clear();  // Their hash says which data they are, wherever they lie.
  ConfigWriter training;
  training.write("data", options.data);
  training.write("train", options.train);
  save_small_net(flags.out, trainer.net(), labelled,
                 {{"training", training.text()},
                  {"data_sha256", hash_of(*data)},
                  {"held_out_accuracy", shortest(accuracy)},
                  {"held_out_task", labelled ? "class" : "image found again"}});
  std::cout << "held-out accuracy " << accuracy << " on " << split.held_out->size() << " examples ("
            << (labelled ? "class" : "image found again") << "); wrote " << flags.out << "\n";
  return 0;
}

}  // namespace

Action add_features(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  auto* command = program.add_subcommand(
      "features", "Train a small network in whose features sets of images are compared.");
  command->add_option("config", flags->config, "config file, e.g. configs/cifar10-features.toml")
      ->required()
      ->type_name("CONFIG.toml");
  command->add_option("--out", flags->out, "where to write the network")
      ->required()
      ->type_name("FILE.safetensors");
  command->add_option("--set", flags->set, "change one option of the config; may be repeated")
      ->type_name("SECTION.KEY=VALUE")
      ->allow_extra_args(false);
  command->add_option("--seed", flags->seed, "seed of everything random (train.seed)")
      ->type_name("S");
  return [flags] { return features(*flags); };
}

}  // namespace bitdiff
