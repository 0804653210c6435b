#include "bitdiff/base/random_cuda.h"

#include <ATen/ops/empty.h>

#include "bitdiff/cuda/library.h"

namespace bitdiff::gpu {

Tensor draw(const cuda::Kernels& kernels, Distribution distribution, uint64_t seed,
            const Tensor& numbers, IntArrayRef shape) {
  const int64_t count = numbers.numel();
  TORCH_CHECK(!shape.empty() && shape[0] == count, "Streams: expected a shape that starts with ",
              count, ", got ", shape);
  auto out = at::empty(shape, numbers.options().dtype(at::kFloat));
  if (out.numel() == 0) return out;
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
