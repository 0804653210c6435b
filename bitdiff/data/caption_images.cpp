#include "bitdiff/data/caption_images.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <system_error>

#include <ATen/ops/isfinite.h>
#include <c10/core/ScalarType.h>

#include "bitdiff/base/error.h"
#include "bitdiff/base/suggest.h"
#include "bitdiff/data/images.h"
#include "bitdiff/data/memory_dataset.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/image.h"
#include "bitdiff/io/npz.h"
#include "bitdiff/io/resize.h"
#include "bitdiff/io/safetensors.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

const ImageName& name_in(const CaptionRecord& record, const std::string& key,
                         const std::string& images) {
  const auto found = record.image.find(key);
  if (found == record.image.end()) {
    throw InputError(record.where, ": expected ", key, " to name an image of ", images,
                     ", found none");
  }
  return found->second;
}

class Folder final : public CaptionImages {
 public:
  Folder(const fs::path& folder, int64_t side) : folder_(folder), shape_{3, side, side} {
    std::error_code error;
    root_ = fs::canonical(folder, error);
    if (error) throw InputError(folder.string(), ": cannot be read: ", error.message());
  }

  const std::vector<int64_t>& shape() const override { return shape_; }

  std::optional<int64_t> find(const CaptionRecord& record) override {
    const auto& name = name_in(record, "file", folder_.string()).text;
    const auto [place, is_new] = by_name_.try_emplace(name);
    if (is_new) place->second = number_of(record.where, name);
    return place->second;
  }

  Tensor get(std::span<const int64_t> numbers) const override {
    const int64_t side = shape_[1];
    return stack_images(static_cast<int64_t>(numbers.size()), side, [&](int64_t i) {
      return resize(read_image(files_.at(numbers[i])), {side, side}, Filter::kArea);
    });
  }

 private:
  std::optional<int64_t> number_of(const std::string& where, const std::string& name) {
    const auto path = path_of(where, name);
    std::error_code error;
    const auto real = fs::canonical(path, error);
    if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) {
      return {};
    }
    if (error) throw InputError(where, ": ", path.string(), " cannot be read: ", error.message());
    const auto [end, other] = std::mismatch(root_.begin(), root_.end(), real.begin(), real.end());
    if (end != root_.end()) {
      throw InputError(where, ": file \"", printable(name), "\": expected a file below ",
                       folder_.string(), ", found a link that leads out of it");
    }
    if (!fs::is_regular_file(real, error)) {
      throw InputError(where, ": file \"", printable(name), "\": expected a PNG or JPEG, found no",
                       " file");
    }
    const auto [place, is_new] =
        by_path_.try_emplace(real.native(), static_cast<int64_t>(files_.size()));
    if (is_new) files_.push_back(path);
    return place->second;
  }

  fs::path path_of(const std::string& where, const std::string& name) const {
    const fs::path path = name;
    const bool below = !name.empty() && name.find('\0') == std::string::npos &&
                       path.is_relative() &&
                       std::find(path.begin(), path.end(), "..") == path.end();
    if (below) return folder_ / path;
    throw InputError(where, ": file \"", printable(name), "\": expected a path below ",
                     folder_.string(), ", without \"..\"");
  }

  fs::path folder_;
  fs::path root_;  // Without links.
  std::vector<int64_t> shape_;
  std::map<std::string, std::optional<int64_t>> by_name_;  // Nothing: the folder lacks it.
  std::map<std::string, int64_t> by_path_;                 // Without links.
  std::vector<fs::path> files_;                            // By number.
};

class Array final : public CaptionImages {
 public:
  /// `images`: uint8 [N, H, W, 3], or floats [N, M, D].
  Array(std::string where, const Tensor& images)
      : where_(std::move(where)), images_(images.contiguous()) {
    const auto sizes = images_.sizes();
    if (is_pixels()) {
      shape_ = {3, sizes[1], sizes[2]};
    } else {
      shape_ = {sizes[1], sizes[2]};
    }
  }

  const std::vector<int64_t>& shape() const override { return shape_; }

