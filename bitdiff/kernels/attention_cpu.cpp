#include "bitdiff/kernels/attention_cpu.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "bitdiff/kernels/math.h"
#include "bitdiff/kernels/matrix_product.h"
#include "bitdiff/kernels/vector512.h"

namespace bitdiff::kernels::cpu {
namespace {

constexpr int64_t kBlock = 48;  // Queries that are worked on at a time.

constexpr float kNever = -1e30F;  // A score that gives no weight.

struct Sizes {
  Sizes(const Tensor& qkv, int64_t head_count)
      : batch(qkv.size(0)),
        length(qkv.size(1)),
        channels(qkv.size(2) / 3),
        heads(head_count),
        width(channels / heads),
        columns((length + kLanes - 1) / kLanes * kLanes),
        scale(1 / std::sqrt(static_cast<float>(width))) {}

  int64_t batch, length, channels, heads;
  int64_t width;    // Of a head.
  int64_t columns;  // Of a row of scores: length, rounded up to whole vectors.
  float scale;      // Of the scores.
};

// In each row of scores: softmax over the first `length` columns, the rest is as good as zero.
BITDIFF_VECTORS void softmax(float* row, int64_t rows, int64_t length, int64_t columns) {
  for (; rows > 0; --rows, row += columns) {
    std::fill(row + length, row + columns, kNever);
    float top[kLanes], sum[kLanes] = {};
    std::copy_n(row, kLanes, top);
    for (int64_t i = 0; i < columns; i += kLanes)
      for (int64_t j = 0; j < kLanes; ++j) top[j] = row[i + j] > top[j] ? row[i + j] : top[j];
    const float most = *std::max_element(top, top + kLanes);
    for (int64_t i = 0; i < columns; i += kLanes) {
      for (int64_t j = 0; j < kLanes; ++j) {
        const float weight = fast_exp(row[i + j] - most);
        row[i + j] = weight;
        sum[j] += weight;
      }
    }
    float whole = 0;
    for (const float part : sum) whole += part;
    const float factor = 1 / whole;
    for (int64_t i = 0; i < columns; ++i) row[i] *= factor;
  }
}

// The gradient of softmax, in place of `dp`: scale * p * (dp - sum(p * dp)).
BITDIFF_VECTORS void softmax_gradient(const float* p, float* __restrict dp, int64_t rows,
                                      int64_t columns, float scale) {
  for (; rows > 0; --rows, p += columns, dp += columns) {
    float sum[kLanes] = {};
    for (int64_t i = 0; i < columns; i += kLanes)
      for (int64_t j = 0; j < kLanes; ++j) sum[j] += p[i + j] * dp[i + j];
    float whole = 0;
    for (const float part : sum) whole += part;
    for (int64_t i = 0; i < columns; ++i) dp[i] = scale * p[i] * (dp[i] - whole);
  }
}

// One head of one row of a batch, as it lies in qkv, with its keys packed for products.
struct Head {
  Head(const Tensor& qkv, const Sizes& s, int64_t job)
      : offset(job / s.heads * s.length * 3 * s.channels + job % s.heads * s.width),
        row(3 * s.channels),
        q(qkv.const_data_ptr<float>() + offset),
        k(q + s.channels),
        v(k + s.channels) {}

