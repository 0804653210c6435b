// Times one training step or one sampling step of our caption decoder at the paper's size, in the
// terms of pytorch_bench.py --captions. What it looks at is random numbers: the image encoder is
// the same for everybody.
//
//   bench_captions train --batch 64

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
#include "bitdiff/nn/transformer.h"
#include "bitdiff/train/adam.h"
#include "bitdiff/train/ema.h"

namespace bitdiff {
namespace {

constexpr int64_t kVocabulary = 32768;

struct BenchOptions {
  std::string what;
  int64_t layers = 6, width = 512, heads = 8, length = 64, context = 196;
  int64_t batch = 64;
  int64_t runs = 3;
  bool bf16 = false;
  std::string device = "cpu";
  bool cuda_graphs = false;
};

double time_training(const BenchOptions& options, const Process& process, const Denoiser& net,
                     const Parameters& parameters, const Condition& cond, const Streams& streams) {
  const AdamOptions adam_options{.clip = 0};
  Adam adam(adam_options, parameters.named());
  Ema ema(0.9999, parameters.named());
  const auto x = at::randint(kVocabulary, {options.batch, 1, options.length}, at::kLong);
  uint64_t step = 0;
  return median_seconds(options.runs, streams.device(), [&] {
    const auto now = streams.fork(Purpose::kOrder, step++);
    const auto loss = [&] {
      const Autocast bf16(options.bf16, streams.device().type());
      return train_loss(process, net, x, cond, now, options.batch / 2);
    }();
    loss.backward();
    adam.step(adam_options.lr);
    ema.update();
  });
}

double time_sampling(const BenchOptions& options, const Process& process, const Denoiser& net,
                     const Condition& cond, const Streams& streams) {
  const c10::NoGradGuard no_grad;
  const auto x_t = streams.normal({options.batch, process.codec.bit_channels(), options.length});
  const auto gamma = at::full({options.batch}, 0.5, x_t.options().dtype(at::kDouble));
  auto x_pred = at::zeros_like(x_t);
  const auto seen = net.look(cond);  // As generate(): once for all steps.
  const Autocast bf16(options.bf16, streams.device().type());
  return median_seconds(options.runs, streams.device(), [&] {
    x_pred = estimate_x0(process, net.forward(x_t, x_pred, gamma, seen), x_t, gamma);
  });
}

void run(const BenchOptions& options) {
  const double before = peak_mb();
  const Process process{.codec = Codec({.categories = {kVocabulary}}, 1)};
  const auto bits = process.codec.bit_channels();
  const auto device = open_device(options.device);
  Parameters parameters(0, device);
  auto net =
      make_transformer({.layers = options.layers, .width = options.width, .heads = options.heads},
                       {bits, bits, options.length, 0, options.width}, Scope(parameters));
  if (options.cuda_graphs) net = recorded_on_gpu(std::move(net), parameters);
  std::vector<int64_t> rows(options.batch);
  std::iota(rows.begin(), rows.end(), 0);
  const Streams streams(0, rows, device);
  const Condition cond{.label = {},
                       .context = streams.normal({options.batch, options.context, options.width}),
                       .dropout = {}};
  const double seconds = options.what == "train"
                             ? time_training(options, process, *net, parameters, cond, streams)
                             : time_sampling(options, process, *net, cond, streams);
  print_answer(parameters.count(), seconds, before);
}

}  // namespace
}  // namespace bitdiff

int main(int argc, char** argv) try {
  if (bitdiff::prepare_environment()) ::execv("/proc/self/exe", argv);
  bitdiff::BenchOptions options;
  CLI::App app("Times one training step or one sampling step of the caption decoder.");
  app.add_option("what", options.what)->required()->check(CLI::IsMember({"train", "sample"}));
  app.add_option("--layers", options.layers);
  app.add_option("--width", options.width);
  app.add_option("--batch", options.batch);
  app.add_option("--runs", options.runs);
  app.add_flag("--bf16", options.bf16, "bfloat16 inside the network");
  app.add_option("--device", options.device, "cpu, cuda or cuda:N");
  app.add_flag("--cuda-graphs", options.cuda_graphs, "record calls of the network on the GPU");
  CLI11_PARSE(app, argc, argv);
  bitdiff::run(options);
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_captions: %s\n", error.what());
  return 1;
}
