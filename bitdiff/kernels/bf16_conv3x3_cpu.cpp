#include "bitdiff/kernels/bf16_conv3x3_cpu.h"

#include <algorithm>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "bitdiff/kernels/bf16_numbers.h"
#include "bitdiff/kernels/blocks.h"
#include "bitdiff/kernels/math.h"
#include "bitdiff/kernels/tiles.h"

namespace bitdiff::kernels::cpu::bf16 {
namespace {

constexpr int64_t kPlaces = 9;
constexpr int64_t kSlots = 4 * kSide;  // That a thread takes through all of the weight.
constexpr int64_t kChunk = 1024;       // Slots that a weight gradient takes at a time.
// Slots a power of two apart would share a few sets of the cache.
constexpr int64_t kStagger = 32;

constexpr int64_t kNoPlace[] = {0};

// Images in a row of slots, one for each pixel, with a slot of zeros behind each line and a line of
// zeros behind each image: what lies around a pixel is at the same distances for all of them.
struct Slots {
  explicit Slots(const Tensor& x)
      : batch(x.size(0)),
        height(x.size(2)),
        width(x.size(3)),
        pitch(width + 1),
        count(batch * (height + 1) * pitch) {}

  // How far the place of a kernel is from its middle.
  int64_t offset(int64_t place) const { return (place / 3 - 1) * pitch + place % 3 - 1; }
  // Slots that must be zeros before the first and behind the last; even.
  int64_t margin() const { return (pitch + 2) / 2 * 2; }

  // Calls visit(slot, pixel) for the slots of [first, first + size) that hold a pixel.
  template <class Visit>
  void pixels(int64_t first, int64_t size, const Visit& visit) const {
    int64_t line = first / pitch, column = first % pitch;
    for (int64_t slot = first; slot < std::min(first + size, count); ++slot) {
      const int64_t b = line / (height + 1), i = line % (height + 1);
      if (column < width && i < height) visit(slot, (b * height + i) * width + column);
      if (++column == pitch) {
        column = 0;
        ++line;
      }
    }
  }

  // Lines of pixels that the slots hold: visit(slot of the first, number of the first).
  template <class Visit>
  void lines(const Visit& visit) const {
    at::parallel_for(0, batch * height, 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        visit((i / height * (height + 1) + i % height) * pitch, i * width);
    });
  }

  int64_t batch, height, width, pitch, count;
};

// A batch of images, rounded, in slots.
struct Rounded {
  explicit Rounded(const Tensor& x)
      : slots(x),
        channels(x.size(1)),
        depth(tiles_of(channels, kTileDepth) * kTileDepth),
        row(depth + kStagger),
        data(zeros((slots.count + 2 * slots.margin() + kSide) * row)),
        first(data.mutable_data_ptr<BFloat16>() + slots.margin() * row) {
    const float* from = x.const_data_ptr<float>();
    slots.lines([&](int64_t slot, int64_t pixel) {
      for (int64_t j = 0; j < slots.width; ++j)
        round_to_bfloat16(from + (pixel + j) * channels, channels, first + (slot + j) * row);
    });
  }

  const BFloat16* at(int64_t slot) const { return first + slot * row; }

  Slots slots;
  int64_t channels, depth, row;
  Tensor data;
  BFloat16* first;
};

// A kernel in tiles of B: outputs after outputs, of each its places, of each its inputs.
struct Kernel {
  Kernel(int64_t in, int64_t out)
      : outputs(out),
        steps(tiles_of(in, kTileDepth)),
        data(numbers(tiles() * size())),
        first(data.mutable_data_ptr<BFloat16>()) {}

  int64_t tiles() const { return tiles_of(outputs, kTile); }
  int64_t size() const { return kPlaces * steps * kTileSize; }
  BFloat16* at(int64_t tile) const { return first + std::min(tile, tiles() - 1) * size(); }

