// Images a second that the loader gives of a config's [data] section, to a caller that does nothing
// with them. Images a second of CPU time hardly depend on what else the machine does.
//
//   bench_loader configs/cifar10-uint8.toml --set data.path=DATA --batch 128

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include <ATen/Parallel.h>

#include "bitdiff/base/config.h"
#include "bitdiff/cli/environment.h"
#include "bitdiff/data/loader.h"
#include "bitdiff/data/open.h"

namespace bitdiff {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct BenchOptions {
  std::string config;
  std::vector<std::string> set;
  int64_t batch = 128;
  int64_t rounds = 5;
  double seconds = 1;  // Of a round.
  std::vector<int> threads{1, 2};
};

void bench(const std::shared_ptr<const Dataset>& dataset, const LoaderOptions& options,
           const BenchOptions& bench_options) {
  Loader loader(dataset, options);
  int64_t step = 0;
  loader.get(step++);
  std::vector<double> rates;
  int64_t all = 0;
  const auto cpu = std::clock();
  for (int64_t round = 0; round < bench_options.rounds; ++round) {
    const auto start = Clock::now();
    int64_t images = 0;
    while (seconds_since(start) < bench_options.seconds) images += loader.get(step++).x.size(0);
    rates.push_back(static_cast<double>(images) / seconds_since(start));
    all += images;
  }
  const double cpu_seconds = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  std::sort(rates.begin(), rates.end());
  std::printf("%7d %9s %10.0f %10.0f %10.0f %17.0f\n", at::get_num_threads(),
              options.prefetch ? "on" : "off", rates[rates.size() / 2], rates.front(), rates.back(),
              static_cast<double>(all) / cpu_seconds);
}

void run(const BenchOptions& options) {
  auto config = Config::load(options.config);
  for (const auto& assignment : options.set) config.set(assignment);
  DataOptions data;
  config.read("data", data);
  const auto start = Clock::now();
  const auto dataset = open_dataset(data);
  std::printf("%ld images opened in %.2f s\n", static_cast<long>(dataset->size()),
              seconds_since(start));
  double load = 0;
  if (::getloadavg(&load, 1) == 1) std::printf("load of the machine before: %.2f\n", load);
  std::printf("%7s %9s %10s %10s %10s %17s\n", "threads", "prefetch", "images/s", "slowest",
              "fastest", "images/CPU second");
  for (const int threads : options.threads) {
    at::set_num_threads(threads);
    for (const bool prefetch : {false, true}) {
      bench(dataset, {.batch = options.batch, .flip = data.flip, .prefetch = prefetch}, options);
    }
  }
}

}  // namespace
}  // namespace bitdiff

int main(int argc, char** argv) try {
  // As `bitdiff train`.
  if (bitdiff::prepare_environment()) ::execv("/proc/self/exe", argv);
  bitdiff::BenchOptions options;
  CLI::App app("Images a second that the loader gives of a config's [data] section.");
  app.add_option("config", options.config)->required();
  app.add_option("--set", options.set, "change one option of the config; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--batch", options.batch);
  app.add_option("--rounds", options.rounds);
  app.add_option("--seconds", options.seconds, "of a round");
  app.add_option("--threads", options.threads)->delimiter(',');
  CLI11_PARSE(app, argc, argv);
  bitdiff::run(options);
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_loader: %s\n", error.what());
  return 1;
}
