#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// What a random number is for. Streams of different purposes are independent.
enum class Purpose : uint64_t {
  kInit = 1,
  kHoldout,
  kOrder,
  kFlip,
  kTime,
  kNoise,
  kStepNoise,
  kDropout,
  kSelfCond,
  kLabel,
  kEval,
  kKidSubset,
  kHalves,
  kScoreSplit,
  kToken,
  kCrop = 32,  // Feature networks are trained anew to the same bits: these keep their numbers.
  kColour,
};

/// Random numbers as a pure function of (seed, purpose, row): one stream for each row of a batch.
///
/// Nothing here has a position that calls advance: asking twice gives the same numbers, and a row
/// gets the same numbers in whatever batch it stands. Streams that must differ are forked.
/// The generator is Philox4x32-10 (Salmon et al., 2011): key from seed and purpose, counter from
/// the row. Numbers are drawn on the CPU and then go to the streams' own device, or there where
/// that is a GPU and the library of kernels was built: the same bits if uniform, and if normal the
/// same to rounding.
class Streams {
 public:
  /// `rows`: the number of each row, which may repeat and come in any order.
  Streams(uint64_t seed, std::vector<int64_t> rows, at::Device device = at::kCPU);

  /// Independent streams of the same rows, for one purpose (and one index of it, such as a layer).
  Streams fork(Purpose purpose, uint64_t index = 0) const;

  /// The streams of rows [begin, end).
  Streams slice(int64_t begin, int64_t end) const;

  /// The same streams, whose numbers go to another device.
  Streams on(at::Device device) const;

  at::Device device() const { return device_; }
  int64_t size() const;
  const std::vector<int64_t>& rows() const { return rows_; }

  /// The numbers of the rows, int64 [B] on the streams' device.
  Tensor numbers() const;

  /// The same streams of the rows whose numbers stand in `numbers`, int64 [B] on the streams'
  /// device, whenever something is drawn: for work that is recorded once and repeated
  /// (cuda/recorder.h). Their rows() are empty.
  Streams reading(const Tensor& numbers) const;

  /// What sets these streams apart from others of the same rows.
  uint64_t seed() const { return seed_; }

  /// float32 `shape` = [B, ...], B = size(); uniform in [0, 1), multiples of 2^-24.
  Tensor uniform(IntArrayRef shape) const;

  /// float32 `shape` = [B, ...], B = size(); standard normal (Box-Muller).
  Tensor normal(IntArrayRef shape) const;

 private:
  Streams(uint64_t seed, std::vector<int64_t> rows, at::Device device, Tensor numbers)
      : seed_(seed), rows_(std::move(rows)), device_(device), numbers_(std::move(numbers)) {}

  Tensor numbers_on_cpu() const;

  uint64_t seed_;
  std::vector<int64_t> rows_;
  at::Device device_;
  Tensor numbers_;  // Defined where draws read them instead of rows_.
};

/// A permutation of 0 .. n-1, a function of (seed, purpose, index) alone (Fisher-Yates).
std::vector<int64_t> permutation(uint64_t seed, Purpose purpose, int64_t index, int64_t n);

}  // namespace bitdiff
