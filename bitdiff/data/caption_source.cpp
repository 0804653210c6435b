#include "bitdiff/data/caption_source.h"

#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"

namespace bitdiff {
namespace {

/// A caption as one line: its line breaks (LF, CR, CR LF) are spaces, and none is left at its ends.
std::string one_line(const std::string& where, const std::string& caption) {
  if (caption.find('\0') != std::string::npos) {
    throw InputError(where, ": a caption: expected text, found a zero byte");
  }
  std::string line;
  for (size_t i = 0; i < caption.size(); ++i) {
    const char c = caption[i];
    if (c == '\r' && i + 1 < caption.size() && caption[i + 1] == '\n') continue;
    line.push_back(c == '\r' || c == '\n' ? ' ' : c);
  }
  constexpr const char* kSpaces = " \t\v\f";
  const auto begin = line.find_first_not_of(kSpaces);
  if (begin == std::string::npos) return {};
  return line.substr(begin, line.find_last_not_of(kSpaces) + 1 - begin);
}

std::vector<std::string> lines_of(const CaptionRecord& record) {
  std::vector<std::string> lines;
  for (const auto& caption : record.captions) {
    auto line = one_line(record.where, caption);
    if (!line.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::string printable_name(const CaptionedImage& image) {
  for (const auto* key : {"file", "row", "image_id"}) {
    const auto found = image.names.find(key);
    if (found != image.names.end()) return str(key, " ", printable(found->second.text));
  }
  return str("image ", image.image);
}

}  // namespace

CaptionSource::CaptionSource(const CaptionSourceOptions& options)
    : captions_(options.captions.string()), folder_(options.images.string()) {
  auto images = open_caption_images(options.images, options.as);
  std::map<std::pair<std::string, int64_t>, size_t> places;
  for (auto& record : read_caption_records(options.captions, {.with_images = true})) {
    const auto lines = lines_of(record);
    const auto image = images->find(record);
    auto& missing = missing_[record.split];
    if (!image) {
      missing += static_cast<int64_t>(lines.size());
    } else if (!lines.empty()) {
      const auto [place, is_new] = places.try_emplace({record.split, *image}, entries_.size());
      if (is_new) entries_.push_back({record.split, {*image, std::move(record.image), {}}});
      append(entries_[place->second].described.captions, lines);
    }
  }
  images_ = std::move(images);
}

CaptionSplit CaptionSource::split(const std::string& name) const {
  CaptionSplit split;
  std::string splits;
  for (const auto& [other, missing] : missing_) {
    if (!other.empty()) splits += (splits.empty() ? "" : ", ") + other;
    if (name.empty() || other == name) split.missing += missing;
  }
  // Records of several splits may describe one image.
  std::unordered_map<int64_t, size_t> places;
  for (const auto& [of, described] : entries_) {
    if (!name.empty() && of != name) continue;
    const auto [place, is_new] = places.try_emplace(described.image, split.images.size());
    if (is_new) {
      split.images.push_back(described);
    } else {
      append(split.images[place->second].captions, described.captions);
    }
  }
  if (!split.images.empty()) return split;
  const auto wanted = name.empty() ? "" : str(" of the split \"", printable(name), "\"");
  if (split.missing > 0) {
    throw InputError(folder_, ": expected images for the captions", wanted, " in ", captions_,
                     ", found none of the files that they name");
  }
  throw InputError(captions_, ": expected captions", wanted, ", found none; its records are of ",
                   splits.empty() ? "no split" : printable(splits));
}

void refuse_shared_images(const std::string& where, const CaptionSplit& train,
                          const CaptionSplit& test) {
  std::unordered_set<int64_t> seen;
  for (const auto& image : train.images) seen.insert(image.image);
  for (const auto& image : test.images) {
    if (!seen.contains(image.image)) continue;
    throw UsageError(where, ": expected no image that is trained on, found ",
                     printable_name(image));
  }
}

}  // namespace bitdiff
