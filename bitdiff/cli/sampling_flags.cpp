#include "bitdiff/cli/sampling_flags.h"

#include <CLI/CLI.hpp>

#include "bitdiff/base/config.h"
#include "bitdiff/base/device.h"
#include "bitdiff/base/error.h"
#include "bitdiff/dist/launch.h"
#include "bitdiff/model/checkpoint.h"
#include "bitdiff/model/cuda_graphs.h"

namespace bitdiff {

void SamplingFlags::add_to(CLI::App& command) {
  command.add_option("model", model, "run folder (its newest checkpoint) or checkpoint folder")
      ->required()
      ->type_name("RUN|CHECKPOINT");
  command.add_option("--steps", steps, "reverse steps (sample.steps)")->type_name("S");
  command.add_option("--td", td, "asymmetric time interval (sample.td, in sample.td_unit)")
      ->type_name("X");
  std::string solvers;
  for (const auto& [word, value] : solver_words()) solvers += (solvers.empty() ? "" : ", ") + word;
  command.add_option("--solver", solver, solvers + " (sample.solver)")->type_name("NAME");
  command.add_option("--set", set, "change one option of sampling; may be repeated")
      ->type_name("sample.KEY=VALUE|decode.KEY=VALUE")
      ->allow_extra_args(false);
  command.add_option("--seed", seed, "of the noise; sample i is a function of seed and i")
      ->type_name("S")
      ->capture_default_str();
  command
      .add_option("--micro-batch", micro_batch,
                  "samples the network sees at once; changes the last bits of a sample")
      ->type_name("M")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  command.add_option("--class", label, "class of every sample; default: drawn for each")
      ->check(CLI::NonNegativeNumber)
      ->type_name("C");
  command.add_option("--device", device, "where to compute: cpu, cuda or cuda:N")
      ->type_name("NAME")
      ->capture_default_str();
  command.add_flag(
      "--bf16", bf16,
      "compute in bfloat16 (sample.bf16): faster with AMX or on a GPU, not quite the same");
  command.add_flag(
      "--int8", int8,
      "compute with 8-bit integers: faster with AVX-512 VNNI, slower without, not quite the same");
  command.add_flag(
      "--cuda-graphs", cuda_graphs,
      "record the network's calls on the GPU and repeat them: fewer launches, more memory");
}

void SamplingFlags::check_set(const std::string& section) const {
  // By themselves: a checkpoint of another version may have keys that this one does not know.
  auto asked = Config::parse("", "--set");
  for (const auto& assignment : set) {
    if (!assignment.starts_with(section + ".")) {
      throw UsageError("--set ", assignment, ": expected ", section,
                       ".KEY=VALUE, for the rest of the config belongs to the trained model");
    }
    asked.set(assignment);
  }
  DrawOptions unused;
  if (section == "decode")
    asked.read(section, unused.decode);
  else
    asked.read(section, unused.generate);
  asked.refuse_unknown();
}

DrawOptions SamplingFlags::options(const std::filesystem::path& checkpoint) const {
  auto config = Config::load(checkpoint / "config.toml");
  ModelOptions model_options;
  config.read("model", model_options);
  const bool autoregressive = model_options.network == Network::kArTransformer;
  const std::string section = autoregressive ? "decode" : "sample";
  if (autoregressive && (steps || td || !solver.empty() || bf16)) {
    throw UsageError(steps  ? "--steps"
                     : td   ? "--td"
                     : bf16 ? "--bf16"
                            : "--solver",
                     ": this model is ", "autoregressive and has none; use --set decode.KEY=VALUE");
  }
  check_set(section);
  if (steps) config.set("sample.steps=" + std::to_string(*steps));
  if (td) config.set("sample.td=" + shortest(*td));
  if (!solver.empty()) config.set("sample.solver=" + solver);
  if (bf16) config.set("sample.bf16=true");
  for (const auto& assignment : set) config.set(assignment);
  DrawOptions draw{
      .generate = {}, .seed = seed, .micro_batch = micro_batch, .label = label.value_or(-1)};
  if (autoregressive) {
    config.read("decode", draw.decode);
  } else {
    config.read("sample", draw.generate);
  }
  if (int8 && draw.generate.estimate.bf16)
    throw UsageError("--int8: expected sample.bf16 = false, found true; choose one");
  return draw;
}

Model SamplingFlags::model_of(const std::filesystem::path& checkpoint) const {
  if (int8 && device != "cpu") throw UsageError("--int8: expected --device cpu, found ", device);
  auto loaded = load_model(checkpoint, open_device(device, launch_of_environment().local_rank));
  if (int8) {
    if (!loaded.net) throw UsageError("--int8: this model is autoregressive and has none");
    loaded.net->quantize();
  }
  if (cuda_graphs) use_cuda_graphs(loaded);
  return loaded;
}

}  // namespace bitdiff
