#pragma once

#include "bitdiff/diffusion/denoiser.h"
#include "bitdiff/diffusion/process.h"
#include "bitdiff/diffusion/step.h"

namespace bitdiff {

struct GenerateOptions {
  int64_t steps = 100;
  double td = 0;
  Solver solver = Solver::kDdim;
  bool self_cond = true;
  double momentum = 0;
  double self_guidance = 1;

  template <class Visitor>
  void visit(Visitor& v) {
    v.number("steps", steps, between(1, 1e6), "reverse steps, each one call of the network");
    v.number("td", td, between(0, 1e6), "asymmetric time interval, in steps");
    v.choice("solver", solver, solver_words(), "how a step is taken");
    v.flag("self_cond", self_cond, "feed the previous estimate of x0 back to the network");
    v.number("momentum", momentum, between(0, 0.999),
             "share of the estimate fed before in the one fed now; 0: the last estimate alone");
    v.number("self_guidance", self_guidance, between(0, 100),
             "weight of the estimate with self-conditioning against the one without, at two calls "
             "of the network a step, whatever self_cond and momentum say; 1: off, one call");
  }
};

/// Algorithm 2 of Chen et al. (2022): from noise to analog bits; with momentum Algorithm 5, with
/// self-guidance Algorithm 6, where the first of a step's two calls makes the estimate for the
/// second.
///
/// `shape`: [B, bit channels, *S]. Noise is a function of each row's stream in `streams`. Returns
/// the last estimate of x_0, float32 `shape` in +-codec.scale(); Codec::decode turns it into data.
Tensor generate(const Process& process, const Denoiser& net, IntArrayRef shape,
                const Condition& cond, const GenerateOptions& options, const Streams& streams);

}  // namespace bitdiff
