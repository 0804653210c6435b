#include "bitdiff/kernels/linear_cpu.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include "bitdiff/kernels/bf16_linear_cpu.h"
#include "bitdiff/kernels/blocks.h"
#include "bitdiff/kernels/math.h"
#include "bitdiff/kernels/matrix_product.h"
#include "bitdiff/kernels/takes_vectors.h"
#include "bitdiff/kernels/vectors.h"

namespace bitdiff::kernels::cpu {
namespace {

constexpr int64_t kBlock = 96;     // Rows of x that a thread takes at a time.
constexpr int64_t kChunk = 2048;   // Rows of x that one sum of a weight gradient covers.
constexpr int64_t kDepth = 128;    // Rows of these that are packed at a time,
constexpr int64_t kOutputs = 512;  // so many columns of dy
constexpr int64_t kInputs = 512;   // and of x: they stay in the second-level cache.
constexpr int64_t kLength = 2048;  // Columns of a block's rows that do too.

int64_t width_of(const Tensor& x) { return x.size(-1); }
int64_t rows_of(const Tensor& x) { return width_of(x) == 0 ? 0 : x.numel() / width_of(x); }

Tensor floats(int64_t count) { return at::empty({count}, at::kFloat); }

// sums[c] += sum over rows of x[row, c].
BITDIFF_VECTORS void add_rows(const float* x, int64_t rows, int64_t width, float* __restrict sums) {
  for (int64_t row = 0; row < rows; ++row, x += width)
    for (int64_t c = 0; c < width; ++c) sums[c] += x[c];
}

// C[rows of dy's columns, columns of x's] = dy^T x over `depth` rows. Both are packed: rows that
// lie a power of two apart would share a few sets of the cache.
struct OuterProduct {
  const float* dy;
  int64_t dy_row;
  const float* x;
  int64_t x_row;
  float* c;
  int64_t c_row;
  int64_t rows;
  int64_t columns;
  int64_t depth;
};

// Columns of x that a job of a weight gradient takes: as many for each thread, where they suffice.
int64_t columns_of_job(int64_t width, int64_t other_jobs) {
  const int64_t panels = divide_up(width, kPanel), threads = at::get_num_threads();
  int64_t parts = divide_up(width, kInputs);
  while (parts < panels && other_jobs * parts % threads != 0) ++parts;
  return divide_up(panels, parts) * kPanel;
}

// Columns [first, first + count) of x, which meet as many rows of a packed weight.
struct Columns {
  const Tensor* x;
  int64_t first;
  int64_t count;
};

std::vector<Columns> columns_of(const std::vector<Tensor>& x) {
  std::vector<Columns> columns;
  for (const auto& part : x) {
    for (int64_t first = 0; first < width_of(part); first += kLength)
      columns.push_back({&part, first, std::min(kLength, width_of(part) - first)});
  }
  return columns;
}

// Some rows of these, further apart than in memory: rows a power of two apart would share a few
// sets of the cache, and each panel of the weight reads them again.
struct Spread {
  Spread(const Columns& columns, int64_t first, int64_t rows)
      : row(columns.count + kLanes), data(floats(rows * row)) {
    const int64_t width = width_of(*columns.x);
    const float* from = columns.x->const_data_ptr<float>() + first * width + columns.first;
    float* to = data.mutable_data_ptr<float>();
    for (int64_t i = 0; i < rows; ++i) std::copy_n(from + i * width, columns.count, to + i * row);
  }

  int64_t row;
  Tensor data;
};

// Packs the panels of a weight [depth, columns], depth > 0, on several threads, each by
// pack_panel(first column, columns, to).
template <class PackPanel>
void pack_panels(int64_t depth, int64_t columns, float* to, const PackPanel& pack_panel) {
  const int64_t grain = divide_up(1 << 14, depth * kPanel);  // Less is not worth waking a thread.
  at::parallel_for(0, divide_up(columns, kPanel), grain, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin * kPanel; first < std::min(end * kPanel, columns); first += kPanel)
      pack_panel(first, panel_columns(columns, first), to + first * depth);
  });
}

// y[rows, outputs] = x B, or y += x B, for a weight B whose rows were packed for one of `x` after
// the other.
void multiply(const std::vector<Columns>& x, const Tensor& packed, bool add, const Tensor& y,
              int64_t first, int64_t rows) {
  const int64_t outputs = width_of(y);
  const float* b = packed.const_data_ptr<float>();
  for (const auto& columns : x) {
    const Spread spread(columns, first, rows);
    multiply_packed({.a = spread.data.const_data_ptr<float>(),
                     .a_row = spread.row,
                     .b = b,
                     .b_row = 0,
                     .c = y.mutable_data_ptr<float>() + first * outputs,
                     .c_row = outputs,
                     .rows = rows,
                     .columns = outputs,
                     .depth = columns.count,
                     .add = add});
    add = true;
    b += columns.count * outputs;
  }
}

