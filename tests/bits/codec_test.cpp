#include "bitdiff/bits/codec.h"

#include <cmath>
#include <limits>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

constexpr int64_t kMost = int64_t{1} << 31;

// All numbers in [0, K) where they are few, else a few thousand spread over the whole range.
Tensor numbers_below(int64_t k) {
  if (k <= 4096) return at::arange(k, at::kLong);
  const auto low = at::arange(1024, at::kLong);
  return at::cat({low, k - 1 - low, at::arange(1, 2048, at::kLong) * (k / 2048)});
}

Codec make(Encoding encoding, int64_t k, double scale = 1) {
  return Codec({.encoding = encoding, .categories = {k}, .scale = scale}, 1);
}

// The bits of one number as 0 and 1, least significant first.
std::string bits_text(const Codec& codec, int64_t number) {
  const auto bits = codec.encode(at::full({1, 1}, number, at::kLong)).flatten();
  std::string text;
  for (int64_t i = 0; i < bits.numel(); ++i) text += bits[i].item<float>() > 0 ? '1' : '0';
  return text;
}

class CodecTest : public ::testing::TestWithParam<Encoding> {
 protected:
  static void expect_round_trip(int64_t k, double scale) {
    const auto codec = make(GetParam(), k, scale);
    const auto x = numbers_below(k).reshape({1, 1, -1});
    const auto x_bits = codec.encode(x);
    ASSERT_EQ(x_bits.scalar_type(), at::kFloat);
    ASSERT_TRUE(x_bits.abs().eq(static_cast<float>(scale)).all().item<bool>()) << "K = " << k;
    const auto decoded = codec.decode(x_bits);
    EXPECT_EQ(decoded.x.scalar_type(), k <= 256 ? at::kByte : at::kInt);
    EXPECT_TRUE(decoded.x.to(at::kLong).equal(x)) << "K = " << k;
    EXPECT_EQ(decoded.invalid, 0) << "K = " << k;
  }
};

INSTANTIATE_TEST_SUITE_P(EveryEncoding, CodecTest,
                         ::testing::Values(Encoding::kBinary, Encoding::kGray, Encoding::kPermuted,
                                           Encoding::kOneHot),
                         [](const auto& test) {
                           for (const auto& [word, encoding] : encoding_words()) {
                             if (encoding == test.param) return word;
                           }
                           return std::string("unnamed");
                         });

TEST_P(CodecTest, DecodesWhatItEncodedForEveryNumberAndEveryKUpTo300) {
  for (int64_t k = 2; k <= 300; ++k) expect_round_trip(k, 1);
}

TEST_P(CodecTest, DecodesWhatItEncodedAtEveryScale) {
  for (const double scale : {0.1, 0.5, 1.0, 2.0}) expect_round_trip(19, scale);
}

TEST_P(CodecTest, DecodesWhatItEncodedForLargeK) {
  if (GetParam() == Encoding::kOneHot) {
    expect_round_trip(1000, 1);
    return;
  }
  for (const int64_t k : {511, 512, 513, 32000, 65536, 65537, 1000003}) expect_round_trip(k, 1);
  if (GetParam() == Encoding::kPermuted) return;  // Its table would take 24 GB.
  for (const int64_t k : {1000000007L, kMost - 1, kMost}) expect_round_trip(k, 1);
}

TEST_P(CodecTest, TakesEveryTypeAndAnyNumberOfAxes) {
  const auto codec = Codec({.encoding = GetParam(), .categories = {5}}, 3);
  for (const auto type : {at::kByte, at::kInt, at::kLong}) {
    for (const auto& shape :
         std::vector<std::vector<int64_t>>{{2, 3}, {2, 3, 4}, {2, 3, 4, 5}, {0, 3, 4}, {2, 3, 0}}) {
      const auto x = (at::arange(c10::multiply_integers(shape)) % 5).to(type).reshape(shape);
      const auto x_bits = codec.encode(x);
      EXPECT_EQ(x_bits.size(1), codec.bit_channels());
      const auto decoded = codec.decode(x_bits);
      EXPECT_EQ(decoded.x.sizes(), x.sizes());
      EXPECT_TRUE(decoded.x.equal(x.to(at::kByte)));
    }
  }
}

TEST_P(CodecTest, TakesTensorsThatAreNotContiguous) {
  const auto codec = Codec({.encoding = GetParam(), .categories = {7}}, 2);
  const auto x = (at::arange(24) % 7).reshape({3, 4, 2}).permute({0, 2, 1});
  const auto x_bits = codec.encode(x);
  const auto strided = x_bits.transpose(1, 2).contiguous().transpose(1, 2);
  EXPECT_TRUE(codec.decode(strided).x.equal(x.to(at::kByte)));
}

