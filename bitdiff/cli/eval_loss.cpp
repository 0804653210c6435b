#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <ATen/ops/full.h>
#include <c10/core/GradMode.h>

#include "bitdiff/base/config.h"
#include "bitdiff/base/device.h"
#include "bitdiff/base/error.h"
#include "bitdiff/cli/commands.h"
#include "bitdiff/cli/output_path.h"
#include "bitdiff/cli/progress.h"
#include "bitdiff/data/open.h"
#include "bitdiff/data/split.h"
#include "bitdiff/io/atomic_file.h"
#include "bitdiff/model/checkpoint.h"
#include "bitdiff/model/frequencies.h"
#include "bitdiff/model/loss.h"
#include "bitdiff/model/same.h"
#include "bitdiff/train/trainer.h"

namespace bitdiff {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kBatch = 64;
constexpr int64_t kFrequencyExamples = 5000;

struct Flags {
  std::string model;
  int64_t num = 256;
  int64_t times = 20;
  std::string path, captions;
  std::string device = "cpu";
  std::string json;
};

/// The loss at one time.
struct Losses {
  double t = 0;
  double gamma = 0;
  double first = 0;   ///< Without an estimate to begin with.
  double second = 0;  ///< With the first one fed back (self-conditioning).
  double alone = 0;   ///< Of the best answer from a value's own bits and how often it occurs.
};

/// Only answers about x0 can be compared with one that Bayes' rule gives.
bool has_alone(const Process& process) {
  return process.prediction == Prediction::kX0 && process.loss != Loss::kLogistic;
}

Process with_posterior(Process process) {
  process.head = Head::kPosterior;
  return process;
}

class Meter {
 public:
  Meter(const Model& model, const Split& split, const Flags& flags, int64_t seed)
      : model_(model),
        held_out_(split.held_out),
        seed_(static_cast<uint64_t>(seed)),
        num_(std::min(flags.num, held_out_->size())),
        posterior_(with_posterior(model.process)) {
    if (has_alone(model.process)) {
      alone_ = make_frequency_denoiser(
          log_frequencies(*split.train, model.process.codec.categories(), kFrequencyExamples));
    }
  }

  int64_t num() const { return num_; }
  bool compares() const { return alone_ != nullptr; }

  /// At the middles of `times` equal parts of time. `done`: called after each batch.
  std::vector<Losses> measure(int64_t times, const std::function<void(int64_t)>& done) const {
    const c10::NoGradGuard no_grad;
    std::vector<Losses> all;
    for (int64_t i = 0; i < times; ++i) {
      const double t = (static_cast<double>(i) + 0.5) / static_cast<double>(times);
      all.push_back({.t = t, .gamma = model_.process.gamma(t)});
    }
    for (int64_t begin = 0; begin < num_; begin += kBatch) {
      const int64_t end = std::min(begin + kBatch, num_);
      add_batch(begin, end, all);
      done(end);
    }
    return all;
  }

 private:
  /// Adds the share of the examples [begin, end) to each mean.
  void add_batch(int64_t begin, int64_t end, std::vector<Losses>& means) const {
    std::vector<int64_t> rows;
    for (int64_t i = begin; i < end; ++i) rows.push_back(i * held_out_->size() / num_);
    const auto batch = held_out_->get(rows);
    const auto count = end - begin;
    const auto streams = Streams(seed_, rows, model_.parameters.device()).fork(Purpose::kEval);
    const auto cond = batch_condition(model_, batch, streams, /*dropout=*/false);
    for (auto& mean : means) {
      const auto gamma = at::full({count}, mean.gamma, at::kDouble);
      const auto loss = [&](const Process& process, const Denoiser& net, int64_t self_cond_rows) {
        return static_cast<double>(count) / static_cast<double>(num_) *
               model_loss_at(model_, process, net, batch, cond, gamma, streams, self_cond_rows)
                   .item<double>();
      };
      mean.first += loss(model_.process, *model_.net, 0);
      mean.second += loss(model_.process, *model_.net, count);
      if (alone_) mean.alone += loss(posterior_, *alone_, 0);
    }
  }

