#include "bitdiff/dist/nccl_backend.h"

#include <chrono>
#include <type_traits>

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

extern "C" {

void bitdiff_nccl_backend_2(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                            c10::intrusive_ptr<c10d::Backend>& backend) {
  // The layout of options is that of nccl.h.
  constexpr uint64_t kHere = (uint64_t{NCCL_MAJOR} << 32) | (uint64_t{NCCL_MINOR} << 16);
  TORCH_CHECK(torch::cuda::nccl::version() >> 16 == kHere >> 16, "built with nccl.h of version ",
              NCCL_MAJOR, ".", NCCL_MINOR, ", which is not LibTorch's; build anew with that");
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = std::chrono::minutes(30);
  backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
}

}  // extern "C"

static_assert(std::is_same_v<decltype(&bitdiff_nccl_backend_2), bitdiff::nccl::Entry>);
