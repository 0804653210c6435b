#include "bitdiff/report/sheet.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace bitdiff {

bool is_picture(const DataInfo& data) {
  if (data.shape.size() != 3) return false;
  return data.shape[0] == 1 || (data.shape[0] == 3 && data.palette.empty());
}

Tensor to_rgb(const Tensor& x, const DataInfo& data) {
  TORCH_CHECK(is_picture(data) && x.dim() == 4, "to_rgb: expected pictures, got ", x.sizes());
  if (!data.palette.empty()) {
    const auto colours = at::tensor(data.palette, at::kLong).to(at::kByte).reshape({-1, 3});
    return colours.index({x.squeeze(1).to(at::kLong)}).permute({0, 3, 1, 2}).contiguous();
  }
  const auto brightest = (at::tensor(data.categories, at::kFloat) - 1).reshape({1, -1, 1, 1});
  const auto light = (x.to(at::kFloat) * 255 / brightest).round().to(at::kByte);
  return light.expand({-1, 3, -1, -1}).contiguous();
}

void write_sheet(const std::filesystem::path& path, const Tensor& x, const DataInfo& data,
                 const ImageTexts& texts) {
  const auto columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(x.size(0)))));
  const int64_t zoom = std::max<int64_t>(64 / x.size(-1), 1);
  write_png(path,
            image_grid(to_rgb(x, data), {.columns = columns, .zoom = zoom, .padding = 2 * zoom}),
            texts);
}

}  // namespace bitdiff
