#pragma once

#include "bitdiff/base/options.h"
#include "bitdiff/base/tensor.h"

namespace bitdiff {

enum class ScheduleKind { kCosine, kCosineTau, kSigmoid, kLinear, kLog };

struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::kCosine;
  double ns = 0.0002;    ///< cosine: shift of the start.
  double ds = 0.00025;   ///< cosine: shift of the end.
  double start = 0;      ///< cosine-tau, sigmoid, log: the piece [start, end] of the curve.
  double end = 1;        ///< As start.
  double tau = 1;        ///< cosine-tau: power; sigmoid: temperature.
  bool reverse = false;  ///< log: start and end swapped.

  template <class Visitor>
  void visit(Visitor& v) {
    v.choice("kind", kind,
             Words<ScheduleKind>{{"cosine", ScheduleKind::kCosine},
                                 {"cosine-tau", ScheduleKind::kCosineTau},
                                 {"sigmoid", ScheduleKind::kSigmoid},
                                 {"linear", ScheduleKind::kLinear},
                                 {"log", ScheduleKind::kLog}},
             "gamma(t)");
    v.number("ns", ns, between(0, 0.1), "cosine: shift of the start");
    v.number("ds", ds, between(0, 0.1), "cosine: shift of the end");
    v.number("start", start, {}, "cosine-tau, sigmoid, log: start of the piece of the curve");
    v.number("end", end, {}, "cosine-tau, sigmoid, log: end of the piece of the curve");
    v.number("tau", tau, between(1e-3, 1e3), "cosine-tau: power; sigmoid: temperature");
    v.flag("reverse", reverse, "log: start and end swapped");
  }
};

/// Noise schedule gamma: [0, 1] -> (0, 1], decreasing from data (t = 0) to noise (t = 1):
///
///   x_t = sqrt(gamma(t)) * x_0 + sqrt(1 - gamma(t)) * eps,   eps ~ N(0, I).
///
/// gamma is what DDPM papers call alpha-bar. Time is continuous and has no unit. All values are
/// float64, for 1 - gamma is down to 1e-7 near the data. Other kinds than cosine are kept in
/// [1e-9, 1]. Formulas: Chen et al. (2022) and the authors' code.
class Schedule {
 public:
  /// Throws UsageError when the piece [start, end] of the curve is empty or leaves its domain.
  explicit Schedule(const ScheduleOptions& options = {});

  /// For sampling, where a whole batch shares one time.
  double operator()(double t) const;

  /// For training: elementwise, float [B] -> float64 [B].
  Tensor operator()(const Tensor& t) const;

 private:
  ScheduleOptions options_;
};

/// log(gamma / (1 - gamma)), the logarithm of the signal-to-noise ratio.
double log_snr(double gamma);

}  // namespace bitdiff
