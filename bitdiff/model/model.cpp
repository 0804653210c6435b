#include "bitdiff/model/model.h"

#include <utility>

#include "bitdiff/base/error.h"
#include "bitdiff/data/tokenizer.h"
#include "bitdiff/nn/ar_transformer.h"

namespace bitdiff {
namespace {

/// D of Condition::context; 0: there is none.
int64_t context_width(const ModelOptions& options, const DataInfo& data) {
  return data.image_shape.empty() ? 0 : options.transformer.width;
}

/// The bits of each token, for a network that has a vector for each; else undefined.
Tensor token_codes(const ModelOptions& options, const Process& process) {
  if (options.transformer.embedding != BitEmbedding::kTokens) return {};
  if (process.head == Head::kBits || process.codec.channels() != 1) {
    throw UsageError(
        "transformer.embedding = tokens: expected logits of the tokens of one channel ",
        "(diffusion.head = softmax or posterior), found ", process.codec.channels(),
        process.head == Head::kBits ? " with head = bits" : "", "; use mlp");
  }
  return process.codec.codes(0);
}

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
      if (!data.image_shape.empty()) {
        throw UsageError(
            "model.network = unet: expected data that describe no images, for it does ",
            "not look at any; use transformer");
      }
      return make_unet(options.unet,
                       {.in_channels = in_channels,
                        .out_channels = process.out_channels(),
                        .resolution = data.shape[1],
                        .classes = data.classes,
                        .out_kernel = process.head == Head::kBits ? 3 : 1,
                        .width = data.shape[2]},
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
                               .classes = data.classes,
                               .context_width = context_width(options, data),
                               .codes = token_codes(options, process)},
                              scope);
    case Network::kArTransformer:
      break;
  }
  TORCH_CHECK(false, "make_net: no Denoiser");
}

std::unique_ptr<NextToken> make_next_token(const ModelOptions& options, const DataInfo& data,
                                           const Scope& scope) {
  if (data.shape.size() != 2 || data.shape[0] != 1 || data.classes > 0) {
    throw UsageError("model.network = ar_transformer: expected sequences [1, L] without labels, ",
                     "found [", data.shape[0], ", ...] with ", data.classes, " classes");
  }
  return make_ar_transformer(options.transformer,
                             {.categories = data.categories[0],
                              .length = data.shape[1],
                              .context_width = context_width(options, data)},
                             scope);
}

/// Logits, of bits or of categories, are an answer about x0 and of one kind.
void check_answer(const ProcessOptions& options, Encoding encoding) {
  const bool logits = options.head != Head::kBits || options.loss != Loss::kL2;
  if (logits && options.prediction != Prediction::kX0) {
    throw UsageError(
        "diffusion.prediction: expected x0, for logits (head = softmax or posterior, loss = "
        "logistic ",
        "or softmax) are an answer about x0; change one of them");
  }
  if (options.loss == Loss::kLogistic && encoding == Encoding::kPixels) {
    throw UsageError("diffusion.loss = logistic: expected an encoding of bits, found ",
                     "codec.encoding = pixels; use l2");
  }
  if (options.loss == Loss::kLogistic && options.head != Head::kBits) {
    throw UsageError("diffusion.loss = logistic: expected head = bits, whose logits it needs; ",
                     "found logits of categories");
  }
  if (options.loss == Loss::kSoftmax && options.head == Head::kBits &&
      encoding != Encoding::kOneHot) {
    throw UsageError(
        "diffusion.loss = softmax: expected head = softmax or posterior, or codec.encoding = ",
        "onehot, for it needs an answer for each category");
  }
}

/// The options of a Transformer that is told no time.
struct Untimed {
  TransformerOptions& transformer;

  template <class Visitor>
  void visit(Visitor& v) {
    transformer.visit_size(v);
  }
};

/// Calls use(name, options) for each section; network and data decide on the last.
template <class Use>
void each_section(ModelOptions& options, bool describes_images, const Use& use) {
  use("model", options);
  if (options.network == Network::kArTransformer) {
    Untimed untimed{options.transformer};
    use("transformer", untimed);
  } else {
    use("codec", options.codec);
    use("schedule", options.schedule);
    use("diffusion", options.process);
  }
  if (options.network == Network::kUNet) use("unet", options.unet);
  if (options.network == Network::kTransformer) use("transformer", options.transformer);
  if (describes_images) use("encoder", options.encoder);
}

/// A model over `parameters`, which are none yet.
Model make(const ModelOptions& options, const DataInfo& data, Parameters parameters) {
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
                          .label_dropout = options.process.label_dropout,
                          .pad_weight = options.process.pad_weight},
              .parameters = std::move(parameters),
              .net = nullptr,
              .next_token = nullptr,
              .encoder = nullptr};
  const Scope scope(model.parameters);
  if (options.network == Network::kArTransformer) {
    model.next_token = make_next_token(options, data, scope);
  } else {
    model.net = make_net(options, data, model.process, scope);
  }
  if (!data.image_shape.empty()) {
    model.encoder = make_image_encoder(options.encoder, data.image_shape,
                                       context_width(options, data), scope / "encoder");
  }
  return model;
}

}  // namespace

void read_model(Config& config, ModelOptions& options, bool describes_images) {
  each_section(options, describes_images,
               [&](const char* name, auto& section) { config.read(name, section); });
}

void write_model(ConfigWriter& writer, ModelOptions options, bool describes_images) {
  each_section(options, describes_images,
               [&](const char* name, auto& section) { writer.write(name, section); });
}

Condition Model::condition_of(const Tensor& label, const Tensor& image,
                              const std::optional<Streams>& dropout) const {
  Condition cond{.label = label};
  if (dropout) cond.dropout = dropout->fork(Purpose::kDropout);
  if (!encoder) return cond;
  TORCH_CHECK(image.defined(), "condition_of: expected images, for the model describes them");
  // Its layers have the numbers of the network's: its streams must be others.
  std::optional<Streams> of_encoder;
  if (dropout) of_encoder = dropout->fork(Purpose::kDropout, 1);
  cond.context = encoder->forward(image, of_encoder);
  return cond;
}

std::vector<int64_t> Model::bit_shape() const {
  auto shape = data.shape;
  shape[0] = process.codec.bit_channels();
  return shape;
}

TextShape Model::text_shape() const {
  TORCH_CHECK(data.shape.size() == 2 && data.shape[0] == 1, "text_shape: expected [1, L], got ",
              IntArrayRef(data.shape));
  TextShape shape{.length = data.shape[1]};
  if (data.text.tokenizer && data.text.lines) {
    shape.eos = data.text.tokenizer->eos();
    shape.pad = data.text.tokenizer->pad();
  }
  return shape;
}

Model make_model(const ModelOptions& options, const DataInfo& data, int64_t seed,
                 at::Device device) {
  return make(options, data, Parameters(static_cast<uint64_t>(seed), device));
}

Model unset_model(const ModelOptions& options, const DataInfo& data, at::Device device) {
  return make(options, data, Parameters::unset(device));
}

}  // namespace bitdiff
