#include "bitdiff/nn/recorded.h"

#include <numeric>
#include <utility>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/autocast.h"
#include "bitdiff/base/error.h"
#include "bitdiff/cuda/recorder.h"
#include "bitdiff/diffusion/train_loss.h"
#include "bitdiff/nn/transformer.h"
#include "bitdiff/nn/unet.h"
#include "tests/cuda/gpu_test.h"
#include "tests/nn/net_case.h"
#include "tests/nn/tape.h"

namespace bitdiff {
namespace {

template <class Recorder>
std::unique_ptr<cuda::Recorder> make(at::Device) {
  return std::make_unique<Recorder>();
}

/// A network and its twin of the same weights, whose calls are recorded.
struct Twins {
  template <class Make>
  explicit Twins(const Make& make_net, const cuda::MakeRecorder& make_recorder = make<Tape>,
                 at::Device device = at::kCPU)
      : plain(make_net, device), twin(make_net, device) {
    twin.net = recorded(std::move(twin.net), twin.parameters.tensors(), make_recorder);
  }

  struct Net {
    template <class Make>
    Net(const Make& make_net, at::Device device)
        : parameters(0, device), net(make_net(Scope(parameters))) {}

    /// Other weights, the same for both of the twins.
    void change(uint64_t seed) {
      const c10::NoGradGuard no_grad;
      for (auto& p : parameters.tensors()) {
        const auto by = Streams(seed++, {0}, p.device()).normal({1, p.numel()}).view(p.sizes());
        p.add_(by, 0.05);
      }
    }

    std::vector<Tensor> gradients() {
      std::vector<Tensor> all;
      for (auto& p : parameters.tensors()) {
        all.push_back(p.grad().defined() ? p.grad().clone() : Tensor());
        p.mutable_grad().reset();
      }
      return all;
    }

    Parameters parameters;
    std::unique_ptr<Denoiser> net;
  };

  void change(uint64_t seed) {
    plain.change(seed);
    twin.change(seed);
  }

  // Sums of several gradients may be made in another order.
  void expect_equal_gradients(double tolerance = 1e-6) {
    const auto expected = plain.gradients(), found = twin.gradients();
    int64_t there = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      const auto& name = plain.parameters.named()[i].first;
      ASSERT_EQ(found[i].defined(), expected[i].defined()) << name;
      if (!expected[i].defined()) continue;
      ++there;
      const double error = (found[i] - expected[i]).abs().max().item<double>();
      EXPECT_LE(error, tolerance * expected[i].abs().max().item<double>()) << name;
    }
    EXPECT_GT(there, 10);
  }

  Net plain, twin;
};

struct Input {
  explicit Input(uint64_t seed, std::vector<int64_t> row, int64_t rows = 2,
                 at::Device device = at::kCPU) {
    row.insert(row.begin(), rows);
    std::vector<int64_t> numbers(rows);
    std::iota(numbers.begin(), numbers.end(), 0);
    const Streams streams(seed, numbers, device);
    x_t = streams.fork(Purpose::kNoise).normal(row);
    x0_prev = streams.fork(Purpose::kEval).normal(row);
    gamma = streams.fork(Purpose::kTime).uniform({rows}).to(at::kDouble);
    weight = streams.fork(Purpose::kOrder).normal(row);
    context = streams.fork(Purpose::kCrop).normal({rows, 5, 12});
  }

  Tensor of(const Denoiser& net, const Condition& cond = {}) const {
    return net.forward(x_t, x0_prev, gamma, cond);
  }

