#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bitdiff/base/tensor.h"

namespace bitdiff {

/// Examples side by side.
struct Batch {
  Tensor x;      ///< uint8, int32 or int64 [B, C, *S], each in [0, categories).
  Tensor label;  ///< int64 [B] in [0, classes), or undefined when the set has no labels.
  /// What x describes: uint8 pixels [B, 3, H, W] or float32 features [B, M, D]; or undefined.
  Tensor image = {};
};

class Tokenizer;

/// How examples are text.
struct TextInfo {
  std::shared_ptr<const Tokenizer> tokenizer = {};  ///< Null: they are no text.
  /// True: an example is a line of text: its tokens, eos, then pad. False: it is a window of
  /// running text, where every line ends with eos.
  bool lines = true;
  int64_t cut = 0;  ///< Lines that were longer than an example and lost their end.
};

/// What one needs to know of a data set to build a model for it and to show its samples.
struct DataInfo {
  std::vector<int64_t> shape;               ///< [C, *S] of one example.
  std::vector<int64_t> categories = {256};  ///< K: values are in [0, K); or one K for each channel.
  int64_t classes = 0;                      ///< 0: no labels.
  /// 3 * K numbers in 0..255, the colour of each category; or empty.
  std::vector<int64_t> palette = {};
  TextInfo text = {};
  /// Of the image an example describes: [3, H, W] of pixels, or [M, D] of features; or empty.
  std::vector<int64_t> image_shape = {};
  int64_t missing = 0;  ///< Captions left out because the folder lacks their images.
};

/// Examples that can be had in any order.
class Dataset {
 public:
  Dataset() = default;
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;
  virtual ~Dataset() = default;

  virtual const DataInfo& info() const = 0;
  virtual int64_t size() const = 0;

  /// The examples `indices`, each in [0, size()), in memory of their own. Safe to call from several
  /// threads.
  virtual Batch get(std::span<const int64_t> indices) const = 0;
};

}  // namespace bitdiff
