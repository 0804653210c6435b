// How a solver's error falls with its steps, on data whose flow is known exactly: independent
// normal numbers. Prints a JSON line for each solver and number of steps: the root mean square
// error of x_t at t = 1/4 under the cosine schedule.
//
//   bench_solvers | python scripts/plot_orders.py docs/images/solver-order.png

#include <cstdio>
#include <numeric>
#include <vector>

#include <ATen/ATen.h>

#include "bitdiff/diffusion/generate.h"
#include "tests/support/normal_denoiser.h"

namespace bitdiff {
namespace {

constexpr int64_t kRows = 256;

double error_of(Solver solver, int64_t steps) {
  const Process process{.codec = Codec({.categories = {16}}, 1)};
  const test::NormalDenoiser net(0.1);
  std::vector<int64_t> rows(kRows);
  std::iota(rows.begin(), rows.end(), 0);
  const Streams streams(0, rows);
  generate(process, net, {kRows, 4, 4}, {}, {.steps = steps, .solver = solver}, streams);
  const double start = process.gamma(1.0), there = process.gamma(0.25);
  const auto exact = net.flow(streams.fork(Purpose::kNoise).normal({kRows, 4, 4}), start, there);
  return (net.last_state(there) - exact).square().mean().sqrt().item<double>();
}

}  // namespace
}  // namespace bitdiff

int main() {
  using bitdiff::Solver;
  for (const auto& [name, solver] : bitdiff::solver_words()) {
    if (solver == Solver::kDdpm || solver == Solver::kDdpmSmall) continue;  // They follow no flow.
    for (int64_t steps = 8; steps <= 256; steps *= 2) {
      std::printf("{\"solver\": \"%s\", \"steps\": %ld, \"error\": %.6g}\n", name.c_str(),
                  static_cast<long>(steps), bitdiff::error_of(solver, steps));
    }
  }
}
