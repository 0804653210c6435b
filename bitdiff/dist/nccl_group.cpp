#include "bitdiff/dist/nccl_group.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <string>
#include <unistd.h>
#include <utility>

#include <c10/util/Exception.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "bitdiff/dist/c10d_group.h"
#include "bitdiff/dist/c10d_store.h"
#include "bitdiff/dist/mpi_group.h"
#include "bitdiff/dist/nccl_backend.h"

namespace bitdiff {
namespace {

nccl::Entry open_nccl() {
  auto* const handle = dlopen("libbitdiff_nccl.so", RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    throw DistributedError("several processes on GPUs talk through NCCL, but ", dlerror(),
                           "; build bitdiff where nvcc and nccl.h are, or start one process");
  }
  auto* const entry = reinterpret_cast<nccl::Entry>(dlsym(handle, nccl::kEntry));
  if (!entry) throw DistributedError("libbitdiff_nccl.so is of another version; build both anew");
  return entry;
}

/// The GPU as all processes know it, for those who see different ones count them differently.
std::string name_of(at::Device device) {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return bitdiff::str(device, " of ", host,
                      visible ? str(" (CUDA_VISIBLE_DEVICES=", visible, ")") : "");
}

/// NCCL would refuse two processes on one GPU in words of its own.
void check_own_gpu(c10d::Store& store, int rank, int size, at::Device device) {
  const auto own = name_of(device);
  store.set(str("gpu/", rank), own);
  for (int other = 0; other < size; ++other) {
    if (other == rank || store.get_to_str(str("gpu/", other)) != own) continue;
    throw DistributedError("processes ", std::min(rank, other), " and ", std::max(rank, other),
                           " both compute on ", own, "; expected a GPU for each: start as many ",
                           "processes as there are GPUs, with --device cuda");
  }
}

}  // namespace

std::unique_ptr<Group> join_nccl(const Launch& launch, at::Device device) {
  std::unique_ptr<Group> mpi;
  if (launch.by == Launcher::kMpi) {
    mpi = join_mpi(launch);
    if (mpi->size() == 1) return std::make_unique<GroupOfOne>();  // MPI's takes no GPU.
  }
  const auto rank = static_cast<int>(mpi ? mpi->rank() : launch.rank);
  const auto size = static_cast<int>(mpi ? mpi->size() : launch.size);
  const auto store = mpi ? store_beside(*mpi) : store_of_torchrun(launch);
  // Rows are sent one by one on purpose.
  ::setenv("TORCH_NCCL_SHOW_EAGER_INIT_P2P_SERIALIZATION_WARNING", "0", /*overwrite=*/0);
  try {
    check_own_gpu(*store, rank, size, device);
    const auto make_backend = open_nccl();
    c10::intrusive_ptr<c10d::Backend> backend;
    make_backend(store, rank, size, backend);
    auto group = std::make_unique<C10dGroup>(backend, device, std::move(mpi));
    backend->eagerConnectSingleDevice(device);
    return group;
  } catch (const c10::Error& error) {
    throw DistributedError("NCCL failed to start on ", device, ": ",
                           first_line(error.what_without_backtrace()),
                           "; NCCL_DEBUG=INFO shows more");
  }
}

}  // namespace bitdiff
