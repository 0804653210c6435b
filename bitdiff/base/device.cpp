#include "bitdiff/base/device.h"

#include <dlfcn.h>
#include <optional>
#include <string_view>

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

constexpr const char* kInstead = "; use --device cpu";

/// Which of the devices `word`, cuda or cuda:N, names, if any.
std::optional<int64_t> index_of(const std::string& word) {
  if (word == "cuda") return {};
  const std::string_view digits = std::string_view(word).substr(5);
  if (digits.empty() || digits.size() > 2 ||
      digits.find_first_not_of("0123456789") != std::string_view::npos) {
    throw UsageError("--device ", word, ": expected cpu, cuda or cuda:N with the number of a GPU");
  }
  return std::stoi(std::string(digits));
}

}  // namespace

at::Device open_device(const std::string& word, int64_t local_rank) {
  if (word == "cpu") return at::kCPU;
  if (word != "cuda" && !word.starts_with("cuda:"))
    throw UsageError("--device ", word, ": expected cpu, cuda or cuda:N");
  const auto named = index_of(word);
  // Linked in, it would be loaded by every command, and its many libraries with it.
  if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) {
    throw UsageError("--device ", word,
                     ": this LibTorch has no CUDA that can be loaded: ", dlerror(), kInstead);
  }
  const int64_t count = static_cast<uint8_t>(at::detail::getCUDAHooks().deviceCount());
  if (count == 0)
    throw UsageError("--device ", word, ": no NVIDIA driver with a GPU was found", kInstead);
  const int64_t index = named.value_or(local_rank % count);
  if (index >= count) {
    throw UsageError("--device ", word, ": expected at most cuda:", count - 1,
                     ", the last GPU here", kInstead);
  }
  // Convolutions of float32 are float32, as products are already; bfloat16 is there to be faster.
  at::globalContext().setAllowTF32CuDNN(false);
  // Shapes are few and repeat: the fastest convolutions are found by trying.
  at::globalContext().setBenchmarkCuDNN(true);
  return {at::kCUDA, static_cast<at::DeviceIndex>(index)};
}

Tensor to_device(const Tensor& t, at::Device device) {
  if (!t.is_cpu() || !device.is_cuda()) return t.to(device);
  const auto dense = t.is_non_overlapping_and_dense() ? t : t.contiguous();
  return dense.pin_memory().to(device, t.scalar_type(), /*non_blocking=*/true);
}

}  // namespace bitdiff
