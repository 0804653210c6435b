#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bitdiff/base/config.h"
#include "bitdiff/base/error.h"
#include "bitdiff/cli/commands.h"
#include "bitdiff/data/open.h"
#include "bitdiff/data/text.h"
#include "bitdiff/data/tokenizer.h"
#include "bitdiff/model/cost.h"
#include "bitdiff/train/run_options.h"
#include "bitdiff/train/step_time.h"

namespace bitdiff {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
  std::string config;
  std::vector<std::string> set;
  std::vector<int64_t> gpus{1};
  double bandwidth = 25;  // In the units of the flags.
  double latency = 5;
  double flops = 312;
  double utilization = 0.4;
  double memory_bandwidth = 1500;
  double bucket = 4;
  std::vector<int64_t> shape;
  std::optional<int64_t> classes;
  bool json = false;
};

/// What --shape leaves open of tokens and of the images they describe.
void add_text(const DataOptions& options, DataInfo& data) {
  data.text = text_info_of({.tokenizer = options.tokenizer});
  data.categories = {data.text.tokenizer->size()};
  if (options.source != Source::kCaptions) return;
  const auto extension = std::filesystem::path(options.path).extension();
  if (extension == ".npy" || extension == ".npz" || extension == ".safetensors") {
    throw UsageError("plan: --shape does not say what images or features ", options.path,
                     " holds; leave it out, and the data will be asked");
  }
  data.image_shape = {3, options.size, options.size};
}

/// What the data are, without them where the config says enough.
DataInfo data_of(const Flags& flags, const DataOptions& options) {
  DataInfo data{.shape = flags.shape, .categories = options.categories};
  if (data.shape.empty()) {
    switch (options.source) {
      case Source::kCifar10:
        data.shape = {3, 32 / options.shrink, 32 / options.shrink};
        break;
      case Source::kImages:
        data.shape = {3, options.size, options.size};
        break;
      default:
        return open_dataset(options)->info();
    }
  }
  if (options.source == Source::kCifar10 || options.source == Source::kImages) {
    data.categories = {256};
  }
  if (options.source == Source::kText || options.source == Source::kCaptions) {
    add_text(options, data);
  }
  if (!options.labels.empty()) {
    if (options.source == Source::kCifar10) data.classes = 10;
    if (options.source == Source::kImages && !flags.classes) {
      throw UsageError("plan: expected --classes K, for data.labels = ", options.labels,
                       " does not say how many there are");
    }
  }
  if (flags.classes) data.classes = *flags.classes;
  return data;
}

Json describe_state(const StateBytes& bytes) {
  return {{"weights", bytes.weights},
          {"gradients", bytes.gradients},
          {"optimizer", bytes.optimizer},
          {"average", bytes.average},
          {"all", bytes.all()}};
}

Json describe_step(const Cluster& cluster, const Load& load) {
  const auto time = step_time(cluster, load);
  return {
      {"gpus", cluster.processors},
      {"batch_of_each", static_cast<double>(load.batch) / static_cast<double>(cluster.processors)},
      {"forward_s", time.forward},
      {"backward_s", time.backward},
      {"all_reduce_s", time.all_reduce},
      {"all_reduce_exposed_s", time.exposed},
      {"optimizer_s", time.optimizer},
      {"step_overlapped_s", time.overlapped()},
      {"step_one_after_other_s", time.one_after_other()},
      {"examples_per_s", static_cast<double>(load.batch) / time.overlapped()},
      {"efficiency", efficiency(cluster, load)},
      {"state_bytes", describe_state(state_bytes(cluster, load))}};
}