  const Model& model_;
  std::shared_ptr<const Dataset> held_out_;
  uint64_t seed_;
  int64_t num_;
  Process posterior_;
  std::unique_ptr<Denoiser> alone_;
};

Losses mean_of(const std::vector<Losses>& all) {
  Losses mean;
  for (const auto& one : all) {
    mean.first += one.first / static_cast<double>(all.size());
    mean.second += one.second / static_cast<double>(all.size());
    mean.alone += one.alone / static_cast<double>(all.size());
  }
  return mean;
}

void print(const std::vector<Losses>& all, bool compares) {
  const auto row = [&](const auto& t, const auto& gamma, const Losses& losses) {
    std::cout << std::left << std::setw(7) << t << std::setw(11) << gamma << std::setw(10)
              << losses.first << std::setw(10) << losses.second;
    if (compares) std::cout << losses.alone;
    std::cout << "\n";
  };
  std::cout << std::left << std::setprecision(4) << std::setw(7) << "t" << std::setw(11) << "gamma"
            << std::setw(10) << "loss" << std::setw(10) << "fed back"
            << (compares ? "bits alone" : "") << "\n";
  for (const auto& one : all) row(one.t, one.gamma, one);
  row("mean", "", mean_of(all));
}

Json report_of(const std::vector<Losses>& all, const Meter& meter) {
  Json report{{"examples", meter.num()}};
  for (const auto& one : all) {
    Json entry{{"t", one.t}, {"gamma", one.gamma}, {"loss", one.first}, {"fed_back", one.second}};
    if (meter.compares()) entry["bits_alone"] = one.alone;
    report["times"].push_back(entry);
  }
  return report;
}

int eval_loss(const Flags& flags) {
  check_folder_of("--json", flags.json);
  const auto folder = find_checkpoint(flags.model);
  const auto model = load_model(folder, open_device(flags.device));
  if (!model.net) {
    throw UsageError(flags.model, ": expected a model of bits, found an autoregressive one, ",
                     "which knows no noise");
  }
  DataOptions data;
  TrainOptions train;
  auto config = Config::load(folder / "config.toml");
  config.read("data", data);
  config.read("train", train);
  if (!flags.path.empty()) data.path = flags.path;
  if (!flags.captions.empty()) data.captions = flags.captions;
  // Its own, whatever lies now where the one it was trained with lay.
  if (const auto own = tokenizer_of(folder); !own.empty()) data.tokenizer = own.string();
  if (data.holdout == 0) {
    throw UsageError(flags.model, ": expected examples kept out of training, found data.holdout ",
                     "= 0; train with more");
  }
  const auto split = open_split(data, train.seed);
  check_same_data(folder.string(), model.data, split.held_out->info());
  const Meter meter(model, split, flags, train.seed);
  Progress progress("loss", 0, meter.num(), "examples", 1);
  const auto rows = meter.measure(flags.times, [&](int64_t done) { progress.show(done, ""); });
  std::cout << "checkpoint " << folder.string() << "\n"
            << "examples   " << meter.num() << " held out, seed " << train.seed << "\n"
            << "loss       "
            << (model.process.loss != Loss::kL2 ? "nats of a value" : "square error of a bit")
            << "\n\n";
  print(rows, meter.compares());
  if (!flags.json.empty()) write_file_atomically(flags.json, report_of(rows, meter).dump(2) + "\n");
  return 0;
}

}  // namespace

Action add_eval_loss(CLI::App& eval) {
  auto flags = std::make_shared<Flags>();
  auto* command = eval.add_subcommand(
      "loss", "The loss on held-out examples by noise, beside what a value's own bits tell.");
  command
      ->add_option("model", flags->model, "run folder (its newest checkpoint) or checkpoint folder")
      ->required()
      ->type_name("RUN|CHECKPOINT");
  command->add_option("--num", flags->num, "held-out examples, at most")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  command
      ->add_option("--times", flags->times,
                   "levels of noise: the middles of so many parts of all time")
      ->type_name("T")
      ->check(CLI::Range(int64_t{1}, int64_t{1000}))
      ->capture_default_str();
  command->add_option("--path", flags->path, "where the data are now (data.path)")
      ->type_name("PATH");
  command->add_option("--captions", flags->captions, "where the captions are now (data.captions)")
      ->type_name("FILE");
  command->add_option("--device", flags->device, "where to compute: cpu, cuda or cuda:N")
      ->type_name("NAME")
      ->capture_default_str();
  command->add_option("--json", flags->json, "also write the figures here")->type_name("FILE");
  return [flags] { return eval_loss(*flags); };
}

}  // namespace bitdiff
