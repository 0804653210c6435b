#include "bitdiff/diffusion/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ops/empty.h>

#include "bitdiff/base/device.h"
#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

constexpr double kHalfPi = std::numbers::pi / 2;

/// The piece [start, end] of the falling curve f, stretched to go from 1 (t = 0) to 0 (t = 1).
template <class Curve>
double piece(Curve f, double start, double end, double t) {
  const double last = f(end);
  return (f(t * (end - start) + start) - last) / (f(start) - last);
}

double unclipped(const ScheduleOptions& o, double t) {
  switch (o.kind) {
    case ScheduleKind::kCosine: {
      const double c = std::cos((t + o.ns) / (1 + o.ds) * kHalfPi);
      return c * c;
    }
    case ScheduleKind::kCosineTau:
      return piece([&](double u) { return std::pow(std::cos(u * kHalfPi), 2 * o.tau); }, o.start,
                   o.end, t);
    case ScheduleKind::kSigmoid:
      return piece([&](double u) { return -1 / (1 + std::exp(-u / o.tau)); }, o.start, o.end, t);
    case ScheduleKind::kLinear:
      return 1 - t;
    case ScheduleKind::kLog:
      return piece([](double u) { return -std::log(u); }, o.reverse ? o.end : o.start,
                   o.reverse ? o.start : o.end, t);
  }
  TORCH_CHECK(false, "Schedule: unknown kind");
}

void check_piece(const ScheduleOptions& o) {
  if (o.start == o.end)
    throw UsageError("schedule.end: expected another value than start, found ", o.end);
  if (o.kind == ScheduleKind::kLog && std::min(o.start, o.end) <= 0) {
    throw UsageError("schedule.start and end: log needs positive values, found ", o.start, " and ",
                     o.end);
  }
  if (o.kind == ScheduleKind::kCosineTau &&
      (std::min(o.start, o.end) < 0 || std::max(o.start, o.end) > 1)) {
    throw UsageError("schedule.start and end: cosine-tau needs values in [0, 1], found ", o.start,
                     " and ", o.end);
  }
}

}  // namespace

Schedule::Schedule(const ScheduleOptions& options) : options_(options) {
  if (options.kind != ScheduleKind::kCosine && options.kind != ScheduleKind::kLinear) {
    check_piece(options);
  }
}

double Schedule::operator()(double t) const {
  const double gamma = unclipped(options_, t);
  return options_.kind == ScheduleKind::kCosine ? gamma : std::clamp(gamma, 1e-9, 1.0);
}

Tensor Schedule::operator()(const Tensor& t) const {
  const auto times = t.to(at::kCPU, at::kDouble).contiguous();
  auto gamma = at::empty(times.sizes(), at::kDouble);
  const double* from = times.const_data_ptr<double>();
  std::transform(from, from + times.numel(), gamma.mutable_data_ptr<double>(), *this);
  return to_device(gamma, t.device());
}

double log_snr(double gamma) { return std::log(gamma / (1 - gamma)); }

}  // namespace bitdiff
