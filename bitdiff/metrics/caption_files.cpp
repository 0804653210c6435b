#include "bitdiff/metrics/caption_files.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// What may name an image; the first that every record of both files has does.
constexpr std::array kImageKeys = {"image_id", "file", "row"};

struct Record {
  std::string where;                         ///< File and place, for errors.
  std::map<std::string, std::string> image;  ///< The image by each key that the record has.
  std::vector<std::string> captions;
};

/// Throws for nesting no caption file has, which nlohmann would follow to any depth.
Json parse(const std::string& where, std::string_view text) {
  constexpr int kMostDepth = 64;
  const auto check_depth = [&](int depth, Json::parse_event_t, const Json&) {
    if (depth > kMostDepth) throw InputError(where, ": JSON nested deeper than ", kMostDepth);
    return true;
  };
  try {
    return Json::parse(text, check_depth);
  } catch (const Json::exception& error) {
    throw InputError(where, ": not JSON: ", printable(error.what()));
  }
}

std::string text_at(const std::string& where, const Json& json, const std::string& key) {
  if (!json.is_string()) {
    throw InputError(where, ": ", key, ": expected a string, found ", printable(json.dump()));
  }
  return json.get<std::string>();
}

Record record_of(std::string where, const Json& json) {
  if (!json.is_object()) {
    throw InputError(where, ": expected an object, found ", printable(json.dump()));
  }
  Record record{.where = std::move(where), .image = {}, .captions = {}};
  for (const auto* key : kImageKeys) {
    if (!json.contains(key)) continue;
    const auto& name = json[key];
    if (!name.is_string() && !name.is_number_integer()) {
      throw InputError(record.where, ": ", key, ": expected a string or an integer, found ",
                       printable(name.dump()));
    }
    record.image[key] = name.is_string() ? name.get<std::string>() : name.dump();
  }
  if (record.image.empty()) {
    throw InputError(record.where, ": expected image_id, file or row to name the image");
  }
  if (json.contains("caption")) {
    record.captions.push_back(text_at(record.where, json["caption"], "caption"));
  } else if (json.contains("captions") && json["captions"].is_array()) {
    for (const auto& caption : json["captions"]) {
      record.captions.push_back(text_at(record.where, caption, "captions"));
    }
  }
  if (record.captions.empty()) {
    throw InputError(record.where, ": expected \"caption\": a string, or \"captions\": a list of",
                     " strings");
  }
  return record;
}

std::vector<Record> records_of_lines(const std::string& file, const std::string& text) {
  std::vector<Record> records;
  std::istringstream lines(text);
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto where = str(file, ": line ", number);
    records.push_back(record_of(where, parse(where, line)));
  }
  return records;
}

/// A file of COCO's annotations ({"annotations": [...]}) or results ([...]).
std::vector<Record> records_of_json(const std::string& file, const std::string& text) {
  const auto json = parse(file, text);
  const bool annotations = json.is_object() && json.contains("annotations");
  const auto& list = annotations ? json["annotations"] : json;
  if (!list.is_array()) {
    throw InputError(file, ": expected a list of captions or an object with \"annotations\"; one",
                     " object a line is for a .jsonl");
  }
  std::vector<Record> records;
  for (size_t i = 0; i < list.size(); ++i) {
    records.push_back(
        record_of(str(file, annotations ? ": annotation " : ": record ", i), list[i]));
  }
  return records;
}

std::vector<Record> read_records(const fs::path& path) {
  constexpr uint64_t kMostBytes = uint64_t{1} << 32;
  const auto text = read_file(path, kMostBytes);
  auto records = path.extension() == ".jsonl" ? records_of_lines(path.string(), text)
                                              : records_of_json(path.string(), text);
  if (records.empty()) throw InputError(path.string(), ": expected captions, found none");
  return records;
}

std::string shared_key(const fs::path& candidates, const std::vector<Record>& first,
                       const std::vector<Record>& second) {
  for (const auto* key : kImageKeys) {
    const auto has = [&](const Record& record) { return record.image.contains(key); };
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
  const auto proposed = read_records(candidates);
  const auto written = read_records(references);
  const auto key = shared_key(candidates, proposed, written);

  std::map<std::string, std::vector<CaptionWords>> by_image;
  for (const auto& record : written) {
    auto& captions = by_image[record.image.at(key)];
    for (const auto& caption : record.captions) {
      captions.push_back(caption_words(caption, tokenizer));
    }
  }
  CaptionSet set;
  std::set<std::string> seen;
  for (const auto& record : proposed) {
    const auto& image = record.image.at(key);
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
