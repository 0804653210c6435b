#include "bitdiff/data/loader.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/flip.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "bitdiff/data/memory_dataset.h"
#include "bitdiff/data/split.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

// Example i is the row i * 4, i * 4 + 1, ..., and has the label i.
std::shared_ptr<const Dataset> counted(int64_t count) {
  return std::make_shared<MemoryDataset>(
      DataInfo{.shape = {1, 4}, .categories = {4 * count}, .classes = count},
      at::arange(4 * count).to(at::kInt).reshape({count, 1, 4}), at::arange(count));
}

std::vector<int64_t> labels_of(const Batch& batch) {
  const auto label = batch.label.contiguous();
  const auto* first = label.const_data_ptr<int64_t>();
  return {first, first + label.numel()};
}

// One whose examples from `bad` on cannot be read.
class Broken final : public Dataset {
 public:
  const DataInfo& info() const override { return info_; }
  int64_t size() const override { return 6; }
  Batch get(std::span<const int64_t>) const override {
    throw InputError("image.png: not a whole PNG");
  }

 private:
  DataInfo info_;
};

TEST(Loader, GivesABatchThatDependsOnSeedAndStepAlone) {
  Loader one(counted(10), {.batch = 4, .seed = 3, .flip = true});
  Loader other(counted(10), {.batch = 4, .seed = 3, .flip = true, .prefetch = false});
  std::vector<Tensor> seen;
  for (int64_t step = 0; step < 12; ++step) seen.push_back(one.get(step).x);
  for (const int64_t step : {11, 2, 2, 7, 0, 100, 5}) {
    const auto x = other.get(step).x;
    if (step < 12) {
      EXPECT_TRUE(x.equal(seen[step])) << step;
    }
    EXPECT_TRUE(x.equal(one.get(step).x)) << step;
  }
}

TEST(Loader, ShowsEveryExampleOnceAnEpochInAnOrderOfItsOwn) {
  Loader loader(counted(10), {.batch = 4, .seed = 1});
  std::vector<int64_t> all;
  for (int64_t step = 0; step < 5; ++step) {
    for (const auto label : labels_of(loader.get(step))) all.push_back(label);
  }
  const std::vector<int64_t> first(all.begin(), all.begin() + 10),
      second(all.begin() + 10, all.end());
  EXPECT_EQ(std::set<int64_t>(first.begin(), first.end()).size(), 10U);
  EXPECT_EQ(std::set<int64_t>(second.begin(), second.end()).size(), 10U);
  EXPECT_NE(first, second);
  EXPECT_NE(labels_of(Loader(counted(10), {.batch = 10, .seed = 2}).get(0)), first);
}

TEST(NearlyInOrder, IsAShuffledWholeOfRunsThatMixWithTheirNeighboursAlone) {
  constexpr int64_t kSize = 1003, kWindow = 50;
  const auto order = nearly_in_order(3, 7, kSize, kWindow);
  EXPECT_EQ(order, nearly_in_order(3, 7, kSize, kWindow));
  EXPECT_NE(order, nearly_in_order(3, 8, kSize, kWindow));
  EXPECT_NE(order, nearly_in_order(4, 7, kSize, kWindow));
  EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), static_cast<size_t>(kSize));
  EXPECT_EQ(*std::max_element(order.begin(), order.end()), kSize - 1);
  // At any time three runs are being read at most, and each of them is read but once.
  std::map<int64_t, std::pair<int64_t, int64_t>> read;  // First and last place of each run.
  for (int64_t i = 0; i < kSize; ++i) {
    const auto place = read.emplace(order[i] / kWindow, std::pair(i, i)).first;
    place->second.second = i;
  }
  EXPECT_EQ(read.size(), 21U);
  for (const auto& [run, places] : read)
    EXPECT_LE(places.second - places.first, 3 * kWindow) << run;
  int64_t moved = 0;
  for (int64_t i = 1; i < kSize; ++i) moved += order[i] != order[i - 1] + 1 ? 1 : 0;
  EXPECT_GT(moved, kSize * 9 / 10);  // It is shuffled inside of a run too.
}