  std::optional<int64_t> find(const CaptionRecord& record) override {
    const auto& text = name_in(record, "row", where_).text;
    const auto* const end = text.data() + text.size();
    int64_t row = -1;
    const auto [last, error] = std::from_chars(text.data(), end, row);
    if (error == std::errc() && last == end && row >= 0 && row < images_.size(0)) return row;
    throw InputError(record.where, ": row: expected a number in 0..", images_.size(0) - 1,
                     ", an image of ", where_, ", found ", printable(text));
  }

  Tensor get(std::span<const int64_t> numbers) const override {
    const auto rows = take_rows(images_, numbers);
    return is_pixels() ? rows.permute({0, 3, 1, 2}).contiguous() : rows.to(at::kFloat);
  }

 private:
  bool is_pixels() const { return images_.scalar_type() == at::kByte; }

  std::string where_;
  Tensor images_;
  std::vector<int64_t> shape_;
};

/// An infinite feature would be taken for a learning rate that is too high.
void check_finite(const std::string& where, const Tensor& features) {
  constexpr int64_t kRows = 1024;
  for (int64_t begin = 0; begin < features.size(0); begin += kRows) {
    const auto rows =
        features.slice(0, begin, std::min(begin + kRows, features.size(0))).to(at::kFloat);
    const auto finite = at::isfinite(rows).flatten(1).all(1);
    if (finite.all().item<bool>()) continue;
    throw InputError(where, ": row ", begin + finite.to(at::kInt).argmin().item<int64_t>(),
                     ": expected finite features, found one that is not");
  }
}

std::unique_ptr<CaptionImages> open_array(const std::string& where, Tensor images) {
  const bool pixels = images.scalar_type() == at::kByte && images.dim() == 4 && images.size(3) == 3;
  const bool features =
      c10::isFloatingType(images.scalar_type()) && (images.dim() == 2 || images.dim() == 3);
  if (images.numel() == 0 || !(pixels || features)) {
    throw InputError(where, ": expected uint8 [N, H, W, 3] pixels, or floats [N, M, D] or [N, D]",
                     " of features, found ", images.scalar_type(), " ", images.sizes());
  }
  if (images.dim() == 2) images = images.unsqueeze(1);
  if (features) check_finite(where, images);
  return std::make_unique<Array>(where, images);
}

std::unique_ptr<CaptionImages> open_array_file(const fs::path& path, const std::string& key) {
  const auto arrays =
      path.extension() == ".safetensors" ? read_safetensors(path).tensors : read_arrays(path);
  std::vector<std::string> names;
  for (const auto& [name, values] : arrays) names.push_back(name);
  if (key.empty() && arrays.size() == 1) return open_array(path.string(), arrays[0].second);
  for (const auto& [name, values] : arrays) {
    if (name == key)
      return open_array(str(path.string(), ": array \"", printable(key), "\""), values);
  }
  std::string listed;
  for (const auto& name : names)
    listed += (listed.empty() ? "\"" : ", \"") + printable(name) + "\"";
  if (listed.empty()) listed = "none";
  if (key.empty()) {
    throw InputError(path.string(), ": expected one array of images, found ", listed,
                     "; name the one that is meant by data.key");
  }
  throw InputError(path.string(), ": expected an array \"", key, "\", found ", listed, ".",
                   did_you_mean(key, names));
}

}  // namespace

std::unique_ptr<CaptionImages> open_caption_images(const fs::path& path,
                                                   const CaptionImagesOptions& options) {
  std::error_code unreadable;  // Which opening it as a file says better.
  if (fs::is_directory(path, unreadable)) return std::make_unique<Folder>(path, options.size);
  const auto extension = path.extension();
  if (extension == ".npy" || extension == ".npz" || extension == ".safetensors") {
    return open_array_file(path, options.key);
  }
  throw InputError(path.string(), ": expected a folder of images, or an array of them in a .npy,",
                   " .npz or .safetensors, found ",
                   fs::exists(path, unreadable) ? "neither" : "nothing");
}

}  // namespace bitdiff
