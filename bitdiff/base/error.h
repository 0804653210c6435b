#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace bitdiff {

/// What went wrong, in the terms of the program's exit codes.
enum class ErrorKind {
  kUsage = 2,        ///< Command line or config.
  kInput = 3,        ///< A file that is not what it should be.
  kStorage = 4,      ///< The disk refused.
  kNumbers = 5,      ///< A loss or a sample that is not finite.
  kDistributed = 6,  ///< Another process failed or is missing.
  kBusy = 7,         ///< The run folder is in use.
  kMemory = 8,       ///< Memory ran out.
};

/// The one exception for faults of the input or the machine: one sentence that names what, where,
/// expected, found and what to do. Thrown where the fault is noticed, caught once, in main.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& what) : std::runtime_error(what), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

/// The parts written one after the other.
template <class... Parts>
std::string str(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// What stands before the first line break: LibTorch's errors go on with advice and C++ frames.
inline std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

template <ErrorKind kKind>
class ErrorOf : public Error {
 public:
  template <class... Parts>
  explicit ErrorOf(const Parts&... parts) : Error(kKind, bitdiff::str(parts...)) {}
};

using UsageError = ErrorOf<ErrorKind::kUsage>;
using InputError = ErrorOf<ErrorKind::kInput>;
using StorageError = ErrorOf<ErrorKind::kStorage>;
using NumbersError = ErrorOf<ErrorKind::kNumbers>;
using BusyError = ErrorOf<ErrorKind::kBusy>;

}  // namespace bitdiff
