#include "bitdiff/report/histogram.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include "bitdiff/io/atomic_file.h"

namespace bitdiff {
namespace {

// Of the plot inside the picture.
constexpr double kLeft = 70, kTop = 40, kWidth = 560, kHeight = 260;
constexpr int kDecades = 6;  // The axis goes from 1e-6 to 1.

double height_of(double share) {
  const double decades = std::log10(std::max(share, 1e-300)) + kDecades;
  return std::clamp(decades / kDecades, 0.0, 1.0) * kHeight;
}

void text(std::ostream& out, double x, double y, const std::string& anchor,
          const std::string& words) {
  out << "<text x=\"" << x << "\" y=\"" << y << "\" text-anchor=\"" << anchor << "\">" << words
      << "</text>\n";
}

void line(std::ostream& out, double x1, double y1, double x2, double y2,
          const std::string& colour) {
  out << "<line x1=\"" << x1 << "\" y1=\"" << y1 << "\" x2=\"" << x2 << "\" y2=\"" << y2
      << "\" stroke=\"" << colour << "\"/>\n";
}

void draw_axes(std::ostream& out, const Histogram& h) {
  for (int decade = 0; decade <= kDecades; ++decade) {
    const double y = kTop + kHeight * decade / kDecades;
    line(out, kLeft, y, kLeft + kWidth, y, "#ddd");
    text(out, kLeft - 8, y + 4, "end", decade == 0 ? "1" : "1e-" + std::to_string(decade));
  }
  for (int tick = 0; tick <= 4; ++tick) {
    std::ostringstream number;
    number << h.low + (h.high - h.low) * tick / 4;
    text(out, kLeft + kWidth * tick / 4, kTop + kHeight + 18, "middle", number.str());
  }
  text(out, kLeft + kWidth / 2, kTop + kHeight + 40, "middle", h.axis);
  text(out, kLeft + kWidth / 2, 24, "middle", h.title);
  text(out, 16, kTop - 12, "start", "share");
}

void draw_bars(std::ostream& out, const Histogram& h) {
  const auto total = static_cast<double>(
      std::max<int64_t>(std::accumulate(h.counts.begin(), h.counts.end(), int64_t{0}), 1));
  const double width = kWidth / static_cast<double>(h.counts.size());
  for (size_t i = 0; i < h.counts.size(); ++i) {
    const double height = height_of(static_cast<double>(h.counts[i]) / total);
    out << "<rect x=\"" << kLeft + width * static_cast<double>(i) << "\" y=\""
        << kTop + kHeight - height << "\" width=\"" << width * 0.9 << "\" height=\"" << height
        << "\" fill=\"#3b6ea5\"/>\n";
  }
}

}  // namespace

void write_histogram(const std::filesystem::path& path, const Histogram& histogram) {
  std::ostringstream out;
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 660 360\" "
         "font-family=\"sans-serif\" font-size=\"13\">\n"
         "<rect width=\"660\" height=\"360\" fill=\"white\"/>\n";
  draw_axes(out, histogram);
  draw_bars(out, histogram);
  out << "</svg>\n";
  write_file_atomically(path, out.str());
}

}  // namespace bitdiff
