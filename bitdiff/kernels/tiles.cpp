#include "bitdiff/kernels/tiles.h"

#include <algorithm>
#include <vector>

#include "bitdiff/kernels/vectors.h"

#if defined(__x86_64__) && defined(__GNUC__) && defined(__linux__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#define BITDIFF_HAS_TILE_CODE 1
#ifndef __clang__
// GCC 12 takes the registers of anything in its own header for mistakes (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#endif

namespace bitdiff::kernels {

#ifdef BITDIFF_HAS_TILE_CODE
namespace {

// An attribute, which no function can stand for.
#define BITDIFF_ROUNDS [[gnu::target("avx512f,avx512bf16")]]

// Linux lends the registers to a process that asks for them.
bool system_allows_tiles() {
  constexpr int64_t kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool processor_has_tiles() {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  const bool bf16_tiles = (d >> 22U & 1U) != 0, tiles = (d >> 24U & 1U) != 0;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) == 0) return false;
  return bf16_tiles && tiles && (a >> 5U & 1U) != 0;  // The last is AVX-512's bfloat16.
}

// Eight tiles of 16 rows of 64 bytes.
struct alignas(64) Configuration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

[[gnu::target("amx-tile")]] void configure_tiles() {
  const Configuration configuration;
  __asm__ volatile("" ::"r"(&configuration) : "memory");
  _tile_loadconfig(&configuration);
}

[[gnu::target("amx-tile")]] void release_tiles() { _tile_release(); }

// 16 floats rounded, each in the low half of 32 bits.
BITDIFF_ROUNDS inline __m512i widened(const float* x) {
  return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(x))));
}

// The pairs of a tile, 16 rows of 16.
struct alignas(64) Pairs {
  BFloat16 row[kTile][kTileDepth];
};

}  // namespace

bool has_tiles() {
  static const bool there = processor_has_tiles() && system_allows_tiles();
  return there && has_avx512();
}

Tiles::Tiles() { configure_tiles(); }

Tiles::~Tiles() { release_tiles(); }

// Not inlined, and behind a barrier: GCC 12 does not know that tiles are loaded from memory.
[[gnu::noinline, gnu::target("amx-tile,amx-bf16")]] void sum_tiles(const TileSum& sum, float* c) {
  __asm__ volatile("" ::: "memory");
  constexpr int64_t kRow = kSide * sizeof(float);
  float* const low = c + kTile * kSide;
  if (sum.add) {
    _tile_loadd(0, c, kRow);
    _tile_loadd(1, c + kTile, kRow);
    _tile_loadd(2, low, kRow);
    _tile_loadd(3, low + kTile, kRow);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const auto a_row = static_cast<int64_t>(sum.a_row * sizeof(BFloat16));
  const auto b_row = static_cast<int64_t>(sum.b_row * sizeof(BFloat16));
  const BFloat16 *b0 = sum.b[0], *b1 = sum.b[1];
  for (int64_t i = 0; i < sum.places; ++i) {
    const BFloat16 *a0 = sum.a[0] + sum.place[i], *a1 = sum.a[1] + sum.place[i];
    for (int64_t k = 0; k < sum.steps; ++k) {
      _tile_loadd(6, b0, b_row);
      _tile_loadd(4, a0, a_row);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, b1, b_row);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, a1, a_row);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
      a0 += sum.a_step;
      a1 += sum.a_step;
      b0 += sum.b_step;
      b1 += sum.b_step;
    }
  }
  _tile_stored(0, c, kRow);
  _tile_stored(1, c + kTile, kRow);
  _tile_stored(2, low, kRow);
  _tile_stored(3, low + kTile, kRow);
  __asm__ volatile("" ::: "memory");
}

BITDIFF_ROUNDS void round_to_bfloat16(const float* from, int64_t count, BFloat16* to) {
  for (int64_t i = 0; i < count; i += kLanes)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i),
                        reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(from + i))));
}

BITDIFF_ROUNDS void pair_rows(const float* even, const float* odd, int64_t count, BFloat16* to,
                              int64_t step) {
  for (int64_t i = 0; i < count; i += kLanes, to += step) {
    const __m512i low = widened(even + i);
    const __m512i both = odd ? _mm512_or_si512(low, _mm512_slli_epi32(widened(odd + i), 16)) : low;
    _mm512_storeu_si512(to, both);
  }
}

void transpose_tile(const BFloat16* from, int64_t row, BFloat16* to) {
  Avx512::run([&](auto isa) __attribute__((always_inline)) {
    using Isa = decltype(isa);
    typename Isa::Vector rows[kTile];
#pragma GCC unroll 16
    for (int i = 0; i < kTile; ++i)
      load<Isa>(rows[i], reinterpret_cast<const float*>(from + i * row));
    transpose<Isa>(rows);
#pragma GCC unroll 16
    for (int i = 0; i < kTile; ++i)
      store<Isa>(reinterpret_cast<float*>(to + i * kTileDepth), rows[i]);
  });
}

void pack_tiles(const TileSource& b, int64_t step, BFloat16* to, int64_t tile_step) {
  const int64_t first = step * kTileDepth;
  for (int64_t i = first; i < first + kTileDepth; i += 2, to += kTileDepth) {
    if (i < b.rows) {
      const float* even = b.x + i * b.row;
      pair_rows(even, i + 1 < b.rows ? even + b.row : nullptr, b.columns, to, tile_step);
    } else {
      for (int64_t j = 0; j < b.columns / kTile; ++j)
        std::fill_n(to + j * tile_step, kTileDepth, BFloat16(0));
    }
  }
}

void pack_left_transposed(const TileSource& a, int64_t step, BFloat16* to, int64_t tile_step) {
  std::vector<BFloat16> tiles(a.columns / kTile * kTileSize);
  pack_tiles(a, step, tiles.data(), kTileSize);
  for (int64_t j = 0; j < a.columns / kTile; ++j)
    transpose_tile(&tiles[j * kTileSize], kTileDepth, to + j * tile_step);
}

void pack_tiles_transposed(const TileSource& b, int64_t tile, BFloat16* to) {
  Pairs pairs;
  const int64_t first = tile * kTile, rows = std::min(kTile, b.rows - first);
  for (int64_t k = 0; k < b.columns; k += kTileDepth, to += kTileSize) {
    const int64_t depth = std::min(kTileDepth, b.columns - k);
    if (rows < kTile || depth < kTileDepth) pairs = {};
    for (int64_t i = 0; i < rows; ++i)
      round_to_bfloat16(b.x + (first + i) * b.row + k, depth, pairs.row[i]);
    transpose_tile(pairs.row[0], kTileDepth, to);
  }
}

#else
// Nobody calls these where there are no tiles.
bool has_tiles() { return false; }
Tiles::Tiles() = default;
Tiles::~Tiles() = default;
void sum_tiles(const TileSum&, float*) {}
void round_to_bfloat16(const float*, int64_t, BFloat16*) {}
void pair_rows(const float*, const float*, int64_t, BFloat16*, int64_t) {}
void transpose_tile(const BFloat16*, int64_t, BFloat16*) {}
void pack_tiles(const TileSource&, int64_t, BFloat16*, int64_t) {}
void pack_left_transposed(const TileSource&, int64_t, BFloat16*, int64_t) {}
void pack_tiles_transposed(const TileSource&, int64_t, BFloat16*) {}
#endif

}  // namespace bitdiff::kernels