TEST(Loader, ReadsNearlyInOrderWhereAWindowIsAskedFor) {
  Loader loader(counted(100), {.batch = 100, .seed = 5, .window = 10});
  EXPECT_EQ(labels_of(loader.get(0)), nearly_in_order(5, 0, 100, 10));
  EXPECT_EQ(labels_of(loader.get(1)), nearly_in_order(5, 1, 100, 10));
  Loader wide(counted(100), {.batch = 100, .seed = 5, .window = 100});
  EXPECT_EQ(labels_of(wide.get(0)),
            labels_of(Loader(counted(100), {.batch = 100, .seed = 5}).get(0)));
}

TEST(Loader, TakesManyEpochsInOneBatchOfFewExamples) {
  Loader loader(counted(2), {.batch = 9});
  const auto labels = labels_of(loader.get(1));
  ASSERT_EQ(labels.size(), 9U);
  for (size_t i = 1; i + 1 < labels.size(); i += 2) EXPECT_NE(labels[i], labels[i + 1]);
}

TEST(Loader, PiecesTakeTurnsAtTheRowsOfTheBatch) {
  Loader loader(counted(10), {.batch = 7, .flip = true});
  const auto whole = loader.get(3);
  const auto rows = loader.rows(3);
  EXPECT_EQ(rows, (std::vector<int64_t>{21, 22, 23, 24, 25, 26, 27}));
  for (const int64_t pieces : {2, 3, 7}) {
    auto x = at::empty(whole.x.sizes(), whole.x.options());
    for (int64_t piece = 0; piece < pieces; ++piece) {
      const auto part = loader.get(3, piece, pieces);
      const auto part_rows = loader.rows(3, piece, pieces);
      ASSERT_EQ(part.x.size(0), static_cast<int64_t>(part_rows.size()));
      for (int64_t i = 0; i < part.x.size(0); ++i) {
        EXPECT_EQ(part_rows[i], rows[piece + i * pieces]);
        x[piece + i * pieces].copy_(part.x[i]);
      }
    }
    EXPECT_TRUE(x.equal(whole.x)) << pieces;
  }
}

TEST(Loader, MirrorsHalfOfTheExamplesAlongTheLastAxis) {
  constexpr int64_t kCount = 1000;
  Loader loader(counted(kCount), {.batch = kCount, .flip = true});
  const auto batch = loader.get(0);
  int64_t mirrored = 0;
  for (int64_t i = 0; i < kCount; ++i) {
    const auto plain = at::arange(4).add(batch.label[i].mul(4)).to(at::kInt);
    if (batch.x[i][0].equal(plain)) continue;
    EXPECT_TRUE(batch.x[i][0].equal(at::flip(plain, {0})));
    ++mirrored;
  }
  EXPECT_NEAR(static_cast<double>(mirrored), 500, 5 * 15.8);  // Five sigma of fair coins.
}

TEST(Loader, MirrorsEveryRowOfEveryType) {
  const auto values = at::arange(20 * 24).reshape({20, 2, 3, 4}).remainder(251);
  for (const auto type : {at::kByte, at::kInt, at::kLong}) {
    const auto x = values.to(type);
    Loader loader(
        std::make_shared<MemoryDataset>(
            DataInfo{.shape = {2, 3, 4}, .categories = {256}, .classes = 20}, x, at::arange(20)),
        {.batch = 20, .flip = true});
    const auto batch = loader.get(0);
    EXPECT_EQ(batch.x.scalar_type(), type);
    std::set<bool> seen;
    for (int64_t i = 0; i < 20; ++i) {
      const auto plain = x[batch.label[i].item<int64_t>()];
      const bool mirrored = !batch.x[i].equal(plain);
      EXPECT_TRUE(batch.x[i].equal(mirrored ? at::flip(plain, {-1}) : plain)) << type << " " << i;
      seen.insert(mirrored);
    }
    EXPECT_EQ(seen.size(), 2U) << type;
    EXPECT_TRUE(x.equal(values.to(type))) << "the data set itself was mirrored";
  }
}

