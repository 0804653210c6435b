#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace bitdiff {

/// What may name an image in a record, the widest known first.
inline constexpr std::array kImageKeys = {"image_id", "file", "row"};

/// What a record calls its image by one of these keys.
struct ImageName {
  std::string text;
  bool number = false;  ///< JSON has it as an integer.
};

using ImageNames = std::map<std::string, ImageName>;  ///< By key.

/// Captions of an image, as a file has them.
struct CaptionRecord {
  std::string where;  ///< File and place, for errors.
  ImageNames image;   ///< One or more.
  std::string split;  ///< Empty: none.
  std::vector<std::string> captions;
};

struct CaptionRecordOptions {
  /// Also what it takes to find the images: `split`, and as `file` what the `images` of COCO's
  /// annotations say. False: these are ignored, whatever they are.
  bool with_images = false;
};

/// The records of a file of captions, at least one; docs/formats.md says what it may look like.
/// Throws InputError that names file and record for what is malformed.
std::vector<CaptionRecord> read_caption_records(const std::filesystem::path& path,
                                                const CaptionRecordOptions& options = {});

/// A record with one caption as a line of a .jsonl, line feed included. Bytes of the caption that
/// are not UTF-8 become U+FFFD.
std::string caption_record_line(const ImageNames& image, const std::string& caption);

}  // namespace bitdiff
