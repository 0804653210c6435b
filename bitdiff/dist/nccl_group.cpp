#include "bitdiff/dist/nccl_group.h"

#include <dlfcn.h>
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

}  // namespace

std::unique_ptr<Group> join_nccl(const Launch& launch, at::Device device) {
  const auto make_backend = open_nccl();
  std::unique_ptr<Group> mpi;
  if (launch.by == Launcher::kMpi) {
    mpi = join_mpi(launch);
    if (mpi->size() == 1) return mpi;
  }
  const auto rank = static_cast<int>(mpi ? mpi->rank() : launch.rank);
  const auto size = static_cast<int>(mpi ? mpi->size() : launch.size);
  const auto store = mpi ? store_beside(*mpi) : store_of_torchrun(launch);
  try {
    auto backend = make_backend(store, rank, size);
    backend->eagerConnectSingleDevice(device);
    return std::make_unique<C10dGroup>(std::move(backend), device, std::move(mpi));
  } catch (const c10::Error& error) {
    throw DistributedError("NCCL failed to start on ", device, ": ",
                           error.what_without_backtrace());
  }
}

}  // namespace bitdiff
