#include "bitdiff/io/image.h"

#include <ATen/ops/full.h>

#include "bitdiff/base/error.h"
#include "bitdiff/io/atomic_file.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/jpeg_format.h"
#include "bitdiff/io/png_format.h"

namespace bitdiff {

namespace {

constexpr uint64_t kMostBytes = 1 << 30;

}  // namespace

Tensor read_image(const std::filesystem::path& path) {
  return decode_image(read_file(path, kMostBytes), path.string());
}

Tensor decode_image(const std::string& bytes, const std::string& name) {
  if (bytes.starts_with("\x89PNG")) return decode_png(bytes, name);
  if (bytes.starts_with("\xff\xd8")) return decode_jpeg(bytes, name);
  throw InputError(name, ": neither a PNG nor a JPEG");
}

void write_png(const std::filesystem::path& path, const Tensor& image, const ImageTexts& texts) {
  write_file_atomically(path, encode_png(image, texts));
}

Tensor image_grid(const Tensor& images, const GridOptions& options) {
  TORCH_CHECK(images.scalar_type() == at::kByte && images.dim() == 4 && images.size(0) > 0 &&
                  images.size(1) == 3,
              "expected uint8 [N, 3, H, W] images, got ", images.scalar_type(), " ",
              images.sizes());
  const auto zoomed =
      images.cpu().repeat_interleave(options.zoom, 2).repeat_interleave(options.zoom, 3);
  const int64_t count = images.size(0);
  const int64_t columns = std::min(options.columns, count);
  const int64_t rows = (count + columns - 1) / columns;
  const int64_t height = zoomed.size(2) + options.padding, width = zoomed.size(3) + options.padding;
  auto grid = at::full({3, rows * height + options.padding, columns * width + options.padding}, 255,
                       at::kByte);
  for (int64_t i = 0; i < count; ++i) {
    grid.narrow(1, options.padding + i / columns * height, zoomed.size(2))
        .narrow(2, options.padding + i % columns * width, zoomed.size(3))
        .copy_(zoomed[i]);
  }
  return grid;
}

}  // namespace bitdiff
