#include "bitdiff/model/draw.h"

#include <algorithm>
#include <numeric>

#include <ATen/ATen.h>

#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

Tensor labels_of(const Model& model, const DrawOptions& options, const Streams& streams) {
  const int64_t classes = model.data.classes;
  if (options.label >= classes) {
    throw UsageError("class ", options.label, ": ",
                     classes == 0 ? std::string("this model has no classes")
                                  : str("expected 0 to ", classes - 1));
  }
  if (classes == 0 && options.generate.estimate.guidance != 0) {
    throw UsageError("sample.guidance = ", options.generate.estimate.guidance,
                     ": expected 0, for this model has no classes");
  }
  if (classes == 0) return {};
  if (options.label >= 0) return at::full({streams.size()}, options.label, at::kLong);
  const auto u = streams.fork(Purpose::kLabel).uniform({streams.size()}).to(at::kDouble);
  return (u * classes).to(at::kLong);
}

/// Every row of one block, as analog bits.
Tensor draw_block(const Model& model, const DrawOptions& options, const Tensor& label,
                  const Streams& streams) {
  auto shape = model.bit_shape();
  shape.insert(shape.begin(), streams.size());
  return generate(model.process, *model.net, shape, {.label = label, .dropout = {}},
                  options.generate, streams);
}

}  // namespace

DrawnBits draw_bits(const Model& model, const DrawOptions& options, int64_t begin, int64_t end) {
  const int64_t size = options.micro_batch;
  std::vector<Tensor> bits;
  std::vector<Tensor> labels;
  for (int64_t start = begin / size * size; start < end; start += size) {
    std::vector<int64_t> rows(size);
    std::iota(rows.begin(), rows.end(), start);
    const Streams streams(static_cast<uint64_t>(options.seed), rows);
    const auto label = labels_of(model, options, streams);

    const int64_t first = std::max(begin - start, int64_t{0});
    const int64_t last = std::min(end - start, size);
    bits.push_back(draw_block(model, options, label, streams).slice(0, first, last));
    if (label.defined()) labels.push_back(label.slice(0, first, last));
  }
  return {at::cat(bits), labels.empty() ? Tensor() : at::cat(labels)};
}

Drawn draw(const Model& model, const DrawOptions& options, int64_t begin, int64_t end) {
  const auto drawn = draw_bits(model, options, begin, end);
  const auto decoded = model.process.codec.decode(drawn.x_bits);
  return {decoded.x, drawn.label, decoded.invalid};
}

}  // namespace bitdiff
