#include "bitdiff/io/png_format.h"

#include <array>
#include <csetjmp>
#include <cstring>
#include <memory>
#include <png.h>

#include <ATen/ops/empty.h>

#include "bitdiff/base/error.h"
#include "bitdiff/io/image_size.h"

namespace bitdiff {
namespace {

// libpng reports errors by a jump that runs no destructors. So everything that needs one lives in a
// session, and the functions that may be jumped out of (those with setjmp) own nothing.
struct Session {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::array<char, 200> message{};
};

[[noreturn]] void keep_error(png_structp png, png_const_charp message) {
  auto& session = *static_cast<Session*>(png_get_error_ptr(png));
  std::strncpy(session.message.data(), message, session.message.size() - 1);
  png_longjmp(png, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

struct Reading : Session {
  explicit Reading(const std::string& all) : bytes(all) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, static_cast<Session*>(this), keep_error,
                                 ignore_warning);
    info = png ? png_create_info_struct(png) : nullptr;
    TORCH_CHECK(info, "libpng cannot start");
  }
  ~Reading() { png_destroy_read_struct(&png, &info, nullptr); }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  const std::string& bytes;
  size_t next = 0;
  Tensor pixels;  // [H, W, 3]
  std::vector<png_bytep> rows;
};

void take_bytes(png_structp png, png_bytep to, size_t count) {
  auto& reading = *static_cast<Reading*>(png_get_io_ptr(png));
  if (count > reading.bytes.size() - reading.next) png_error(png, "the file ends early");
  std::memcpy(to, reading.bytes.data() + reading.next, count);
  reading.next += count;
}

// Reads what stands before the pixels and asks for them as 8-bit RGB.
bool start(Reading& reading) {
  const png_structp png = reading.png;
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_read_fn(png, &reading, take_bytes);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // Ours are checked next.
  png_set_chunk_malloc_max(png, 8 << 20);
  png_read_info(png, reading.info);
  return true;
}

bool choose_rgb(Reading& reading) {
  const png_structp png = reading.png;
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_strip_16(png);
  png_set_expand(png);  // Palettes to colours, 1, 2 and 4 bits to 8.
  png_set_gray_to_rgb(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, reading.info);
  if (png_get_rowbytes(png, reading.info) != size_t{3} * png_get_image_width(png, reading.info)) {
    png_error(png, "the pixels are not what its header says");
  }
  return true;
}

bool read_pixels(Reading& reading) {
  if (setjmp(png_jmpbuf(reading.png))) return false;
  png_read_image(reading.png, reading.rows.data());
  png_read_end(reading.png, nullptr);
  return true;
}

struct Writing : Session {
  Writing() {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, static_cast<Session*>(this), keep_error,
                                  ignore_warning);
    info = png ? png_create_info_struct(png) : nullptr;
    TORCH_CHECK(info, "libpng cannot start");
  }
  ~Writing() { png_destroy_write_struct(&png, &info); }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;

  std::string bytes;
  std::vector<png_text> texts;
  std::vector<png_bytep> rows;
  png_uint_32 height = 0, width = 0;
};

void append_bytes(png_structp png, png_bytep from, size_t count) {
  static_cast<Writing*>(png_get_io_ptr(png))->bytes.append(reinterpret_cast<char*>(from), count);
}

bool write_all(Writing& writing) {
  const png_structp png = writing.png;
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_write_fn(png, &writing, append_bytes, nullptr);
  png_set_IHDR(png, writing.info, writing.width, writing.height, 8, PNG_COLOR_TYPE_RGB,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_text(png, writing.info, writing.texts.data(), static_cast<int>(writing.texts.size()));
  png_write_info(png, writing.info);
  png_write_image(png, writing.rows.data());
  png_write_end(png, nullptr);
  return true;
}

std::vector<png_bytep> rows_of(const Tensor& pixels) {
  std::vector<png_bytep> rows(pixels.size(0));
  auto* const first = static_cast<png_bytep>(pixels.data_ptr());
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = first + y * 3 * pixels.size(1);
  return rows;
}

}  // namespace

Tensor decode_png(const std::string& bytes, const std::string& name) {
  Reading reading(bytes);
  const auto check = [&](bool good) {
    if (!good) {
      throw InputError(name, ": not a whole PNG, at byte ", reading.next, " of ", bytes.size(),
                       ": ", reading.message.data());
    }
  };
  check(start(reading));
  const int64_t height = png_get_image_height(reading.png, reading.info);
  const int64_t width = png_get_image_width(reading.png, reading.info);
  check_image_size(height, width, name);
  check(choose_rgb(reading));
  reading.pixels = at::empty({height, width, 3}, at::kByte);
  reading.rows = rows_of(reading.pixels);
  check(read_pixels(reading));
  return reading.pixels.permute({2, 0, 1}).contiguous();
}

std::string encode_png(const Tensor& image, const ImageTexts& texts) {
  TORCH_CHECK(image.scalar_type() == at::kByte && image.dim() == 3 && image.size(0) == 3,
              "expected a uint8 [3, H, W] image, got ", image.scalar_type(), " ", image.sizes());
  const auto pixels = image.cpu().permute({1, 2, 0}).contiguous();
  Writing writing;
  for (const auto& [keyword, value] : texts) {
    png_text text{};
    text.compression = PNG_TEXT_COMPRESSION_NONE;
    text.key = const_cast<char*>(keyword.c_str());
    text.text = const_cast<char*>(value.c_str());
    text.text_length = value.size();
    writing.texts.push_back(text);
  }
  writing.rows = rows_of(pixels);
  writing.height = static_cast<png_uint_32>(pixels.size(0));
  writing.width = static_cast<png_uint_32>(pixels.size(1));
  TORCH_CHECK(write_all(writing), "libpng: ", writing.message.data());
  return std::move(writing.bytes);
}

}  // namespace bitdiff
