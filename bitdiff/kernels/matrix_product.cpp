#include "bitdiff/kernels/matrix_product.h"

#include "bitdiff/kernels/vectors.h"

namespace bitdiff::kernels {
namespace {

// Rows of B that one sum in registers covers: a long sum of short ones loses fewer digits.
constexpr int64_t kSum = 32;

// Rows of B that each block of C meets before the next does: they stay in the first-level cache,
// and so does the block.
constexpr int64_t kDepth = 128;

// A block of C in registers: kRows x kVectors vectors. `a` and `c` are its corners.
template <class Isa, int kRows, int kVectors, bool kTransposed>
[[gnu::always_inline]] inline void multiply_block(const MatrixProduct& p, const float* a,
                                                  float* c) {
  using Vector = Isa::Vector;
  const float* b = p.b;
  for (int64_t first = 0; first < p.depth; first += kSum) {
    Vector sum[kRows][kVectors] = {};
    const int64_t last = std::min(first + kSum, p.depth);
    for (int64_t k = first; k < last; ++k) {
      Vector row[kVectors];
      for (int j = 0; j < kVectors; ++j) load<Isa>(row[j], b + j * Isa::kLanes);
#pragma GCC unroll 6
      for (int i = 0; i < kRows; ++i) {
        const float factor = kTransposed ? a[i] : a[i * p.a_row];
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) sum[i][j] += factor * row[j];
      }
      a += kTransposed ? p.a_row : 1;
      b += p.b_row;
    }
    const bool add = p.add || first > 0;
#pragma GCC unroll 6
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) {
        float* to = c + i * p.c_row + j * Isa::kLanes;
        // Last, so that what is summed in registers is short.
        if (add) {
          Vector before;
          load<Isa>(before, to);
          sum[i][j] += before;
        }
        store<Isa>(to, sum[i][j]);
      }
    }
  }
}

// As many blocks of kRows rows as `p.rows` has, and steps over them.
template <class Isa, int kRows, int kVectors, bool kTransposed>
void multiply_rows(MatrixProduct& p) {
  for (; p.rows >= kRows; p.rows -= kRows) {
    Isa::run([&](auto isa) __attribute__((always_inline)) {
      multiply_block<decltype(isa), kRows, kVectors, kTransposed>(p, p.a, p.c);
    });
    p.a += kRows * (kTransposed ? 1 : p.a_row);
    p.c += kRows * p.c_row;
  }
}

// The first kVectors columns of vectors, or as many as there are.
template <class Isa, int kVectors, bool kTransposed>
void multiply_columns(MatrixProduct p) {
  if constexpr (kVectors > 1) {
    if (p.columns < kVectors * Isa::kLanes)
      return multiply_columns<Isa, kVectors - 1, kTransposed>(p);
  }
  // Six rows of four vectors leave eight of AVX-512's 32 registers for B, of two four of AVX2's 16.
  multiply_rows<Isa, 6, kVectors, kTransposed>(p);
  multiply_rows<Isa, 4, kVectors, kTransposed>(p);
  multiply_rows<Isa, 2, kVectors, kTransposed>(p);
  multiply_rows<Isa, 1, kVectors, kTransposed>(p);
}

template <class Isa, bool kTransposed>
void multiply_panel_on(const MatrixProduct& whole) {
  constexpr int64_t kColumns = Isa::kColumns * Isa::kLanes;
  auto p = whole;
  for (int64_t k = 0; k < whole.depth; k += kDepth) {
    p.add = whole.add || k > 0;
    p.depth = std::min(kDepth, whole.depth - k);
    p.a = whole.a + (kTransposed ? k * p.a_row : k);
    for (int64_t column = 0; column < whole.columns; column += kColumns) {
      p.columns = whole.columns - column;
      p.b = whole.b + k * p.b_row + column;
      p.c = whole.c + column;
      multiply_columns<Isa, Isa::kColumns, kTransposed>(p);
    }
  }
}

template <bool kTransposed>
void multiply_panel(const MatrixProduct& panel) {
  if (has_avx512())
    multiply_panel_on<Avx512, kTransposed>(panel);
  else
    multiply_panel_on<Avx2, kTransposed>(panel);
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

template <class Isa>
[[gnu::always_inline]] inline void transpose_square(const float* from, int64_t from_row, float* to,
                                                    int64_t to_row) {
  typename Isa::Vector rows[Isa::kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < Isa::kLanes; ++i) load<Isa>(rows[i], from + i * from_row);
  transpose<Isa>(rows);
#pragma GCC unroll 16
  for (int i = 0; i < Isa::kLanes; ++i) store<Isa>(to + i * to_row, rows[i]);
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
  on_vectors([&](auto isa) __attribute__((always_inline)) {
    using Isa = decltype(isa);
    for (int64_t i = 0; i < whole_rows; i += Isa::kLanes)
      for (int64_t j = 0; j < whole_columns; j += Isa::kLanes)
        transpose_square<Isa>(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
  });
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