Json describe(const Flags& flags, const RunOptions& options) {
  const auto data = data_of(flags, options.data);
  const Load load{.cost = cost_of(options.model, data),
                  .batch = options.train.batch,
                  .accumulate = options.train.accumulate,
                  .self_cond_rate = options.model.network == Network::kArTransformer
                                        ? 0
                                        : options.model.process.self_cond_rate};
  Cluster cluster{.flops = flags.flops * 1e12,
                  .utilization = flags.utilization,
                  .memory_bandwidth = flags.memory_bandwidth * 1e9,
                  .bandwidth = flags.bandwidth * 1e9,
                  .latency = flags.latency * 1e-6,
                  .bucket = flags.bucket * (1 << 20)};
  Json steps = Json::array();
  for (const int64_t n : flags.gpus) {
    cluster.processors = n;
    steps.push_back(describe_step(cluster, load));
  }
  return {{"parameters", load.cost.parameters},
          {"gradient_bytes", 4 * load.cost.parameters},
          {"pass_macs", load.cost.net_macs + load.cost.encoder_macs},
          {"step_flops_per_example",
           2 * (load.cost.forward_macs(load.self_cond_rate) + load.cost.backward_macs())},
          {"batch", load.batch},
          {"steps", options.train.steps},
          {"by_gpus", steps}};
}

void print(const Json& plan) {
  const auto number = [](const Json& at) { return at.get<double>(); };
  std::printf("parameters %ld; gradients to sum %.4g MB a step\n",
              plan["parameters"].get<int64_t>(), number(plan["gradient_bytes"]) / 1e6);
  std::printf("one pass %.4g GMAC; a training step %.4g GFLOP an example, batch %ld\n\n",
              number(plan["pass_macs"]) / 1e9, number(plan["step_flops_per_example"]) / 1e9,
              plan["batch"].get<int64_t>());
  std::printf(
      "  gpus  batch  forward  backward  all-reduce  exposed  update  step (no overlap)  "
      "examples/s  efficiency  state\n"
      "        of each     ms        ms          ms       ms      ms           ms         "
      "                             GB\n");
  for (const auto& step : plan["by_gpus"]) {
    const auto ms = [&](const char* name) { return 1e3 * number(step[name]); };
    std::printf("%6ld %7.4g %8.4g %9.4g %11.4g %8.4g %7.3g %8.4g %9.4g %12.4g %10.1f%% %6.3g\n",
                step["gpus"].get<int64_t>(), number(step["batch_of_each"]), ms("forward_s"),
                ms("backward_s"), ms("all_reduce_s"), ms("all_reduce_exposed_s"), ms("optimizer_s"),
                ms("step_overlapped_s"), ms("step_one_after_other_s"),
                number(step["examples_per_s"]), 100 * number(step["efficiency"]),
                number(step["state_bytes"]["all"]) / 1e9);
  }
}

int plan(const Flags& flags) {
  auto config = Config::load(flags.config);
  for (const auto& assignment : flags.set) config.set(assignment);
  const auto description = describe(flags, read_run(config));
  if (flags.json) {
    std::cout << description.dump(2) << "\n";
  } else {
    print(description);
  }
  return 0;
}

}  // namespace

Action add_plan(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  auto* command = program.add_subcommand(
      "plan", "Reckon what training costs: work, memory, time of a step on N processors.");
  const auto add = [&](const char* name, double& value, const char* what, const char* unit) {
    command->add_option(name, value, what)
        ->type_name(unit)
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
  };
  command->add_option("config", flags->config, "config file, e.g. configs/imagenet64-uint8.toml")
      ->required()
      ->type_name("CONFIG.toml");
  command->add_option("--set", flags->set, "change one option of the config; may be repeated")
      ->type_name("SECTION.KEY=VALUE")
      ->allow_extra_args(false);
  command->add_option("--gpus", flags->gpus, "how many share a batch; several to compare")
      ->type_name("N,N,...")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  add("--bandwidth", flags->bandwidth, "that one sends and as many it receives", "GB/s");
  add("--latency", flags->latency, "of the smallest message", "us");
  add("--flops", flags->flops, "of one, as its maker counts them", "TFLOP/s");
  add("--utilization", flags->utilization, "share of them that the layers reach", "SHARE");
  add("--memory-bandwidth", flags->memory_bandwidth, "of one, for the update", "GB/s");
  add("--bucket", flags->bucket, "gradients that are summed at once", "MB");
  command
      ->add_option("--shape", flags->shape,
                   "of an example, where the config does not say it and the data are not here")
      ->type_name("C,H,W|C,L")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  command->add_option("--classes", flags->classes, "of the labels, in the same case")
      ->type_name("K")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--json", flags->json, "print JSON");
  return [flags] { return plan(*flags); };
}

}  // namespace bitdiff
