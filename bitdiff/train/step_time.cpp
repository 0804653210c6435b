#include "bitdiff/train/step_time.h"

#include <algorithm>
#include <cmath>

namespace bitdiff {
namespace {

constexpr double kFlopsOfMac = 2;
constexpr double kFloatBytes = 4;
/// Times that a number of each parameter is read or written: the norm reads the gradient, Adam
/// reads it, the weight and two moments and writes three of them, the average reads two and writes
/// one.
constexpr double kPasses = 11;
/// The loss and whether to stop, which the processors add up after the gradients.
constexpr double kLossBytes = 16;

}  // namespace

double all_reduce_time(const Cluster& cluster, double bytes) {
  if (cluster.processors == 1) return 0;
  const auto n = static_cast<double>(cluster.processors);
  const double ring = 2 * (n - 1) * (cluster.latency + bytes / n / cluster.bandwidth);
  const double tree = 2 * std::log2(n) * cluster.latency + 2 * bytes / cluster.bandwidth;
  return std::min(ring, tree);
}

StepTime step_time(const Cluster& cluster, const Load& load) {
  const double rate = cluster.flops * cluster.utilization;
  const double examples = static_cast<double>(load.batch) / static_cast<double>(cluster.processors);
  const double bytes = static_cast<double>(load.cost.parameters) * kFloatBytes;

  StepTime time;
  time.forward = examples * kFlopsOfMac * load.cost.forward_macs(load.self_cond_rate) / rate;
  time.backward = examples * kFlopsOfMac * load.cost.backward_macs() / rate;
  time.optimizer = kPasses * bytes / cluster.memory_bandwidth;

  const double buckets = std::ceil(bytes / cluster.bucket);
  const double one = all_reduce_time(cluster, bytes / buckets);
  const double loss = all_reduce_time(cluster, kLossBytes);
  time.all_reduce = buckets * one + loss;
  const double hiding = time.backward / static_cast<double>(load.accumulate);
  time.exposed = one + std::max((buckets - 1) * one - hiding, 0.0) + loss;
  return time;
}

double efficiency(const Cluster& cluster, const Load& load) {
  auto alone = cluster;
  alone.processors = 1;
  return step_time(alone, load).overlapped() /
         (static_cast<double>(cluster.processors) * step_time(cluster, load).overlapped());
}

StateBytes state_bytes(const Cluster& cluster, const Load& load) {
  const double one = static_cast<double>(load.cost.parameters) * kFloatBytes;
  // What is sent is freed where it was; only accumulated gradients stay beside their copies.
  const double copies = cluster.processors == 1 ? 1 : load.accumulate == 1 ? 2 : 3;
  return {.weights = one, .gradients = copies * one, .optimizer = 2 * one, .average = one};
}

}  // namespace bitdiff
