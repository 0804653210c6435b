#include "bitdiff/kernels/matrix_product.h"

#include "bitdiff/kernels/vector512.h"

namespace bitdiff::kernels {
namespace {

// Rows of B that one sum in registers covers. A long sum of short ones loses fewer digits, and the
// rows' panel stays in the first-level cache.
constexpr int64_t kDepth = 32;

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
      // Last, so that what is summed in registers is short.
      if (p.add) {
        Vector before;
        load(before, to);
        sum[i][j] += before;
      }
      store(to, sum[i][j]);
    }
  }
}

// As many blocks of kRows rows as `p.rows` has, and steps over them.
template <int kRows, int kVectors, bool kTransposed>
void multiply_rows(MatrixProduct& p) {
  for (; p.rows >= kRows; p.rows -= kRows) {
    multiply_block<kRows, kVectors, kTransposed>(p, p.a, p.c);
    p.a += kRows * (kTransposed ? 1 : p.a_row);
    p.c += kRows * p.c_row;
  }
}

template <int kVectors, bool kTransposed>
void multiply_columns(MatrixProduct p) {
  // Six rows of four vectors leave eight of the 32 registers for B.
  multiply_rows<6, kVectors, kTransposed>(p);
  multiply_rows<4, kVectors, kTransposed>(p);
  multiply_rows<2, kVectors, kTransposed>(p);
  multiply_rows<1, kVectors, kTransposed>(p);
}

template <bool kTransposed>
void multiply_panel(const MatrixProduct& whole) {
  auto p = whole;
  for (int64_t k = 0; k < whole.depth; k += kDepth) {
    p.add = whole.add || k > 0;
    p.depth = std::min(kDepth, whole.depth - k);
    p.a = whole.a + (kTransposed ? k * p.a_row : k);
    p.b = whole.b + k * p.b_row;
    switch (whole.columns / kLanes) {
      case 4:
        multiply_columns<4, kTransposed>(p);
        break;
      case 3:
        multiply_columns<3, kTransposed>(p);
        break;
      case 2:
        multiply_columns<2, kTransposed>(p);
        break;
      default:
        multiply_columns<1, kTransposed>(p);
    }
  }
}

template <bool kTransposed>
void multiply_panels(const MatrixProduct& whole) {
  auto p = whole;
  for (int64_t column = 0; column < whole.columns; column += kPanel) {
    p.columns = panel_columns(whole.columns, column);
    p.b = whole.b + column;
    p.c = whole.c + column;
    multiply_panel<kTransposed>(p);
  }
}

BITDIFF_AVX512 void transpose_block(const float* from, int64_t from_row, float* to,
                                    int64_t to_row) {
  Vector rows[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) load(rows[i], from + i * from_row);
  transpose(rows);
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) store(to + i * to_row, rows[i]);
}

}  // namespace

void multiply(const MatrixProduct& product) { multiply_panels<false>(product); }
void multiply_transposed(const MatrixProduct& product) { multiply_panels<true>(product); }

void multiply_packed(const MatrixProduct& product) {
  auto p = product;
  for (int64_t column = 0; column < product.columns; column += kPanel) {
    p.columns = p.b_row = panel_columns(product.columns, column);
    p.b = product.b + column * product.depth;
    p.c = product.c + column;
    multiply_panel<false>(p);
  }
}

void pack(const float* b, int64_t b_row, int64_t depth, int64_t columns, float* to) {
  for (int64_t column = 0; column < columns; column += kPanel) {
    const int64_t width = panel_columns(columns, column);
    for (int64_t k = 0; k < depth; ++k) to = std::copy_n(b + k * b_row + column, width, to);
  }
}

void transpose(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to,
               int64_t to_row) {
  const int64_t whole_rows = rows / kLanes * kLanes, whole_columns = columns / kLanes * kLanes;
  for (int64_t i = 0; i < whole_rows; i += kLanes)
    for (int64_t j = 0; j < whole_columns; j += kLanes)
      transpose_block(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = i < whole_rows ? whole_columns : 0; j < columns; ++j)
      to[j * to_row + i] = from[i * from_row + j];
}

void pack_transposed(const float* b, int64_t b_row, int64_t depth, int64_t columns, float* to) {
  for (int64_t column = 0; column < columns; column += kPanel) {
    const int64_t width = panel_columns(columns, column);
    transpose(b + column * b_row, b_row, width, depth, to, width);
    to += width * depth;
  }
}

}  // namespace bitdiff::kernels
