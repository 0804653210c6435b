#include "bitdiff/io/image.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "bitdiff/io/file.h"
#include "bitdiff/io/png_format.h"
#include "bitdiff/io/resize.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

const std::filesystem::path kImages = std::filesystem::path(BITDIFF_SOURCE_DIR) / "tests/io/images";

Tensor some_image(int64_t height, int64_t width) {
  return at::arange(3 * height * width).mul(37).to(at::kByte).reshape({3, height, width});
}

std::string refusal_of(const std::string& bytes) {
  const TemporaryFolder folder;
  const auto path = folder.write("x.png", bytes);
  auto what = refusal(ErrorKind::kInput, [&] { read_image(path); });
  expect_contains(what, path.string());
  return what;
}

TEST(Png, GivesBackEveryPixel) {
  const TemporaryFolder folder;
  const auto image = some_image(5, 7);
  write_png(folder / "x", image, {{"steps", "100"}});
  EXPECT_TRUE(read_image(folder / "x").equal(image));
  expect_contains(read_file(folder / "x"), std::string("tEXtsteps\0"
                                                       "100",
                                                       13));
}

TEST(Png, CutAnywhereIsRefused) {
  const auto bytes = encode_png(some_image(5, 7), {});
  for (size_t length = 0; length < bytes.size(); ++length) refusal_of(bytes.substr(0, length));
  expect_contains(refusal_of(bytes.substr(0, 50)), "not a whole PNG, at byte");
}

TEST(Jpeg, IsToldApartByContent) {
  const TemporaryFolder folder;
  const auto path = folder.write("wrong.png", read_file(kImages / "baseline.jpg"));
  EXPECT_EQ(read_image(path).sizes(), IntArrayRef({3, 9, 11}));
}

TEST(Jpeg, CutAnywhereIsRefused) {
  for (const char* name : {"baseline.jpg", "progressive.jpg"}) {
    const auto bytes = read_file(kImages / name);
    for (size_t length = 0; length < bytes.size(); ++length) refusal_of(bytes.substr(0, length));
  }
}

TEST(Image, LargerThanTheLimitIsRefusedBeforeItIsDecoded) {
  auto png = encode_png(some_image(5, 7), {});
  png.replace(16, 4, std::string("\0\1\0\0", 4));  // Its width; the sum behind it is wrong now.
  expect_contains(refusal_of(png), "CRC error");
  auto jpeg = read_file(kImages / "baseline.jpg");
  const auto frame = jpeg.find("\xff\xc0");
  jpeg.replace(frame + 5, 4, "\x7f\xff\x7f\xff");
  expect_contains(refusal_of(jpeg), "at most 16384 pixels a side and 67108864 in all, found 32767");
  const TemporaryFolder folder;
  write_png(folder / "wide", at::zeros({3, 1, 16385}, at::kByte));
  expect_contains(refusal(ErrorKind::kInput, [&] { read_image(folder / "wide"); }),
                  "found 16385 x 1");
}

TEST(Image, OfAnotherFormatIsRefused) {
  expect_contains(refusal_of("GIF89a"), "neither a PNG nor a JPEG");
  expect_contains(refusal_of(""), "neither a PNG nor a JPEG");
}

TEST(ImageGrid, PlacesImagesRowByRowOnWhite) {
  const auto images = at::arange(3).to(at::kByte).reshape({3, 1, 1, 1}).expand({3, 3, 1, 1});
  const auto grid = image_grid(images, {.columns = 2, .zoom = 2, .padding = 1});
  const auto w = 255;
  const auto expected = at::arange(49).to(at::kByte).reshape({7, 7}).fill_(w);
  expected.narrow(0, 1, 2).narrow(1, 1, 2).fill_(0);
  expected.narrow(0, 1, 2).narrow(1, 4, 2).fill_(1);
  expected.narrow(0, 4, 2).narrow(1, 1, 2).fill_(2);
  EXPECT_EQ(grid.sizes(), IntArrayRef({3, 7, 7}));
  for (int64_t c = 0; c < 3; ++c) EXPECT_TRUE(grid[c].equal(expected));
}

TEST(Resize, ByAreaAveragesWhatAPixelCovers) {
  const auto image = at::arange(16).to(at::kByte).reshape({1, 4, 4});
  const auto small = resize(image, {.height = 2, .width = 2}, Filter::kArea);
  // Rows first, rounded: 0.5 -> 1, 4.5 -> 5; then (1 + 5) / 2 = 3.
  EXPECT_EQ(small[0][0][0].item<int64_t>(), 3);
  EXPECT_EQ(small[0][1][1].item<int64_t>(), 13);
}

TEST(Resize, KeepsConstantImagesAndTheSameSize) {
  for (const auto filter : {Filter::kArea, Filter::kBilinear, Filter::kBicubic}) {
    const auto flat = at::full({3, 7, 5}, 201, at::kByte);
    EXPECT_TRUE(resize(flat, {3, 11}, filter).eq(201).all().item<bool>());
    const auto image = some_image(7, 5);
    EXPECT_TRUE(resize(image, {7, 5}, filter).equal(image));
  }
}

TEST(Resize, CropsTheMiddleOfTheLongerSide) {
  const auto image = some_image(2, 6);
  EXPECT_TRUE(resize_and_crop(image, 2, Filter::kArea).equal(image.narrow(2, 2, 2)));
  EXPECT_TRUE(resize_and_crop(image.transpose(1, 2), 2, Filter::kArea)
                  .equal(image.narrow(2, 2, 2).transpose(1, 2)));
  EXPECT_EQ(resize_and_crop(some_image(3, 100), 64, Filter::kArea).sizes(),
            IntArrayRef({3, 64, 64}));
}

}  // namespace
}  // namespace bitdiff