  int64_t outputs, steps;
  Tensor data;
  BFloat16* first;
};

// What turns a sum into an output: (sum + bias + residual) * factor.
struct Finish {
  const float* bias = nullptr;      // May be missing,
  const float* residual = nullptr;  // and this.
  float factor = 1;
};

BITDIFF_VECTORS void finish(const float* sum, int64_t count, const Finish& f, float* __restrict y) {
  for (int64_t j = 0; j < count; ++j) y[j] = sum[j];
  if (f.bias)
    for (int64_t j = 0; j < count; ++j) y[j] += f.bias[j];
  if (f.residual)
    for (int64_t j = 0; j < count; ++j) y[j] = (y[j] + f.residual[j]) * f.factor;
}

Tensor convolve(const Tensor& x, const Kernel& kernel, const Finish& whole) {
  const Rounded rounded(x);
  const auto& slots = rounded.slots;
  const int64_t outputs = kernel.outputs;
  auto y = at::empty({x.size(0), outputs, x.size(2), x.size(3)}, x.options(),
                     at::MemoryFormat::ChannelsLast);
  float* to = y.mutable_data_ptr<float>();
  int64_t place[kPlaces];
  for (int64_t i = 0; i < kPlaces; ++i) place[i] = slots.offset(i) * rounded.row;

  for_each_block(slots.count, kSlots, [&](int64_t first, int64_t count) {
    const Tiles tiles;
    alignas(64) float sums[kSumSize];
    for (int64_t output = 0; output < outputs; output += kSide) {
      const int64_t wide = std::min(kSide, outputs - output), tile = output / kTile;
      for (int64_t slot = first; slot < first + count; slot += kSide) {
        sum_tiles({.a = {rounded.at(slot), rounded.at(slot + kTile)},
                   .a_row = rounded.row,
                   .a_step = kTileDepth,
                   .b = {kernel.at(tile), kernel.at(tile + 1)},
                   .place = place,
                   .places = kPlaces,
                   .steps = kernel.steps},
                  sums);
        slots.pixels(slot, std::min(kSide, first + count - slot), [&](int64_t s, int64_t pixel) {
          const int64_t here = pixel * outputs + output;
          const Finish f{whole.bias ? whole.bias + output : nullptr,
                         whole.residual ? whole.residual + here : nullptr, whole.factor};
          finish(sums + (s - slot) * kSide, wide, f, to + here);
        });
      }
    }
  });
  return y;
}

// Slots in pairs, of which the first has a number of this parity: as tiles of B want them.
struct Paired {
  Paired(const Tensor& x, int64_t begin)
      : slots(x),
        parity(begin),
        row(2 * x.size(1) + kStagger),
        data(zeros((slots.count + 2 * slots.margin() + kChunk) / 2 * row)),
        start(data.mutable_data_ptr<BFloat16>()) {
    const int64_t channels = x.size(1);
    const float* from = x.const_data_ptr<float>();
    const std::vector<float> nothing(channels);
    slots.lines([&](int64_t slot, int64_t pixel) {
      // Before a line and behind it are zeros.
      const auto value = [&](int64_t j) {
        return j < 0 || j >= slots.width ? nothing.data() : from + (pixel + j) * channels;
      };
      const int64_t first = (slot + parity) % 2 == 0 ? 0 : -1;
      for (int64_t j = first; j < slots.width; j += 2)
        pair_rows(value(j), value(j + 1), channels, pair(slot + j));
    });
  }

  // The pair that begins at a slot of this parity.
  const BFloat16* at(int64_t slot) const { return pair(slot); }

  Slots slots;
  int64_t parity, row;
  Tensor data;
  BFloat16* start;

 private:
  BFloat16* pair(int64_t slot) const { return start + (slots.margin() + slot) / 2 * row; }
};

}  // namespace

Tensor conv3x3(const Tensor& x, const Tensor& weight, const Tensor& bias,
               const std::optional<Residual>& residual) {
  const int64_t outputs = weight.size(0), inputs = weight.size(1);
  const auto* w = weight.const_data_ptr<float>();  // [N, 3, 3, K] in memory.
  const Kernel kernel(inputs, outputs);
  at::parallel_for(0, kernel.tiles() * kPlaces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t tile = i / kPlaces, place = i % kPlaces;
      pack_tiles_transposed({w + place * inputs, kPlaces * inputs, outputs, inputs}, tile,
                            kernel.at(tile) + place * kernel.steps * kTileSize);
    }
  });
  return convolve(x, kernel,
                  {.bias = bias.const_data_ptr<float>(),
                   .residual = residual ? residual->x.const_data_ptr<float>() : nullptr,
                   .factor = static_cast<float>(residual ? residual->factor : 1)});
}

