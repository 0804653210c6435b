#include "bitdiff/cli/progress.h"

#include <algorithm>
#include <cstdio>
#include <unistd.h>
#include <utility>

namespace bitdiff {
namespace {

std::string clock_text(double seconds) {
  const auto s = static_cast<int64_t>(seconds);
  char text[32];
  if (s >= 3600) {
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld:%02ld", s / 60, s % 60);
  }
  return text;
}

}  // namespace

Progress::Progress(std::string what, int64_t begin, int64_t end, std::string unit, double per_step)
    : what_(std::move(what)),
      end_(end),
      unit_(std::move(unit)),
      per_step_(per_step),
      terminal_(::isatty(STDERR_FILENO) == 1),
      last_shown_(start_ - std::chrono::hours(1)),
      last_done_(begin),
      last_tenth_(end > 0 ? begin * 10 / end : 0) {}

Progress::~Progress() {
  if (terminal_) std::fputc('\n', stderr);
}

std::string Progress::line(int64_t done, const std::string& note) const {
  const double elapsed = std::chrono::duration<double>(last_step_ - start_).count();
  const double left = static_cast<double>(end_ - done) * per_step_ / std::max(smooth_rate_, 1e-9);
  const int64_t percent = end_ > 0 ? done * 100 / end_ : 100;
  std::string bar;
  for (int64_t i = 0; i < 20; ++i) bar += i < percent / 5 ? '=' : i == percent / 5 ? '>' : ' ';
  char text[256];
  std::snprintf(text, sizeof text, "%s %3ld%% [%s] %ld/%ld  %s  %.4g %s/s  %s<%s", what_.c_str(),
                percent, bar.c_str(), done, end_, note.c_str(), smooth_rate_, unit_.c_str(),
                clock_text(elapsed).c_str(), clock_text(left).c_str());
  return text;
}

void Progress::show(int64_t done, const std::string& note) {
  const auto now = Clock::now();
  const double seconds = std::max(std::chrono::duration<double>(now - last_step_).count(), 1e-9);
  rate_ = static_cast<double>(done - last_done_) * per_step_ / seconds;
  smooth_rate_ = smooth_rate_ == 0 ? rate_ : smooth_rate_ + 0.05 * (rate_ - smooth_rate_);
  last_step_ = now;
  last_done_ = done;

  const int64_t tenth = end_ > 0 ? done * 10 / end_ : 10;
  const auto quiet = now - last_shown_;
  const bool due = terminal_ ? quiet > std::chrono::milliseconds(200)
                             : quiet > std::chrono::seconds(30) || tenth != last_tenth_;
  if (!due && done != end_) return;
  last_shown_ = now;
  last_tenth_ = tenth;
  std::fprintf(stderr, terminal_ ? "\r%s\x1b[K" : "%s\n", line(done, note).c_str());
  std::fflush(stderr);
}

}  // namespace bitdiff
