#include "bitdiff/data/images.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <system_error>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/file_tree.h"
#include "bitdiff/io/image.h"
#include "bitdiff/io/resize.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> folder_names(const FileTree& files,
                                      const std::vector<std::string>& images) {
  std::vector<std::string> names;
  for (const auto& image : images) {
    const auto end = image.find('/');
    if (end == std::string::npos) {
      throw InputError(files.describe(image), ": expected it in a folder named after its",
                       " class, found it beside these; move it, or leave out the labels");
    }
    names.push_back(image.substr(0, end));
  }
  return names;
}

// `file`: what errors call it.
std::vector<std::string> listed_names(const std::string& file, const std::string& text,
                                      const std::vector<std::string>& images) {
  std::map<std::string, std::string> label_of;
  std::istringstream lines(text);
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words(line);
    std::string name, label;
    if (!(words >> name)) continue;
    if (!(words >> label)) {
      throw InputError(file, ": line ", number, ": expected \"name label\", found \"",
                       printable(line), "\"");
    }
    if (!label_of.emplace(name, label).second) {
      throw InputError(file, ": line ", number, ": a second label for ", printable(name));
    }
  }
  std::vector<std::string> names;
  for (const auto& image : images) {
    const auto found = label_of.find(image);
    if (found == label_of.end()) {
      throw InputError(file, ": expected a line for ", printable(image), ", found none");
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

class Images final : public Dataset {
 public:
  Images(const fs::path& root, const ImageOptions& options)
      : beside_(root / options.labels), files_(open_file_tree(root, [&](const std::string& name) {
          return is_image_name(name) || (name == options.labels && !has_beside());
        })) {
    const auto& names = files_->names();
    std::copy_if(names.begin(), names.end(), std::back_inserter(images_), is_image_name);
    if (images_.empty()) {
      throw InputError(root.string(), ": expected .png, .jpg or .jpeg files, found none");
    }
    info_.shape = {3, options.size, options.size};
    if (options.labels.empty()) return;
    labels_ = numbers_of(label_names(options.labels));
    info_.classes = *std::max_element(labels_.begin(), labels_.end()) + 1;
  }

  const DataInfo& info() const override { return info_; }
  int64_t size() const override { return static_cast<int64_t>(images_.size()); }

  Batch get(std::span<const int64_t> indices) const override {
    const int64_t count = static_cast<int64_t>(indices.size()), side = info_.shape[1];
    Batch batch{
        stack_images(count, side, [&](int64_t i) { return square(images_.at(indices[i]), side); }),
        labels_.empty() ? Tensor() : at::empty({count}, at::kLong)};
    if (batch.label.defined()) {
      auto* const label = batch.label.mutable_data_ptr<int64_t>();
      for (int64_t i = 0; i < count; ++i) label[i] = labels_[indices[i]];
    }
    return batch;
  }

 private:
  std::vector<std::string> label_names(const std::string& labels) const {
    if (labels == "folders") return folder_names(*files_, images_);
    const auto& names = files_->names();
    if (std::find(names.begin(), names.end(), labels) != names.end()) {
      return listed_names(files_->describe(labels), files_->read(labels), images_);
    }
    const std::string file = has_beside() ? beside_.string() : labels;
    return listed_names(file, read_file(file, 1 << 30), images_);
  }

  /// Whether the labels are a file below the root, not one in its tars.
  bool has_beside() const {
    std::error_code unreadable;
    return fs::is_regular_file(beside_, unreadable);
  }

  Tensor square(const std::string& name, int64_t side) const {
    const auto image = decode_image(files_->read(name), files_->describe(name));
    return resize_and_crop(image, side, Filter::kArea);
  }

  fs::path beside_;
  std::unique_ptr<const FileTree> files_;
  std::vector<std::string> images_;
  std::vector<int64_t> labels_;
  DataInfo info_;
};

}  // namespace

bool is_image_name(const std::string& name) {
  auto extension = fs::path(name).extension().string();
  for (char& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

Tensor stack_images(int64_t count, int64_t side, const std::function<Tensor(int64_t)>& image) {
  constexpr int64_t kImagesPerThread = 8;  // Fewer are not worth waking a thread for.
  auto all = at::empty({count, 3, side, side}, at::kByte);
  auto* const pixels = all.mutable_data_ptr<uint8_t>();
  at::parallel_for(0, count, kImagesPerThread, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto one = image(i);
      TORCH_CHECK(one.sizes() == IntArrayRef({3, side, side}) && one.is_contiguous(),
                  "expected a contiguous image [3, ", side, ", ", side, "], got ", one.sizes());
      std::memcpy(pixels + i * one.numel(), one.const_data_ptr(), one.nbytes());
    }
  });
  return all;
}

std::shared_ptr<const Dataset> open_images(const fs::path& root, const ImageOptions& options) {
  return std::make_shared<Images>(root, options);
}

}  // namespace bitdiff
