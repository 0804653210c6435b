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
#include "bitdiff/cli/number_pair.h"
#include "bitdiff/cli/output_path.h"
#include "bitdiff/cli/progress.h"
#include "bitdiff/cli/sampling_flags.h"
#include "bitdiff/dist/group.h"
#include "bitdiff/io/atomic_file.h"
#include "bitdiff/io/npz.h"
#include "bitdiff/model/checkpoint.h"
#include "bitdiff/report/sheet.h"
#include "bitdiff/report/texts.h"

namespace bitdiff {
namespace {

struct Flags {
  SamplingFlags sampling;
  std::string out;
  std::optional<int64_t> num;
  std::string indices;
  int64_t batch = 64;
};

/// [begin, end) of the samples asked for: --indices A-B holds both ends.
std::pair<int64_t, int64_t> range_of(const Flags& flags) {
  if (flags.num.has_value() == !flags.indices.empty()) {
    throw UsageError("sample: expected either --num N or --indices A-B");
  }
  if (flags.num) return {0, *flags.num};
  const auto range = read_pair(flags.indices, '-');
  if (!range || range->second < range->first) {
    throw UsageError("--indices ", flags.indices, ": expected A-B with 0 <= A <= B");
  }
  return {range->first, range->second + 1};
}

/// Refuses what cannot be written before hours are spent on it.
void check_out(const std::filesystem::path& out, const DataInfo& data) {
  const bool text = data.text.tokenizer != nullptr;
  if (out.empty()) {
    if (text) return;
    throw UsageError("sample: expected --out FILE, for these samples are no text to be printed");
  }
  const auto extension = out.extension();
  if (extension != ".npz" && extension != ".png" && extension != ".txt") {
    throw UsageError("--out ", out.string(), ": expected a name that ends in .npz, .png or .txt");
  }
  if (extension == ".txt" && !text) {
    throw UsageError("--out ", out.string(), ": these samples are no text; write a .npz");
  }
  if (extension == ".png" && !is_picture(data)) {
    throw UsageError("--out ", out.string(), ": these samples are no pictures; write a .npz");
  }
  check_folder_of("--out", out);
}

void write(const Flags& flags, const Drawn& drawn, const DataInfo& data,
           const GenerateOptions& options) {
  const std::filesystem::path out = flags.out;
  if (out.extension() == ".npz") {
    NamedTensors arrays{{"arr_0", drawn.x}};
    if (drawn.label.defined()) arrays.emplace_back("arr_1", drawn.label);
    write_npz(out, arrays);
  } else if (out.extension() == ".txt") {
    write_file_atomically(out, to_text(drawn.x, data.text));
  } else if (out.empty()) {
    std::cout << to_text(drawn.x, data.text);
  } else {
    write_sheet(out, drawn.x, data,
                {{"Software", "bitdiff"},
                 {"Comment", str("seed ", flags.sampling.seed, ", steps ", options.steps, ", td ",
                                 options.td)}});
  }
  std::cerr << (out.empty() ? "drew " : "wrote ") << drawn.x.size(0) << " samples"
            << (out.empty() ? "" : " to " + flags.out);
  if (drawn.invalid > 0) {
    std::cerr << "; " << drawn.invalid << " of " << drawn.x.numel()
              << " values had bits that are no code and took the nearest";
  }
  std::cerr << "\n";
}

int sample(const Flags& flags) {
  const auto [begin, end] = range_of(flags);
  const auto folder = find_checkpoint(flags.sampling.model);
  const auto options = flags.sampling.options(folder);
  const auto model = flags.sampling.model_of(folder);
  check_out(flags.out, model.data);
  const auto group = join_group(model.parameters.device());
  // Whole blocks: a block cut in two would be computed twice.
  const int64_t blocks = (flags.batch + options.micro_batch - 1) / options.micro_batch;
  const int64_t chunk = blocks * options.micro_batch * group->size();

  std::vector<Tensor> x;
  std::vector<Tensor> label;
  int64_t invalid = 0;
  {
    std::optional<Progress> progress;
    if (group->first()) {
      progress.emplace("sample", 0, end - begin, model.data.text.tokenizer ? "texts" : "images", 1);
    }
    for (int64_t at = begin; at < end;) {
      const int64_t next = std::min((at / chunk + 1) * chunk, end);
      const auto drawn = draw_together(*group, model, options, at, next);
      if (drawn.x.defined()) x.push_back(drawn.x);
      if (drawn.label.defined()) label.push_back(drawn.label);
      invalid += drawn.invalid;
      at = next;
      if (progress) progress->show(at - begin, str(options.generate.steps, " steps each"));
    }
  }
  if (!group->first()) return 0;
  write(flags, {at::cat(x), label.empty() ? Tensor() : at::cat(label), invalid}, model.data,
        options.generate);
  return 0;
}

}  // namespace

Action add_sample(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  auto* command = program.add_subcommand("sample", "Draw samples from a trained model.");
  flags->sampling.add_to(*command);
  command
      ->add_option(
          "--out", flags->out,
          "samples as arr_0 of a .npz, as a sheet of pictures or as text; text is printed without")
      ->type_name("FILE.npz|FILE.png|FILE.txt");
  command->add_option("--num", flags->num, "draw samples 0 to N-1")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  command->add_option("--indices", flags->indices, "draw samples A to B, both included")
      ->type_name("A-B");
  command
      ->add_option("--batch", flags->batch,
                   "samples of a process between two signs of progress; changes no sample")
      ->type_name("B")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->capture_default_str();
  return [flags] { return sample(*flags); };
}

}  // namespace bitdiff