TEST_P(CodecTest, GivesEachChannelItsOwnCategories) {
  const std::vector<int64_t> categories = {2, 5, 256, 300};
  const Codec codec({.encoding = GetParam(), .categories = categories}, 4);
  std::vector<Tensor> apart;
  std::vector<Tensor> x;
  for (const int64_t k : categories) {
    x.push_back(at::arange(60, at::kLong).remainder(k).reshape({2, 1, 30}));
    apart.push_back(make(GetParam(), k).encode(x.back()));
  }
  const auto x_bits = codec.encode(at::cat(x, 1));
  EXPECT_TRUE(x_bits.equal(at::cat(apart, 1)));
  EXPECT_TRUE(codec.decode(x_bits).x.to(at::kLong).equal(at::cat(x, 1)));
}

TEST_P(CodecTest, DecodesToTheNearestOfAllCodesAndCountsWhatIsNone) {
  at::manual_seed(0);
  for (int64_t k = 2; k <= 40; ++k) {
    const auto codec = make(GetParam(), k);
    const auto codes = codec.encode(at::arange(k).reshape({k, 1}));  // [K, n]
    const auto x_bits = at::randn({200, codec.bit_channels()});
    // Codes have one norm: the nearest has the largest inner product.
    const auto nearest = x_bits.matmul(codes.t()).argmax(1);
    const auto agreeing = x_bits.sign().matmul(codes.t()).amax(1);
    const auto decoded = codec.decode(x_bits);
    EXPECT_TRUE(decoded.x.flatten().equal(nearest.to(at::kByte))) << "K = " << k;
    EXPECT_EQ(decoded.invalid, agreeing.lt(codec.bit_channels()).sum().item<int64_t>());
  }
}

TEST_P(CodecTest, NeverDecodesToWhatIsNoCategory) {
  at::manual_seed(0);
  for (const int64_t k : {3, 5, 17, 200, 257, 1000}) {
    const auto codec = make(GetParam(), k);
    const auto decoded = codec.decode(at::randn({64, codec.bit_channels(), 16}));
    EXPECT_GE(decoded.x.min().item<int64_t>(), 0);
    EXPECT_LT(decoded.x.max().item<int64_t>(), k);
    EXPECT_GT(decoded.invalid, 0);
  }
}

TEST_P(CodecTest, RefusesNanAndSaysWhere) {
  const auto codec = Codec({.encoding = GetParam(), .categories = {6}}, 2);
  auto x_bits = codec.encode(at::zeros({3, 2, 4}, at::kByte));
  x_bits[1][2][3] = std::numeric_limits<float>::quiet_NaN();
  x_bits[2][0][0] = std::numeric_limits<float>::quiet_NaN();
  try {
    codec.decode(x_bits);
    FAIL() << "expected an error";
  } catch (const NumbersError& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("2 of "), std::string::npos) << what;
    EXPECT_NE(what.find("row 1, bit channel 2"), std::string::npos) << what;
  }
}

TEST_P(CodecTest, TakesInfinityForALargeNumber) {
  const auto codec = make(GetParam(), 5);
  const auto x = at::arange(5).reshape({5, 1});
  const auto x_bits = codec.encode(x) * std::numeric_limits<float>::infinity();
  EXPECT_TRUE(codec.decode(x_bits).x.equal(x.to(at::kByte)));
  const auto nothing = at::full({1, codec.bit_channels()}, std::numeric_limits<float>::infinity());
  EXPECT_LT(codec.decode(nothing).x.item<int64_t>(), 5);
}

TEST_P(CodecTest, RefusesDataOutsideTheCategories) {
  const auto codec = make(GetParam(), 10);
  for (const int64_t bad : {-1L, 10L, 300L, kMost, -kMost}) {
    EXPECT_THROW(codec.encode(at::full({1, 1, 1}, bad, at::kLong)), InputError) << bad;
  }
  EXPECT_THROW(codec.encode(at::full({1, 1, 1}, 10, at::kByte)), InputError);
}

TEST(Codec, NamesTheChannelOfAValueOutside) {
  const Codec codec({.categories = {10, 20}}, 2);
  try {
    codec.encode(at::tensor({3, 25}).reshape({1, 2}));
    FAIL() << "expected an error";
  } catch (const InputError& error) {
    EXPECT_STREQ(
        error.what(),
        "the data holds the value 25 in channel 1; expected 0..19, for there are 20 categories");
  }
}

TEST(Codec, WritesTheLeastSignificantBitFirst) {
  EXPECT_EQ(bits_text(make(Encoding::kBinary, 256), 6), "01100000");
  EXPECT_EQ(bits_text(make(Encoding::kBinary, 256), 228), "00100111");
}

TEST(Codec, PermutedIsTheTableOfTheAuthors) {
  EXPECT_EQ(bits_text(make(Encoding::kPermuted, 256), 0), "00100111");  // 228
  EXPECT_EQ(bits_text(make(Encoding::kPermuted, 256), 1), "01100000");  // 6
}

TEST(Codec, OneHotSetsTheBitOfTheCategory) {
  EXPECT_EQ(bits_text(make(Encoding::kOneHot, 5), 3), "00010");
}

