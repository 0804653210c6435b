#include "bitdiff/kernels/int2bit.h"

#include <limits>
#include <numeric>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace bitdiff::kernels {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Codes of every channel's width; `type` must hold them.
Tensor random_codes(IntArrayRef bits, std::vector<int64_t> tail, at::ScalarType type) {
  at::manual_seed(0);
  std::vector<Tensor> channels;
  tail.insert(tail.begin(), 3);
  for (const int64_t n : bits) channels.push_back(at::randint(int64_t{1} << n, tail, at::kLong));
  return at::stack(channels, 1).to(type);
}

struct Case {
  std::vector<int64_t> bits;
  at::ScalarType type;
};

const std::vector<Case> kCases = {{{8, 8, 8}, at::kByte}, {{1, 8, 5}, at::kByte},
                                  {{5}, at::kInt},        {{9, 2}, at::kInt},
                                  {{15}, at::kInt},       {{31, 30, 1}, at::kInt}};

// Around the widths of vector registers and nothing at all.
const std::vector<std::vector<int64_t>> kTails = {{}, {0}, {1}, {15}, {17}, {33, 31}, {7, 1, 19}};

TEST(Int2Bit, FastTwinEqualsTheReference) {
  for (const auto& [bits, type] : kCases) {
    for (const auto& tail : kTails) {
      const auto codes = random_codes(bits, tail, type);
      for (const double scale : {1.0, 0.1}) {
        const auto fast = int2bit(codes, bits, scale);
        EXPECT_EQ(fast.scalar_type(), at::kFloat);
        EXPECT_TRUE(fast.equal(reference::int2bit(codes, bits, scale)))
            << IntArrayRef(bits) << " " << codes.sizes();
      }
    }
  }
}

TEST(Bit2Int, FastTwinEqualsTheReference) {
  for (const auto& [bits, type] : kCases) {
    const int64_t rows = std::accumulate(bits.begin(), bits.end(), int64_t{0});
    for (const auto& tail : kTails) {
      std::vector<int64_t> shape = {3, rows};
      shape.insert(shape.end(), tail.begin(), tail.end());
      const auto x_bits = at::randn(shape);
      const auto fast = bit2int(x_bits, bits), slow = reference::bit2int(x_bits, bits);
      EXPECT_EQ(fast.codes.scalar_type(), slow.codes.scalar_type());
      EXPECT_TRUE(fast.codes.equal(slow.codes)) << IntArrayRef(bits) << " " << x_bits.sizes();
      EXPECT_FALSE(fast.nan);
      EXPECT_FALSE(slow.nan);
    }
  }
}

TEST(Bit2Int, InvertsInt2Bit) {
  for (const auto& [bits, type] : kCases) {
    const auto codes = random_codes(bits, {9, 5}, type);
    EXPECT_TRUE(bit2int(int2bit(codes, bits, 0.5), bits).codes.to(type).equal(codes));
  }
}

TEST(Bit2Int, TakesABitAsOneOnlyAboveZero) {
  const auto smallest = std::numeric_limits<float>::denorm_min();
  const auto x_bits = at::tensor({0.0F, -0.0F, smallest, -smallest, kInfinity, -kInfinity});
  for (const auto& twin : {bit2int, reference::bit2int}) {
    const auto [codes, nan] = twin(x_bits.reshape({1, 6}), {6});
    EXPECT_EQ(codes.item<int64_t>(), 0b010100);
    EXPECT_FALSE(nan);
  }
}

TEST(Bit2Int, NoticesANanAnywhere) {
  for (const auto& twin : {bit2int, reference::bit2int}) {
    for (const int64_t place : {0, 1, 37, 99, 159}) {
      const auto x_bits = at::ones({2, 8, 10});
      x_bits.flatten()[place] = kNan;
      EXPECT_TRUE(twin(x_bits, {3, 5}).nan) << place;
    }
  }
}

TEST(Int2Bit, DoesNotDependOnTheNumberOfThreads) {
  const auto codes = random_codes({8, 8, 8}, {64, 64}, at::kByte);
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = int2bit(codes, {8, 8, 8}, 1);
  at::set_num_threads(3);
  const auto three = int2bit(codes, {8, 8, 8}, 1);
  EXPECT_TRUE(bit2int(three, {8, 8, 8}).codes.equal(codes));
  at::set_num_threads(threads);
  EXPECT_TRUE(one.equal(three));
}

TEST(Int2Bit, TakesTensorsThatAreNotContiguous) {
  const auto codes = random_codes({4, 4}, {6, 5}, at::kByte).transpose(2, 3);
  const auto x_bits = int2bit(codes, {4, 4}, 1);
  EXPECT_TRUE(x_bits.equal(int2bit(codes.contiguous(), {4, 4}, 1)));
  const auto strided = x_bits.transpose(0, 1).contiguous().transpose(0, 1);
  EXPECT_TRUE(bit2int(strided, {4, 4}).codes.equal(codes));
}

TEST(Int2Bit, RefusesOtherTypesAndChannels) {
  EXPECT_THROW(int2bit(at::zeros({1, 2}, at::kLong), {4, 4}, 1), c10::Error);
  EXPECT_THROW(int2bit(at::zeros({1, 2}, at::kByte), {4}, 1), c10::Error);
  EXPECT_THROW(bit2int(at::zeros({1, 8}, at::kDouble), {4, 4}), c10::Error);
  EXPECT_THROW(bit2int(at::zeros({1, 7}), {4, 4}), c10::Error);
}

}  // namespace
}  // namespace bitdiff::kernels
