#include "bitdiff/nn/transformer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/error.h"
#include "tests/nn/net_case.h"

namespace bitdiff {
namespace {

NetCase tiny() {
  const TransformerOptions options{.layers = 2, .width = 16, .heads = 2, .mlp = 2};
  return {[&](const Scope& scope) {
            return make_transformer(options, {3, 3, 12}, scope);
          },
          {3, 12}};
}

TEST(Transformer, MovesWithItsPositions) {
  auto c = tiny();
  c.wake();
  const auto order = at::tensor({3, 0, 11, 5, 1, 2, 4, 10, 9, 8, 7, 6});
  const auto y = c.forward();
  c.x_t = c.x_t.index_select(2, order);
  c.x0_prev = c.x0_prev.index_select(2, order);
  EXPECT_FALSE(c.forward().allclose(y.index_select(2, order), 1e-4, 1e-5));
  for (auto& [name, tensor] : c.parameters.named()) {
    const c10::NoGradGuard no_grad;
    auto positions = tensor;
    if (name == "positions") positions.copy_(tensor.index_select(0, order));
  }
  EXPECT_TRUE(c.forward().allclose(y.index_select(2, order), 1e-4, 1e-5));
}

TEST(Transformer, LooksInBothDirections) {
  auto c = tiny();
  c.wake();
  const auto y = c.forward();
  c.x_t.select(2, 5).fill_(3);
  const auto changed = (c.forward() - y).abs().amax({0, 1});
  EXPECT_GT(changed.min().item<double>(), 1e-6);
}

TEST(Transformer, TakesShorterSequences) {
  const auto c = tiny();
  const auto x = at::ones({2, 3, 7});
  const auto gamma = at::ones({2}, at::kDouble);
  EXPECT_EQ(c.net->forward(x, x, gamma, {}).sizes(), x.sizes());
  const auto longer = at::ones({2, 3, 13});
  EXPECT_THROW(c.net->forward(longer, longer, gamma, {}), c10::Error);
}

TEST(Transformer, SaysWhatIsWrongWithItsOptions) {
  Parameters parameters(0, at::kMeta);
  const Scope scope(parameters);
  EXPECT_THROW(make_transformer({.width = 63, .heads = 7}, {3, 3, 8}, scope), UsageError);
  EXPECT_THROW(make_transformer({.width = 64, .heads = 7}, {3, 3, 8}, scope), UsageError);
  EXPECT_THROW(make_transformer({.width = 64, .heads = 8}, {3, 3, 8}, scope)->quantize(),
               UsageError);
}

TEST(Transformer, LookingOnceIsLookingAtEachCall) {
  Parameters parameters(0);
  const auto net = make_transformer({.layers = 2, .width = 32, .heads = 2, .mlp = 2},
                                    {3, 3, 12, 0, 32}, Scope(parameters));
  const Streams streams(0, {0, 1});
  const Condition cond{.label = {}, .context = streams.normal({2, 5, 32})};
  const auto x_t = streams.fork(Purpose::kNoise).normal({2, 3, 12});
  const auto gamma = at::tensor({0.5, 0.9}, at::kDouble);
  const auto anew = net->forward(x_t, at::zeros_like(x_t), gamma, cond);
  EXPECT_TRUE(net->forward(x_t, at::zeros_like(x_t), gamma, net->look(cond)).equal(anew));
  const Condition other{.label = {}, .context = cond.context + 1};
  EXPECT_FALSE(net->forward(x_t, at::zeros_like(x_t), gamma, net->look(other)).equal(anew));
  EXPECT_THROW(net->forward(x_t, at::zeros_like(x_t), gamma, {}), c10::Error);
}

}  // namespace
}  // namespace bitdiff