void multiply(const OuterProduct& p) {
  std::vector<float> a(kDepth * p.rows), b(kDepth * kPanel);
  for (int64_t k = 0; k < p.depth; k += kDepth) {
    const int64_t depth = std::min(kDepth, p.depth - k);
    for (int64_t i = 0; i < depth; ++i)
      std::copy_n(p.dy + (k + i) * p.dy_row, p.rows, a.data() + i * p.rows);
    for (int64_t column = 0; column < p.columns; column += kPanel) {
      const int64_t columns = panel_columns(p.columns, column);
      pack(p.x + k * p.x_row + column, p.x_row, depth, columns, b.data());
      multiply_transposed({.a = a.data(),
                           .a_row = p.rows,
                           .b = b.data(),
                           .b_row = columns,
                           .c = p.c + column,
                           .c_row = p.c_row,
                           .rows = p.rows,
                           .columns = columns,
                           .depth = depth,
                           .add = k > 0});
    }
  }
}

}  // namespace

bool fits_linear(const Tensor& x) {
  return takes_vectors(x) && x.is_contiguous() && x.dim() > 0 && width_of(x) % kLanes == 0;
}

Tensor linear(const std::vector<Tensor>& x, const Tensor& weight, const Tensor& bias,
              Products products) {
  if (products == Products::kBfloat16) return bf16::linear(x, weight, bias);
  auto shape = x[0].sizes().vec();
  const int64_t outputs = shape.back() = weight.size(0);
  auto y = at::empty(shape, x[0].options());
  const auto packed = floats(weight.numel());
  const auto columns = columns_of(x);
  int64_t before = 0;
  for (const auto& part : columns) {
    const float* from = weight.const_data_ptr<float>() + before;
    pack_panels(part.count, outputs, packed.mutable_data_ptr<float>() + before * outputs,
                [&](int64_t first, int64_t count, float* to) {
                  pack_transposed(from + first * weight.size(1), weight.size(1), part.count, count,
                                  to);
                });
    before += part.count;
  }
  for_each_block(rows_of(x[0]), kBlock, [&](int64_t first, int64_t rows) {
    float* to = y.mutable_data_ptr<float>() + first * outputs;
    for (int64_t row = 0; row < rows; ++row)
      std::copy_n(bias.const_data_ptr<float>(), outputs, to + row * outputs);
    multiply(columns, packed, true, y, first, rows);
  });
  return y;
}

Tensor linear_input_gradient(const Tensor& dy, const Tensor& weight, const Tensor& part,
                             int64_t first_column, Products products) {
  if (products == Products::kBfloat16)
    return bf16::linear_input_gradient(dy, weight, part, first_column);
  const int64_t outputs = weight.size(0), width = width_of(part);
  auto dx = at::empty_like(part);
  const auto packed = floats(outputs * width);
  const std::vector<Tensor> gradient{dy};
  const auto columns = columns_of(gradient);
  for (const auto& some : columns) {
    const float* from = weight.const_data_ptr<float>() + some.first * weight.size(1) + first_column;
    pack_panels(some.count, width, packed.mutable_data_ptr<float>() + some.first * width,
                [&](int64_t first, int64_t count, float* to) {
                  pack(from + first, weight.size(1), some.count, count, to);
                });
  }
  for_each_block(rows_of(part), kBlock, [&](int64_t first, int64_t rows) {
    multiply(columns, packed, false, dx, first, rows);
  });
  return dx;
}

// In chunks of rows whose number does not depend on that of threads, so that neither does the sum.
Tensor linear_weight_gradient(const Tensor& dy, const std::vector<Tensor>& x, Products products) {
  if (products == Products::kBfloat16) return bf16::linear_weight_gradient(dy, x);
  int64_t inputs = 0;
  for (const auto& part : x) inputs += width_of(part);
  const int64_t outputs = width_of(dy), rows = rows_of(dy);
  const int64_t chunks = std::max<int64_t>(divide_up(rows, kChunk), 1);
  const auto sums = at::empty({chunks, outputs, inputs}, dy.options());
  const int64_t high = divide_up(outputs, kOutputs);
  int64_t before = 0;
  for (const auto& part : x) {
    const int64_t width = width_of(part), columns = columns_of_job(width, chunks * high);
    const int64_t wide = divide_up(width, columns);
    at::parallel_for(0, chunks * high * wide, 1, [&](int64_t begin, int64_t end) {
      for (int64_t job = begin; job < end; ++job) {
        const int64_t chunk = job / (high * wide), first = chunk * kChunk;
        const int64_t output = job / wide % high * kOutputs, input = job % wide * columns;
        multiply({.dy = dy.const_data_ptr<float>() + first * outputs + output,
                  .dy_row = outputs,
                  .x = part.const_data_ptr<float>() + first * width + input,
                  .x_row = width,
                  .c = sums.mutable_data_ptr<float>() + (chunk * outputs + output) * inputs +
                       before + input,
                  .c_row = inputs,
                  .rows = std::min(kOutputs, outputs - output),
                  .columns = std::min(columns, width - input),
                  .depth = std::min(kChunk, rows - first)});
      }
    });
    before += width;
  }
  return rows == 0 ? sums.zero_()[0] : chunks == 1 ? sums[0] : sums.sum(0);
}

Tensor linear_bias_gradient(const Tensor& dy) {
  const int64_t width = width_of(dy), rows = rows_of(dy);
  const int64_t chunks = std::max<int64_t>(divide_up(rows, kChunk), 1);
  const auto sums = at::zeros({chunks, width}, dy.options());
  at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * kChunk;
      add_rows(dy.const_data_ptr<float>() + first * width, std::min(kChunk, rows - first), width,
               sums.mutable_data_ptr<float>() + chunk * width);
    }
  });
  return sums.sum(0);
}

}  // namespace bitdiff::kernels::cpu
