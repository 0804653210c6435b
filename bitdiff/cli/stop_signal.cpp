#include "bitdiff/cli/stop_signal.h"

#include <csignal>
#include <ctime>

namespace bitdiff {
namespace {

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

StopSignal::StopSignal() {
  const auto set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

StopSignal::~StopSignal() {
  const auto set = stop_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

bool StopSignal::raised() {
  const auto set = stop_signals();
  const timespec no_wait{};
  if (sigtimedwait(&set, nullptr, &no_wait) > 0) raised_ = true;
  return raised_;
}

}  // namespace bitdiff