TEST(Codec, OneHotDecodesTheLargest) {
  const auto decoded =
      make(Encoding::kOneHot, 3).decode(at::tensor({-.5f, -.1f, -.9f}).view({1, 3}));
  EXPECT_EQ(decoded.x.item<int64_t>(), 1);
  EXPECT_EQ(decoded.invalid, 1);
}

TEST(Codec, HasAsManyBitsAsTheLastCategoryNeeds) {
  const std::vector<std::pair<int64_t, int64_t>> cases = {
      {2, 1}, {3, 2}, {4, 2}, {5, 3}, {32, 5}, {256, 8}, {257, 9}, {32000, 15}, {kMost, 31}};
  for (const auto& [k, n] : cases) EXPECT_EQ(make(Encoding::kBinary, k).bit_channels(), n);
  EXPECT_EQ(Codec({}, 3).bit_channels(), 24);
  EXPECT_EQ(make(Encoding::kOneHot, 256).bit_channels(), 256);
}

TEST(Codec, FoldsBitsIntoChannelsChannelByChannel) {
  const Codec codec({.categories = {4}}, 2);
  const auto x = at::tensor({1, 2, 3, 0}).reshape({1, 2, 2});  // Channel 0: 1, 2. Channel 1: 3, 0.
  const auto expected = at::tensor({1, -1, -1, 1, 1, -1, 1, -1}).reshape({1, 4, 2});
  EXPECT_TRUE(codec.encode(x).equal(expected.to(at::kFloat)));
}

TEST(Codec, GrayNeighboursDifferInOneBit) {
  const auto codec = make(Encoding::kGray, 65536);
  const auto x_bits = codec.encode(at::arange(65536).reshape({-1, 1}));
  const auto flips = x_bits.slice(0, 1).ne(x_bits.slice(0, 0, -1)).sum(1);
  EXPECT_TRUE(flips.eq(1).all().item<bool>());
}

// The Pearson correlation of Hamming and absolute distance over all pairs of different bytes.
double distance_correlation(Encoding encoding) {
  const auto pairs = at::triu_indices(256, 256, 1);
  const auto distance = (pairs[0] - pairs[1]).abs().to(at::kDouble);
  const auto x_bits = make(encoding, 256).encode(at::arange(256).reshape({-1, 1}));
  const auto hamming = x_bits.index_select(0, pairs[0]).ne(x_bits.index_select(0, pairs[1])).sum(1);
  return at::corrcoef(at::stack({hamming.to(at::kDouble), distance}))[0][1].item<double>();
}

TEST(Codec, KeepsNearNumbersNearExceptWhenPermuted) {
  EXPECT_NEAR(distance_correlation(Encoding::kBinary), 0.324, 5e-4);
  EXPECT_NEAR(distance_correlation(Encoding::kGray), 0.324, 5e-4);
  EXPECT_NEAR(distance_correlation(Encoding::kPermuted), -0.007, 5e-4);
}

TEST(Codec, RefusesOptionsThatDoNotFit) {
  EXPECT_THROW(Codec({.categories = {}}, 1), UsageError);
  EXPECT_THROW(Codec({.categories = {4, 4}}, 3), UsageError);
  EXPECT_THROW(Codec({.categories = {1}}, 1), UsageError);
  EXPECT_THROW(Codec({.categories = {kMost + 1}}, 1), UsageError);
  EXPECT_THROW(Codec({.scale = 0}, 1), UsageError);
  EXPECT_THROW(Codec({.scale = std::nan("")}, 1), UsageError);
  EXPECT_THROW(Codec({.seed = -1}, 1), UsageError);
}

TEST(Pixels, SpreadNumbersOverTheScaleAndRoundBack) {
  const Codec codec({.encoding = Encoding::kPixels, .categories = {256, 5}, .scale = 0.5}, 2);
  ASSERT_EQ(codec.bit_channels(), 2);
  const auto x = at::tensor({0, 0, 255, 4, 51, 1}, at::kLong).reshape({3, 2});
  const auto pixels = codec.encode(x);
  const auto want = at::tensor({-0.5, -0.5, 0.5, 0.5, -0.3, -0.25}).reshape({3, 2});
  EXPECT_TRUE(pixels.allclose(want.to(at::kFloat), 0, 1e-6));
  EXPECT_TRUE(codec.decode(pixels).x.equal(x.to(at::kByte)));

  const auto all = at::arange(256, at::kLong).reshape({256, 1});
  const Codec bytes({.encoding = Encoding::kPixels}, 1);
  EXPECT_TRUE(bytes.decode(bytes.encode(all)).x.equal(all.to(at::kByte)));
  // The nearest number, within the range.
  const auto near = at::tensor({-7.0, -1 + 2.6 / 255, 1.3}).to(at::kFloat).reshape({3, 1});
  const auto numbers = bytes.decode(near).x.flatten();
  EXPECT_TRUE(numbers.equal(at::tensor({0, 1, 255}, at::kByte)));
  EXPECT_THROW(bytes.decode(at::full({1, 1}, std::nanf(""))), NumbersError);
}

}  // namespace
}  // namespace bitdiff
