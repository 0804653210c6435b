#include "bitdiff/io/jpeg_format.h"

#include <array>
#include <csetjmp>
#include <cstdio>
// jpeglib.h needs size_t and FILE from above.
#include <jpeglib.h>
// jerror.h needs jpeglib.h.
#include <jerror.h>

#include <ATen/ops/empty.h>

#include "bitdiff/base/error.h"
#include "bitdiff/io/image_size.h"

namespace bitdiff {
namespace {

constexpr int kMostScans = 100;  // Each scan of a progressive JPEG costs a pass over the image.

// As with PNG: errors are jumps, so the functions with setjmp own nothing.
struct Reading {
  Reading() {
    info.err = jpeg_std_error(&errors);
    errors.error_exit = leave;
    errors.emit_message = note;
    info.client_data = this;
    progress.progress_monitor = watch;
  }
  ~Reading() { jpeg_destroy_decompress(&info); }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

  [[noreturn]] static void leave(j_common_ptr common) {
    auto& reading = *static_cast<Reading*>(common->client_data);
    (*common->err->format_message)(common, reading.message.data());
    std::longjmp(reading.back, 1);
  }

  // Damage is only a warning to libjpeg, which makes up the pixels that it cannot read.
  static void note(j_common_ptr common, int) {
    switch (common->err->msg_code) {
      case JWRN_JPEG_EOF:
      case JWRN_HIT_MARKER:
      case JWRN_HUFF_BAD_CODE:
      case JWRN_ARITH_BAD_CODE:
        leave(common);
      default:
        break;
    }
  }

  static void watch(j_common_ptr common) {
    auto& reading = *static_cast<Reading*>(common->client_data);
    if (reading.info.input_scan_number <= kMostScans) return;
    std::snprintf(reading.message.data(), reading.message.size(), "more than %d scans", kMostScans);
    std::longjmp(reading.back, 1);
  }

  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf back{};
  std::array<char, JMSG_LENGTH_MAX> message{};
  uint8_t* pixels = nullptr;
};

bool start(Reading& reading, const std::string& bytes) {
  if (setjmp(reading.back)) return false;
  jpeg_create_decompress(&reading.info);
  reading.info.progress = &reading.progress;
  jpeg_mem_src(&reading.info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&reading.info, TRUE);
  const bool four = reading.info.num_components == 4;
  reading.info.out_color_space = four ? JCS_CMYK : JCS_RGB;
  jpeg_calc_output_dimensions(&reading.info);
  return true;
}

bool read_pixels(Reading& reading) {
  if (setjmp(reading.back)) return false;
  jpeg_start_decompress(&reading.info);
  const size_t width = size_t{reading.info.output_width} * reading.info.output_components;
  while (reading.info.output_scanline < reading.info.output_height) {
    JSAMPROW row = reading.pixels + reading.info.output_scanline * width;
    jpeg_read_scanlines(&reading.info, &row, 1);
  }
  jpeg_finish_decompress(&reading.info);
  return true;
}

// Pillow's conversion of the inverted CMYK that Adobe writes: colour times light, rounded.
Tensor rgb_of_cmyk(const Tensor& cmyk) {
  auto rgb = at::empty({cmyk.size(0), cmyk.size(1), 3}, at::kByte);
  const auto* from = cmyk.const_data_ptr<uint8_t>();
  auto* to = rgb.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < cmyk.size(0) * cmyk.size(1); ++i) {
    const int light = from[4 * i + 3];
    for (int64_t c = 0; c < 3; ++c) {
      const int product = (255 - from[4 * i + c]) * light + 128;
      to[3 * i + c] = static_cast<uint8_t>(light - ((product >> 8) + product) / 256);
    }
  }
  return rgb;
}

}  // namespace

Tensor decode_jpeg(const std::string& bytes, const std::string& name) {
  Reading reading;
  const auto check = [&](bool good) {
    if (!good) throw InputError(name, ": not a whole JPEG: ", reading.message.data());
  };
  check(start(reading, bytes));
  const int64_t height = reading.info.output_height, width = reading.info.output_width;
  check_image_size(height, width, name);
  auto pixels = at::empty({height, width, reading.info.output_components}, at::kByte);
  reading.pixels = pixels.mutable_data_ptr<uint8_t>();
  check(read_pixels(reading));
  if (pixels.size(2) == 4) pixels = rgb_of_cmyk(pixels);
  return pixels.permute({2, 0, 1}).contiguous();
}

}  // namespace bitdiff
