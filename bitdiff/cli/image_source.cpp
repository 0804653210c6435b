#include "bitdiff/cli/image_source.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <c10/core/ScalarType.h>

#include "bitdiff/base/config.h"
#include "bitdiff/base/error.h"
#include "bitdiff/data/cifar.h"
#include "bitdiff/data/images.h"
#include "bitdiff/data/open.h"
#include "bitdiff/io/file_tree.h"
#include "bitdiff/io/image.h"
#include "bitdiff/io/npz.h"
#include "bitdiff/io/sha256.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

const Tensor* find(const NamedTensors& arrays, const std::string& name) {
  const auto found = std::find_if(arrays.begin(), arrays.end(),
                                  [&](const auto& array) { return array.first == name; });
  return found == arrays.end() ? nullptr : &found->second;
}

// What of the file is images: "arr_0", or what else there is but colours and labels.
Tensor images_of(const NamedTensors& arrays, const std::string& file) {
  if (const auto* images = find(arrays, "arr_0")) return *images;
  std::vector<Tensor> rest;
  for (const auto& [name, array] : arrays) {
    if (name != "palette" && name != "arr_1") rest.push_back(array);
  }
  if (rest.size() != 1) {
    throw InputError(file, ": expected images as \"arr_0\", or as the only array but \"palette\"",
                     ", found ", rest.size(), " arrays");
  }
  return rest.front();
}

Tensor palette_of(const fs::path& file, const NamedTensors& arrays) {
  const auto* palette = find(arrays, "palette");
  if (!palette || palette->dim() != 2 || palette->size(1) != 3 || palette->size(0) == 0 ||
      !c10::isIntegralType(palette->scalar_type(), false) || palette->min().item<int64_t>() < 0 ||
      palette->max().item<int64_t>() > 255) {
    throw InputError(file.string(), ": expected an array \"palette\", integers [K, 3] in 0..255");
  }
  return palette->to(at::kByte);
}

// Categories [N, H, W] as the colours of the palette [K, 3]: uint8 [N, 3, H, W].
Tensor coloured(const Tensor& categories, const Tensor& palette, const std::string& file) {
  const auto low = categories.min().item<int64_t>(), high = categories.max().item<int64_t>();
  if (low < 0 || high >= palette.size(0)) {
    throw InputError(file, ": expected categories in 0..", palette.size(0) - 1,
                     ", the colours of the palette, found ", low < 0 ? low : high);
  }
  auto shape = categories.sizes().vec();
  shape.push_back(3);
  const auto colours = palette.index_select(0, categories.flatten().to(at::kLong));
  return colours.view(shape).permute({0, 3, 1, 2}).contiguous();
}

ImageSet in_memory(const Tensor& pixels) {
  Sha256 sha;
  const auto shape = bitdiff::str("uint8 ", pixels.sizes(), "\n");
  sha.add(shape.data(), shape.size());
  sha.add(pixels.const_data_ptr(), pixels.nbytes());
  return {sha.hex(), pixels.size(0),
          [pixels](int64_t begin, int64_t end) { return pixels.slice(0, begin, end); }};
}

Tensor read_pixels(const fs::path& path, const fs::path& palette) {
  const auto arrays = read_arrays(path);
  const auto images = images_of(arrays, path.string());
  const auto shape = images.sizes();
  if (images.numel() == 0 || !c10::isIntegralType(images.scalar_type(), false)) {
    throw InputError(path.string(), ": expected images, found ", images.scalar_type(), " ", shape);
  }
  const bool bytes = images.scalar_type() == at::kByte;
  if (bytes && shape.size() == 4 && shape[1] == 3) return images.contiguous();
  if (bytes && shape.size() == 4 && shape[3] == 3) return images.permute({0, 3, 1, 2}).contiguous();
  if (shape.size() != 3 && !(shape.size() == 4 && shape[1] == 1)) {
    throw InputError(path.string(), ": expected uint8 [N, 3, H, W] or [N, H, W, 3], or categories",
                     " [N, 1, H, W] or [N, H, W], found ", images.scalar_type(), " ", shape);
  }
  if (palette.empty() && !find(arrays, "palette")) {
    throw InputError(path.string(), ": these are categories, which need colours: name the data's",
                     " .npz with an array \"palette\" by --palette");
  }
  const auto colours =
      palette.empty() ? palette_of(path, arrays) : palette_of(palette, read_arrays(palette));
  return coloured(shape.size() == 4 ? images.squeeze(1) : images, colours, path.string());
}

Tensor all_of(const Dataset& data) {
  std::vector<int64_t> all(data.size());
  std::iota(all.begin(), all.end(), 0);
  return data.get(all).x;
}

ImageSet open_cifar(const std::vector<fs::path>& files) {
  return in_memory(all_of(*open_cifar10(files, /*labels=*/false)));
}

// What a model with this config was trained on.
ImageSet open_config(const fs::path& path) {
  auto config = Config::load(path);
  DataOptions options;
  config.read("data", options);
  const auto data = open_dataset(options);
  const auto& info = data->info();
  const auto x = all_of(*data);
  if (!info.palette.empty()) {
    const auto palette = at::tensor(info.palette).reshape({-1, 3}).to(at::kByte);
    return in_memory(coloured(x.squeeze(1), palette, path.string()));
  }
  if (x.scalar_type() != at::kByte || x.dim() != 4 || x.size(1) != 3) {
    throw InputError(path.string(), ": expected data that are pictures, found ", x.scalar_type(),
                     " ", x.sizes());
  }
  return in_memory(x.contiguous());
}

// A folder or a tar.
ImageSet open_files(const fs::path& root) {
  const std::shared_ptr<const FileTree> files = open_file_tree(root, is_image_name);
  const auto& names = files->names();
  if (names.empty()) {
    throw InputError(root.string(), ": expected .png, .jpg or .jpeg files, found none");
  }
  Sha256 sha;
  for (const auto& name : names) {
    const auto bytes = files->read(name);
    Sha256 of_file;
    of_file.add(bytes.data(), bytes.size());
    const auto hash = of_file.hex();
    sha.add(hash.data(), hash.size());
  }
  const auto decoded = [files](int64_t i) {
    const auto& name = files->names()[i];
    return decode_image(files->read(name), files->describe(name));
  };
  const auto size = decoded(0).sizes().vec();
  const auto get = [files, decoded, size](int64_t begin, int64_t end) {
    auto pixels = at::empty({end - begin, size[0], size[1], size[2]}, at::kByte);
    for (int64_t i = begin; i < end; ++i) {
      const auto image = decoded(i);
      if (image.sizes() != IntArrayRef(size)) {
        throw InputError(files->describe(files->names()[i]), ": expected ", size[2], " x ", size[1],
                         " pixels, as ", files->names().front(), " has, found ", image.size(2),
                         " x ", image.size(1));
      }
      pixels[i - begin].copy_(image);
    }
    return pixels;
  };
  return {sha.hex(), static_cast<int64_t>(names.size()), get};
}

}  // namespace

ImageSet open_image_set(const fs::path& path, const fs::path& palette) {
  if (!fs::exists(path)) throw InputError(path.string(), ": does not exist");
  const auto extension = path.extension();
  if (extension == ".toml") return open_config(path);
  if (extension == ".bin") return open_cifar({path});
  if (extension == ".npy" || extension == ".npz") return in_memory(read_pixels(path, palette));
  if (fs::exists(path / "data_batch_1.bin")) {
    return open_cifar(cifar10_files(path, CifarPart::kTrain));
  }
  return open_files(path);
}

}  // namespace bitdiff
