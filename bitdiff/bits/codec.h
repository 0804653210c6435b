#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <vector>

#include "bitdiff/base/options.h"
#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// Which bits stand for which number (appendix B.1 of Chen et al., 2022).
enum class Encoding {
  kBinary,    ///< The number itself: UINT8.
  kGray,      ///< i ^ (i >> 1): GRAY. Neighbours differ in one bit.
  kPermuted,  ///< The number's place in a fixed shuffle: UINT8(RAND). Order means nothing.
  kOneHot,    ///< One bit for each category.
  kPixels,  ///< No bits: the number itself, spread over [-scale, scale]; the paper's DDPM baseline.
};

const Words<Encoding>& encoding_words();

struct CodecOptions {
  Encoding encoding = Encoding::kBinary;
  std::vector<int64_t> categories = {256};  ///< K of every channel, or one for each channel.
  double scale = 1;                         ///< Magnitude of an analog bit.
  int64_t seed = 42;                        ///< Of the shuffle of kPermuted; 42 is the paper's.

  template <class Visitor>
  void visit(Visitor& v) {
    v.choice("encoding", encoding, encoding_words(), "which bits stand for which number");
    v.number("scale", scale, between(1e-3, 1e3), "magnitude of an analog bit");
    v.number("seed", seed, between(0, 4294967295.0), "seed of the shuffle of permuted");
  }
};

/// Discrete data to analog bits and back.
///
/// A channel of K categories has n = ceil(log2 K) bit channels (kOneHot: K, kPixels: 1), least
/// significant bit first; the bits of channel 0 come first, then those of channel 1.
class Codec {
 public:
  /// For data of `channels` channels. Throws UsageError if the options do not fit. kPermuted holds
  /// up to 12 bytes for each category.
  Codec(const CodecOptions& options, int64_t channels);

  const CodecOptions& options() const { return options_; }
  double scale() const { return options_.scale; }
  int64_t channels() const { return static_cast<int64_t>(categories_.size()); }
  int64_t bit_channels() const { return bit_channels_; }
  /// Bit channels of each channel.
  const std::vector<int64_t>& bits() const { return bits_; }
  /// K of each channel.
  const std::vector<int64_t>& categories() const { return categories_; }

  /// The analog bits of every number of one channel: float32 [K, n] on `device`, made when first
  /// asked for. Only to be read.
  Tensor codes(int64_t channel, at::Device device = at::kCPU) const;

  /// `x`: uint8, int32 or int64 [B, C, *S], each in [0, K). Returns float32 [B, bit_channels, *S]
  /// of +-scale, on `device` or else where `x` is. Throws InputError for a value outside.
  Tensor encode(const Tensor& x, std::optional<at::Device> device = {}) const;

  struct Decoded {
    Tensor x;         ///< [B, C, *S] in [0, K); uint8 if every K <= 256, else int32.
    int64_t invalid;  ///< How many elements had bits that are no code.
  };

  /// `x_bits`: float32 [B, bit_channels, *S]. A bit above 0 is 1; where that is no code the nearest
  /// code (Euclidean) counts. kOneHot takes the largest, kPixels the nearest number. Throws
  /// NumbersError for a NaN.
  Decoded decode(const Tensor& x_bits) const;

 private:
  // The shuffle of one K, both ways.
  struct Shuffle {
    std::vector<int32_t> code;    // [K]: the code of a number.
    std::vector<int32_t> number;  // [2^n]: the number of a code; at least K where there is none.
  };

  // What codes() has made, for all copies of a codec.
  struct Made {
    std::mutex mutex;
    std::map<std::tuple<int64_t, c10::DeviceType, c10::DeviceIndex>, Tensor> codes;
  };

  void check_range(const Tensor& x) const;
  Tensor codes_of(const Tensor& x) const;
  template <class Code>
  int64_t numbers_of(Tensor& codes, const Tensor& x_bits) const;
  /// K - 1 of each channel: float32 [C, 1, ...], to be divided into or multiplied with `x`.
  Tensor largest(const Tensor& x) const;
  Decoded decode_one_hot(const Tensor& x_bits) const;
  Decoded decode_pixels(const Tensor& x_bits) const;

  CodecOptions options_;
  std::vector<int64_t> categories_;                       // [C]
  std::vector<int64_t> bits_;                             // [C]
  std::vector<std::shared_ptr<const Shuffle>> shuffles_;  // [C] if kPermuted, else empty.
  int64_t bit_channels_ = 0;
  std::shared_ptr<Made> made_ = std::make_shared<Made>();
};

}  // namespace bitdiff
