#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/cat.h>

#include "bitdiff/base/error.h"
#include "bitdiff/cli/commands.h"
#include "bitdiff/cli/progress.h"
#include "bitdiff/io/npz.h"
#include "bitdiff/model/checkpoint.h"
#include "bitdiff/model/draw.h"
#include "bitdiff/report/sheet.h"

namespace bitdiff {
namespace {

struct Flags {
  std::string model;
  std::string out;
  std::optional<int64_t> num;
  std::string indices;
  std::optional<int64_t> steps;
  std::optional<double> td;
  std::string solver;
  std::vector<std::string> set;
  int64_t seed = 0;
  int64_t batch = 64;
  int64_t micro_batch = 16;
  std::optional<int64_t> label;
};

/// [begin, end) of the samples asked for: --indices A-B holds both ends.
std::pair<int64_t, int64_t> range_of(const Flags& flags) {
  if (flags.num.has_value() == !flags.indices.empty()) {
    throw UsageError("sample: expected either --num N or --indices A-B");
  }
  if (flags.num) return {0, *flags.num};
  int64_t first = -1;
  int64_t last = -1;
  int used = 0;
  const int found = std::sscanf(flags.indices.c_str(), "%ld-%ld%n", &first, &last, &used);
  if (found != 2 || used != static_cast<int>(flags.indices.size()) || first < 0 || last < first) {
    throw UsageError("--indices ", flags.indices, ": expected A-B with 0 <= A <= B");
  }
  return {first, last + 1};
}

GenerateOptions generate_options(const Flags& flags, const std::filesystem::path& checkpoint) {
  GenerateOptions options;
  auto config = Config::load(checkpoint / "config.toml");
  if (flags.steps) config.set("sample.steps=" + std::to_string(*flags.steps));
  if (flags.td) config.set("sample.td=" + shortest(*flags.td));
  if (!flags.solver.empty()) config.set("sample.solver=" + flags.solver);
  for (const auto& assignment : flags.set) {
    if (!assignment.starts_with("sample.")) {
      throw UsageError("--set ", assignment, ": expected sample.KEY=VALUE, for the rest of the ",
                       "config belongs to the trained model");
    }
    config.set(assignment);
  }
  config.read("sample", options);
  return options;
}

/// Refuses what cannot be written before hours are spent on it.
void check_out(const std::filesystem::path& out, const DataInfo& data) {
  const auto extension = out.extension();
  if (extension != ".npz" && extension != ".png") {
    throw UsageError("--out ", out.string(), ": expected a name that ends in .npz or .png");
  }
  if (extension == ".png" && !is_picture(data)) {
    throw UsageError("--out ", out.string(), ": these samples are no pictures; write a .npz");
  }
  if (out.has_parent_path() && !std::filesystem::is_directory(out.parent_path())) {
    throw UsageError("--out ", out.string(), ": the folder ", out.parent_path().string(),
                     " does not exist");
  }
}

void write(const Flags& flags, const Drawn& drawn, const DataInfo& data,
           const GenerateOptions& options) {
  const std::filesystem::path out = flags.out;
  if (out.extension() == ".npz") {
    NamedTensors arrays{{"arr_0", drawn.x}};
    if (drawn.label.defined()) arrays.emplace_back("arr_1", drawn.label);
    write_npz(out, arrays);
  } else {
    write_sheet(
        out, drawn.x, data,
        {{"Software", "bitdiff"},
         {"Comment", str("seed ", flags.seed, ", steps ", options.steps, ", td ", options.td)}});
  }
  std::cerr << "wrote " << drawn.x.size(0) << " samples to " << flags.out;
  if (drawn.invalid > 0) {
    std::cerr << "; " << drawn.invalid << " of " << drawn.x.numel()
              << " values had bits that are no code and took the nearest";
  }
  std::cerr << "\n";
}

int sample(const Flags& flags) {
  const auto [begin, end] = range_of(flags);
  const auto folder = find_checkpoint(flags.model);
  const auto options = generate_options(flags, folder);
  const auto model = load_model(folder);
  check_out(flags.out, model.data);
  const DrawOptions draw_options{.generate = options,
                                 .seed = flags.seed,
                                 .micro_batch = flags.micro_batch,
                                 .label = flags.label.value_or(-1)};
  // Whole blocks: a block cut in two would be computed twice.
  const int64_t blocks = (flags.batch + flags.micro_batch - 1) / flags.micro_batch;
  const int64_t chunk = blocks * flags.micro_batch;

  std::vector<Tensor> x;
  std::vector<Tensor> label;
  int64_t invalid = 0;
  {
    Progress progress("sample", 0, end - begin, "images", 1);
    for (int64_t at = begin; at < end;) {
      const int64_t next = std::min((at / chunk + 1) * chunk, end);
      const auto drawn = draw(model, draw_options, at, next);
      x.push_back(drawn.x);
      if (drawn.label.defined()) label.push_back(drawn.label);
      invalid += drawn.invalid;
      at = next;
      progress.show(at - begin, str(options.steps, " steps each"));
    }
  }
  write(flags, {at::cat(x), label.empty() ? Tensor() : at::cat(label), invalid}, model.data,
        options);
  return 0;
}

}  // namespace

Action add_sample(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  auto* command = program.add_subcommand("sample", "Draw samples from a trained model.");
  command
      ->add_option("model", flags->model, "run folder (its newest checkpoint) or checkpoint folder")
      ->required()
      ->type_name("RUN|CHECKPOINT");
  command->add_option("--out", flags->out, "samples as arr_0 of a .npz, or as a sheet of pictures")
      ->required()
      ->type_name("FILE.npz|FILE.png");
  command->add_option("--num", flags->num, "draw samples 0 to N-1")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  command->add_option("--indices", flags->indices, "draw samples A to B, both included")
      ->type_name("A-B");
  command->add_option("--steps", flags->steps, "reverse steps (sample.steps)")->type_name("S");
  command->add_option("--td", flags->td, "asymmetric time interval, in steps (sample.td)")
      ->type_name("X");
  std::string solvers;
  for (const auto& [word, solver] : solver_words()) solvers += (solvers.empty() ? "" : ", ") + word;
  command->add_option("--solver", flags->solver, solvers + " (sample.solver)")->type_name("NAME");
  command->add_option("--set", flags->set, "change one option of sampling; may be repeated")
      ->type_name("sample.KEY=VALUE")
      ->allow_extra_args(false);
  command->add_option("--seed", flags->seed, "of the noise; sample i is a function of seed and i")
      ->type_name("S")
      ->capture_default_str();
  command
      ->add_option("--batch", flags->batch,
                   "samples between two signs of progress; changes no sample")
      ->type_name("B")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  command
      ->add_option("--micro-batch", flags->micro_batch,
                   "samples the network sees at once; changes the last bits of a sample")
      ->type_name("M")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  command->add_option("--class", flags->label, "class of every sample; default: drawn for each")
      ->check(CLI::NonNegativeNumber)
      ->type_name("C");
  return [flags] { return sample(*flags); };
}

}  // namespace bitdiff
