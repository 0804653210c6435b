#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace bitdiff {

/// A line on stderr that says how far a long job is, redrawn in place on a terminal and written
/// every half minute or tenth of the way elsewhere.
class Progress {
 public:
  /// `what`: the job; `unit`: what is counted in the rate; a step is worth `per_step` of it.
  Progress(std::string what, int64_t begin, int64_t end, std::string unit, double per_step);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// After a step: `done` of `end` steps are made. `note`: e.g. "loss 0.0412".
  void show(int64_t done, const std::string& note);

  /// Units a second since the last call.
  double rate() const { return rate_; }

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(int64_t done, const std::string& note) const;

  std::string what_;
  int64_t end_;
  std::string unit_;
  double per_step_;
  bool terminal_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_step_ = start_;
  Clock::time_point last_shown_;
  int64_t last_done_;
  int64_t last_tenth_;
  double rate_ = 0;
  double smooth_rate_ = 0;
};

}  // namespace bitdiff
