#include "bitdiff/data/images.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include <ATen/ops/empty.h>

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/image.h"
#include "bitdiff/io/resize.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

bool is_image(const fs::path& path) {
  auto extension = path.extension().string();
  for (char& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

std::vector<std::string> folder_names(const fs::path& folder, const std::vector<fs::path>& images) {
  std::vector<std::string> names;
  for (const auto& image : images) {
    if (!image.has_parent_path()) {
      throw InputError((folder / image).string(), ": expected it in a folder named after its",
                       " class, found it beside these; move it, or leave out the labels");
    }
    names.push_back(image.begin()->string());
  }
  return names;
}

std::vector<std::string> listed_names(const fs::path& file, const std::vector<fs::path>& images) {
  std::map<std::string, std::string> label_of;
  std::istringstream lines(read_file(file, 1 << 30));
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words(line);
    std::string name, label;
    if (!(words >> name)) continue;
    if (!(words >> label)) {
      throw InputError(file.string(), ": line ", number, ": expected \"name label\", found \"",
                       printable(line), "\"");
    }
    if (!label_of.emplace(name, label).second) {
      throw InputError(file.string(), ": line ", number, ": a second label for ", printable(name));
    }
  }
  std::vector<std::string> names;
  for (const auto& image : images) {
    const auto found = label_of.find(image.generic_string());
    if (found == label_of.end()) {
      throw InputError(file.string(), ": expected a line for ", image.generic_string(),
                       ", found none");
    }
    names.push_back(found->second);
  }
  return names;
}

// The number a word is, if it is one that can be a class.
std::optional<int64_t> class_number(const std::string& word) {
  constexpr int64_t kMostClasses = int64_t{1} << 24;
  int64_t number = 0;
  const auto* const end = word.data() + word.size();
  const auto [last, error] = std::from_chars(word.data(), end, number);
  if (error != std::errc() || last != end || number < 0 || number >= kMostClasses) return {};
  return number;
}

// Labels as numbers: themselves if they all are, else their places among all that occur.
std::vector<int64_t> numbers_of(const std::vector<std::string>& names) {
  std::map<std::string, int64_t> places;
  bool all_numbers = true;
  for (const auto& name : names) {
    places[name] = 0;
    all_numbers = all_numbers && class_number(name);
  }
  int64_t next = 0;
  for (auto& [name, place] : places) place = all_numbers ? *class_number(name) : next++;
  std::vector<int64_t> numbers;
  for (const auto& name : names) numbers.push_back(places[name]);
  return numbers;
}

class ImageFolder final : public Dataset {
 public:
  ImageFolder(const fs::path& folder, const ImageOptions& options)
      : folder_(folder), images_(find_images(folder)) {
    info_.shape = {3, options.size, options.size};
    if (options.labels.empty()) return;
    labels_ = numbers_of(options.labels == "folders" ? folder_names(folder, images_)
                                                     : listed_names(options.labels, images_));
    info_.classes = *std::max_element(labels_.begin(), labels_.end()) + 1;
  }

  const DataInfo& info() const override { return info_; }
  int64_t size() const override { return static_cast<int64_t>(images_.size()); }

  Batch get(std::span<const int64_t> indices) const override {
    const int64_t count = static_cast<int64_t>(indices.size()), side = info_.shape[1];
    Batch batch{at::empty({count, 3, side, side}, at::kByte),
                labels_.empty() ? Tensor() : at::empty({count}, at::kLong)};
    for (int64_t i = 0; i < count; ++i) {
      const auto image = read_image(folder_ / images_.at(indices[i]));
      batch.x[i].copy_(resize_and_crop(image, side, Filter::kArea));
      if (batch.label.defined()) batch.label[i].fill_(labels_[indices[i]]);
    }
    return batch;
  }

 private:
  fs::path folder_;
  std::vector<fs::path> images_;
  std::vector<int64_t> labels_;
  DataInfo info_;
};

}  // namespace

std::vector<fs::path> find_images(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    throw InputError(folder.string(), ": expected a folder of images, found ",
                     fs::exists(folder) ? "a file" : "nothing");
  }
  std::vector<fs::path> found;
  try {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file() && is_image(entry.path())) {
        found.push_back(entry.path().lexically_relative(folder));
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw InputError(folder.string(), ": cannot be read: ", error.what());
  }
  if (found.empty()) {
    throw InputError(folder.string(), ": expected .png, .jpg or .jpeg files, found none");
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::shared_ptr<const Dataset> open_images(const fs::path& folder, const ImageOptions& options) {
  return std::make_shared<ImageFolder>(folder, options);
}

}  // namespace bitdiff
