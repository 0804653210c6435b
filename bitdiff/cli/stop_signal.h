#pragma once

namespace bitdiff {

/// Notices SIGINT and SIGTERM without a handler: while it lives they are blocked, and asked for.
/// To be made before any other thread is, for threads inherit what is blocked.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// Whether one has come.
  bool raised();

 private:
  bool raised_ = false;
};

}  // namespace bitdiff
