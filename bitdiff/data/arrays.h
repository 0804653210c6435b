#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bitdiff/base/options.h"
#include "bitdiff/data/dataset.h"

namespace bitdiff {

/// What the axes of an array of examples are.
enum class Layout {
  kNL,    ///< [N, L]: sequences, one channel.
  kNHW,   ///< [N, H, W]: images of one channel.
  kNCHW,  ///< [N, C, H, W]: images, channels first.
  kNHWC,  ///< [N, H, W, C]: images, channels last.
};

const Words<Layout>& layout_words();

struct ArrayOptions {
  std::string key =
      {};  ///< The array's name in a .npz; empty: the only one but "palette" and `labels`.
  Layout layout = Layout::kNHW;
  std::vector<int64_t> categories = {256};  ///< K, or one K for each channel.
  std::string labels = {};                  ///< The name of the labels [N] in a .npz; empty: none.
};

/// The integers of a .npy or .npz as examples. "palette", integers [K, 3] in 0..255, if the .npz
/// has it, gives the categories their colours.
///
/// Every value is checked. Throws InputError that names file, array, place, expected and found.
std::shared_ptr<const Dataset> open_arrays(const std::filesystem::path& path,
                                           const ArrayOptions& options);

}  // namespace bitdiff
