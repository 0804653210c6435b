#pragma once

#include <cstdint>

/// Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray, 2015, section 4.3): a tile of 4x4
/// outputs Y of a 3x3 convolution with kernel g, from the 6x6 inputs d around it, by 36
/// multiplications instead of 144:
///
///     Y = A^T [(G g G^T) * (B^T d B)] A
///
/// The points are 0, +-sqrt(1/2), +-sqrt(2) and infinity, whose squares are short fractions: on
/// random numbers the error is half of that of the usual 0, +-1, +-2.
///
/// Each function here transforms one tile of `channels` (a multiple of 16) channels. Runs only
/// where has_vectors() (vectors.h). Numbers of a tile are read and written through a table of
/// pointers to its pixels, row by row, so that a caller can point outside of the image to zeros;
/// the 36 transformed numbers of a channel are `plane` floats apart.
namespace bitdiff::kernels::winograd {

inline constexpr int64_t kOut = 4;  ///< Side of a tile of outputs.
inline constexpr int64_t kIn = 6;   ///< Side of a tile of inputs, and of a transformed one.
inline constexpr int64_t kPoints = kIn * kIn;

/// B^T d B. `d`: 36 pixels.
void transform_input(const float* const* d, int64_t channels, float* to, int64_t plane);

/// (A^T m A + bias + residual) * factor. `residual`: 16 pixels, or null for none and no factor.
/// `y`: 16 pixels.
void transform_output(const float* m, int64_t plane, int64_t channels, const float* bias,
                      const float* const* residual, float factor, float* const* y);

/// A dy A^T, the transpose of transform_output. `dy`: 16 pixels.
void transform_output_gradient(const float* const* dy, int64_t channels, float* to, int64_t plane);

/// G g G^T. The numbers of `g` at (row, column) are at (3 * row + column) * `step`.
void transform_kernel(const float* g, int64_t step, int64_t channels, float* to, int64_t plane);

/// G^T dm G, the transpose of transform_kernel; dg as g there.
void transform_kernel_gradient(const float* dm, int64_t plane, int64_t channels, float* dg,
                               int64_t step);

}  // namespace bitdiff::kernels::winograd
