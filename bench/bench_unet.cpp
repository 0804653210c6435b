// Times one training step and one sampling step of our U-Net, in the terms of pytorch_bench.py.
//
//   bench_unet --dim 64 --mult 1,2,2 --batch 16

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <functional>
#include <numeric>
#include <string>
#include <unistd.h>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include "bitdiff/cli/environment.h"
#include "bitdiff/diffusion/train_loss.h"
#include "bitdiff/nn/unet.h"
#include "bitdiff/train/adam.h"
#include "bitdiff/train/ema.h"

namespace bitdiff {
namespace {

struct BenchOptions {
  int64_t dim = 64;
  std::vector<int64_t> mult{1, 2, 2};
  int64_t resolution = 32;
  int64_t batch = 16;
  int64_t runs = 7;
};

double median_seconds(int64_t runs, const std::function<void()>& run) {
  std::vector<double> seconds;
  for (int64_t i = -2; i < runs; ++i) {  // Two to warm up.
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    if (i >= 0) seconds.push_back(time.count());
  }
  const auto middle = seconds.begin() + static_cast<int64_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

void run(const BenchOptions& options) {
  const Process process{.codec = Codec({}, 3)};
  const auto bits = process.codec.bit_channels();
  Parameters parameters(0);
  const auto net = make_unet({.dim = options.dim, .mult = options.mult},
                             {bits, bits, options.resolution}, Scope(parameters));
  // As the yardstick: no clipping.
  const AdamOptions adam_options{.clip = 0};
  Adam adam(adam_options, parameters.named());
  Ema ema(0.9999, parameters.named());

  std::vector<int64_t> rows(options.batch);
  std::iota(rows.begin(), rows.end(), 0);
  const Streams streams(0, rows);
  const auto side = options.resolution;
  const auto x = at::randint(256, {options.batch, 3, side, side}, at::kByte);
  uint64_t step = 0;
  const auto train = median_seconds(options.runs, [&] {
    const auto now = streams.fork(Purpose::kOrder, step++);
    train_loss(process, *net, x, {}, now, options.batch / 2).backward();
    adam.step(adam_options.lr);
    ema.update();
  });

  const c10::NoGradGuard no_grad;
  const auto x_t = streams.normal({options.batch, bits, side, side});
  const auto gamma = at::full({options.batch}, 0.5, at::kDouble);
  auto x_pred = at::zeros_like(x_t);
  const auto sample = median_seconds(options.runs, [&] {
    x_pred = estimate_x0(process, net->forward(x_t, x_pred, gamma, {}), x_t, gamma);
  });

  std::printf(
      "{\"parameters\": %ld, \"threads\": %d, \"train_seconds\": %.6f, "
      "\"sample_step_seconds\": %.6f}\n",
      static_cast<long>(parameters.count()), at::get_num_threads(), train, sample);
}

}  // namespace
}  // namespace bitdiff

int main(int argc, char** argv) try {
  // As `bitdiff train`.
  if (bitdiff::prepare_environment()) ::execv("/proc/self/exe", argv);
  bitdiff::BenchOptions options;
  CLI::App app("Times one training step and one sampling step of the U-Net.");
  app.add_option("--dim", options.dim);
  app.add_option("--mult", options.mult)->delimiter(',');
  app.add_option("--resolution", options.resolution);
  app.add_option("--batch", options.batch);
  app.add_option("--runs", options.runs);
  CLI11_PARSE(app, argc, argv);
  bitdiff::run(options);
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_unet: %s\n", error.what());
  return 1;
}
