#include "bitdiff/kernels/attention_cpu.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "bitdiff/kernels/blocks.h"
#include "bitdiff/kernels/math.h"
#include "bitdiff/kernels/matrix_product.h"
#include "bitdiff/kernels/takes_vectors.h"
#include "bitdiff/kernels/vectors.h"

namespace bitdiff::kernels::cpu {
namespace {

constexpr int64_t kBlock = 48;  // Queries that are worked on at a time.

constexpr float kNever = -1e30F;  // A score that gives no weight.

struct Sizes {
  explicit Sizes(const Attended& x)
      : batch(x.query.size(0)),
        queries(x.query.size(1)),
        keys(x.key.size(1)),
        heads(x.heads),
        width(x.query.size(2) / heads),
        columns(divide_up(keys, kLanes) * kLanes),
        scale(1 / std::sqrt(static_cast<float>(width))),
        causal(x.sight == Sight::kUpToItself) {}

  // How many keys a query sees.
  int64_t seen(int64_t query) const { return causal ? query + 1 : keys; }
  // The columns of scores that the queries before `end` need: all seen ones, in whole panels.
  int64_t needed(int64_t end) const {
    return std::min(columns, divide_up(seen(end - 1), kPanel) * kPanel);
  }

  int64_t batch, queries, keys, heads;
  int64_t width;    // Of a head.
  int64_t columns;  // Of a row of scores: keys, rounded up to whole vectors.
  float scale;      // Of the scores.
  bool causal;
};

// Softmax of scale times the first `length` of `columns` scores, in place; the rest becomes as good
// as zero.
BITDIFF_VECTORS void softmax(float* row, int64_t length, int64_t columns, float scale) {
  std::fill(row + length, row + columns, kNever);
  float top[kLanes], sum[kLanes] = {};
  std::copy_n(row, kLanes, top);
  for (int64_t i = 0; i < columns; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) top[j] = row[i + j] > top[j] ? row[i + j] : top[j];
  const float most = *std::max_element(top, top + kLanes);
  for (int64_t i = 0; i < columns; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) {
      const float weight = fast_exp(scale * (row[i + j] - most));
      row[i + j] = weight;
      sum[j] += weight;
    }
  }
  const float factor = 1 / std::accumulate(sum, sum + kLanes, 0.0F);
  for (int64_t i = 0; i < columns; ++i) row[i] *= factor;
}

// The gradient of softmax, in place of `dp`: scale * p * (dp - sum(p * dp)).
BITDIFF_VECTORS void softmax_gradient(const float* p, float* __restrict dp, int64_t columns,
                                      float scale) {
  float sum[kLanes] = {};
  for (int64_t i = 0; i < columns; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j) sum[j] += p[i + j] * dp[i + j];
  const float whole = std::accumulate(sum, sum + kLanes, 0.0F);
  for (int64_t i = 0; i < columns; ++i) dp[i] = scale * p[i] * (dp[i] - whole);
}

// The positions of one head and one row of a batch, in a tensor [B, L, C].
template <class Float>
struct Positions {
  Positions(Float* data, const Tensor& x, const Sizes& s, int64_t job)
      : first(data + job / s.heads * x.stride(0) + job % s.heads * s.width), step(x.stride(1)) {}

  Float* at(int64_t position) const { return first + position * step; }

  Float* first;
  int64_t step;
};

Positions<const float> read(const Tensor& x, const Sizes& s, int64_t job) {
  return {x.const_data_ptr<float>(), x, s, job};
}

Positions<float> write(const Tensor& x, const Sizes& s, int64_t job) {
  return {x.mutable_data_ptr<float>(), x, s, job};
}

// The transpose of keys (or values), as a packed B of s.columns columns.
void pack_keys(const Positions<const float>& keys, const Sizes& s, std::vector<float>& to) {
  to.assign(s.width * s.columns, 0.0F);
  for (int64_t column = 0; column < s.columns; column += kPanel) {
    const int64_t panel = panel_columns(s.columns, column);
    transpose(keys.at(column), keys.step, std::min(panel, s.keys - column), s.width,
              to.data() + column * s.width, panel);
  }
}

// Some queries of a head, whose scores are rows of `columns` numbers, of which `needed` are used.
struct Block {
  Block(const Sizes& s, int64_t start)
      : first(start), rows(std::min(kBlock, s.queries - first)), needed(s.needed(first + rows)) {}

