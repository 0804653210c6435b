#include "bitdiff/diffusion/schedule.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

using Kind = ScheduleKind;

TEST(Schedule, CosineHasThePublishedEnds) {
  const Schedule gamma;
  EXPECT_NEAR(1 - gamma(0), 9.9e-8, 1e-9);
  EXPECT_NEAR(gamma(0.5), 0.49988, 5e-6);
  EXPECT_NEAR(gamma(1), 6.17e-9, 1e-11);
  EXPECT_NEAR(log_snr(gamma(0)), 16.1, 0.05);
  EXPECT_NEAR(log_snr(gamma(1)), -18.9, 0.05);
  EXPECT_NEAR(gamma(0.6), 0.345416828, 1e-9);
  EXPECT_NEAR(gamma(0.4), 0.654359135, 1e-9);
}

TEST(Schedule, KindsHaveTheirClosedForms) {
  EXPECT_EQ(Schedule({.kind = Kind::kLinear})(0.25), 0.75);
  // cosine-tau on the whole curve: cos(t pi / 2)^(2 tau).
  EXPECT_NEAR(Schedule({.kind = Kind::kCosineTau, .tau = 2})(0.5), 0.25, 1e-12);
  // sigmoid on [-3, 3] is symmetric about one half.
  const Schedule sigmoid({.kind = Kind::kSigmoid, .start = -3, .end = 3, .tau = 0.9});
  EXPECT_NEAR(sigmoid(0.5), 0.5, 1e-12);
  const auto s = [](double u) { return 1 / (1 + std::exp(-u / 0.9)); };
  EXPECT_NEAR(sigmoid(0.25), (s(3) - s(-1.5)) / (s(3) - s(-3)), 1e-12);
  // log from 1 to 16: 4 is half way.
  const Schedule log({.kind = Kind::kLog, .start = 1, .end = 16});
  EXPECT_NEAR(log(0.2), 0.5, 1e-12);
  const Schedule reversed({.kind = Kind::kLog, .start = 1, .end = 16, .reverse = true});
  EXPECT_NEAR(reversed(0.8), 0.5, 1e-12);
}

TEST(Schedule, EveryKindFallsFromDataToNoiseInsideItsBounds) {
  for (const auto& options :
       {ScheduleOptions{}, ScheduleOptions{.kind = Kind::kCosineTau, .tau = 3},
        ScheduleOptions{.kind = Kind::kCosineTau, .start = 0.2, .end = 1},
        ScheduleOptions{.kind = Kind::kSigmoid, .start = -3, .end = 3},
        ScheduleOptions{.kind = Kind::kLinear},
        ScheduleOptions{.kind = Kind::kLog, .start = 0.01, .end = 1}}) {
    const Schedule gamma(options);
    EXPECT_GT(gamma(1), 0);
    EXPECT_LE(gamma(0), 1);
    EXPECT_GT(gamma(0), 0.999);
    for (int i = 0; i < 100; ++i) {
      EXPECT_GT(gamma(i / 100.0), gamma((i + 1) / 100.0) - 1e-15);
    }
  }
}

TEST(Schedule, GivesTensorsTheNumbersOfTheScalarForm) {
  const Schedule gamma;
  const auto t = at::rand({50}, at::kFloat);
  const auto values = gamma(t);
  EXPECT_EQ(values.scalar_type(), at::kDouble);
  for (int64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(values[i].item<double>(), gamma(static_cast<double>(t[i].item<float>())));
  }
}

TEST(Schedule, RefusesAPieceThatIsNone) {
  EXPECT_THROW(Schedule({.kind = Kind::kSigmoid, .start = 1, .end = 1}), UsageError);
  EXPECT_THROW(Schedule({.kind = Kind::kLog, .start = 0, .end = 1}), UsageError);
  EXPECT_THROW(Schedule({.kind = Kind::kCosineTau, .start = 0, .end = 2}), UsageError);
}

}  // namespace
}  // namespace bitdiff
