#include "bitdiff/model/draw.h"

#include <algorithm>
#include <numeric>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "bitdiff/base/device.h"
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
  if (classes == 0) return {};
  if (options.label >= 0) {
    return at::full({streams.size()}, options.label, at::dtype(at::kLong).device(streams.device()));
  }
  const auto u = streams.fork(Purpose::kLabel).uniform({streams.size()}).to(at::kDouble);
  return (u * classes).to(at::kLong);
}

/// The image of each row, or undefined.
Tensor images_of(const Model& model, const DrawOptions& options, const Streams& streams) {
  if (!model.encoder) return {};
  if (!options.images) {
    throw UsageError("this model describes images and was given none; use bitdiff caption");
  }
  return to_device(options.images(streams.rows()), streams.device());
}

/// Every row of one block, as analog bits.
Tensor draw_block(const Model& model, const DrawOptions& options, const Tensor& label,
                  const Streams& streams) {
  const c10::NoGradGuard no_grad;
  auto shape = model.bit_shape();
  shape.insert(shape.begin(), streams.size());
  const auto cond = model.condition_of(label, images_of(model, options, streams), {});
  return generate(model.process, *model.net, shape, cond, options.generate, streams);
}

/// What an autoregressive model writes in each row of one block.
Tensor write_block(const Model& model, const DrawOptions& options, const Tensor& label,
                   const Streams& streams) {
  const c10::NoGradGuard no_grad;
  const auto cond = model.condition_of(label, images_of(model, options, streams), {});
  return ar_generate(*model.next_token, model.text_shape(), cond, options.decode, streams);
}

/// Rows [begin, end) of the list of blocks, each made by block(model, options, label, streams).
template <class Block>
DrawnBits draw_blocks(const Model& model, const DrawOptions& options, int64_t begin, int64_t end,
                      const Block& block) {
  const int64_t size = options.micro_batch;
  std::vector<Tensor> parts;
  std::vector<Tensor> labels;
  for (int64_t start = begin / size * size; start < end; start += size) {
    std::vector<int64_t> rows(size);
    std::iota(rows.begin(), rows.end(), start);
    const Streams streams(static_cast<uint64_t>(options.seed), rows, model.parameters.device());
    const auto label = labels_of(model, options, streams);

    const int64_t first = std::max(begin - start, int64_t{0});
    const int64_t last = std::min(end - start, size);
    parts.push_back(block(model, options, label, streams).slice(0, first, last).cpu());
    if (label.defined()) labels.push_back(label.slice(0, first, last).cpu());
  }
  return {at::cat(parts), labels.empty() ? Tensor() : at::cat(labels)};
}

}  // namespace

ImagesOfSamples in_turn(const Tensor& images) {
  return [images](std::span<const int64_t> samples) {
    const auto rows = at::tensor(at::ArrayRef<int64_t>(samples.data(), samples.size()), at::kLong);
    return images.index_select(0, rows.remainder(images.size(0)));
  };
}

void check_guidance(const Model& model, const GenerateOptions& options) {
  const double guidance = options.estimate.guidance;
  if (guidance == 0 || model.next_token) return;
  const auto refuse = [&](const char* why) {
    throw UsageError("sample.guidance = ", guidance, ": expected 0, for this model ", why);
  };
  if (model.data.classes == 0 && !model.encoder) refuse("has neither classes nor images");
  if (model.process.label_dropout == 0) refuse("is trained with diffusion.label_dropout = 0");
}

DrawnBits draw_bits(const Model& model, const DrawOptions& options, int64_t begin, int64_t end) {
  if (model.next_token) {
    throw UsageError("this model is autoregressive (model.network = ar_transformer) and has no ",
                     "analog bits");
  }
  check_guidance(model, options.generate);
  return draw_blocks(model, options, begin, end, draw_block);
}

Drawn draw(const Model& model, const DrawOptions& options, int64_t begin, int64_t end) {
  if (model.next_token) {
    const auto drawn = draw_blocks(model, options, begin, end, write_block);
    return {drawn.x_bits.unsqueeze(1), drawn.label, 0};
  }
  const auto drawn = draw_bits(model, options, begin, end);
  const auto decoded = model.process.codec.decode(drawn.x_bits);
  return {decoded.x, drawn.label, decoded.invalid};
}

Drawn draw_together(Group& group, const Model& model, const DrawOptions& options, int64_t begin,
                    int64_t end) {
  check_guidance(model, options.generate);  // Of all processes, that all refuse it.
  // Whole blocks side by side; the first process always has one.
  const int64_t size = options.micro_batch;
  const int64_t start = begin / size;
  const int64_t blocks = (end + size - 1) / size - start;
  const auto share = [&](int64_t rank) {
    const int64_t block = start + (blocks * rank + group.size() - 1) / group.size();
    return std::clamp(block * size, begin, end);
  };
  const int64_t from = share(group.rank()), to = share(group.rank() + 1);
  Drawn own;
  if (from < to) own = draw(model, options, from, to);
  Drawn all{.x = group.gather_rows(own.x),
            .label = {},
            .invalid = group.sum(at::full({}, own.invalid, at::kLong)).item<int64_t>()};
  if (model.data.classes > 0) all.label = group.gather_rows(own.label);
  return all;
}

}  // namespace bitdiff
