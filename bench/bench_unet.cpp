// Times one training step or one sampling step of our U-Net, in the terms of pytorch_bench.py.
//
//   bench_unet train --dim 64 --mult 1,2,2 --batch 16

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <numeric>
#include <string>
#include <unistd.h>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "bench/recorded_on_gpu.h"
#include "bench/timing.h"
#include "bitdiff/base/autocast.h"
#include "bitdiff/base/device.h"
#include "bitdiff/cli/environment.h"
#include "bitdiff/diffusion/train_loss.h"
#include "bitdiff/nn/unet.h"
#include "bitdiff/train/adam.h"
#include "bitdiff/train/ema.h"

namespace bitdiff {
namespace {

struct BenchOptions {
  std::string what;
  int64_t dim = 64;
  std::vector<int64_t> mult{1, 2, 2};
  int64_t resolution = 32;
  int64_t batch = 16;
  int64_t runs = 7;
  bool checkpointing = false;
  bool int8 = false;
  bool bf16 = false;
  std::string device = "cpu";
  bool cuda_graphs = false;
};

double time_training(const BenchOptions& options, const Process& process, const Denoiser& net,
                     const Parameters& parameters, const Streams& streams) {
  // As the yardstick: no clipping.
  const AdamOptions adam_options{.clip = 0};
  Adam adam(adam_options, parameters.named());
  Ema ema(0.9999, parameters.named());
  const auto side = options.resolution;
  const auto x = at::randint(256, {options.batch, 3, side, side}, at::kByte);
  uint64_t step = 0;
  return median_seconds(options.runs, streams.device(), [&] {
    const auto now = streams.fork(Purpose::kOrder, step++);
    const auto loss = [&] {
      const Autocast bf16(options.bf16, streams.device().type());
      return train_loss(process, net, x, {}, now, options.batch / 2);
    }();
    loss.backward();
    adam.step(adam_options.lr);
    ema.update();
  });
}

double time_sampling(const BenchOptions& options, const Process& process, const Denoiser& net,
                     const Streams& streams) {
  const c10::NoGradGuard no_grad;
  const auto side = options.resolution;
  const auto x_t = streams.normal({options.batch, process.codec.bit_channels(), side, side});
  const auto gamma = at::full({options.batch}, 0.5, x_t.options().dtype(at::kDouble));
  auto x_pred = at::zeros_like(x_t);
  const Autocast bf16(options.bf16, streams.device().type());
  return median_seconds(options.runs, streams.device(), [&] {
    x_pred = estimate_x0(process, net.forward(x_t, x_pred, gamma, {}), x_t, gamma);
  });
}

void run(const BenchOptions& options) {
  const double before = peak_mb();
  const Process process{.codec = Codec({}, 3)};
  const auto bits = process.codec.bit_channels();
  const auto device = open_device(options.device);
  Parameters parameters(0, device);
  const UNetOptions unet{
      .dim = options.dim, .mult = options.mult, .activation_checkpointing = options.checkpointing};
  auto net = make_unet(unet, {bits, bits, options.resolution}, Scope(parameters));
  if (options.cuda_graphs) net = recorded_on_gpu(std::move(net), parameters);
  if (options.int8) net->quantize();
  std::vector<int64_t> rows(options.batch);
  std::iota(rows.begin(), rows.end(), 0);
  const Streams streams(0, rows, device);
  const double seconds = options.what == "train"
                             ? time_training(options, process, *net, parameters, streams)
                             : time_sampling(options, process, *net, streams);
  print_answer(parameters.count(), seconds, before);
}

}  // namespace
}  // namespace bitdiff

int main(int argc, char** argv) try {
  // As `bitdiff train`.
  if (bitdiff::prepare_environment()) ::execv("/proc/self/exe", argv);
  bitdiff::BenchOptions options;
  CLI::App app("Times one training step or one sampling step of the U-Net.");
  app.add_option("what", options.what)->required()->check(CLI::IsMember({"train", "sample"}));
  app.add_option("--dim", options.dim);
  app.add_option("--mult", options.mult)->delimiter(',');
  app.add_option("--resolution", options.resolution);
  app.add_option("--batch", options.batch);
  app.add_option("--runs", options.runs);
  app.add_flag("--checkpointing", options.checkpointing, "activation checkpointing");
  app.add_flag("--bf16", options.bf16, "bfloat16 inside the network");
  app.add_option("--device", options.device, "cpu, cuda or cuda:N");
  app.add_flag("--cuda-graphs", options.cuda_graphs, "record calls of the network on the GPU");
  app.add_flag("--int8", options.int8, "8-bit convolutions, for sampling");
  CLI11_PARSE(app, argc, argv);
  bitdiff::run(options);
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_unet: %s\n", error.what());
  return 1;
}
