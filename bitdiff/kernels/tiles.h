#pragma once

#include <cstdint>

#include <c10/util/BFloat16.h>

/// Matrix products in bfloat16 by the tile registers (AMX) of some processors: sixteen times the
/// multiplications of AVX-512's float32, summed in float32. Whoever calls sum_tiles() rounds its
/// numbers to bfloat16 and lays them out in tiles first.
namespace bitdiff::kernels {

using c10::BFloat16;

/// Whether processor and system have them, and the environment does not hide them as it does
/// AVX-512 (vectors.h).
bool has_tiles();

inline constexpr int64_t kTile = 16;       ///< Rows of A and columns of B in a tile.
inline constexpr int64_t kTileDepth = 32;  ///< Columns of A, rows of B.
/// Numbers of a tile of A, rows [16, 32], or of B, [16, 16, 2]: pairs of its rows side by side.
inline constexpr int64_t kTileSize = kTile * kTileDepth;
/// Rows and columns of C that one sum has, 2 x 2 tiles.
inline constexpr int64_t kSide = 2 * kTile;
inline constexpr int64_t kSumSize = kSide * kSide;

/// Sets up the tile registers of this thread, for as long as it lives.
class Tiles {
 public:
  Tiles();
  ~Tiles();
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

/// C[32, 32] = sum over places and steps of A's two tiles times B's two tiles. Rows of tiles lie
/// `*_row` numbers apart, the tiles of following steps `*_step`. Each place begins `place[i]`
/// numbers behind a[...] again; B's tiles go on from place to place.
struct TileSum {
  const BFloat16* a[2];
  int64_t a_row, a_step;
  const BFloat16* b[2];
  int64_t b_row = kTileDepth, b_step = kTileSize;
  const int64_t* place;
  int64_t places;
  int64_t steps;     ///< Of each place.
  bool add = false;  ///< C += the sum.
};

/// A thread that calls this has Tiles.
void sum_tiles(const TileSum& sum, float* c);

/// to[i] = from[i] rounded, for a `count` that is a multiple of 16.
void round_to_bfloat16(const float* from, int64_t count, BFloat16* to);

/// to[c, 0] = even[c] and to[c, 1] = odd[c], rounded, for a `count` that is a multiple of 16. `odd`
/// may be null, for zeros. Each 16 of them lie `step` numbers behind those before.
void pair_rows(const float* even, const float* odd, int64_t count, BFloat16* to,
               int64_t step = kTileDepth);

/// to[j] = the pairs from[i][j] of 16 rows of 16 pairs, `row` numbers apart: a tile of B from the
/// same numbers as one of A, or the other way round.
void transpose_tile(const BFloat16* from, int64_t row, BFloat16* to);

/// A matrix of float32, rows `row` numbers apart.
struct TileSource {
  const float* x;
  int64_t row;
  int64_t rows, columns;
};

/// Rows [32 step, 32 step + 32) of B into its tiles: those of columns [16 j, 16 j + 16), a multiple
/// of 16, to to + j * tile_step. Rows that `b` has not are zeros.
void pack_tiles(const TileSource& b, int64_t step, BFloat16* to, int64_t tile_step);

/// The same of columns of A = transposed `a`, [columns, rows], into A's tiles.
void pack_left_transposed(const TileSource& a, int64_t step, BFloat16* to, int64_t tile_step);

/// Columns [16 tile, 16 tile + 16) of B = transposed `b`, [columns, rows], into its tiles, one
/// behind the other. What `b` has not is zeros.
void pack_tiles_transposed(const TileSource& b, int64_t tile, BFloat16* to);

/// The tiles that cover `size` numbers.
constexpr int64_t tiles_of(int64_t size, int64_t tile) { return (size + tile - 1) / tile; }

}  // namespace bitdiff::kernels
