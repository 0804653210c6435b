#include "bitdiff/metrics/small_net.h"

#include <algorithm>

#include <ATen/TensorOperators.h>

#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

constexpr int64_t kGroupWidth = 16;  // Channels that are normalised together.

int64_t groups_of(int64_t width) { return std::max<int64_t>(width / kGroupWidth, 1); }

SmallNetOptions checked(const SmallNetOptions& options) {
  const auto halvings = static_cast<int64_t>(options.widths.size()) - 1;
  if (halvings < 0 || halvings > 8 || options.size % (int64_t{1} << halvings) != 0) {
    throw UsageError("features.widths: expected 1 to 9 widths, and features.size a multiple of 2 ",
                     "for each but the first, found ", options.widths.size(), " widths and size ",
                     options.size);
  }
  return options;
}

}  // namespace

SmallNet::Block::Block(int64_t width, const Scope& scope)
    : norm0(width, groups_of(width), scope / "norm0"),
      norm1(width, groups_of(width), scope / "norm1"),
      conv0(width, width, scope / "conv0"),
      conv1(width, width, scope / "conv1", {.init_scale = kSilentInit}) {}

Tensor SmallNet::Block::operator()(const Tensor& x) const {
  return x + conv1(activate(norm1(conv0(activate(norm0(x))))));
}

SmallNet::Stage::Stage(int64_t in, int64_t out, int64_t count, const Scope& scope)
    : norm(in, groups_of(in), scope / "norm"), down(in, out, scope / "down", {.stride = 2}) {
  for (int64_t i = 0; i < count; ++i) blocks.emplace_back(out, scope / "block" / i);
}

Tensor SmallNet::Stage::operator()(const Tensor& x) const {
  auto y = down(activate(norm(x)));
  for (const auto& block : blocks) y = block(y);
  return y;
}

SmallNet::SmallNet(const SmallNetOptions& options, int64_t classes, uint64_t seed,
                   at::Device device)
    : options_(checked(options)),
      classes_(classes),
      parameters_(seed, device),
      stem_(3, options.widths.front(), Scope(parameters_) / "stem"),
      norm_(options.widths.back(), groups_of(options.widths.back()), Scope(parameters_) / "norm") {
  const Scope root(parameters_);
  for (size_t i = 1; i < options.widths.size(); ++i) {
    stages_.emplace_back(options.widths[i - 1], options.widths[i], options.blocks,
                         root / "stage" / static_cast<int64_t>(i));
  }
  if (classes > 0) head_.emplace_back(options.widths.back(), classes, root / "head");
}

Tensor SmallNet::features(const Tensor& images) const {
  const std::vector<int64_t> shape{3, options_.size, options_.size};
  TORCH_CHECK(images.dim() == 4 && images.sizes().slice(1) == IntArrayRef(shape),
              "SmallNet: expected images [N, 3, ", options_.size, ", ", options_.size, "], got ",
              images.sizes());
  auto x = stem_(images.contiguous(at::MemoryFormat::ChannelsLast) / 127.5 - 1);
  for (const auto& stage : stages_) x = stage(x);
  return activate(norm_(x)).mean({2, 3});
}

Tensor SmallNet::logits(const Tensor& features) const {
  TORCH_CHECK(!head_.empty(), "SmallNet: has no class scores");
  return head_.front()(features);
}

}  // namespace bitdiff
