#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bitdiff/base/tensor.h"
#include "bitdiff/io/caption_records.h"

namespace bitdiff {

/// The images that records of captions name.
class CaptionImages {
 public:
  CaptionImages() = default;
  CaptionImages(const CaptionImages&) = delete;
  CaptionImages& operator=(const CaptionImages&) = delete;
  virtual ~CaptionImages() = default;

  /// Of an image: [3, H, W] of pixels, or [M, D] of features.
  virtual const std::vector<int64_t>& shape() const = 0;

  /// The number of the image that a record names, or nothing when the folder lacks it. Throws
  /// InputError when the record does not name one as it should. Not to be called beside get().
  virtual std::optional<int64_t> find(const CaptionRecord& record) = 0;

  /// The images of these numbers, in memory of their own: uint8 [B, 3, H, W] of pixels, or float32
  /// [B, M, D] of features. Safe to call from several threads. Throws InputError with the name of
  /// an image that is damaged.
  virtual Tensor get(std::span<const int64_t> numbers) const = 0;
};

struct CaptionImagesOptions {
  std::string key = {};  ///< Of the array in its file; empty: the only one.
  int64_t size = 64;     ///< Side of the square that the images of a folder become.
};

/// The images of a folder, which records name by `file`, decoded when they are asked for and
/// resized by area, all of each, to size x size; or an array of a .npy, .npz or .safetensors, whose
/// `row` they name: uint8 [N, H, W, 3] pixels, or floats [N, M, D] or [N, D] (M = 1) of features.
/// Throws InputError.
std::unique_ptr<CaptionImages> open_caption_images(const std::filesystem::path& path,
                                                   const CaptionImagesOptions& options);

}  // namespace bitdiff
