#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <sys/resource.h>
#include <vector>

#include <ATen/Parallel.h>
#include <c10/core/Device.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace bitdiff {

/// Waits for what `device` was told to do.
inline void synchronize(at::Device device) {
  if (device.is_cuda())
    c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

/// The median time of `run` over `runs` calls on `device`, after two to warm up.
template <class Run>
double median_seconds(int64_t runs, at::Device device, const Run& run) {
  std::vector<double> seconds;
  for (int64_t i = -2; i < runs; ++i) {
    synchronize(device);
    const auto start = std::chrono::steady_clock::now();
    run();
    synchronize(device);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    if (i >= 0) seconds.push_back(time.count());
  }
  const auto middle = seconds.begin() + static_cast<int64_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

/// The most memory that this process has held so far, in MB.
inline double peak_mb() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// What a bench program answers, in the words of pytorch_bench.py.
inline void print_answer(int64_t parameters, double seconds, double mb_before) {
  std::printf(
      "{\"parameters\": %ld, \"threads\": %d, \"seconds\": %.6f, \"before_mb\": %.1f, "
      "\"peak_mb\": %.1f}\n",
      static_cast<long>(parameters), at::get_num_threads(), seconds, mb_before, peak_mb());
}

}  // namespace bitdiff
