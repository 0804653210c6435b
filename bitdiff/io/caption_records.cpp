#include "bitdiff/io/caption_records.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// Throws for nesting no caption file has, which nlohmann would follow to any depth. Not a callback
/// of its parser: with one, that looks at all of a list again after each object.
void check_depth(const std::string& where, std::string_view text) {
  constexpr int kMostDepth = 64;
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      in_string = !in_string;
    } else if (in_string) {
      if (c == '\\') ++i;  // What is escaped ends no string.
    } else if (c == '[' || c == '{') {
      if (++depth > kMostDepth) throw InputError(where, ": JSON nested deeper than ", kMostDepth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
}

Json parse(const std::string& where, std::string_view text) {
  check_depth(where, text);
  try {
    return Json::parse(text);
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

ImageName name_at(const std::string& where, const Json& json, const std::string& key) {
  if (json.is_string()) return {json.get<std::string>()};
  if (json.is_number_integer()) return {json.dump(), true};
  throw InputError(where, ": ", key, ": expected a string or an integer, found ",
                   printable(json.dump()));
}

CaptionRecord record_of(std::string where, const Json& json, const CaptionRecordOptions& options) {
  if (!json.is_object()) {
    throw InputError(where, ": expected an object, found ", printable(json.dump()));
  }
  CaptionRecord record{.where = std::move(where), .image = {}, .split = {}, .captions = {}};
  for (const auto* key : kImageKeys) {
    if (json.contains(key)) record.image[key] = name_at(record.where, json[key], key);
  }
  if (record.image.empty()) {
    throw InputError(record.where, ": expected image_id, file or row to name the image");
  }
  if (options.with_images && json.contains("split")) {
    record.split = text_at(record.where, json["split"], "split");
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

std::vector<CaptionRecord> records_of_lines(const std::string& file, const std::string& text,
                                            const CaptionRecordOptions& options) {
  std::vector<CaptionRecord> records;
  std::istringstream lines(text);
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto where = str(file, ": line ", number);
    records.push_back(record_of(where, parse(where, line), options));
  }
  return records;
}

/// The `file_name` of each of COCO's images by its `id`.
std::map<std::string, std::string> coco_files(const std::string& file, const Json& json) {
  std::map<std::string, std::string> files;
  if (!json.contains("images")) return files;
  const auto& images = json["images"];
  if (!images.is_array()) throw InputError(file, ": images: expected a list");
  for (size_t i = 0; i < images.size(); ++i) {
    const auto where = str(file, ": image ", i);
    const auto& image = images[i];
    if (!image.is_object() || !image.contains("id")) {
      throw InputError(where, ": expected an object with id, found ", printable(image.dump()));
    }
    if (!image.contains("file_name")) continue;
    const auto id = name_at(where, image["id"], "id").text;
    if (!files.emplace(id, text_at(where, image["file_name"], "file_name")).second) {
      throw InputError(where, ": a second image of id ", printable(id));
    }
  }
  return files;
}

void name_files(std::vector<CaptionRecord>& records,
                const std::map<std::string, std::string>& files) {
  for (auto& record : records) {
    const auto id = record.image.find("image_id");
    if (id == record.image.end() || record.image.contains("file")) continue;
    const auto found = files.find(id->second.text);
    if (found != files.end()) record.image["file"] = {found->second};
  }
}

/// A file of COCO's annotations ({"annotations": [...]}) or results ([...]).
std::vector<CaptionRecord> records_of_json(const std::string& file, const std::string& text,
                                           const CaptionRecordOptions& options) {
  const auto json = parse(file, text);
  const bool annotations = json.is_object() && json.contains("annotations");
  const auto& list = annotations ? json["annotations"] : json;
  if (!list.is_array()) {
    throw InputError(file, ": expected a list of captions or an object with \"annotations\"; one",
                     " object a line is for a .jsonl");
  }
  std::vector<CaptionRecord> records;
  for (size_t i = 0; i < list.size(); ++i) {
    records.push_back(
        record_of(str(file, annotations ? ": annotation " : ": record ", i), list[i], options));
  }
  if (annotations && options.with_images) name_files(records, coco_files(file, json));
  return records;
}

}  // namespace

std::vector<CaptionRecord> read_caption_records(const fs::path& path,
                                                const CaptionRecordOptions& options) {
  constexpr uint64_t kMostBytes = uint64_t{1} << 32;
  const auto text = read_file(path, kMostBytes);
  auto records = path.extension() == ".jsonl" ? records_of_lines(path.string(), text, options)
                                              : records_of_json(path.string(), text, options);
  if (records.empty()) throw InputError(path.string(), ": expected captions, found none");
  return records;
}

std::string caption_record_line(const ImageNames& image, const std::string& caption) {
  nlohmann::ordered_json json;
  for (const auto* key : kImageKeys) {
    const auto found = image.find(key);
    if (found == image.end()) continue;
    const auto& [text, number] = found->second;
    if (number) {
      json[key] = Json::parse(text);
    } else {
      json[key] = text;
    }
  }
  json["caption"] = caption;
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace bitdiff
