#include "bitdiff/metrics/caption_files.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "bitdiff/base/error.h"
#include "bitdiff/io/caption_records.h"
#include "bitdiff/io/file.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

/// The first key that every record of both files has.
std::string shared_key(const fs::path& candidates, const std::vector<CaptionRecord>& first,
                       const std::vector<CaptionRecord>& second) {
  for (const auto* key : kImageKeys) {
    const auto has = [&](const CaptionRecord& record) { return record.image.contains(key); };
    if (std::all_of(first.begin(), first.end(), has) &&
        std::all_of(second.begin(), second.end(), has)) {
      return key;
    }
  }
  throw InputError(candidates.string(), ": expected one of image_id, file and row in every record",
                   " here and of the references, found none that all have");
}

}  // namespace

CaptionSet read_captions(const fs::path& candidates, const fs::path& references,
                         CaptionTokenizer tokenizer) {
  const auto proposed = read_caption_records(candidates);
  const auto written = read_caption_records(references);
  const auto key = shared_key(candidates, proposed, written);

  std::map<std::string, std::vector<CaptionWords>> by_image;
  for (const auto& record : written) {
    auto& captions = by_image[record.image.at(key).text];
    for (const auto& caption : record.captions) {
      captions.push_back(caption_words(caption, tokenizer));
    }
  }
  CaptionSet set;
  std::set<std::string> seen;
  for (const auto& record : proposed) {
    const auto& image = record.image.at(key).text;
    const auto place = str(record.where, ": ", key, " ", printable(image));
    if (record.captions.size() != 1) {
      throw InputError(place, ": expected one candidate, found ", record.captions.size());
    }
    if (!seen.insert(image).second) throw InputError(place, ": a second candidate for this image");
    const auto found = by_image.find(image);
    if (found == by_image.end()) {
      throw InputError(place, ": expected a reference in ", references.string(), ", found none");
    }
    set.references += static_cast<int64_t>(found->second.size());
    set.images.push_back(image);
    set.pairs.push_back({caption_words(record.captions.front(), tokenizer), found->second});
  }
  set.unscored = static_cast<int64_t>(by_image.size() - seen.size());
  return set;
}

}  // namespace bitdiff