  int64_t offset, row;
  const float *q, *k, *v;
};

// The transpose of `length` rows, times `factor`, as a packed B of s.columns columns.
void pack_positions(const float* rows, int64_t row, const Sizes& s, float factor,
                    std::vector<float>& to) {
  to.assign(s.width * s.columns, 0.0F);
  for (int64_t column = 0; column < s.columns; column += kPanel) {
    const int64_t panel = panel_columns(s.columns, column);
    float* begin = to.data() + column * s.width;
    for (int64_t n = 0; n < std::min(panel, s.length - column); ++n)
      for (int64_t i = 0; i < s.width; ++i)
        begin[i * panel + n] = factor * rows[(column + n) * row + i];
  }
}

// p[rows, columns] = softmax(q k^T * scale) of the queries from `first` on.
void weigh(const Head& head, const Sizes& s, const std::vector<float>& keys, int64_t first,
           int64_t rows, float* p) {
  multiply_packed({.a = head.q + first * head.row,
                   .a_row = head.row,
                   .b = keys.data(),
                   .b_row = 0,
                   .c = p,
                   .c_row = s.columns,
                   .rows = rows,
                   .columns = s.columns,
                   .depth = s.width});
  softmax(p, rows, s.length, s.columns);
}

}  // namespace

bool fits_attention(const Tensor& qkv, int64_t heads) {
  return has_avx512() && qkv.is_cpu() && qkv.scalar_type() == at::kFloat && qkv.is_contiguous() &&
         qkv.size(2) / 3 / heads % kLanes == 0 && qkv.size(1) > 0;
}

Tensor self_attention(const Tensor& qkv, int64_t heads) {
  const Sizes s(qkv, heads);
  auto y = at::empty({s.batch, s.length, s.channels}, qkv.options());
  at::parallel_for(0, s.batch * heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> keys, values(s.length * s.width), p(kBlock * s.columns);
    for (int64_t job = begin; job < end; ++job) {
      const Head head(qkv, s, job);
      pack_positions(head.k, head.row, s, s.scale, keys);
      pack(head.v, head.row, s.length, s.width, values.data());
      float* to =
          y.mutable_data_ptr<float>() + job / heads * s.length * s.channels + job % heads * s.width;
      for (int64_t first = 0; first < s.length; first += kBlock) {
        const int64_t rows = std::min(kBlock, s.length - first);
        weigh(head, s, keys, first, rows, p.data());
        multiply_packed({.a = p.data(),
                         .a_row = s.columns,
                         .b = values.data(),
                         .b_row = 0,
                         .c = to + first * s.channels,
                         .c_row = s.channels,
                         .rows = rows,
                         .columns = s.width,
                         .depth = s.length});
      }
    }
  });
  return y;
}

// With s = q k^T * scale, p = softmax(s) and y = p v: dv = p^T dy, dp = dy v^T, ds by softmax,
// dq = ds k * scale, dk = ds^T q * scale. p is computed once more, block by block.
Tensor self_attention_gradient(const Tensor& dy, const Tensor& qkv, int64_t heads) {
  const Sizes s(qkv, heads);
  auto gradient = at::empty_like(qkv);
  at::parallel_for(0, s.batch * heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> keys, values, keys_by_row(s.length * s.width);
    std::vector<float> p(kBlock * s.columns), dp(kBlock * s.columns);
    for (int64_t job = begin; job < end; ++job) {
      const Head head(qkv, s, job);
      pack_positions(head.k, head.row, s, s.scale, keys);
      pack_positions(head.v, head.row, s, 1, values);
      pack(head.k, head.row, s.length, s.width, keys_by_row.data());
      float* dq = gradient.mutable_data_ptr<float>() + head.offset;
      float *dk = dq + s.channels, *dv = dk + s.channels;
      for (int64_t first = 0; first < s.length; first += kBlock) {
        const int64_t rows = std::min(kBlock, s.length - first);
        const float* dy_rows = dy.const_data_ptr<float>() +
                               (job / heads * s.length + first) * s.channels +
                               job % heads * s.width;
        weigh(head, s, keys, first, rows, p.data());
        multiply_packed({.a = dy_rows,
                         .a_row = s.channels,
                         .b = values.data(),
                         .b_row = 0,
                         .c = dp.data(),
                         .c_row = s.columns,
                         .rows = rows,
                         .columns = s.columns,
                         .depth = s.width});
        const auto add_transposed = [&](const std::vector<float>& a, const float* b, int64_t b_row,
                                        float* c) {
          multiply_transposed({.a = a.data(),
                               .a_row = s.columns,
                               .b = b,
                               .b_row = b_row,
                               .c = c,
                               .c_row = head.row,
                               .rows = s.length,
                               .columns = s.width,
                               .depth = rows,
                               .add = first > 0});
        };
        add_transposed(p, dy_rows, s.channels, dv);
        softmax_gradient(p.data(), dp.data(), rows, s.columns, s.scale);
        add_transposed(dp, head.q + first * head.row, head.row, dk);
        multiply_packed({.a = dp.data(),
                         .a_row = s.columns,
                         .b = keys_by_row.data(),
                         .b_row = 0,
                         .c = dq + first * head.row,
                         .c_row = head.row,
                         .rows = rows,
                         .columns = s.width,
                         .depth = s.length});
      }
    }
  });
  return gradient;
}

}  // namespace bitdiff::kernels::cpu
