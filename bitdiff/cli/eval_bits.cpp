#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "bitdiff/base/error.h"
#include "bitdiff/cli/commands.h"
#include "bitdiff/cli/output_path.h"
#include "bitdiff/cli/progress.h"
#include "bitdiff/cli/sampling_flags.h"
#include "bitdiff/io/atomic_file.h"
#include "bitdiff/metrics/bit_figures.h"
#include "bitdiff/model/checkpoint.h"
#include "bitdiff/report/histogram.h"

namespace bitdiff {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
  SamplingFlags sampling;
  int64_t num = 64;
  std::string json;
  std::string picture;
};

int eval_bits(const Flags& flags) {
  check_folder_of("--json", flags.json);
  check_folder_of("--picture", flags.picture);
  const auto folder = find_checkpoint(flags.sampling.model);
  const auto options = flags.sampling.options(folder);
  const auto model = flags.sampling.model_of(folder);

  BitFigures figures(model.process.codec.scale());
  int64_t invalid = 0, values = 0;
  {
    Progress progress("sample", 0, flags.num, "samples", 1);
    for (int64_t at = 0; at < flags.num;) {
      const int64_t next = std::min(at + options.micro_batch, flags.num);
      const auto bits = draw_bits(model, options, at, next).x_bits;
      const auto decoded = model.process.codec.decode(bits);
      figures.add(bits);
      invalid += decoded.invalid;
      values += decoded.x.numel();
      at = next;
      progress.show(at, "");
    }
  }

  const Json report{
      {"checkpoint", folder.string()},
      {"samples", flags.num},
      {"seed", options.seed},
      {"steps", options.generate.steps},
      {"td", options.generate.td},
      {"bits", figures.count()},
      {"share_within_0.1_of_a_mode", figures.share_near_modes()},
      {"invalid_codes", invalid},
      {"invalid_code_rate", static_cast<double>(invalid) / static_cast<double>(values)},
      {"entropy_of_each_bit", figures.entropy()},
      {"histogram", figures.histogram()}};
  std::cout << report.dump(2) << "\n";
  if (!flags.json.empty()) write_file_atomically(flags.json, report.dump(2) + "\n");
  if (!flags.picture.empty()) {
    write_histogram(flags.picture, {.title = str("Analog bits of ", flags.num, " samples"),
                                    .axis = "analog bit, in units of the scale",
                                    .low = -1,
                                    .high = 1,
                                    .counts = figures.histogram()});
  }
  return 0;
}

}  // namespace

Action add_eval_bits(CLI::App& eval) {
  auto flags = std::make_shared<Flags>();
  auto* command = eval.add_subcommand(
      "bits", "Draw samples and look at their analog bits before they are thresholded.");
  flags->sampling.add_to(*command);
  command->add_option("--num", flags->num, "how many samples to draw")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  command->add_option("--json", flags->json, "also write the figures here")->type_name("FILE");
  command->add_option("--picture", flags->picture, "histogram of the bits")->type_name("FILE.svg");
  return [flags] { return eval_bits(*flags); };
}

}  // namespace bitdiff
