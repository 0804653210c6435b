#pragma once

#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

#include "bitdiff/data/dataset.h"

namespace bitdiff {

/// How a training run goes through its examples.
struct PassOptions {
  bool flip = false;   ///< Mirror half of them, or of the images they describe.
  int64_t window = 0;  ///< Shuffle so many at a time (nearly_in_order); 0: all.
};

struct LoaderOptions {
  int64_t batch = 64;  ///< Examples a step, over all pieces.
  int64_t seed = 0;
  bool flip = false;     ///< Mirror half of the examples, or of the images (pixels) they describe,
                         ///< along their last axis.
  int64_t window = 0;    ///< See PassOptions.
  bool prefetch = true;  ///< Read the same piece of the next step on another thread meanwhile.
};

/// A permutation of 0 .. n-1, a function of (seed, epoch) alone, that reads them nearly in order,
/// as a shuffle buffer of `window` does: runs of `window` numbers come in random order, and then
/// each number at most `window` places before or behind its own.
std::vector<int64_t> nearly_in_order(int64_t seed, int64_t epoch, int64_t n, int64_t window);

/// The batches of a training run. What step s sees is a function of (seed, s) alone: row r of the
/// batch is number p = s * batch + r of an endless row of examples, in which every N make a
/// shuffled whole of the N there are.
///
/// Workers, and the pieces of an accumulated gradient, share a batch: piece k of n has the rows k,
/// k + n, k + 2n, ... One loader is for one thread.
class Loader {
 public:
  Loader(std::shared_ptr<const Dataset> dataset, const LoaderOptions& options);

  const Dataset& dataset() const { return *dataset_; }

  /// The numbers p of the rows of a piece: what the noise of these rows is to be drawn for.
  std::vector<int64_t> rows(int64_t step, int64_t piece = 0, int64_t pieces = 1) const;

  /// The examples of these rows. Throws what reading them threw.
  Batch get(int64_t step, int64_t piece = 0, int64_t pieces = 1);

 private:
  using Piece = std::tuple<int64_t, int64_t, int64_t>;  // Step, piece, pieces.
  using Order = std::shared_ptr<const std::vector<int64_t>>;

  Batch read(const Piece& piece);
  Order order_of(int64_t epoch);

  std::shared_ptr<const Dataset> dataset_;
  LoaderOptions options_;
  std::mutex mutex_;                           // Of orders_.
  std::map<int64_t, Order> orders_;            // By epoch.
  std::map<Piece, std::future<Batch>> ahead_;  // Last: its threads use all of the above.
};

}  // namespace bitdiff
