#include "bitdiff/kernels/matrix_product.h"

#include <algorithm>

#include "bitdiff/kernels/vector512.h"

namespace bitdiff::kernels {
namespace {

constexpr int64_t kDepth = 128;  // Rows of B whose panel stays in the first-level cache.

// A block of C in registers: kRows x 16 kVectors numbers. `a` and `c` are its corners.
template <int kRows, int kVectors, bool kTransposed>
BITDIFF_AVX512 void multiply_block(const MatrixProduct& p, const float* a, float* c) {
  Vector sum[kRows][kVectors] = {};
  const float* b = p.b;
  for (int64_t k = 0; k < p.depth; ++k) {
    Vector row[kVectors];
    for (int j = 0; j < kVectors; ++j) load(row[j], b + j * kLanes);
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
      const float factor = kTransposed ? a[i] : a[i * p.a_row];
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sum[i][j] += factor * row[j];
    }
    a += kTransposed ? p.a_row : 1;
    b += p.b_row;
  }
#pragma GCC unroll 6
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      float* to = c + i * p.c_row + j * kLanes;
      // Last, for a long sum of short ones loses fewer digits.
      if (p.add) {
        Vector before;
        load(before, to);
        sum[i][j] += before;
      }
      store(to, sum[i][j]);
    }
  }
}

template <int kVectors, bool kTransposed>
void multiply_panel(const MatrixProduct& p) {
  const float* a = p.a;
  float* c = p.c;
  const int64_t step = kTransposed ? 1 : p.a_row;
  int64_t rows = p.rows;
  // Six rows of four vectors leave eight of the 32 registers for B.
  for (; rows >= 6; rows -= 6, a += 6 * step, c += 6 * p.c_row)
    multiply_block<6, kVectors, kTransposed>(p, a, c);
  if (rows == 4) multiply_block<4, kVectors, kTransposed>(p, a, c);
  if (rows == 2) multiply_block<2, kVectors, kTransposed>(p, a, c);
}

template <bool kTransposed>
void multiply_panels(MatrixProduct p) {
  const int64_t columns = p.columns, depth = p.depth;
  const bool add = p.add;
  const auto whole = p;
  for (int64_t k = 0; k < depth; k += kDepth) {
    p.add = add || k > 0;
    p.depth = std::min(kDepth, depth - k);
    p.a = whole.a + (kTransposed ? k * p.a_row : k);
    for (int64_t column = 0; column < columns; column += kPanel) {
      p.b = whole.b + k * p.b_row + column;
      p.c = whole.c + column;
      switch (std::min(kPanel, columns - column) / kLanes) {
        case 4:
          multiply_panel<4, kTransposed>(p);
          break;
        case 3:
          multiply_panel<3, kTransposed>(p);
          break;
        case 2:
          multiply_panel<2, kTransposed>(p);
          break;
        default:
          multiply_panel<1, kTransposed>(p);
      }
    }
  }
}

}  // namespace

void multiply(const MatrixProduct& product) { multiply_panels<false>(product); }
void multiply_transposed(const MatrixProduct& product) { multiply_panels<true>(product); }

}  // namespace bitdiff::kernels
