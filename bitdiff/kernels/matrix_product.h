#pragma once

#include <algorithm>
#include <cstdint>

/// Products of small matrices whose operands lie in cache: the inner loop of what is fast in this
/// folder. Runs only where has_vectors() (vectors.h).
namespace bitdiff::kernels {

/// C[rows, columns] = A[rows, depth] B[depth, columns], float32, all rows `*_row` floats apart.
struct MatrixProduct {
  const float* a;
  int64_t a_row;
  const float* b;
  int64_t b_row;
  float* c;
  int64_t c_row;
  int64_t rows;
  int64_t columns;  ///< A multiple of 16.
  int64_t depth;
  bool add = false;  ///< C += A B.
};

void multiply(const MatrixProduct& product);

/// The same with A as [depth, rows] in memory.
void multiply_transposed(const MatrixProduct& product);

/// The widest panel of columns of which some rows of C fit the registers.
inline constexpr int64_t kPanel = 64;

/// The columns of the panel that begins at column `first` of B.
inline int64_t panel_columns(int64_t columns, int64_t first) {
  return std::min(kPanel, columns - first);
}

/// multiply() of a B that is packed into panels: for each kPanel columns (the rest last) [depth,
/// columns of the panel], one behind the other. `b_row` is not looked at.
void multiply_packed(const MatrixProduct& product);

/// to[column, row] = from[row, column], whose rows are `*_row` floats apart.
void transpose(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to,
               int64_t to_row);

/// Packs B[depth, columns], whose rows are `b_row` floats apart, into `to`.
void pack(const float* b, int64_t b_row, int64_t depth, int64_t columns, float* to);

/// The same with B as [columns, depth] in memory.
void pack_transposed(const float* b, int64_t b_row, int64_t depth, int64_t columns, float* to);

}  // namespace bitdiff::kernels
