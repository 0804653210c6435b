#pragma once

#include <cstdint>

#include "bitdiff/model/cost.h"

namespace bitdiff {

/// Processors that share a batch, and the network between them.
struct Cluster {
  int64_t processors = 1;
  double flops = 312e12;             ///< Of one, a second, as its maker counts them.
  double utilization = 0.4;          ///< Share of them that the network's layers reach.
  double memory_bandwidth = 1.5e12;  ///< Bytes a second, of one.
  double bandwidth = 25e9;           ///< Bytes a second that one sends while it receives as many.
  double latency = 5e-6;             ///< Seconds of the smallest message.
  double bucket = 4 << 20;           ///< Bytes of gradients that are summed at once.
};

/// What is trained.
struct Load {
  ModelCost cost;
  int64_t batch = 1;  ///< Over all processors.
  int64_t accumulate = 1;
  double self_cond_rate = 0.5;
};

/// Where the time of one update goes, in seconds.
struct StepTime {
  double forward = 0;
  double backward = 0;
  double all_reduce = 0;  ///< All buckets one after the other, and the loss.
  double optimizer = 0;   ///< Adam and the average: memory read and written once.
  double exposed = 0;     ///< What of all_reduce backward does not hide.

  double overlapped() const { return forward + backward + exposed + optimizer; }
  double one_after_other() const { return forward + backward + all_reduce + optimizer; }
};

/// Seconds to sum `bytes` over all processors: by the better of a ring, 2 (N - 1) messages of
/// bytes / N each way (Patarasuk & Yuan, 2009), and a double tree, 2 log2 N messages in whose
/// course all bytes pass twice (Sanders et al., 2009), as NCCL chooses between them.
double all_reduce_time(const Cluster& cluster, double bytes);

/// Backward hides all buckets but the last, which is full only when it is over; of an accumulated
/// gradient only the last piece's backward does. Nothing hides the sum of the loss.
StepTime step_time(const Cluster& cluster, const Load& load);

/// Examples a second of all processors, as a share of N times those of one.
double efficiency(const Cluster& cluster, const Load& load);

/// Bytes that one processor holds whatever the batch.
struct StateBytes {
  double weights = 0;
  double gradients = 0;  ///< With the copies that are sent and received (GradientSum).
  double optimizer = 0;  ///< Two moments.
  double average = 0;
  double all() const { return weights + gradients + optimizer + average; }
};
StateBytes state_bytes(const Cluster& cluster, const Load& load);

}  // namespace bitdiff
