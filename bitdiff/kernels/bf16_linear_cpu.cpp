#include "bitdiff/kernels/bf16_linear_cpu.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "bitdiff/kernels/bf16_numbers.h"
#include "bitdiff/kernels/blocks.h"
#include "bitdiff/kernels/math.h"
#include "bitdiff/kernels/tiles.h"

namespace bitdiff::kernels::cpu::bf16 {
namespace {

constexpr int64_t kRows = 4 * kSide;  // Rows of x that a thread takes through all of the weight.
constexpr int64_t kChunk = 1024;      // Rows of x that a weight gradient packs at a time.
// Rows a power of two apart would share a few sets of the cache.
constexpr int64_t kStagger = 32;

constexpr int64_t kNoPlace[] = {0};

int64_t width_of(const Tensor& x) { return x.size(-1); }
int64_t rows_of(const Tensor& x) { return width_of(x) == 0 ? 0 : x.numel() / width_of(x); }

// How far rounded rows of x lie apart.
int64_t rounded_row(int64_t width) { return tiles_of(width, kTileDepth) * kTileDepth + kStagger; }

// B[depth, columns] in tiles, columns after columns; or A[columns, depth].
struct Packed {
  Packed(int64_t columns, int64_t depth)
      : tiles(tiles_of(columns, kTile)),
        steps(tiles_of(depth, kTileDepth)),
        data(numbers(tiles * size())),
        first(data.mutable_data_ptr<BFloat16>()) {}

  int64_t size() const { return steps * kTileSize; }
  // The tiles of columns [16 tile, 16 tile + 16), or the last there are.
  BFloat16* at(int64_t tile) const { return first + std::min(tile, tiles - 1) * size(); }

  int64_t tiles, steps;
  Tensor data;
  BFloat16* first;
};

Packed pack_transposed(const TileSource& b) {
  Packed packed(b.rows, b.columns);
  at::parallel_for(0, packed.tiles, 1, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) pack_tiles_transposed(b, tile, packed.at(tile));
  });
  return packed;
}

// By pack_tiles, or by pack_left_transposed.
template <class PackStep>
Packed pack(const TileSource& b, const PackStep& pack_step) {
  Packed packed(b.columns, b.rows);
  at::parallel_for(0, packed.steps, 1, [&](int64_t begin, int64_t end) {
    for (int64_t step = begin; step < end; ++step)
      pack_step(b, step, packed.first + step * kTileSize, packed.size());
  });
  return packed;
}

// Rows of a sum with the bias, which may be null.
BITDIFF_VECTORS void store(const float* sums, const float* bias, int64_t rows, int64_t columns,
                           float* __restrict y, int64_t y_row) {
  for (int64_t i = 0; i < rows; ++i, sums += kSide, y += y_row) {
    if (bias)
      for (int64_t j = 0; j < columns; ++j) y[j] = sums[j] + bias[j];
    else
      std::copy_n(sums, columns, y);
  }
}

// y[rows, columns] = bias + sum over parts of x[part] b[part]; `bias` may be null.
void multiply(const std::vector<Tensor>& x, const std::vector<Packed>& b, const float* bias,
              const Tensor& y) {
  const int64_t columns = width_of(y);
  for_each_block(rows_of(x[0]), kRows, [&](int64_t first, int64_t count) {
    const Tiles tiles;
    const int64_t blocks = tiles_of(count, kSide);
    std::vector<Tensor> rounded;
    for (const auto& part : x) {
      const int64_t width = width_of(part), row = rounded_row(width);
      rounded.push_back(zeros(blocks * kSide * row));
      auto* to = rounded.back().mutable_data_ptr<BFloat16>();
      for (int64_t i = 0; i < count; ++i)
        round_to_bfloat16(part.const_data_ptr<float>() + (first + i) * width, width, to + i * row);
    }
    alignas(64) float sums[kSumSize];
    for (int64_t column = 0; column < columns; column += kSide) {
      const int64_t wide = std::min(kSide, columns - column);
      for (int64_t block = 0; block < blocks; ++block) {
        for (size_t i = 0; i < x.size(); ++i) {
          const int64_t row = rounded_row(width_of(x[i]));
          const auto* a = rounded[i].const_data_ptr<BFloat16>() + block * kSide * row;
          sum_tiles({.a = {a, a + kTile * row},
                     .a_row = row,
                     .a_step = kTileDepth,
                     .b = {b[i].at(column / kTile), b[i].at(column / kTile + 1)},
                     .place = kNoPlace,
                     .places = 1,
                     .steps = b[i].steps,
                     .add = i > 0},
                    sums);
        }
        const int64_t here = std::min(kSide, count - block * kSide);
        float* to = y.mutable_data_ptr<float>() + (first + block * kSide) * columns + column;
        store(sums, bias ? bias + column : nullptr, here, wide, to, columns);
      }
    }
  });
}

}  // namespace

