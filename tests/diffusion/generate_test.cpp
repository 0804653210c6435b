#include "bitdiff/diffusion/generate.h"

#include <numeric>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/support/ideal_denoiser.h"

namespace bitdiff {
namespace {

std::vector<int64_t> first_rows(int64_t n) {
  std::vector<int64_t> rows(n);
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

/// A distribution over 0 .. K-1, encoded, with the best denoiser there is for it.
struct Known {
  Known(const std::vector<double>& shares, Encoding encoding,
        Prediction prediction = Prediction::kX0)
      : p(at::tensor(shares, at::kDouble)),
        process{.codec = Codec({.encoding = encoding, .categories = {p.numel()}}, 1),
                .prediction = prediction},
        net(codes(), p, prediction) {}

  Tensor codes() const {
    return process.codec.encode(at::arange(p.numel(), at::kLong).reshape({-1, 1, 1}));
  }

  /// [N] samples.
  Tensor sample(int64_t n, const GenerateOptions& options, int64_t seed = 0) const {
    const Streams streams(seed, first_rows(n));
    const auto bits =
        generate(process, net, {n, process.codec.bit_channels(), 1}, {}, options, streams);
    return process.codec.decode(bits).x.flatten().to(at::kLong);
  }

  /// Half the sum of |share - p|.
  double total_variation(const Tensor& x) const {
    const auto share = at::bincount(x, {}, p.numel()).to(at::kDouble) / x.numel();
    return (share - p).abs().sum().item<double>() / 2;
  }

  /// What n exact samples would show: the mean of the total variation plus five deviations.
  double sampling_error(int64_t n) const {
    const auto variance = p * (1 - p) / n;
    const double mean = at::sqrt(variance * 2 / 3.141592653589793).sum().item<double>() / 2;
    return mean + 5 * std::sqrt(variance.sum().item<double>() / 4);
  }

  Tensor p;
  Process process;
  test::IdealDenoiser net;
};

std::vector<double> uneven(int64_t k) {
  std::vector<double> p(k);
  for (int64_t i = 0; i < k; ++i)
    p[i] = 2.0 * static_cast<double>(i + 1) / static_cast<double>(k * (k + 1));
  return p;
}

class Generate : public ::testing::TestWithParam<std::tuple<Solver, Encoding>> {
 protected:
  Solver solver() const { return std::get<0>(GetParam()); }
  Encoding encoding() const { return std::get<1>(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Every, Generate,
                         ::testing::Combine(::testing::Values(Solver::kDdim, Solver::kDdpm,
                                                              Solver::kDdpmSmall),
                                            ::testing::Values(Encoding::kBinary, Encoding::kGray)),
                         [](const auto& p) {
                           const auto solver = std::get<0>(p.param);
                           return std::string(solver == Solver::kDdim   ? "Ddim"
                                              : solver == Solver::kDdpm ? "Ddpm"
                                                                        : "DdpmSmall") +
                                  (std::get<1>(p.param) == Encoding::kGray ? "Gray" : "Binary");
                         });

TEST_P(Generate, GivesTheDataInTheirProportions) {
  const int64_t n = 200000;
  for (const auto& p : {std::vector<double>{0.3, 0.7}, {0.05, 0.4, 0.1, 0.25, 0.2}, uneven(17)}) {
    const Known known(p, encoding());
    const auto x = known.sample(n, {.steps = 100, .solver = solver()});
    EXPECT_LT(known.total_variation(x), known.sampling_error(n)) << "K = " << p.size();
  }
}

TEST_P(Generate, GivesOnlyDataWhateverTheTimeIntervals) {
  // 1, 4 and 6 of seven categories never occur.
  const Known seven({0.2, 0.0, 0.3, 0.1, 0.0, 0.4, 0.0}, encoding());
  const auto allowed = at::tensor({0, 2, 3, 5});
  for (const double td : {0.5, 1.0, 3.0, 7.0}) {
    const auto x = seven.sample(2000, {.steps = 20, .td = td, .solver = solver()});
    EXPECT_TRUE(at::isin(x, allowed).all().item<bool>()) << "td = " << td;
  }
}

TEST_P(Generate, CallsTheNetworkOncePerStep) {
  const Known known({0.5, 0.5}, encoding());
  known.sample(2, {.steps = 7, .solver = solver()});
  EXPECT_EQ(known.net.calls(), 7);
}

TEST_P(Generate, ASampleIsTheSameInAnyCompany) {
  const Known known(uneven(17), encoding());
  const GenerateOptions options{.steps = 10, .solver = solver()};
  const auto bits = [&](std::vector<int64_t> rows) {
    const auto b = static_cast<int64_t>(rows.size());
    return generate(known.process, known.net, {b, 5, 1}, {}, options, Streams(3, std::move(rows)));
  };
  EXPECT_TRUE(bits({0, 1, 2, 3})[2].allclose(bits({9, 2})[1]));
}

/// Always answers 0.5 and remembers what it was asked.
class Constant final : public Denoiser {
 public:
  Tensor forward(const Tensor& x_t, const Tensor&, const Tensor& gamma,
                 const Condition&) const override {
    states.push_back(x_t);
    gammas.push_back(gamma[0].item<double>());
    return at::full_like(x_t, 0.5);
  }
  mutable std::vector<Tensor> states;
  mutable std::vector<double> gammas;
};

// With td the state jumps ahead by 1 + td steps while the network is told the time as without.
TEST(AsymmetricTimeIntervals, MoveTheStateAndNotTheClock) {
  const Process process{.codec = Codec({.categories = {16}}, 1)};
  for (const double td : {0.0, 1.0, 2.5, 7.0}) {
    const Constant net;
    const GenerateOptions options{.steps = 20, .td = td};
    generate(process, net, {2, 4, 3}, {}, options, Streams(0, {0, 1}));
    ASSERT_EQ(net.states.size(), 20u);
    for (int64_t s = 0; s < 20; ++s) {
      const double t = 1 - static_cast<double>(s) / 20;
      EXPECT_NEAR(net.gammas[s], process.gamma(t), 1e-12);
      if (s == 19) break;
      const double t_next = std::max(0.0, 1 - (static_cast<double>(s) + 1 + td) / 20);
      const auto want = ddim_step(net.states[s], at::full({2, 4, 3}, 0.5f), process.gamma(t),
                                  process.gamma(t_next));
      EXPECT_TRUE(net.states[s + 1].allclose(want)) << "td = " << td << ", step " << s;
    }
  }
}

TEST(SelfConditioning, IsFedBackUnlessTurnedOff) {
  const Known with({0.5, 0.5}, Encoding::kBinary);
  with.sample(2, {.steps = 3});
  EXPECT_TRUE(with.net.saw_self_cond());
  const Known without({0.5, 0.5}, Encoding::kBinary);
  without.sample(2, {.steps = 3, .self_cond = false});
  EXPECT_FALSE(without.net.saw_self_cond());
}

TEST(SelfConditioning, TheFirstStepSeesZeros) {
  const Known known({0.5, 0.5}, Encoding::kBinary);
  known.sample(2, {.steps = 1});
  EXPECT_FALSE(known.net.saw_self_cond());
}

/// Answers with the numbers it was given, in turn, and remembers the estimates it was shown.
class Script final : public Denoiser {
 public:
  explicit Script(std::vector<double> answers) : answers_(std::move(answers)) {}
  Tensor forward(const Tensor& x_t, const Tensor& x0_prev, const Tensor&,
                 const Condition&) const override {
    shown.push_back(x0_prev.flatten()[0].item<double>());
    return at::full_like(x_t, answers_.at(shown.size() - 1));
  }
  mutable std::vector<double> shown;

 private:
  std::vector<double> answers_;
};

double last_estimate(const Script& net, const GenerateOptions& options) {
  const Process process{.codec = Codec({.categories = {16}}, 1)};
  return generate(process, net, {1, 4, 3}, {}, options, Streams(0, {0})).mean().item<double>();
}

TEST(SelfConditioning, MomentumAveragesTheEstimates) {
  const Script net({0.8, -0.4, 0.6, 0.1});
  EXPECT_NEAR(last_estimate(net, {.steps = 4, .momentum = 0.25}), 0.1, 1e-6);
  const double first = 0.75 * 0.8, second = 0.25 * first - 0.75 * 0.4;
  const std::vector<double> want = {0, first, second, 0.25 * second + 0.75 * 0.6};
  ASSERT_EQ(net.shown.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(net.shown[i], want[i], 1e-6) << i;
}

TEST(SelfConditioning, SelfGuidanceGoesBeyondTheEstimateWithIt) {
  const Script net({0.9, 0.9, 0.2, 0.3});
  EXPECT_NEAR(last_estimate(net, {.steps = 2, .self_guidance = 3}), 3 * 0.3 - 2 * 0.2, 1e-6);
  const std::vector<double> want = {0, 0.9, 0, 0.2};
  ASSERT_EQ(net.shown.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(net.shown[i], want[i], 1e-6) << i;
  // Clipped like every estimate.
  EXPECT_EQ(last_estimate(Script({-0.9, 0.9}), {.steps = 1, .self_guidance = 3}), 1);
}

TEST(Predictions, AllSampleTheSameDistribution) {
  for (const auto prediction : {Prediction::kEps, Prediction::kV}) {
    const Known known({0.05, 0.4, 0.1, 0.25, 0.2}, Encoding::kBinary, prediction);
    const int64_t n = 20000;
    EXPECT_LT(known.total_variation(known.sample(n, {.steps = 100})), known.sampling_error(n));
  }
}

}  // namespace
}  // namespace bitdiff