// Example i is the token i and describes the image whose rows are 4 * i, ..., 4 * i + 3.
class Described final : public Dataset {
 public:
  const DataInfo& info() const override { return info_; }
  int64_t size() const override { return 20; }
  Batch get(std::span<const int64_t> indices) const override {
    const auto x = at::tensor(at::ArrayRef<int64_t>(indices.data(), indices.size()), at::kLong);
    const auto image = x.mul(4).reshape({-1, 1, 1, 1}).add(at::arange(4)).expand({-1, 3, 2, 4});
    return {x.reshape({-1, 1, 1}).expand({-1, 1, 5}).contiguous(), Tensor(), image.to(at::kByte)};
  }

 private:
  DataInfo info_{.shape = {1, 5}, .categories = {20}, .image_shape = {3, 2, 4}};
};

TEST(Loader, MirrorsTheImageThatIsDescribedInsteadOfTheDescription) {
  const auto data = std::make_shared<Described>();
  const auto plain = Loader(data, {.batch = 20}).get(0);
  const auto batch = Loader(data, {.batch = 20, .flip = true}).get(0);
  EXPECT_TRUE(batch.x.equal(plain.x));
  std::set<bool> seen;
  for (int64_t i = 0; i < 20; ++i) {
    const bool mirrored = !batch.image[i].equal(plain.image[i]);
    EXPECT_TRUE(batch.image[i].equal(mirrored ? at::flip(plain.image[i], {-1}) : plain.image[i]));
    seen.insert(mirrored);
  }
  EXPECT_EQ(seen.size(), 2U);
}

TEST(Loader, HandsOnWhatReadingAheadThrew) {
  Loader loader(std::make_shared<Broken>(), {.batch = 2});
  for (int64_t step = 0; step < 3; ++step) {
    expect_contains(refusal(ErrorKind::kInput, [&] { loader.get(step); }), "image.png");
  }
  const auto empty = std::make_shared<Subset>(counted(3), std::vector<int64_t>{});
  expect_contains(refusal(ErrorKind::kInput, [&] { Loader{empty, {}}; }), "empty");
}

TEST(MemoryDataset, TakesARowWhateverItsStride) {
  // One column of three, seen as a row: it is contiguous, and a step to the next would be 1.
  const auto x = at::arange(3).to(at::kInt).reshape({3, 1}).t().unsqueeze(1);
  const MemoryDataset data({.shape = {1, 3}, .categories = {3}}, x, Tensor());
  EXPECT_TRUE(data.get(std::vector<int64_t>{0, 0}).x.equal(x.expand({2, 1, 3})));
}

TEST(Split, PartsTheExamplesByTheSeed) {
  const auto whole = counted(20);
  const auto numbers = [](const Dataset& part) {
    std::vector<int64_t> indices(part.size());
    for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<int64_t>(i);
    return labels_of(part.get(indices));
  };
  const auto split = split_holdout(whole, 7, 5);
  const auto held_out = numbers(*split.held_out);
  auto all = numbers(*split.train);
  EXPECT_EQ(held_out.size(), 5U);
  all.insert(all.end(), held_out.begin(), held_out.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, numbers(*whole));
  EXPECT_EQ(numbers(*split_holdout(whole, 7, 5).held_out), held_out);
  EXPECT_NE(numbers(*split_holdout(whole, 8, 5).held_out), held_out);
  EXPECT_EQ(split_holdout(whole, 7, 0).train->size(), 20);
  for (const int64_t count : {-1, 20}) {
    expect_contains(refusal(ErrorKind::kUsage, [&] { split_holdout(whole, 7, count); }),
                    "holdout: expected a number in 0..19");
  }
}

}  // namespace
}  // namespace bitdiff
