#include "bitdiff/base/random_cuda.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include "bitdiff/cuda/library.h"

namespace bitdiff::gpu {

Tensor draw(const cuda::Kernels& kernels, Distribution distribution, uint64_t seed,
            const std::vector<int64_t>& rows, IntArrayRef shape, at::Device device) {
  const auto count = static_cast<int64_t>(rows.size());
  TORCH_CHECK(!shape.empty() && shape[0] == count, "Streams: expected a shape that starts with ",
              count, ", got ", shape);
  auto out = at::empty(shape, at::TensorOptions(at::kFloat).device(device));
  if (out.numel() == 0) return out;
  const auto numbers = at::tensor(rows, at::kLong).to(device, at::kLong, /*non_blocking=*/true);
  const cuda::OnDeviceOf on(out);
  cuda::check(kernels.random({.normal = distribution == Distribution::kNormal,
                              .seed = seed,
                              .rows = numbers.const_data_ptr<int64_t>(),
                              .count = count,
                              .length = out.numel() / count,
                              .to = out.mutable_data_ptr<float>()},
                             on.place()));
  return out;
}

}  // namespace bitdiff::gpu
