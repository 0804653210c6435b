#include "bitdiff/model/model.h"

#include <utility>

#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

std::unique_ptr<Denoiser> make_net(const ModelOptions& options, const DataInfo& data,
                                   const Process& process, const Scope& scope) {
  const int64_t in_channels = process.codec.bit_channels();
  const auto axes = data.shape.size() - 1;
  switch (options.network) {
    case Network::kUNet:
      if (axes != 2) {
        throw UsageError("model.network = unet: expected images [C, H, W], found data with ", axes,
                         " axes besides the channels; use transformer for sequences");
      }
      return make_unet(options.unet,
                       {.in_channels = in_channels,
                        .out_channels = process.out_channels(),
                        .resolution = data.shape[1],
                        .classes = data.classes,
                        .out_kernel = process.head == Head::kSoftmax ? 1 : 3},
                       scope);
    case Network::kTransformer:
      if (axes != 1) {
        throw UsageError("model.network = transformer: expected sequences [C, L], found data with ",
                         axes, " axes besides the channels; use unet for images");
      }
      return make_transformer(options.transformer,
                              {.in_channels = in_channels,
                               .out_channels = process.out_channels(),
                               .length = data.shape[1],
                               .classes = data.classes},
                              scope);
  }
  TORCH_CHECK(false, "make_net: unknown network");
}

/// Logits, of bits or of categories, are an answer about x0 and of one kind.
void check_answer(const ProcessOptions& options, Encoding encoding) {
  const bool logits = options.head == Head::kSoftmax || options.loss != Loss::kL2;
  if (logits && options.prediction != Prediction::kX0) {
    throw UsageError(
        "diffusion.prediction: expected x0, for logits (head = softmax, loss = logistic or ",
        "softmax) are an answer about x0; change one of them");
  }
  if (options.loss == Loss::kLogistic && encoding == Encoding::kPixels) {
    throw UsageError("diffusion.loss = logistic: expected an encoding of bits, found ",
                     "codec.encoding = pixels; use l2");
  }
  if (options.loss == Loss::kLogistic && options.head == Head::kSoftmax) {
    throw UsageError("diffusion.loss = logistic: expected head = bits, whose logits it needs; ",
                     "found softmax");
  }
  if (options.loss == Loss::kSoftmax && options.head == Head::kBits &&
      encoding != Encoding::kOneHot) {
    throw UsageError("diffusion.loss = softmax: expected head = softmax or codec.encoding = ",
                     "onehot, for it needs an answer for each category");
  }
}

/// Calls use(name, options) for each section; the network decides on the last.
template <class Use>
void each_section(ModelOptions& options, const Use& use) {
  use("model", options);
  use("codec", options.codec);
  use("schedule", options.schedule);
  use("diffusion", options.process);
  if (options.network == Network::kUNet) use("unet", options.unet);
  if (options.network == Network::kTransformer) use("transformer", options.transformer);
}

}  // namespace

void read_model(Config& config, ModelOptions& options) {
  each_section(options, [&](const char* name, auto& section) { config.read(name, section); });
}

void write_model(ConfigWriter& writer, ModelOptions options) {
  each_section(options, [&](const char* name, auto& section) { writer.write(name, section); });
}

std::vector<int64_t> Model::bit_shape() const {
  auto shape = data.shape;
  shape[0] = process.codec.bit_channels();
  return shape;
}

Model make_model(const ModelOptions& options, const DataInfo& data, int64_t seed) {
  auto codec_options = options.codec;
  codec_options.categories = data.categories;
  Codec codec(codec_options, data.shape[0]);
  check_answer(options.process, options.codec.encoding);
  Model model{.data = data,
              .process = {.codec = std::move(codec),
                          .gamma = Schedule(options.schedule),
                          .prediction = options.process.prediction,
                          .head = options.process.head,
                          .loss = options.process.loss,
                          .self_cond_rate = options.process.self_cond_rate,
                          .label_dropout = options.process.label_dropout},
              .parameters = Parameters(static_cast<uint64_t>(seed)),
              .net = nullptr};
  model.net = make_net(options, data, model.process, Scope(model.parameters));
  return model;
}

}  // namespace bitdiff