  Tensor x_t, x0_prev, gamma, weight, context;
};

std::unique_ptr<Denoiser> small_unet(const Scope& scope, double dropout = 0,
                                     bool checkpointing = false, int64_t classes = 0) {
  const UNetOptions options{.dim = 8,
                            .mult = {1, 2},
                            .blocks = 1,
                            .attention = {4},
                            .head_dim = 8,
                            .dropout = dropout,
                            .activation_checkpointing = checkpointing};
  return make_unet(options, {3, 3, 8, classes}, scope);
}

std::unique_ptr<Denoiser> small_transformer(const Scope& scope, int64_t context_width = 0,
                                            int64_t classes = 0) {
  return make_transformer({.layers = 2, .width = 12, .heads = 2, .mlp = 2},
                          {.in_channels = 3,
                           .out_channels = 3,
                           .length = 6,
                           .classes = classes,
                           .context_width = context_width},
                          scope);
}

// A tape takes what is made of LibTorch's operations; a U-Net has loops of ours everywhere.
const auto kTransformer = [](const Scope& scope) { return small_transformer(scope); };
const auto kDescriber = [](const Scope& scope) { return small_transformer(scope, 12); };
const std::vector<int64_t> kImage{3, 8, 8}, kSequence{3, 6};

TEST(Recorded, AnswersAsTheNetworkWithTheWeightsOfNow) {
  const c10::NoGradGuard no_grad;
  Twins twins(kTransformer);
  for (uint64_t seed = 1; seed < 4; ++seed) {
    twins.change(seed);
    const Input input(seed, kSequence);
    const auto expected = input.of(*twins.plain.net), found = input.of(*twins.twin.net);
    EXPECT_GT(expected.std().item<double>(), 1e-3);
    EXPECT_TRUE(found.equal(expected)) << seed;
  }
}

TEST(Recorded, EarlierAnswersStay) {
  const c10::NoGradGuard no_grad;
  Twins twins(kTransformer);
  twins.change(1);
  const auto first = Input(1, kSequence).of(*twins.twin.net);
  const auto copy = first.clone();
  Input(2, kSequence).of(*twins.twin.net);
  EXPECT_TRUE(first.equal(copy));
}

/// Steps with other weights and inputs, whose condition is cond_of(net, input).
template <class ConditionOf>
void expect_equal_steps(Twins twins, const ConditionOf& cond_of) {
  for (uint64_t seed = 1; seed < 4; ++seed) {
    twins.change(seed);
    const Input input(seed, kSequence);
    for (auto* net : {&twins.plain, &twins.twin})
      (input.of(*net->net, cond_of(*net->net, input)) * input.weight).sum().backward();
    twins.expect_equal_gradients();
  }
}

TEST(Recorded, HasTheGradientsOfTheNetwork) {
  expect_equal_steps(Twins(kTransformer),
                     [](const Denoiser&, const Input&) { return Condition{}; });
}

TEST(Recorded, LooksOutsideOfTheRecording) {
  expect_equal_steps(Twins(kDescriber), [](const Denoiser& net, const Input& input) {
    return net.look({.label = {}, .context = input.context});
  });
}

TEST(Recorded, LooksInTheRecordingWhereNobodyDidBefore) {
  expect_equal_steps(Twins(kDescriber), [](const Denoiser&, const Input& input) {
    return Condition{.label = {}, .context = input.context};
  });
}

TEST(Recorded, GradientsAddUp) {
  Twins twins(kTransformer);
  for (uint64_t seed = 1; seed < 3; ++seed) {
    const Input input(seed, kSequence);
    for (auto* net : {&twins.plain, &twins.twin})
      (input.of(*net->net) * input.weight).sum().backward();
  }
  twins.expect_equal_gradients();
}

TEST(Recorded, TrainsAsTheNetwork) {
  const Process process{.codec = Codec({.categories = {8}}, 1)};
  Twins twins(kTransformer);
  for (int64_t step = 1; step < 4; ++step) {
    twins.change(step);
    const Streams streams(7, {3 * step, 3 * step + 1, 3 * step + 2});
    const auto x = (streams.fork(Purpose::kEval).uniform({3, 1, 6}) * 8).to(at::kByte);
    Tensor loss[2];
    int64_t which = 0;
    for (auto* net : {&twins.plain, &twins.twin}) {
      loss[which] = train_loss(process, *net->net, x, {}, streams, 2);
      loss[which++].backward();
    }
    EXPECT_TRUE(loss[0].equal(loss[1])) << loss[0] << loss[1];
    twins.expect_equal_gradients();
  }
}

// Loops of our own draw it, which no tape sees.
TEST(Recorded, DrawsDropoutAnewForTheRowsOfNow) {
  Twins twins([](const Scope& scope) { return small_unet(scope, 0.5); }, make<Again>);
  for (const auto& [seed, row] : {std::pair<uint64_t, int64_t>{1, 0}, {1, 10}, {2, 10}}) {
    twins.change(row);
    const Input input(row, kImage);
    const Condition cond{.label = {}, .dropout = Streams(seed, {row, row + 1})};
    const auto expected = input.of(*twins.plain.net, cond);
    EXPECT_TRUE(input.of(*twins.twin.net, cond).equal(expected)) << seed << " " << row;
    EXPECT_FALSE(input.of(*twins.plain.net).equal(expected));
  }
}

TEST(Recorded, SeesTheLabelsOfNow) {
  const c10::NoGradGuard no_grad;
  Twins twins([](const Scope& scope) { return small_unet(scope, 0, false, 4); }, make<Again>);
  twins.change(1);
  const Input input(1, kImage);
  for (const int64_t label : {0, 3}) {
    const Condition cond{.label = at::full({2}, label, at::kLong)};
    EXPECT_TRUE(input.of(*twins.twin.net, cond).equal(input.of(*twins.plain.net, cond)));
  }
  EXPECT_TRUE(input.of(*twins.twin.net).equal(input.of(*twins.plain.net)));
}

TEST(Recorded, IsRecordedOnceForEachKindOfCallUpToAMost) {
  const c10::NoGradGuard no_grad;
  int64_t made = 0;
  Twins twins(kTransformer, [&](at::Device) {
    ++made;
    return std::make_unique<Tape>();
  });
  constexpr auto kMost = static_cast<int64_t>(kMostKinds);
  for (int64_t rows = 1; rows < kMost + 3; ++rows) {
    const Input input(rows, kSequence, rows);
    for (int64_t i = 0; i < 2; ++i)
      EXPECT_TRUE(input.of(*twins.twin.net).equal(input.of(*twins.plain.net))) << rows;
    EXPECT_EQ(made, std::min(rows, kMost));
  }
}

TEST(Recorded, RefusesToGoBackTwice) {
  Twins twins(kTransformer);
  const auto y = Input(1, kSequence).of(*twins.twin.net).sum();
  y.backward({}, /*retain_graph=*/true);
  EXPECT_THROW(y.backward(), c10::Error);
}

// As the trainer: the network inside, the way back outside.
TEST(Recorded, HasTheGradientsOfTheNetworkInBfloat16) {
  Twins twins(kTransformer);
  for (uint64_t seed = 1; seed < 3; ++seed) {
    twins.change(seed);
    const Input input(seed, kSequence);
    Tensor y[2];
    int64_t which = 0;
    for (auto* net : {&twins.plain, &twins.twin}) {
      {
        const Autocast bf16(true, at::kCPU);
        y[which] = input.of(*net->net);
      }
      (y[which++] * input.weight).sum().backward();
    }
    EXPECT_TRUE(y[0].equal(y[1]));
    EXPECT_FALSE(y[0].equal(input.of(*twins.plain.net)));
    twins.expect_equal_gradients(1e-2);  // Those sums have 8 bits.
  }
}

TEST(Recorded, KeepsWhatIsForOneKindApartFromAnother) {
  Twins twins(kTransformer);
  const Input input(1, kSequence), more(2, kSequence, 3);
  for (auto* net : {&twins.plain, &twins.twin}) {
    const auto y = (input.of(*net->net) * input.weight).sum();
    {
      const c10::NoGradGuard no_grad;
      more.of(*net->net);
    }
    y.backward();
    (more.of(*net->net) * more.weight).sum().backward();
  }
  twins.expect_equal_gradients();
}

TEST(Recorded, RefusesToGoBackAfterAnotherCall) {
  Twins twins(kTransformer);
  const Input input(1, kSequence);
  const auto first = input.of(*twins.twin.net).sum();
  const auto second = input.of(*twins.twin.net).sum();
  second.backward();
  EXPECT_THROW(first.backward(), c10::Error);
}

TEST(Recorded, RefusesWhatCannotBeRecorded) {
  // Activation checkpointing gives parameters their gradients by another way.
  Twins twins([](const Scope& scope) { return small_unet(scope, 0, true); }, make<Again>);
  EXPECT_THROW(Input(1, kImage).of(*twins.twin.net), UsageError);
  for (const auto& p : twins.twin.parameters.tensors()) EXPECT_FALSE(p.grad().defined());
  // Labels in main memory are looked at.
  Twins labelled([](const Scope& scope) { return small_transformer(scope, 0, 4); });
  const Condition cond{.label = at::zeros({2}, at::kLong)};
  EXPECT_THROW(Input(1, kSequence).of(*labelled.twin.net, cond), UsageError);
}

class RecordedOnAGpu : public OnAGpu {
 protected:
  void SetUp() override {
    OnAGpu::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (!BITDIFF_HAS_CUDA_GRAPHS) GTEST_SKIP() << "built with a CUDA toolkit of another version";
    std::string missing;
    graphs_ = cuda::open_graphs(missing);
    ASSERT_TRUE(graphs_) << missing;
  }
  cuda::MakeRecorder graphs_;
};

TEST_F(RecordedOnAGpu, DescribesAsTheNetworkInBfloat16) {
  Twins twins(kDescriber, graphs_, device_);
  for (uint64_t seed = 1; seed < 4; ++seed) {
    twins.change(seed);
    const Input input(seed, kSequence, 2, device_);
    for (auto* net : {&twins.plain, &twins.twin}) {
      const auto y = [&] {
        const Autocast bf16(true, device_.type());
        const auto seen = net->net->look({.label = {}, .context = input.context});
        return input.of(*net->net, seen);
      }();
      {
        const c10::NoGradGuard no_grad;  // Another kind in between.
        input.of(*net->net, {.label = {}, .context = input.context});
      }
      (y * input.weight).sum().backward();
    }
    twins.expect_equal_gradients(1e-2);
  }
}

TEST_F(RecordedOnAGpu, IsEqualToTheNetwork) {
  Twins twins([](const Scope& scope) { return small_unet(scope, 0.5); }, graphs_, device_);
  for (int64_t step = 1; step < 4; ++step) {
    twins.change(step);
    const Input input(step, kImage, 2, device_);
    const Condition cond{.label = {}, .dropout = Streams(1, {2 * step, 2 * step + 1}, device_)};
    Tensor y[2];
    int64_t which = 0;
    for (auto* net : {&twins.plain, &twins.twin}) {
      y[which] = input.of(*net->net, cond);
      (y[which++] * input.weight).sum().backward();
    }
    EXPECT_TRUE(y[1].allclose(y[0], 1e-4, 1e-5)) << step;
    twins.expect_equal_gradients(1e-3);
  }
}

}  // namespace
}  // namespace bitdiff
