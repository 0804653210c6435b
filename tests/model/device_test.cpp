// Models elsewhere than on the CPU. at::kMeta is there on every machine: its tensors have shapes
// and no values, and an operation that mixes it with the CPU is refused, as on a GPU.

#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>

#include "bitdiff/data/tokenizer.h"
#include "bitdiff/diffusion/generate.h"
#include "bitdiff/model/loss.h"
#include "bitdiff/model/model.h"

namespace {

using at::IntArrayRef;
using at::Tensor;
using Maybe = std::optional<Tensor>;

// Of convolutions LibTorch knows the shapes only in Python.
Tensor convolution(const Tensor& x, const Tensor& weight, const Maybe& bias, IntArrayRef stride,
                   IntArrayRef padding, IntArrayRef dilation, bool /*transposed*/,
                   IntArrayRef /*output_padding*/, int64_t /*groups*/) {
  TORCH_CHECK(x.is_meta() && weight.is_meta() && (!bias || !bias->defined() || bias->is_meta()),
              "expected all on one device");
  std::vector<int64_t> sizes{x.size(0), weight.size(0)};
  for (int64_t axis = 0; axis < x.dim() - 2; ++axis) {
    const int64_t kernel = dilation[axis] * (weight.size(axis + 2) - 1) + 1;
    sizes.push_back((x.size(axis + 2) + 2 * padding[axis] - kernel) / stride[axis] + 1);
  }
  return at::empty(sizes, x.options());
}

// Of normalisations likewise, which come down to this one.
std::tuple<Tensor, Tensor, Tensor> batch_norm(const Tensor& x, const Maybe&, const Maybe&,
                                              const Maybe&, const Maybe&, bool, double, double) {
  const auto mean = at::empty({x.size(1)}, x.options());
  return {at::empty_like(x), mean, mean};
}

// Of attention's softmax.
Tensor chosen(const Tensor& condition, const Tensor& x, const Tensor& y) {
  const auto both = at::infer_size(x.sizes(), y.sizes());
  return at::empty(at::infer_size(condition.sizes(), both), y.options());
}

Tensor& chosen_out(const Tensor& condition, const Tensor& x, const Tensor& y, Tensor& out) {
  out.resize_(chosen(condition, x, y).sizes());
  return out;
}

Tensor index_select(const Tensor& x, int64_t axis, const Tensor& index) {
  TORCH_CHECK(index.is_meta(), "expected all on one device");
  auto sizes = x.sizes().vec();
  sizes[axis] = index.numel();
  return at::empty(sizes, x.options());
}

/// Makes `function` the operation `name`.`overload` of tensors without values, while it lives.
template <class Function>
c10::RegistrationHandleRAII teach(const char* name, const char* overload, Function* function) {
  return c10::Dispatcher::singleton().registerImpl(
      {name, overload}, c10::DispatchKey::Meta,
      c10::KernelFunction::makeFromUnboxedRuntimeFunction(function), std::nullopt, nullptr,
      "tests");
}

struct Taught {
  c10::RegistrationHandleRAII index_select_ = teach("aten::index_select", "", index_select);
  c10::RegistrationHandleRAII chosen_out_ = teach("aten::where", "self_out", chosen_out);
  c10::RegistrationHandleRAII chosen_ = teach("aten::where", "self", chosen);
  c10::RegistrationHandleRAII batch_norm_ = teach("aten::native_batch_norm", "", batch_norm);
  c10::RegistrationHandleRAII convolution_ =
      teach("aten::convolution_overrideable", "", convolution);
};

}  // namespace

namespace bitdiff {
namespace {

struct Case {
  std::string name;
  DataInfo data;
  ModelOptions options;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

Case images(Encoding encoding, bool classes) {
  Case c{.name = "unet",
         .data = {.shape = {3, 8, 8}, .categories = {16}, .classes = classes ? 4 : 0},
         .options = {}};
  c.options.codec.encoding = encoding;
  c.options.process.label_dropout = classes ? 0.5 : 0;
  c.options.unet.dim = 8;
  c.options.unet.dropout = 0.1;
  return c;
}

Case captions(Network network, Head head) {
  Case c{.name = "captions",
         .data = {.shape = {1, 6},
                  .categories = {256},
                  .text = {.tokenizer = load_tokenizer("bytes"), .lines = true},
                  .image_shape = {3, 8, 8}},
         .options = {}};
  c.options.network = network;
  c.options.process.head = head;
  c.options.process.pad_weight = 0.5;
  c.options.transformer = {.layers = 1, .width = 16, .heads = 2, .mlp = 2, .dropout = 0.1};
  c.options.encoder = {.patch = 4, .layers = 1, .width = 12, .heads = 3, .mlp = 2};
  return c;
}

/// What a loader gives: on the CPU.
Batch batch_of(const DataInfo& data) {
  auto shape = data.shape;
  shape.insert(shape.begin(), 4);
  Batch batch{.x = at::randint(0, data.categories[0], shape, at::kByte), .label = {}, .image = {}};
  if (data.classes > 0) batch.label = at::randint(0, data.classes, {4}, at::kLong);
  if (!data.image_shape.empty()) batch.image = at::randint(0, 256, {4, 3, 8, 8}, at::kByte);
  return batch;
}

Case with_tokens() {
  auto c = captions(Network::kTransformer, Head::kPosterior);
  c.options.transformer.embedding = BitEmbedding::kTokens;
  c.options.transformer.neighbours = 1;
  return c;
}

class Device : public ::testing::TestWithParam<Case> {
 private:
  Taught taught_;
};
INSTANTIATE_TEST_SUITE_P(
    Every, Device,
    ::testing::Values(images(Encoding::kBinary, true), images(Encoding::kPermuted, false),
                      images(Encoding::kOneHot, false), images(Encoding::kPixels, false),
                      captions(Network::kTransformer, Head::kBits),
                      captions(Network::kTransformer, Head::kPosterior), with_tokens(),
                      captions(Network::kArTransformer, Head::kBits)));

TEST_P(Device, ComputesTheLossWhereItsParametersAre) {
  const auto& c = GetParam();
  const auto model = make_model(c.options, c.data, 0, at::kMeta);
  const Streams streams(1, {0, 1, 2, 3}, at::kMeta);
  const auto loss = model_loss(model, batch_of(c.data), streams, 2, /*dropout=*/true);
  EXPECT_TRUE(loss.mean.is_meta());
}

TEST_P(Device, SamplesWhereItsParametersAre) {
  const auto& c = GetParam();
  const auto model = make_model(c.options, c.data, 0, at::kMeta);
  if (!model.net) GTEST_SKIP() << "the end of a text is looked for in its values";
  const Streams streams(1, {0, 1, 2, 3}, at::kMeta);
  const auto batch = batch_of(c.data);
  const auto there = [](const Tensor& t) { return t.defined() ? t.to(at::kMeta) : t; };
  const auto cond = model.condition_of(there(batch.label), there(batch.image), {});
  auto shape = model.bit_shape();
  shape.insert(shape.begin(), 4);
  for (const auto solver : {Solver::kDdim, Solver::kDdpm, Solver::kDpm2m, Solver::kHeun}) {
    GenerateOptions options{.steps = 3, .solver = solver};
    options.estimate.momentum = 0.5;
    const auto x = generate(model.process, *model.net, shape, cond, options, streams);
    EXPECT_TRUE(x.is_meta());
    EXPECT_EQ(x.sizes(), IntArrayRef(shape));
  }
}

}  // namespace
}  // namespace bitdiff
