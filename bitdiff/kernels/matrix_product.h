#pragma once

#include <cstdint>

/// Products of small matrices whose operands lie in cache, the inner loop of the convolutions. Runs
/// only where has_avx512() (vector512.h).
namespace bitdiff::kernels {

/// C[rows, columns] = A[rows, depth] B[depth, columns], float32, all rows `*_row` floats apart.
struct MatrixProduct {
  const float* a;
  int64_t a_row;
  const float* b;
  int64_t b_row;
  float* c;
  int64_t c_row;
  int64_t rows;     ///< Even.
  int64_t columns;  ///< A multiple of 16; a panel of at most kPanel columns is fastest.
  int64_t depth;
  bool add = false;  ///< C += A B.
};

/// The widest panel of columns of which a block of C fits the registers.
inline constexpr int64_t kPanel = 64;

void multiply(const MatrixProduct& product);

/// The same with A as [depth, rows] in memory.
void multiply_transposed(const MatrixProduct& product);

}  // namespace bitdiff::kernels
