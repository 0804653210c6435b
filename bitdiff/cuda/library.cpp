#include "bitdiff/cuda/library.h"

#include <dlfcn.h>
#include <map>
#include <mutex>

#include <c10/core/impl/VirtualGuardImpl.h>

namespace bitdiff::cuda {
namespace {

const Kernels* open() {
  auto* const handle = dlopen("libbitdiff_cuda.so", RTLD_NOW | RTLD_LOCAL);
  if (!handle) return nullptr;
  const auto entry = reinterpret_cast<Entry>(dlsym(handle, kEntry));
  return entry ? entry() : nullptr;
}

}  // namespace

const Kernels* library() {
  static const Kernels* const kernels = open();
  return kernels;
}

const Kernels* library_for(at::Device device) {
  if (!device.is_cuda() || !library()) return nullptr;
  static std::mutex mutex;
  static std::map<int, bool> runs;
  const std::lock_guard lock(mutex);
  const auto [entry, is_new] = runs.try_emplace(device.index());
  if (is_new) {
    const c10::DeviceGuard guard(device);
    entry->second = library()->runs_on(device.index());
  }
  return entry->second ? library() : nullptr;
}

OnDeviceOf::OnDeviceOf(const at::Tensor& x) {
  if (x.is_cpu()) return;
  const auto device = x.device();
  guard_.reset_device(device);
  const c10::impl::VirtualGuardImpl streams(device.type());
  place_ = {device.index(), streams.getStream(device).native_handle()};
}

void check(const char* error) { TORCH_CHECK(!error, "libbitdiff_cuda.so: ", error ? error : ""); }

bool takes_type_of(const at::Tensor& x) {
  return x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
}

Type type_of(const at::Tensor& x) {
  TORCH_CHECK(takes_type_of(x), "libbitdiff_cuda.so: expected float32 or bfloat16, got ",
              x.scalar_type());
  return x.scalar_type() == at::kFloat ? Type::kFloat : Type::kBFloat16;
}

}  // namespace bitdiff::cuda
