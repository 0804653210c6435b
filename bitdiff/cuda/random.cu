#include "bitdiff/cuda/kernels.cuh"
#include "bitdiff/cuda/launch.cuh"

namespace bitdiff::cuda {
namespace {

constexpr int kNumbers = 4;  // Of one counter.

// Philox4x32-10 (Salmon et al., 2011): the four numbers of counter (`index`, `stream`).
__device__ void philox(uint64_t seed, uint64_t stream, uint64_t index, uint32_t (&x)[kNumbers]) {
  auto key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  x[0] = static_cast<uint32_t>(index);
  x[1] = static_cast<uint32_t>(index >> 32);
  x[2] = static_cast<uint32_t>(stream);
  x[3] = static_cast<uint32_t>(stream >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t even = uint64_t{0xD2511F53} * x[0], odd = uint64_t{0xCD9E8D57} * x[2];
    const uint32_t x1 = x[1], x3 = x[3];
    x[0] = static_cast<uint32_t>(odd >> 32) ^ x1 ^ key0;
    x[1] = static_cast<uint32_t>(odd);
    x[2] = static_cast<uint32_t>(even >> 32) ^ x3 ^ key1;
    x[3] = static_cast<uint32_t>(even);
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
}

__device__ void make_uniform(const uint32_t (&x)[kNumbers], float (&to)[kNumbers]) {
  for (int i = 0; i < kNumbers; ++i) to[i] = static_cast<float>(x[i] >> 8) * 0x1p-24F;
}

// By Box and Muller, with the operations of the loop on the CPU.
__device__ void make_normal(const uint32_t (&x)[kNumbers], float (&to)[kNumbers]) {
  for (int i = 0; i < kNumbers; i += 2) {
    // (0, 1], so that the logarithm is finite.
    const float radius = sqrtf(-2.0F * logf((static_cast<float>(x[i]) + 1.0F) * 0x1p-32F));
    const float angle = 2.0F * 3.14159265F * static_cast<float>(x[i + 1]) * 0x1p-32F;
    to[i] = radius * cosf(angle);
    to[i + 1] = radius * sinf(angle);
  }
}

// A thread has the numbers of one counter of one row; `blocks` blocks share a row.
__global__ void random_kernel(RandomCall call, int64_t blocks) {
  const int64_t row = blockIdx.x / blocks;
  const int64_t index = blockIdx.x % blocks * kThreads + threadIdx.x, first = index * kNumbers;
  if (first >= call.length) return;
  uint32_t x[kNumbers];
  philox(call.seed, static_cast<uint64_t>(call.rows[row]), static_cast<uint64_t>(index), x);
  float numbers[kNumbers];
  if (call.normal)
    make_normal(x, numbers);
  else
    make_uniform(x, numbers);
  for (int i = 0; i < kNumbers && first + i < call.length; ++i)
    call.to[row * call.length + first + i] = numbers[i];
}

}  // namespace

const char* random(const RandomCall& call, Place place) {
  const int64_t of_block = int64_t{kThreads} * kNumbers;
  const int64_t blocks = (call.length + of_block - 1) / of_block;
  return launch(random_kernel, call.count * blocks, place, call, blocks);
}

}  // namespace bitdiff::cuda