Tensor linear(const std::vector<Tensor>& x, const Tensor& weight, const Tensor& bias) {
  auto shape = x[0].sizes().vec();
  shape.back() = weight.size(0);
  auto y = at::empty(shape, x[0].options());
  std::vector<Packed> packed;
  int64_t first_column = 0;
  for (const auto& part : x) {
    const TileSource source{weight.const_data_ptr<float>() + first_column, weight.size(1),
                            weight.size(0), width_of(part)};
    packed.push_back(pack_transposed(source));
    first_column += width_of(part);
  }
  multiply(x, packed, bias.const_data_ptr<float>(), y);
  return y;
}

Tensor linear_input_gradient(const Tensor& dy, const Tensor& weight, const Tensor& part,
                             int64_t first_column) {
  auto dx = at::empty_like(part);
  const TileSource source{weight.const_data_ptr<float>() + first_column, weight.size(1),
                          weight.size(0), width_of(part)};
  multiply({dy}, {pack(source, pack_tiles)}, nullptr, dx);
  return dx;
}

// dy^T x, in chunks of rows, each of which is added to the sums of those before.
Tensor linear_weight_gradient(const Tensor& dy, const std::vector<Tensor>& x) {
  int64_t inputs = 0, before = 0;
  for (const auto& part : x) inputs += width_of(part);
  const int64_t outputs = width_of(dy), rows = rows_of(dy);
  auto dw = at::empty({outputs, inputs}, dy.options());
  if (rows == 0) return dw.zero_();
  const int64_t high = tiles_of(outputs, kSide);
  for (const auto& part : x) {
    const int64_t width = width_of(part), wide = tiles_of(width, kSide);
    const auto sums = at::empty({high * wide * kSumSize}, at::kFloat);
    for (int64_t first = 0; first < rows; first += kChunk) {
      const int64_t depth = std::min(kChunk, rows - first);
      const auto source = [&](const Tensor& t) {
        return TileSource{t.const_data_ptr<float>() + first * width_of(t), width_of(t), depth,
                          width_of(t)};
      };
      const auto a = pack(source(dy), pack_left_transposed), b = pack(source(part), pack_tiles);
      at::parallel_for(0, high * wide, 1, [&](int64_t begin, int64_t end) {
        const Tiles tiles;
        for (int64_t job = begin; job < end; ++job) {
          const int64_t row = job / wide * 2, column = job % wide * 2;
          sum_tiles({.a = {a.at(row), a.at(row + 1)},
                     .a_row = kTileDepth,
                     .a_step = kTileSize,
                     .b = {b.at(column), b.at(column + 1)},
                     .place = kNoPlace,
                     .places = 1,
                     .steps = a.steps,
                     .add = first > 0},
                    sums.mutable_data_ptr<float>() + job * kSumSize);
        }
      });
    }
    for (int64_t job = 0; job < high * wide; ++job) {
      const int64_t row = job / wide * kSide, column = job % wide * kSide;
      const float* from = sums.const_data_ptr<float>() + job * kSumSize;
      float* to = dw.mutable_data_ptr<float>() + row * inputs + before + column;
      for (int64_t i = 0; i < std::min(kSide, outputs - row); ++i)
        std::copy_n(from + i * kSide, std::min(kSide, width - column), to + i * inputs);
    }
    before += width;
  }
  return dw;
}

}  // namespace bitdiff::kernels::cpu::bf16
