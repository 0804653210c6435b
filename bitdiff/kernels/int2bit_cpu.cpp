#include "bitdiff/kernels/int2bit_cpu.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

namespace bitdiff::kernels::cpu {
namespace {

constexpr int64_t kGrain = 1 << 15;  // Analog bits that are worth a thread.

// Where each channel begins among the bit channels; the end last.
std::vector<int64_t> offsets_of(IntArrayRef bits) {
  std::vector<int64_t> offsets = {0};
  for (const int64_t n : bits) offsets.push_back(offsets.back() + n);
  return offsets;
}

// One channel of one example: `out` is [n, count].
template <class Code>
void write_bits(const Code* codes, int64_t count, int64_t n, float scale, float* out) {
  const auto minus = std::bit_cast<uint32_t>(-scale);
  for (int64_t bit = 0; bit < n; ++bit, out += count) {
    for (int64_t i = 0; i < count; ++i) {
      const uint32_t flip = (static_cast<uint32_t>(codes[i]) << (31 - bit)) & 0x80000000U;
      out[i] = std::bit_cast<float>(minus ^ flip);
    }
  }
}

// The inverse; says whether there was a NaN.
template <class Code>
bool read_bits(const float* x_bits, int64_t count, int64_t n, Code* codes) {
  uint32_t nan = 0;
  std::fill(codes, codes + count, Code{0});
  for (int64_t bit = 0; bit < n; ++bit, x_bits += count) {
    for (int64_t i = 0; i < count; ++i) {
      codes[i] = static_cast<Code>(codes[i] | (static_cast<uint32_t>(x_bits[i] > 0) << bit));
      nan |= static_cast<uint32_t>(x_bits[i] != x_bits[i]);
    }
  }
  return nan != 0;
}

// Calls work(example, channel) for every pair, on several threads.
template <class Work>
void for_each_channel(int64_t batch, int64_t channels, int64_t bits_each, const Work& work) {
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, bits_each));
  at::parallel_for(0, batch * channels, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) work(i / channels, i % channels);
  });
}

template <class Code>
void int2bit_into(const Tensor& codes, IntArrayRef bits, float scale, Tensor& out) {
  const auto offsets = offsets_of(bits);
  const int64_t batch = codes.size(0), channels = codes.size(1), rows = offsets.back();
  const int64_t count = codes.numel() / std::max<int64_t>(1, batch * channels);
  const auto* from = codes.const_data_ptr<Code>();
  auto* to = out.mutable_data_ptr<float>();
  for_each_channel(batch, channels, count * rows / channels, [&](int64_t b, int64_t c) {
    write_bits(from + (b * channels + c) * count, count, bits[c], scale,
               to + (b * rows + offsets[c]) * count);
  });
}

template <class Code>
bool bit2int_into(const Tensor& x_bits, IntArrayRef bits, Tensor& codes) {
  const auto offsets = offsets_of(bits);
  const int64_t batch = codes.size(0), channels = codes.size(1), rows = offsets.back();
  const int64_t count = codes.numel() / std::max<int64_t>(1, batch * channels);
  const auto* from = x_bits.const_data_ptr<float>();
  auto* to = codes.mutable_data_ptr<Code>();
  std::atomic<bool> nan = false;
  for_each_channel(batch, channels, count * rows / channels, [&](int64_t b, int64_t c) {
    if (read_bits(from + (b * rows + offsets[c]) * count, count, bits[c],
                  to + (b * channels + c) * count)) {
      nan = true;
    }
  });
  return nan;
}

std::vector<int64_t> with_channels(IntArrayRef sizes, int64_t channels) {
  std::vector<int64_t> result = sizes.vec();
  result[1] = channels;
  return result;
}

}  // namespace

Tensor int2bit(const Tensor& codes, IntArrayRef bits, double scale) {
  const auto from = codes.contiguous();
  auto out = at::empty(with_channels(codes.sizes(), offsets_of(bits).back()), at::kFloat);
  if (codes.scalar_type() == at::kByte) {
    int2bit_into<uint8_t>(from, bits, static_cast<float>(scale), out);
  } else {
    int2bit_into<int32_t>(from, bits, static_cast<float>(scale), out);
  }
  return out;
}

Codes bit2int(const Tensor& x_bits, IntArrayRef bits) {
  const auto from = x_bits.contiguous();
  const bool small = std::all_of(bits.begin(), bits.end(), [](int64_t n) { return n <= 8; });
  const auto sizes = with_channels(x_bits.sizes(), static_cast<int64_t>(bits.size()));
  auto codes = at::empty(sizes, small ? at::kByte : at::kInt);
  const bool nan =
      small ? bit2int_into<uint8_t>(from, bits, codes) : bit2int_into<int32_t>(from, bits, codes);
  return {codes, nan};
}

}  // namespace bitdiff::kernels::cpu
