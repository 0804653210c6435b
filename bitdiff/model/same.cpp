#include "bitdiff/model/same.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "bitdiff/base/config.h"
#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

void check_same(const std::string& where, const char* what, IntArrayRef trained, IntArrayRef now) {
  if (trained == now) return;
  throw UsageError(where, ": was trained on data of ", what, " ", trained, ", found ", now,
                   "; give it such data");
}

/// Options of which weights know nothing.
bool is_for_training(std::string_view name) {
  constexpr std::array<std::string_view, 6> kNames = {
      "dropout",    "self_cond_rate",           "label_dropout",
      "pad_weight", "activation_checkpointing", "weights"};
  return std::find(kNames.begin(), kNames.end(), name.substr(name.find('.') + 1)) != kNames.end();
}

std::vector<ConfigWriter::Value> values_of(const ModelOptions& options, bool describes_images) {
  ConfigWriter writer;
  write_model(writer, options, describes_images);
  return writer.values();
}

}  // namespace

void check_same_data(const std::string& where, const DataInfo& trained, const DataInfo& now) {
  check_same(where, "shape", trained.shape, now.shape);
  check_same(where, "categories", trained.categories, now.categories);
  check_same(where, "classes", {trained.classes}, {now.classes});
  check_same(where, "images of shape", trained.image_shape, now.image_shape);
  check_same(where, "lines", {int64_t{trained.text.lines}}, {int64_t{now.text.lines}});
  // Either may lack one, for only pictures need it.
  if (!trained.palette.empty() && !now.palette.empty() && trained.palette != now.palette) {
    throw UsageError(where, ": was trained on data with other colours for its categories ",
                     "(palette); give it such data");
  }
}

void check_same_model(const std::string& where, const ModelOptions& trained,
                      const ModelOptions& now, bool describes_images) {
  const auto before = values_of(trained, describes_images);
  const auto asked = values_of(now, describes_images);
  // Another network, which comes first, has other options: no index goes past a difference.
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] == asked[i] || is_for_training(before[i].name)) continue;
    throw UsageError(where, ": was trained with ", before[i].name, " = ", before[i].toml,
                     ", asked for ", asked[i].toml,
                     "; resume with that, or train anew into another --out");
  }
}

}  // namespace bitdiff
