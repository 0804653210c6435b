#include "bitdiff/base/random.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/core/PhiloxRNGEngine.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include "bitdiff/base/device.h"
#include "bitdiff/base/random_cuda.h"
#include "bitdiff/cuda/library.h"

namespace bitdiff {
namespace {

/// The finalizer of splitmix64: a bijection that scatters neighbouring keys.
uint64_t mix(uint64_t z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

uint64_t fork_seed(uint64_t seed, Purpose purpose, uint64_t index) {
  return mix(mix(seed + static_cast<uint64_t>(purpose)) + index);
}

/// Calls fill(engine, first, last) once for every row, in parallel. `numbers`: int64 [B] in main
/// memory.
template <class Fill>
Tensor fill_rows(uint64_t seed, const Tensor& numbers, IntArrayRef shape, Fill fill) {
  const int64_t rows = numbers.numel();
  TORCH_CHECK(!shape.empty() && shape[0] == rows, "Streams: expected a shape that starts with ",
              rows, ", got ", shape);
  auto out = at::empty(shape, at::kFloat);
  const int64_t length = rows == 0 ? 0 : out.numel() / rows;
  const auto* number = numbers.const_data_ptr<int64_t>();
  float* data = out.mutable_data_ptr<float>();
  // Fewer numbers are not worth waking a thread for.
  const int64_t rows_per_thread = std::max<int64_t>(1, 4096 / std::max<int64_t>(1, length));
  at::parallel_for(0, rows, rows_per_thread, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      at::Philox4_32 engine(seed, static_cast<uint64_t>(number[row]));
      fill(engine, data + row * length, data + (row + 1) * length);
    }
  });
  return out;
}

}  // namespace

Streams::Streams(uint64_t seed, std::vector<int64_t> rows, at::Device device)
    : seed_(seed), rows_(std::move(rows)), device_(device) {
  // Once for all that is forked from these.
  if (cuda::library_for(device)) numbers_ = numbers();
}

Streams Streams::on(at::Device device) const {
  TORCH_CHECK(size() == static_cast<int64_t>(rows_.size()),
              "Streams: those that read their rows' numbers stay on ", device_);
  return {seed_, rows_, device};
}

int64_t Streams::size() const {
  return numbers_.defined() ? numbers_.size(0) : static_cast<int64_t>(rows_.size());
}

Tensor Streams::numbers() const {
  return numbers_.defined() ? numbers_ : to_device(at::tensor(rows_, at::kLong), device_);
}

Tensor Streams::numbers_on_cpu() const {
  return numbers_.defined() ? numbers_.cpu() : at::tensor(rows_, at::kLong);
}

Streams Streams::reading(const Tensor& numbers) const {
  TORCH_CHECK(numbers.scalar_type() == at::kLong && numbers.dim() == 1 && numbers.is_contiguous() &&
                  numbers.device() == device_,
              "Streams: expected numbers of rows, int64 [B] on ", device_, ", got ",
              numbers.toString(), " ", numbers.sizes());
  return {seed_, {}, device_, numbers};
}

Streams Streams::fork(Purpose purpose, uint64_t index) const {
  return {fork_seed(seed_, purpose, index), rows_, device_, numbers_};
}

Streams Streams::slice(int64_t begin, int64_t end) const {
  if (!numbers_.defined()) return {seed_, {rows_.begin() + begin, rows_.begin() + end}, device_};
  std::vector<int64_t> rows;
  if (!rows_.empty()) rows.assign(rows_.begin() + begin, rows_.begin() + end);
  return {seed_, std::move(rows), device_, numbers_.slice(0, begin, end)};
}

Tensor Streams::uniform(IntArrayRef shape) const {
  if (const auto* kernels = cuda::library_for(device_))
    return gpu::draw(*kernels, gpu::Distribution::kUniform, seed_, numbers_, shape);
  const auto u = fill_rows(seed_, numbers_on_cpu(), shape,
                           [](at::Philox4_32& engine, float* first, float* last) {
                             for (; first != last; ++first)
                               *first = static_cast<float>(engine() >> 8) * 0x1p-24f;
                           });
  return to_device(u, device_);
}

Tensor Streams::normal(IntArrayRef shape) const {
  if (const auto* kernels = cuda::library_for(device_))
    return gpu::draw(*kernels, gpu::Distribution::kNormal, seed_, numbers_, shape);
  const auto z = fill_rows(
      seed_, numbers_on_cpu(), shape, [](at::Philox4_32& engine, float* first, float* last) {
        while (first != last) {
          // (0, 1], so that the logarithm is finite.
          const float radius =
              std::sqrt(-2 * std::log((static_cast<float>(engine()) + 1) * 0x1p-32f));
          const float angle =
              2 * std::numbers::pi_v<float> * static_cast<float>(engine()) * 0x1p-32f;
          *first++ = radius * std::cos(angle);
          if (first != last) *first++ = radius * std::sin(angle);
        }
      });
  return to_device(z, device_);
}

std::vector<int64_t> permutation(uint64_t seed, Purpose purpose, int64_t index, int64_t n) {
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  at::Philox4_32 engine(fork_seed(seed, purpose, index));
  for (int64_t i = n - 1; i > 0; --i) {
    // 64 random bits leave a bias below n / 2^64.
    const uint64_t high = engine();
    const uint64_t bits = high << 32 | engine();
    std::swap(order[i], order[bits % static_cast<uint64_t>(i + 1)]);
  }
  return order;
}

}  // namespace bitdiff
