#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace bitdiff {

/// A histogram as a picture.
struct Histogram {
  std::string title;
  std::string axis;             ///< What is counted.
  double low = 0, high = 1;     ///< Ends of the axis.
  std::vector<int64_t> counts;  ///< Of equal bins from low to high.
};

/// Writes it as an SVG: shares on a logarithmic axis, so that the rare is seen beside the common.
/// Throws StorageError.
void write_histogram(const std::filesystem::path& path, const Histogram& histogram);

}  // namespace bitdiff