// The convolution with the kernel turned by half a turn, inputs and outputs exchanged.
Tensor conv3x3_input_gradient(const Tensor& dy, const Tensor& weight) {
  const int64_t outputs = weight.size(0), inputs = weight.size(1);
  const auto* w = weight.const_data_ptr<float>();
  const Kernel kernel(outputs, inputs);
  at::parallel_for(0, kPlaces * kernel.steps, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t turned = kPlaces - 1 - i / kernel.steps;
      pack_tiles({w + turned * inputs, kPlaces * inputs, outputs, inputs}, i % kernel.steps,
                 kernel.first + i * kTileSize, kernel.size());
    }
  });
  return convolve(dy, kernel, {});
}

// dy^T times x shifted to each place, in chunks of slots, each of which is added to the sums of
// those before.
Tensor conv3x3_weight_gradient(const Tensor& dy, const Tensor& x) {
  const int64_t outputs = dy.size(1), inputs = x.size(1);
  auto dw = at::empty({outputs, inputs, 3, 3}, x.options(), at::MemoryFormat::ChannelsLast);
  if (x.numel() == 0) return dw.zero_();
  const Slots slots(x);
  const Paired of_dy(dy, 0), even(x, 0), odd(x, 1);
  const int64_t high = tiles_of(outputs, kSide), wide = tiles_of(inputs, kSide);
  const auto sums = at::empty({high * wide * kPlaces * kSumSize}, at::kFloat);
  const auto left = numbers(high * kSide * kChunk);
  auto* const left_data = left.mutable_data_ptr<BFloat16>();

  for (int64_t first = 0; first < slots.count; first += kChunk) {
    const int64_t steps = tiles_of(std::min(kChunk, slots.count - first), kTileDepth);
    at::parallel_for(0, outputs / kTile, 1, [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile)
        for (int64_t k = 0; k < steps; ++k)
          transpose_tile(of_dy.at(first + k * kTileDepth) + tile * kTileDepth, of_dy.row,
                         left_data + tile * kTile * kChunk + k * kTileSize);
    });
    at::parallel_for(0, high * wide, 1, [&](int64_t begin, int64_t end) {
      const Tiles tiles;
      for (int64_t job = begin; job < end; ++job) {
        const auto* a = left_data + job / wide * kSide * kChunk;
        const int64_t column = job % wide * kSide,
                      second = std::min(kTile, inputs - column - kTile);
        for (int64_t place = 0; place < kPlaces; ++place) {
          const int64_t slot = first + slots.offset(place);
          const auto& paired = (slot + slots.margin()) % 2 == 0 ? even : odd;
          const auto* b = paired.at(slot) + 2 * column;
          sum_tiles({.a = {a, a + kTile * kChunk},
                     .a_row = kTileDepth,
                     .a_step = kTileSize,
                     .b = {b, b + 2 * second},
                     .b_row = paired.row,
                     .b_step = kTile * paired.row,
                     .place = kNoPlace,
                     .places = 1,
                     .steps = steps,
                     .add = first > 0},
                    sums.mutable_data_ptr<float>() + (job * kPlaces + place) * kSumSize);
        }
      }
    });
  }
  for (int64_t job = 0; job < high * wide; ++job) {
    const int64_t output = job / wide * kSide, input = job % wide * kSide;
    for (int64_t place = 0; place < kPlaces; ++place) {
      const float* from = sums.const_data_ptr<float>() + (job * kPlaces + place) * kSumSize;
      float* to = dw.mutable_data_ptr<float>() + (output * kPlaces + place) * inputs + input;
      for (int64_t i = 0; i < std::min(kSide, outputs - output); ++i)
        std::copy_n(from + i * kSide, std::min(kSide, inputs - input), to + i * kPlaces * inputs);
    }
  }
  return dw;
}

}  // namespace bitdiff::kernels::cpu::bf16
