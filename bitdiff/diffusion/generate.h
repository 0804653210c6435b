#pragma once

#include "bitdiff/diffusion/denoiser.h"
#include "bitdiff/diffusion/estimator.h"
#include "bitdiff/diffusion/process.h"
#include "bitdiff/diffusion/step.h"

namespace bitdiff {

/// What td is measured in: steps, or the time from 0 to 1, in which it does not shrink as steps
/// become more.
enum class TdUnit { kSteps, kTime };

struct GenerateOptions {
  int64_t steps = 100;
  double td = 0;
  TdUnit td_unit = TdUnit::kSteps;
  Solver solver = Solver::kDdim;
  EstimateOptions estimate = {};

  template <class Visitor>
  void visit(Visitor& v) {
    v.number("steps", steps, between(1, 1e6), "reverse steps");
    v.number("td", td, between(0, 1e6), "asymmetric time interval, in td_unit");
    v.choice("td_unit", td_unit, Words<TdUnit>{{"steps", TdUnit::kSteps}, {"time", TdUnit::kTime}},
             "steps, or time from 0 to 1");
    v.choice("solver", solver, solver_words(), "how a step is taken");
    estimate.visit(v);
  }
};

/// Algorithm 2 of Chen et al. (2022): from noise to analog bits. The state jumps ahead by td while
/// the network is told the time as without. A step costs one call of the network, with kHeun two
/// (but for the last).
///
/// `shape`: [B, bit channels, *S]. Noise is a function of each row's stream in `streams`. Returns
/// the last estimate of x_0, float32 `shape` in +-codec.scale(); Codec::decode turns it into data.
Tensor generate(const Process& process, const Denoiser& net, IntArrayRef shape,
                const Condition& cond, const GenerateOptions& options, const Streams& streams);

}  // namespace bitdiff
