#include "bitdiff/data/arrays.h"

#include <algorithm>

#include <ATen/ops/aminmax.h>
#include <ATen/ops/bitwise_or.h>
#include <ATen/ops/nonzero.h>
#include <c10/core/ScalarType.h>

#include "bitdiff/base/error.h"
#include "bitdiff/base/suggest.h"
#include "bitdiff/data/memory_dataset.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/npz.h"

namespace bitdiff {
namespace {

constexpr const char* kPalette = "palette";

struct Axes {
  int64_t count;    // How many axes the array has.
  int64_t channel;  // Which one holds the channels, or -1.
};

Axes axes_of(Layout layout) {
  switch (layout) {
    case Layout::kNL:
      return {2, -1};
    case Layout::kNHW:
      return {3, -1};
    case Layout::kNCHW:
      return {4, 1};
    default:
      return {4, 3};
  }
}

// An array of the file, with what errors call it.
struct Array {
  std::string where;
  Tensor values;
};

class Arrays {
 public:
  Arrays(std::string file, NamedTensors arrays) : file_(std::move(file)), all_(std::move(arrays)) {}

  bool has(const std::string& name) const {
    return std::any_of(all_.begin(), all_.end(), [&](const auto& a) { return a.first == name; });
  }

  Array get(const std::string& name) const {
    for (const auto& [key, values] : all_) {
      if (key != name) continue;
      if (!c10::isIntegralType(values.scalar_type(), true)) {
        throw InputError(where(name), ": expected integers, found ", values.scalar_type());
      }
      return {where(name), values};
    }
    throw InputError(file_, ": expected an array \"", name, "\", found ", names(all_), ".",
                     did_you_mean(name, keys()));
  }

  // The array that is neither palette nor labels.
  Array only(const std::string& labels) const {
    NamedTensors rest;
    for (const auto& array : all_) {
      if (array.first != kPalette && array.first != labels) rest.push_back(array);
    }
    if (rest.size() == 1) return get(rest.front().first);
    throw InputError(file_, ": expected one array of examples, found ", names(rest),
                     "; name the one that is meant by the key");
  }

 private:
  std::string where(const std::string& name) const {
    return file_ + (all_.size() == 1 ? "" : ": array \"" + printable(name) + "\"");
  }

  std::vector<std::string> keys() const {
    std::vector<std::string> result;
    for (const auto& [key, values] : all_) result.push_back(key);
    return result;
  }

  static std::string names(const NamedTensors& arrays) {
    std::string text;
    for (const auto& [key, values] : arrays)
      text += (text.empty() ? "\"" : ", \"") + printable(key) + "\"";
    return text.empty() ? "none" : text;
  }

  std::string file_;
  NamedTensors all_;
};

// Throws unless every value is in [0, k). `prefix` holds the fixed part of a place, if any.
void check_range(const Array& array, int64_t k, const std::string& what) {
  if (array.values.numel() == 0) return;
  const auto values =
      array.values.scalar_type() == at::kBool ? array.values.to(at::kByte) : array.values;
  const auto [low, high] = at::aminmax(values);
  if (low.item<int64_t>() >= 0 && high.item<int64_t>() < k) return;
  const auto place = at::nonzero(at::bitwise_or(values.lt(0), values.ge(k)))[0];
  Tensor found = values;
  std::string index;
  for (int64_t axis = 0; axis < place.size(0); ++axis) {
    const auto i = place[axis].item<int64_t>();
    found = found[i];
    index += str(axis ? ", " : "", i);
  }
  throw InputError(array.where, ": element [", index, "]: expected ", what, " in 0..", k - 1,
                   ", found ", found.item<int64_t>());
}

// [N, C, *S] of the smallest type that batches have, every value checked.
Tensor examples_of(const Array& array, const ArrayOptions& options) {
  const auto axes = axes_of(options.layout);
  if (array.values.dim() != axes.count) {
    const auto& words = layout_words();
    const auto word = std::find_if(words.begin(), words.end(), [&](const auto& candidate) {
      return candidate.second == options.layout;
    });
    throw InputError(array.where, ": expected ", axes.count, " axes, as the layout ", word->first,
                     " says, found the shape ", array.values.sizes());
  }
  if (array.values.numel() == 0) {
    throw InputError(array.where, ": expected examples, found the shape ", array.values.sizes());
  }
  const int64_t channels = axes.channel < 0 ? 1 : array.values.size(axes.channel);
  const auto& categories = options.categories;
  const auto given = static_cast<int64_t>(categories.size());
  if (given != 1 && given != channels) {
    throw UsageError("categories: expected one number, or ", channels,
                     " for the channels of the data, found ", given);
  }
  if (given == 1) {
    check_range(array, categories.front(), "a category");
  } else {
    for (int64_t c = 0; c < channels; ++c) {
      const auto part = array.values.narrow(axes.channel, c, 1);
      check_range({str(array.where, ", channel ", c), part}, categories[c], "a category");
    }
  }
  const int64_t most = *std::max_element(categories.begin(), categories.end());
  const auto type = most <= 256 ? at::kByte : most <= int64_t{1} << 31 ? at::kInt : at::kLong;
  const auto values = array.values.to(type);
  return axes.channel < 0 ? values.unsqueeze(1) : values.movedim(axes.channel, 1).contiguous();
}

Tensor labels_of(const Array& array, int64_t examples) {
  if (array.values.sizes() != IntArrayRef({examples})) {
    throw InputError(array.where, ": expected ", examples, " labels, one for each example, found",
                     " the shape ", array.values.sizes());
  }
  constexpr int64_t kMostClasses = int64_t{1} << 24;
  check_range(array, kMostClasses, "a label");
  return array.values.to(at::kLong);
}

std::vector<int64_t> palette_of(const Array& array, int64_t k) {
  if (array.values.sizes() != IntArrayRef({k, 3})) {
    throw InputError(array.where, ": expected the shape [", k, ", 3], a colour for each category,",
                     " found ", array.values.sizes());
  }
  check_range(array, 256, "a colour");
  const auto values = array.values.to(at::kLong).contiguous();
  const auto* first = values.const_data_ptr<int64_t>();
  return {first, first + values.numel()};
}

}  // namespace

const Words<Layout>& layout_words() {
  static const Words<Layout> words = {
      {"nl", Layout::kNL}, {"nhw", Layout::kNHW}, {"nchw", Layout::kNCHW}, {"nhwc", Layout::kNHWC}};
  return words;
}

std::shared_ptr<const Dataset> open_arrays(const std::filesystem::path& path,
                                           const ArrayOptions& options) {
  const Arrays arrays(path.string(), read_arrays(path));
  const auto array = options.key.empty() ? arrays.only(options.labels) : arrays.get(options.key);
  const auto x = examples_of(array, options);

  DataInfo info{.shape = x.sizes().slice(1).vec(), .categories = options.categories};
  Tensor label;
  if (!options.labels.empty()) {
    label = labels_of(arrays.get(options.labels), x.size(0));
    info.classes = label.max().item<int64_t>() + 1;
  }
  if (arrays.has(kPalette)) {
    info.palette = palette_of(arrays.get(kPalette), options.categories.front());
  }
  return std::make_shared<MemoryDataset>(std::move(info), x, label);
}

}  // namespace bitdiff
