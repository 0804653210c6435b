#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bitdiff/data/caption_images.h"

namespace bitdiff {

/// An image with its captions.
struct CaptionedImage {
  int64_t image = 0;  ///< Its number, for CaptionImages::get.
  ImageNames names;   ///< What its first record calls it.
  /// One or more, each one line that is not empty.
  std::vector<std::string> captions;
};

/// The images that the records of one split describe.
struct CaptionSplit {
  std::vector<CaptionedImage> images;  ///< Each once, in the order of their first records.
  int64_t missing = 0;                 ///< Captions left out because the folder lacks their images.
};

struct CaptionSourceOptions {
  std::filesystem::path images;    ///< See open_caption_images.
  std::filesystem::path captions;  ///< The records; docs/formats.md says what they may look like.
  CaptionImagesOptions as = {};    ///< How these are read.
};

/// Captions beside images: a file of records, and the images they name.
class CaptionSource {
 public:
  /// Throws InputError that names file and record for what is malformed, and for rows and paths
  /// that are not of the images, in whatever split.
  explicit CaptionSource(const CaptionSourceOptions& options);

  const std::shared_ptr<const CaptionImages>& images() const { return images_; }

  /// What the records of a split describe; empty: what all do. Throws InputError when there is
  /// none, or no image of any.
  CaptionSplit split(const std::string& name) const;

 private:
  struct Entry {
    std::string split;
    CaptionedImage described;
  };

  std::string captions_;  // The file, for errors.
  std::string folder_;    // Or file, for errors.
  std::shared_ptr<const CaptionImages> images_;
  std::vector<Entry> entries_;              // Each image once a split.
  std::map<std::string, int64_t> missing_;  // By split, of which it has every one.
};

/// Throws UsageError when one set has an image of the other: what a model is tested on it must not
/// have seen. `where` begins the message.
void refuse_shared_images(const std::string& where, const CaptionSplit& train,
                          const CaptionSplit& test);

}  // namespace bitdiff
