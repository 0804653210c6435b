#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "bitdiff/ar/next_token.h"
#include "bitdiff/ar/text_shape.h"
#include "bitdiff/base/config.h"
#include "bitdiff/data/dataset.h"
#include "bitdiff/diffusion/process.h"
#include "bitdiff/nn/image_encoder.h"
#include "bitdiff/nn/parameters.h"
#include "bitdiff/nn/transformer.h"
#include "bitdiff/nn/unet.h"

namespace bitdiff {

enum class Network {
  kUNet,
  kTransformer,
  kArTransformer,  ///< No diffusion: the autoregressive baseline of section 3.3.
};

/// Everything that says what a model is; the data say the rest (DataInfo).
struct ModelOptions {
  Network network = Network::kUNet;
  CodecOptions codec;
  ScheduleOptions schedule;
  ProcessOptions process;
  UNetOptions unet;                ///< Used by Network::kUNet.
  TransformerOptions transformer;  ///< Used by both Transformers.
  ImageEncoderOptions encoder;     ///< Used where data describe images.

  template <class Visitor>
  void visit(Visitor& v) {
    v.choice("network", network,
             Words<Network>{{"unet", Network::kUNet},
                            {"transformer", Network::kTransformer},
                            {"ar_transformer", Network::kArTransformer}},
             "unet for images, transformer for sequences, ar_transformer to write them token by "
             "token without diffusion");
  }
};

/// Reads sections model, codec, schedule and diffusion (these three but for ar_transformer), unet
/// or transformer and, for data that describe images, encoder.
void read_model(Config& config, ModelOptions& options, bool describes_images);
/// Writes what read_model reads.
void write_model(ConfigWriter& writer, ModelOptions options, bool describes_images);

/// A network with the process it was made for.
struct Model {
  DataInfo data;
  Process process;
  Parameters parameters;
  // Over `parameters`.
  std::unique_ptr<Denoiser> net;          ///< Null in an autoregressive model,
  std::unique_ptr<NextToken> next_token;  ///< which has this instead.
  std::unique_ptr<ImageEncoder> encoder;  ///< Null: data describe no images.

  /// What the network is conditioned on. `label` and `image`: as in Batch. `dropout`: what training
  /// draws it from, absent otherwise.
  Condition condition_of(const Tensor& label, const Tensor& image,
                         const std::optional<Streams>& dropout) const;

  /// [bit channels, *S] of one example.
  std::vector<int64_t> bit_shape() const;

  /// How texts stand in examples [1, L]; without an end where they are no lines of text.
  TextShape text_shape() const;
};

/// A model for data as `data` describes, with new parameters, a function of `seed`. On at::kMeta
/// they have shapes but neither values nor memory: to be counted. Throws UsageError when network
/// and data do not fit.
Model make_model(const ModelOptions& options, const DataInfo& data, int64_t seed,
                 at::Device device = at::kCPU);

/// The same with parameters that are still to be read (Parameters::unset).
Model unset_model(const ModelOptions& options, const DataInfo& data, at::Device device = at::kCPU);

}  // namespace bitdiff
