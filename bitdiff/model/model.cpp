#include "bitdiff/model/model.h"

#include <utility>

#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

std::unique_ptr<Denoiser> make_net(const ModelOptions& options, const DataInfo& data,
                                   int64_t bit_channels, const Scope& scope) {
  const auto axes = data.shape.size() - 1;
  switch (options.network) {
    case Network::kUNet:
      if (axes != 2) {
        throw UsageError("model.network = unet: expected images [C, H, W], found data with ", axes,
                         " axes besides the channels; use transformer for sequences");
      }
      return make_unet(options.unet,
                       {.in_channels = bit_channels,
                        .out_channels = bit_channels,
                        .resolution = data.shape[1],
                        .classes = data.classes},
                       scope);
    case Network::kTransformer:
      if (axes != 1) {
        throw UsageError("model.network = transformer: expected sequences [C, L], found data with ",
                         axes, " axes besides the channels; use unet for images");
      }
      return make_transformer(
          options.transformer,
          {.channels = bit_channels, .length = data.shape[1], .classes = data.classes}, scope);
  }
  TORCH_CHECK(false, "make_net: unknown network");
}

void check_loss(const ProcessOptions& options) {
  if (options.loss == Loss::kLogistic && options.prediction != Prediction::kX0) {
    throw UsageError(
        "diffusion.loss = logistic: expected diffusion.prediction = x0, for logits of ",
        "bits are an answer about x0; change one of them");
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
  check_loss(options.process);
  const auto bit_channels = codec.bit_channels();
  Model model{.data = data,
              .process = {.codec = std::move(codec),
                          .gamma = Schedule(options.schedule),
                          .prediction = options.process.prediction,
                          .loss = options.process.loss,
                          .self_cond_rate = options.process.self_cond_rate},
              .parameters = Parameters(static_cast<uint64_t>(seed)),
              .net = nullptr};
  model.net = make_net(options, data, bit_channels, Scope(model.parameters));
  return model;
}

}  // namespace bitdiff
