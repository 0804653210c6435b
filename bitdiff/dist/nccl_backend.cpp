#include "bitdiff/dist/nccl_backend.h"

#include <chrono>

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

extern "C" {

c10::intrusive_ptr<c10d::Backend> bitdiff_nccl_backend_1(
    const c10::intrusive_ptr<c10d::Store>& store, int rank, int size) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = std::chrono::minutes(30);
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
}

}  // extern "C"

static_assert(std::is_same_v<decltype(&bitdiff_nccl_backend_1), bitdiff::nccl::Entry>);
