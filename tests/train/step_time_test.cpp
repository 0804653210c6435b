#include "bitdiff/train/step_time.h"

#include <gtest/gtest.h>

namespace bitdiff {
namespace {

/// 10 MB of gradients; a pass over an example takes 1 ms on a processor.
const Load kLoad{.cost = {.parameters = 2'500'000, .net_macs = 5e8}, .batch = 64};
const Cluster kCluster{.flops = 2e12,
                       .utilization = 0.5,
                       .memory_bandwidth = 1e11,
                       .bandwidth = 1e9,
                       .latency = 1e-5,
                       .bucket = 1e6};

Cluster of(int64_t processors) {
  auto cluster = kCluster;
  cluster.processors = processors;
  return cluster;
}

TEST(AllReduceTime, IsThatOfARingOrATree) {
  EXPECT_EQ(all_reduce_time(of(1), 1e6), 0);
  // Two: each sends all it has in two halves.
  EXPECT_NEAR(all_reduce_time(of(2), 1e6), 2 * (1e-5 + 0.5e-3), 1e-12);
  EXPECT_NEAR(all_reduce_time(of(4), 1e6), 6 * (1e-5 + 0.25e-3), 1e-12);
  // Many: a ring of 1024 would take 2046 messages, a tree takes 20.
  EXPECT_NEAR(all_reduce_time(of(1024), 1e6), 20 * 1e-5 + 2e-3, 1e-12);
}

TEST(StepTime, OfOneProcessorIsWorkAndUpdate) {
  const auto time = step_time(of(1), kLoad);
  EXPECT_NEAR(time.forward, 64 * 1.5e-3, 1e-9);
  EXPECT_NEAR(time.backward, 64 * 2e-3, 1e-9);
  EXPECT_NEAR(time.optimizer, 11 * 1e7 / 1e11, 1e-12);
  EXPECT_EQ(time.exposed, 0);
  EXPECT_EQ(time.overlapped(), time.one_after_other());
  EXPECT_EQ(efficiency(of(1), kLoad), 1);
}

TEST(StepTime, HidesAllBucketsButTheLastBehindALongBackward) {
  const auto time = step_time(of(4), kLoad);
  EXPECT_NEAR(time.backward, 32e-3, 1e-9);
  const double loss = 4 * 1e-5 + 2 * 16e-9;
  EXPECT_NEAR(time.all_reduce, 10 * 1.56e-3 + loss, 1e-9);
  EXPECT_NEAR(time.exposed, 1.56e-3 + loss, 1e-9);
}

TEST(StepTime, ShowsWhatAShortBackwardCannotHide) {
  const auto time = step_time(of(32), kLoad);
  const double one = 2 * 5 * 1e-5 + 2e-3;
  const double loss = 2 * 5 * 1e-5 + 2 * 16e-9;
  EXPECT_NEAR(time.all_reduce, 10 * one + loss, 1e-9);
  EXPECT_NEAR(time.exposed, 10 * one + loss - 2 * 2e-3, 1e-9);
  auto pieces = kLoad;
  pieces.accumulate = 2;
  EXPECT_NEAR(step_time(of(32), pieces).exposed, 10 * one + loss - 2e-3, 1e-9);
}

TEST(StepTime, EfficiencyFallsWithMoreProcessorsForTheSameBatch) {
  double before = 1;
  for (const int64_t n : {2, 4, 8, 16, 32, 64}) {
    const double now = efficiency(of(n), kLoad);
    EXPECT_LT(now, before) << n;
    EXPECT_GT(now, 0) << n;
    before = now;
  }
}

TEST(StateBytes, AreWeightGradientTwoMomentsAndAverage) {
  EXPECT_EQ(state_bytes(of(1), kLoad).all(), 5 * 1e7);
  EXPECT_EQ(state_bytes(of(2), kLoad).gradients, 2 * 1e7);
}

}  // namespace
}  // namespace bitdiff
