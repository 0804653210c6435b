#include "bitdiff/diffusion/generate.h"

#include <numeric>

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include "tests/support/ideal_denoiser.h"
#include "tests/support/normal_denoiser.h"

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
                                                              Solver::kDdpmSmall, Solver::kDpm2m,
                                                              Solver::kHeun),
                                            ::testing::Values(Encoding::kBinary, Encoding::kGray)),
                         [](const auto& p) {
                           std::string name;
                           for (const auto& [word, solver] : solver_words()) {
                             if (solver == std::get<0>(p.param)) name = word;
                           }
                           std::erase_if(name, [](char c) { return !std::isalnum(c); });
                           return name + "_" +
                                  (std::get<1>(p.param) == Encoding::kGray ? "gray" : "binary");
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

TEST_P(Generate, GivesOnlyDataWhateverTheSchedule) {
  // Here the first levels of noise are one, 1e-9, and the last is none at all.
  const auto allowed = at::tensor({0, 2, 3});
  for (const auto& options : {ScheduleOptions{.kind = ScheduleKind::kCosineTau, .tau = 3},
                              ScheduleOptions{.kind = ScheduleKind::kSigmoid},
                              ScheduleOptions{.kind = ScheduleKind::kLinear}}) {
    Known four({0.5, 0.0, 0.25, 0.25}, encoding());
    four.process.gamma = Schedule(options);
    for (const double td : {0.0, 1.0}) {
      const auto x = four.sample(500, {.steps = 100, .td = td, .solver = solver()});
      EXPECT_TRUE(at::isin(x, allowed).all().item<bool>()) << "td = " << td;
    }
  }
}

TEST(HeunX0, IsThePlainMeanOfAShortStep) {
  const auto now = at::zeros(1, at::kDouble), next = at::ones(1, at::kDouble);
  const auto weight = [&](double gamma_next) {
    return heun_x0(now, next, 0.5, gamma_next).item<double>();
  };
  EXPECT_EQ(weight(0.5), 0.5);
  // On both sides of where the series takes over: a step of h in lambda is 2 h in log-SNR.
  for (const double h : {0.9e-5, 1.1e-5}) {
    EXPECT_NEAR(weight(1 / (1 + std::exp(-2 * h))), 0.5 + h / 12, 1e-9) << h;
  }
}

TEST_P(Generate, CallsTheNetworkOncePerStepAndHeunTwice) {
  const Known known({0.5, 0.5}, encoding());
  known.sample(2, {.steps = 7, .solver = solver()});
  EXPECT_EQ(known.net.calls(), solver() == Solver::kHeun ? 13 : 7);
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

TEST(AsymmetricTimeIntervals, CanBeGivenAsTime) {
  const Known known({0.05, 0.4, 0.1, 0.25, 0.2}, Encoding::kBinary);
  const auto as_time = known.sample(50, {.steps = 20, .td = 0.1, .td_unit = TdUnit::kTime});
  EXPECT_TRUE(as_time.equal(known.sample(50, {.steps = 20, .td = 2})));
}

TEST(SelfConditioning, IsFedBackUnlessTurnedOff) {
  const Known with({0.5, 0.5}, Encoding::kBinary);
  with.sample(2, {.steps = 3});
  EXPECT_TRUE(with.net.saw_self_cond());
  const Known without({0.5, 0.5}, Encoding::kBinary);
  without.sample(2, {.steps = 3, .estimate = {.self_cond = false}});
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
  EXPECT_NEAR(last_estimate(net, {.steps = 4, .estimate = {.momentum = 0.25}}), 0.1, 1e-6);
  const double first = 0.75 * 0.8, second = 0.25 * first - 0.75 * 0.4;
  const std::vector<double> want = {0, first, second, 0.25 * second + 0.75 * 0.6};
  ASSERT_EQ(net.shown.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(net.shown[i], want[i], 1e-6) << i;
}

TEST(SelfConditioning, SelfGuidanceGoesBeyondTheEstimateWithIt) {
  const Script net({0.9, 0.9, 0.2, 0.3});
  EXPECT_NEAR(last_estimate(net, {.steps = 2, .estimate = {.self_guidance = 3}}), 3 * 0.3 - 2 * 0.2,
              1e-6);
  const std::vector<double> want = {0, 0.9, 0, 0.2};
  ASSERT_EQ(net.shown.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(net.shown[i], want[i], 1e-6) << i;
  // Clipped like every estimate.
  EXPECT_EQ(last_estimate(Script({-0.9, 0.9}), {.steps = 1, .estimate = {.self_guidance = 3}}), 1);
}

/// Answers with 0.2 where there is a label and -0.1 where there is none.
class Labelled final : public Denoiser {
 public:
  Tensor forward(const Tensor& x_t, const Tensor&, const Tensor&,
                 const Condition& cond) const override {
    const auto row = at::where(cond.label >= 0, at::full({}, 0.2f), at::full({}, -0.1f));
    return row.reshape({-1, 1, 1}).expand(x_t.sizes()).clone();
  }
};

TEST(ClassifierFreeGuidance, GoesBeyondTheAnswerWithTheLabel) {
  const Process process{.codec = Codec({.categories = {16}}, 1)};
  const Condition cond{.label = at::tensor({3, 5}), .dropout = {}};
  for (const auto& [w, want] : {std::pair{0.0, 0.2}, {1.0, 0.5}, {10.0, 1.0}}) {
    const auto bits = generate(process, Labelled(), {2, 4, 3}, cond,
                               {.steps = 3, .estimate = {.guidance = w}}, Streams(0, {0, 1}));
    EXPECT_TRUE(bits.allclose(at::full_like(bits, want))) << "w = " << w;
  }
}

/// Answers with the mean of what it sees.
class Looking final : public Denoiser {
 public:
  Tensor forward(const Tensor& x_t, const Tensor&, const Tensor&,
                 const Condition& cond) const override {
    return cond.seen.at(0).mean({1, 2}, true).expand(x_t.sizes()).clone();
  }
  Condition look(const Condition& cond) const override {
    auto looked = cond;
    looked.seen = {cond.context + 0.1};
    return looked;
  }
};

TEST(ClassifierFreeGuidance, GoesBeyondTheAnswerWithTheImage) {
  const Process process{.codec = Codec({.categories = {16}}, 1)};
  const Condition cond{.label = {}, .context = at::full({2, 3, 5}, 0.1), .dropout = {}};
  const auto bits = generate(process, Looking(), {2, 4, 3}, cond,
                             {.steps = 2, .estimate = {.guidance = 1.5}}, Streams(0, {0, 1}));
  EXPECT_TRUE(bits.allclose(at::full_like(bits, 2.5 * 0.2)));
}

/// Answers in bfloat16 where autocast asks for it, as LibTorch's layers do.
class Halved final : public Denoiser {
 public:
  Tensor forward(const Tensor& x_t, const Tensor& x0_prev, const Tensor&,
                 const Condition&) const override {
    const bool asked = at::autocast::is_autocast_enabled(at::kCPU);
    calls.push_back({asked, x0_prev.scalar_type()});
    return (x_t * 0.3).to(asked ? at::kBFloat16 : at::kFloat);
  }
  mutable std::vector<std::pair<bool, at::ScalarType>> calls;
};

TEST(Bf16, IsForTheNetworkAlone) {
  const Process process{.codec = Codec({.categories = {16}}, 1)};
  const auto draw = [&](bool bf16) {
    const Halved net;
    auto bits = generate(process, net, {2, 4, 3}, {}, {.steps = 3, .estimate = {.bf16 = bf16}},
                         Streams(0, {0, 1}));
    EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
    EXPECT_EQ(bits.scalar_type(), at::kFloat);
    EXPECT_EQ(net.calls.size(), 3U);
    for (const auto& call : net.calls) EXPECT_EQ(call, std::pair(bf16, at::kFloat));
    return bits;
  };
  const auto rounded = draw(true), exact = draw(false);
  EXPECT_FALSE(rounded.equal(exact));
  EXPECT_TRUE(rounded.allclose(exact, 0.02));
}

/// How far from the exact flow a solver is on its way, at t = 1/4.
double error_of(Solver solver, int64_t steps) {
  const Process process{.codec = Codec({.categories = {16}}, 1)};
  const test::NormalDenoiser net(0.1);
  const Streams streams(0, first_rows(64));
  generate(process, net, {64, 4, 4}, {}, {.steps = steps, .solver = solver}, streams);
  const double start = process.gamma(1.0), there = process.gamma(0.25);
  const auto exact = net.flow(streams.fork(Purpose::kNoise).normal({64, 4, 4}), start, there);
  return (net.last_state(there) - exact).square().mean().sqrt().item<double>();
}

TEST(Order, IsOneForDdimAndTwoForMultistepAndHeun) {
  for (const auto& [solver, order] :
       {std::pair{Solver::kDdim, 1.0}, {Solver::kDpm2m, 2.0}, {Solver::kHeun, 2.0}}) {
    const double coarse = error_of(solver, 16), fine = error_of(solver, 64);
    EXPECT_NEAR(std::log(coarse / fine) / std::log(4), order, 0.15) << coarse << " " << fine;
  }
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
