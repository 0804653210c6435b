#include "bitdiff/kernels/vectors.h"

#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

namespace bitdiff::kernels {
namespace {

TEST(Vectors, AreThoseThatTheEnvironmentLeaves) {
  const char* const capability = std::getenv("ATEN_CPU_CAPABILITY");
  const std::string word = capability ? capability : "";
  if (word == "default") {
    EXPECT_FALSE(has_vectors());
  }
  if (word == "avx2") {
    EXPECT_FALSE(has_avx512());
  }
  if (!has_vectors()) GTEST_SKIP() << "neither AVX-512 nor AVX2";
  int64_t lanes = 0;
  on_vectors([&](auto isa) { lanes = decltype(isa)::kLanes; });
  EXPECT_EQ(lanes, has_avx512() ? 16 : 8);
}

template <class Isa>
[[gnu::always_inline]] inline void transpose_square(const float* from, float* to) {
  typename Isa::Vector rows[Isa::kLanes];
  for (int64_t i = 0; i < Isa::kLanes; ++i) load<Isa>(rows[i], from + i * Isa::kLanes);
  transpose<Isa>(rows);
  for (int64_t i = 0; i < Isa::kLanes; ++i) store<Isa>(to + i * Isa::kLanes, rows[i]);
}

TEST(Vectors, TransposeASquare) {
  if (!has_vectors()) GTEST_SKIP() << "neither AVX-512 nor AVX2";
  float from[kLanes * kLanes], to[kLanes * kLanes];
  for (int64_t i = 0; i < kLanes * kLanes; ++i) from[i] = static_cast<float>(i);
  int64_t side = 0;
  on_vectors([&](auto isa) __attribute__((always_inline)) {
    side = decltype(isa)::kLanes;
    transpose_square<decltype(isa)>(from, to);
  });
  for (int64_t i = 0; i < side; ++i)
    for (int64_t j = 0; j < side; ++j) EXPECT_EQ(to[j * side + i], from[i * side + j]);
}

}  // namespace
}  // namespace bitdiff::kernels
