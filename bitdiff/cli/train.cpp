#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "bitdiff/base/config.h"
#include "bitdiff/base/device.h"
#include "bitdiff/base/error.h"
#include "bitdiff/cli/commands.h"
#include "bitdiff/cli/progress.h"
#include "bitdiff/cli/stop_signal.h"
#include "bitdiff/data/open.h"
#include "bitdiff/data/split.h"
#include "bitdiff/data/tokenizer.h"
#include "bitdiff/dist/group.h"
#include "bitdiff/dist/launch.h"
#include "bitdiff/io/atomic_file.h"
#include "bitdiff/model/cuda_graphs.h"
#include "bitdiff/model/draw.h"
#include "bitdiff/model/pretrained.h"
#include "bitdiff/model/same.h"
#include "bitdiff/report/sheet.h"
#include "bitdiff/report/texts.h"
#include "bitdiff/train/run_folder.h"
#include "bitdiff/train/run_options.h"

namespace bitdiff {
namespace {

constexpr int kInterrupted = 130;
constexpr int64_t kSheet = 64;  // Samples on a sheet while training.

struct Flags {
  std::string config;
  std::string out;
  std::vector<std::string> set;
  std::optional<int64_t> steps;
  std::optional<int64_t> seed;
  std::string device = "cpu";
  bool cuda_graphs = false;
  bool resume = false;
};

RunOptions options_of(const Flags& flags) {
  auto config = Config::load(flags.config);
  for (const auto& assignment : flags.set) config.set(assignment);
  if (flags.steps) config.set("train.steps=" + std::to_string(*flags.steps));
  if (flags.seed) config.set("train.seed=" + std::to_string(*flags.seed));
  return read_run(config);
}

/// A run as the loop sees it.
struct Run {
  RunOptions options;
  std::string config;
  Group& group;
  const RunFolder* folder;  ///< Null but in the first process, which writes for all.
  Model& model;
  Trainer& trainer;
  const Dataset* held_out;  ///< Null: none.
  ImagesOfSamples images;   ///< What the samples of a sheet describe; or empty.

  bool due(int64_t every) const { return every > 0 && trainer.step() % every == 0; }
  bool finished() const { return trainer.step() >= options.train.steps; }

  void save() const {
    if (!folder) return;
    auto checkpoint = trainer.checkpoint();
    checkpoint.config = config;
    save_checkpoint(folder->checkpoint(trainer.step()), checkpoint);
    folder->prune(options.train.keep);
  }

  void draw_sheet() const {
    const auto& text = model.data.text;
    if (!text.tokenizer && !is_picture(model.data)) return;
    const Ema::Scope averaged(trainer.ema());
    const auto drawn = draw_together(
        group, model, {.generate = options.sample, .decode = options.decode, .images = images}, 0,
        kSheet);
    if (!folder) return;
    const auto path = folder->sample(trainer.step(), text.tokenizer ? ".txt" : ".png");
    if (text.tokenizer) {
      write_file_atomically(path, to_text(drawn.x, text));
    } else {
      write_sheet(path, drawn.x, model.data);
    }
  }
};

/// What is told of the steps: a line on stderr and one of metrics.jsonl for each.
class Journal {
 public:
  explicit Journal(const Run& run)
      : run_(run),
        progress_("train", run.trainer.step(), run.options.train.steps,
                  run.model.data.text.tokenizer ? "texts" : "images",
                  static_cast<double>(run.options.train.batch)) {}

  void add(const Trainer::Update& update, std::optional<double> held_out_loss) {
    const int64_t step = run_.trainer.step();
    nlohmann::ordered_json metrics{
        {"step", step}, {"loss", update.loss}, {"lr", update.lr}, {"grad_norm", update.grad_norm}};
    if (held_out_loss) {
      metrics["held_out_loss"] = *held_out_loss;
      held_out_note_ = str(", held-out ", *held_out_loss);
    }
    progress_.show(step, str("loss ", update.loss, held_out_note_));
    metrics["images_per_s"] = progress_.rate();
    run_.folder->add_metrics(metrics.dump());
  }

