#pragma once

#include <memory>

#include "bitdiff/base/config.h"
#include "bitdiff/data/dataset.h"
#include "bitdiff/diffusion/process.h"
#include "bitdiff/nn/parameters.h"
#include "bitdiff/nn/transformer.h"
#include "bitdiff/nn/unet.h"

namespace bitdiff {

enum class Network { kUNet, kTransformer };

/// Everything that says what a model is; the data say the rest (DataInfo).
struct ModelOptions {
  Network network = Network::kUNet;
  CodecOptions codec;
  ScheduleOptions schedule;
  ProcessOptions process;
  UNetOptions unet;                ///< Used by Network::kUNet.
  TransformerOptions transformer;  ///< Used by Network::kTransformer.

  template <class Visitor>
  void visit(Visitor& v) {
    v.choice("network", network,
             Words<Network>{{"unet", Network::kUNet}, {"transformer", Network::kTransformer}},
             "unet for images, transformer for sequences");
  }
};

/// Reads sections model, codec, schedule, diffusion, and unet or transformer.
void read_model(Config& config, ModelOptions& options);
/// Writes what read_model reads.
void write_model(ConfigWriter& writer, ModelOptions options);

/// A network with the process it was made for.
struct Model {
  DataInfo data;
  Process process;
  Parameters parameters;
  std::unique_ptr<Denoiser> net;  ///< Over `parameters`.

  /// [bit channels, *S] of one example.
  std::vector<int64_t> bit_shape() const;
};

/// A model for data as `data` describes, with new parameters, a function of `seed`. Throws
/// UsageError when network and data do not fit.
Model make_model(const ModelOptions& options, const DataInfo& data, int64_t seed);

}  // namespace bitdiff