  int64_t first, rows, needed;
};

// scores[rows, columns] = a keys, for rows `a` that lie `a_row` apart.
void score(const float* a, int64_t a_row, const std::vector<float>& keys, const Block& block,
           const Sizes& s, std::vector<float>& scores) {
  multiply_packed({.a = a,
                   .a_row = a_row,
                   .b = keys.data(),
                   .b_row = 0,
                   .c = scores.data(),
                   .c_row = s.columns,
                   .rows = block.rows,
                   .columns = block.needed,
                   .depth = s.width});
}

// p = softmax(q k^T * scale).
void weigh(const Positions<const float>& query, const std::vector<float>& keys, const Block& block,
           const Sizes& s, std::vector<float>& p) {
  score(query.at(block.first), query.step, keys, block, s, p);
  for (int64_t row = 0; row < block.rows; ++row)
    softmax(&p[row * s.columns], s.seen(block.first + row), block.needed, s.scale);
}

// to = weights rows, for `rows` [keys, width].
void mix(const std::vector<float>& weights, const std::vector<float>& rows, const Block& block,
         const Sizes& s, const Positions<float>& to) {
  multiply({.a = weights.data(),
            .a_row = s.columns,
            .b = rows.data(),
            .b_row = s.width,
            .c = to.at(block.first),
            .c_row = to.step,
            .rows = block.rows,
            .columns = s.width,
            .depth = std::min(block.needed, s.keys)});
}

// to += weights^T rows of the block.
void spread(const std::vector<float>& weights, const Positions<const float>& rows,
            const Block& block, const Sizes& s, const Positions<float>& to) {
  multiply_transposed({.a = weights.data(),
                       .a_row = s.columns,
                       .b = rows.at(block.first),
                       .b_row = rows.step,
                       .c = to.first,
                       .c_row = to.step,
                       .rows = std::min(block.needed, s.keys),
                       .columns = s.width,
                       .depth = block.rows,
                       .add = true});
}

// The rows of a head one behind the other.
void gather(const Positions<const float>& rows, const Sizes& s, std::vector<float>& to) {
  for (int64_t i = 0; i < s.keys; ++i) std::copy_n(rows.at(i), s.width, &to[i * s.width]);
}

void clear(const Positions<float>& rows, const Sizes& s) {
  for (int64_t i = 0; i < s.keys; ++i) std::fill_n(rows.at(i), s.width, 0.0F);
}

bool fits(const Tensor& x) { return takes_vectors(x) && x.dim() == 3 && x.stride(2) == 1; }

}  // namespace

bool fits_attention(const Attended& x) {
  return fits(x.query) && fits(x.key) && fits(x.value) && x.query.size(2) / x.heads % kLanes == 0 &&
         x.query.size(1) > 0 && x.key.size(1) > 0;
}

Tensor attention(const Attended& x) {
  const Sizes s(x);
  auto y = at::empty(x.query.sizes(), x.query.options());
  at::parallel_for(0, s.batch * s.heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> keys, values(s.keys * s.width), p(kBlock * s.columns);
    for (int64_t job = begin; job < end; ++job) {
      pack_keys(read(x.key, s, job), s, keys);
      gather(read(x.value, s, job), s, values);
      for (int64_t first = 0; first < s.queries; first += kBlock) {
        const Block block(s, first);
        weigh(read(x.query, s, job), keys, block, s, p);
        mix(p, values, block, s, write(y, s, job));
      }
    }
  });
  return y;
}

// With s = q k^T * scale, p = softmax(s) and y = p v: dv = p^T dy, dp = dy v^T, ds by softmax,
// dq = ds k * scale, dk = ds^T q * scale. p is computed once more, block by block.
void attention_gradient(const Tensor& dy, const Attended& x, const Attended& gradient) {
  const Sizes s(x);
  at::parallel_for(0, s.batch * s.heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> keys, values, keys_by_row(s.keys * s.width);
    std::vector<float> p(kBlock * s.columns), dp(kBlock * s.columns);
    for (int64_t job = begin; job < end; ++job) {
      const auto query = read(x.query, s, job), upper = read(dy, s, job);
      const auto dk = write(gradient.key, s, job), dv = write(gradient.value, s, job);
      pack_keys(read(x.key, s, job), s, keys);
      pack_keys(read(x.value, s, job), s, values);
      gather(read(x.key, s, job), s, keys_by_row);
      clear(dk, s);
      clear(dv, s);
      for (int64_t first = 0; first < s.queries; first += kBlock) {
        const Block block(s, first);
        weigh(query, keys, block, s, p);
        score(upper.at(first), upper.step, values, block, s, dp);
        spread(p, upper, block, s, dv);
        for (int64_t row = 0; row < block.rows; ++row)
          softmax_gradient(&p[row * s.columns], &dp[row * s.columns], block.needed, s.scale);
        spread(dp, query, block, s, dk);
        mix(dp, keys_by_row, block, s, write(gradient.query, s, job));
      }
    }
  });
}

}  // namespace bitdiff::kernels::cpu