 private:
  const Run& run_;
  Progress progress_;
  std::string held_out_note_;
};

/// Steps until the end or a signal; returns the exit code.
int loop(const Run& run, StopSignal& stop) {
  const auto& train = run.options.train;
  std::optional<Journal> journal;
  if (run.folder) journal.emplace(run);
  while (!run.finished()) {
    const auto update = run.trainer.update([&] { return stop.raised(); });
    std::optional<double> held_out_loss;
    if (run.held_out && (run.due(train.eval_every) || run.finished())) {
      held_out_loss = run.trainer.evaluate(*run.held_out);
    }
    if (journal) journal->add(update, held_out_loss);
    if (run.due(train.save_every) || run.finished() || update.stop) run.save();
    if (run.due(train.sample_every) || (run.finished() && train.sample_every > 0)) run.draw_sheet();
    if (update.stop && !run.finished()) {
      if (journal) {
        std::cerr << "\nstopped at step " << run.trainer.step()
                  << "; --resume goes on from there\n";
      }
      return kInterrupted;
    }
  }
  return 0;
}

/// Refuses to go on from a checkpoint that this config would give another meaning.
void check_resumed(const std::string& where, const Checkpoint& checkpoint,
                   const RunOptions& options, const Model& model) {
  if (checkpoint.seed != options.train.seed) {
    throw UsageError(where, ": was trained with seed ", checkpoint.seed, ", asked for ",
                     options.train.seed, "; resume with --seed ", checkpoint.seed);
  }
  const auto model_of = [](const DataInfo& data) {
    return data.text.tokenizer ? data.text.tokenizer->model() : "";
  };
  if (model_of(checkpoint.data) != model_of(model.data)) {
    throw UsageError(where, ": was trained with another tokenizer than data.tokenizer = ",
                     options.data.tokenizer, "; its own is tokenizer.model in this folder");
  }
  check_same_data(where, checkpoint.data, model.data);
  const bool describes_images = !model.data.image_shape.empty();
  ModelOptions trained;
  auto config = Config::parse(checkpoint.config, where + "/config.toml");
  read_model(config, trained, describes_images);
  check_same_model(where, trained, options.model, describes_images);
}

/// Images for the sheets: the first of those held out, or else of those trained on.
ImagesOfSamples sheet_images(const Split& split) {
  if (split.train->info().image_shape.empty()) return {};
  const auto& set = split.held_out->size() > 0 ? *split.held_out : *split.train;
  std::vector<int64_t> first(std::min(set.size(), kSheet));
  std::iota(first.begin(), first.end(), 0);
  return in_turn(set.get(first).image);
}

/// What a new run begins with besides random numbers.
void load_pretrained(const ImageEncoderOptions& encoder, const Model& model) {
  if (encoder.weights.empty()) return;
  if (model.data.image_shape.size() != 3) {
    throw UsageError("encoder.weights: expected data with pixels, for features need no encoder");
  }
  load_vit(encoder.weights, model.parameters);
}

/// Takes hold of the run folder; when resuming, brings the trainer to its last checkpoint.
void begin_run(const Flags& flags, const RunOptions& options, const Model& model, Trainer& trainer,
               std::optional<RunFolder>& folder) {
  // Before the folder is made: what is no run is refused without a trace.
  if (flags.resume) find_checkpoint(flags.out);
  folder.emplace(flags.out, flags.resume);
  if (flags.resume) {
    const auto path = find_checkpoint(flags.out);
    const auto checkpoint = load_checkpoint(path);
    check_resumed(path.string(), checkpoint, options, model);
    trainer.resume(path.string(), checkpoint);
  }
  folder->rewind_metrics(trainer.step());
  folder->write_config(write_run(options));
}

void announce(const Flags& flags, const RunOptions& options, const Model& model,
              const Dataset& data, int64_t processes) {
  std::cerr << "training " << model.parameters.count() << " parameters on " << data.size()
            << " examples into " << flags.out;
  if (processes > 1) std::cerr << " with " << processes << " processes";
  std::cerr << "\n";
  if (const int64_t cut = model.data.text.cut; cut > 0) {
    std::cerr << cut << " lines are longer than data.length = " << options.data.length
              << " tokens with the end of sentence and were cut\n";
  }
  if (const int64_t missing = model.data.missing; missing > 0) {
    std::cerr << missing << " captions were left out, for " << options.data.path
              << " lacks their images\n";
  }
}

/// Records the network's calls, if so asked.
void record_calls(const Flags& flags, const ModelOptions& options, Model& model) {
  if (!flags.cuda_graphs) return;
  if (options.network == Network::kUNet && options.unet.activation_checkpointing) {
    throw UsageError("--cuda-graphs: expected unet.activation_checkpointing = false, found true; ",
                     "choose one");
  }
  use_cuda_graphs(model);
}

int train(const Flags& flags) {
  StopSignal stop;
  const auto device = open_device(flags.device, launch_of_environment().local_rank);
  const auto options = options_of(flags);
  const auto split = open_split(options.data, options.train.seed);
  auto model = make_model(options.model, split.train->info(), options.train.seed, device);
  check_guidance(model, options.sample);
  if (!flags.resume) load_pretrained(options.model.encoder, model);
  record_calls(flags, options.model, model);
  const auto group = join_group(device);
  Trainer trainer(options.train, model, split.train, options.data.passes(), *group);

  std::optional<RunFolder> folder;
  if (group->first()) {
    begin_run(flags, options, model, trainer, folder);
    announce(flags, options, model, *split.train, group->size());
  }
  trainer.share_state();
  return loop({.options = options,
               .config = write_run(options),
               .group = *group,
               .folder = folder ? &*folder : nullptr,
               .model = model,
               .trainer = trainer,
               .held_out = options.data.holdout > 0 ? split.held_out.get() : nullptr,
               .images = sheet_images(split)},
              stop);
}

}  // namespace

Action add_train(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  auto* command = program.add_subcommand("train", "Train a model as a config says.");
  command->add_option("config", flags->config, "config file, e.g. configs/emoji.toml")
      ->required()
      ->type_name("CONFIG.toml");
  command->add_option("--out", flags->out, "run folder: config, metrics, samples, checkpoints")
      ->required()
      ->type_name("RUN");
  command->add_option("--set", flags->set, "change one option of the config; may be repeated")
      ->type_name("SECTION.KEY=VALUE")
      ->allow_extra_args(false);
  command->add_option("--steps", flags->steps, "updates in all (train.steps)")->type_name("N");
  command->add_option("--seed", flags->seed, "seed of everything random (train.seed)")
      ->type_name("S");
  command->add_option("--device", flags->device, "where to compute: cpu, cuda or cuda:N")
      ->type_name("NAME")
      ->capture_default_str();
  command->add_flag(
      "--cuda-graphs", flags->cuda_graphs,
      "record the network's calls on the GPU and repeat them: fewer launches, more memory");
  command->add_flag("--resume", flags->resume,
                    "go on from the newest checkpoint of the run folder");
  return [flags] { return train(*flags); };
}

}  // namespace bitdiff
