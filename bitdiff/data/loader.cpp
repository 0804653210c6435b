#include "bitdiff/data/loader.h"

#include <algorithm>
#include <utility>

#include "bitdiff/base/error.h"
#include "bitdiff/base/random.h"

namespace bitdiff {
namespace {

// Mirrors the examples whose coin is below a half along their last axis, in place.
template <class T>
void mirror(const Tensor& x, const Tensor& coins) {
  const int64_t length = x.numel() / x.size(0), width = x.size(-1);
  const auto* coin = coins.const_data_ptr<float>();
  auto* row = x.mutable_data_ptr<T>();
  for (int64_t i = 0; i < x.size(0); ++i) {
    auto* const end = row + length;
    if (coin[i] >= 0.5F) row = end;
    for (; row != end; row += width) std::reverse(row, row + width);
  }
}

void mirror_some(const Tensor& x, const Tensor& coins) {
  switch (x.scalar_type()) {
    case at::kByte:
      return mirror<uint8_t>(x, coins);
    case at::kInt:
      return mirror<int32_t>(x, coins);
    case at::kLong:
      return mirror<int64_t>(x, coins);
    default:
      TORCH_CHECK(false, "expected categories or pixels to mirror, got ", x.scalar_type());
  }
}

}  // namespace

std::vector<int64_t> nearly_in_order(int64_t seed, int64_t epoch, int64_t n, int64_t window) {
  TORCH_CHECK(window > 0, "expected a window of 1 or more, got ", window);
  std::vector<int64_t> in_runs;
  for (const int64_t run : permutation(seed, Purpose::kOrder, epoch, (n + window - 1) / window))
    for (int64_t i = run * window; i < std::min((run + 1) * window, n); ++i) in_runs.push_back(i);
  // Places move by a random part of the window; no two that lie farther apart change their order.
  const auto moved = Streams(seed, {epoch}).fork(Purpose::kOrder, 1).uniform({1, n});
  std::vector<std::pair<double, int64_t>> places;
  for (int64_t i = 0; i < n; ++i) {
    const auto part = static_cast<double>(moved.const_data_ptr<float>()[i]);
    places.emplace_back(static_cast<double>(i) + part * static_cast<double>(window), in_runs[i]);
  }
  std::sort(places.begin(), places.end());
  std::vector<int64_t> order;
  for (const auto& [place, number] : places) order.push_back(number);
  return order;
}

Loader::Loader(std::shared_ptr<const Dataset> dataset, const LoaderOptions& options)
    : dataset_(std::move(dataset)), options_(options) {
  if (dataset_->size() == 0) throw InputError("the data set is empty; expected examples");
  TORCH_CHECK(options_.batch > 0, "expected a batch of 1 or more, got ", options_.batch);
}

std::vector<int64_t> Loader::rows(int64_t step, int64_t piece, int64_t pieces) const {
  TORCH_CHECK(step >= 0 && piece >= 0 && piece < pieces, "expected a piece in [0, ", pieces,
              ") of a step >= 0, got ", piece, " of ", step);
  std::vector<int64_t> rows;
  for (int64_t r = piece; r < options_.batch; r += pieces) {
    rows.push_back(step * options_.batch + r);
  }
  return rows;
}

Batch Loader::get(int64_t step, int64_t piece, int64_t pieces) {
  const Piece wanted{step, piece, pieces};
  auto found = ahead_.extract(wanted);
  // Taken ahead, unless the caller jumped here; what it jumped over is not wanted any more.
  std::erase_if(ahead_, [&](const auto& entry) {
    const auto at = std::get<0>(entry.first);
    return at < step || at > step + 1;
  });
  auto batch = found ? found.mapped().get() : read(wanted);
  if (options_.prefetch) {
    const Piece next{step + 1, piece, pieces};
    if (!ahead_.contains(next)) {
      ahead_[next] = std::async(std::launch::async, [this, next] { return read(next); });
    }
  }
  return batch;
}

Batch Loader::read(const Piece& piece) {
  const auto numbers = std::apply([&](auto... of) { return rows(of...); }, piece);
  const int64_t size = dataset_->size();
  std::vector<int64_t> indices;
  Order order;
  int64_t epoch = -1;
  for (const int64_t p : numbers) {
    if (p / size != epoch) {
      epoch = p / size;
      order = order_of(epoch);
    }
    indices.push_back((*order)[p % size]);
  }
  auto batch = dataset_->get(indices);
  if (!options_.flip || numbers.empty()) return batch;

  const auto count = static_cast<int64_t>(numbers.size());
  auto& mirrored = batch.image.defined() ? batch.image : batch.x;
  mirrored = mirrored.contiguous();
  mirror_some(mirrored, Streams(options_.seed, numbers).fork(Purpose::kFlip).uniform({count}));
  return batch;
}

Loader::Order Loader::order_of(int64_t epoch) {
  const std::lock_guard lock(mutex_);
  auto& order = orders_[epoch];
  if (!order) {
    const int64_t seed = options_.seed, window = options_.window;
    const int64_t size = dataset_->size();
    order = std::make_shared<const std::vector<int64_t>>(
        window > 0 && window < size ? nearly_in_order(seed, epoch, size, window)
                                    : permutation(seed, Purpose::kOrder, epoch, size));
  }
  auto result = order;
  constexpr size_t kMostKept = 4;
  while (orders_.size() > kMostKept) {
    // The epoch farthest from this one goes.
    const auto first = orders_.begin(), last = std::prev(orders_.end());
    orders_.erase(epoch - first->first > last->first - epoch ? first : last);
  }
  return result;
}

}  // namespace bitdiff
