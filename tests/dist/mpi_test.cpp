// Run by two processes at once, each of which makes all of these calls.

#include <memory>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "bitdiff/dist/c10d_store.h"
#include "bitdiff/dist/group.h"
#include "tests/dist/gradient_sum_case.h"

namespace bitdiff {
namespace {

std::unique_ptr<Group>& group() {
  static std::unique_ptr<Group> joined;
  return joined;
}

TEST(MpiGroup, SumsAndGivesEveryoneTheSame) {
  for (const auto type : {at::kFloat, at::kDouble, at::kLong}) {
    const auto own = at::arange(5).to(type) + group()->rank();
    EXPECT_TRUE(group()->sum(own).equal((2 * at::arange(5) + 1).to(type))) << type;
  }
}

TEST(MpiGroup, LargeSumsAreUnderWayTogether) {
  const int64_t size = 1 << 20;
  std::vector<Tensor> own, sum;
  std::vector<std::unique_ptr<PendingSum>> pending;
  for (int i = 0; i < 3; ++i) {
    own.push_back(at::full({size}, i + 10.0f * static_cast<float>(group()->rank())));
    sum.push_back(at::empty({size}));
    pending.push_back(group()->start_sum(own[i], sum[i]));
  }
  for (int i = 0; i < 3; ++i) {
    pending[i]->poll();
    pending[i]->wait();
    EXPECT_TRUE(sum[i].equal(at::full({size}, 2.0f * static_cast<float>(i) + 10.0f)));
  }
}

TEST(MpiGroup, BroadcastsWhatTheFirstHas) {
  const auto value =
      at::full({3, 2, 4, 4}, group()->rank() + 7.0f).contiguous(at::MemoryFormat::ChannelsLast);
  group()->broadcast(value);
  EXPECT_TRUE(value.equal(at::full({3, 2, 4, 4}, 7.0f)));
  const auto number = at::full({}, group()->rank(), at::kLong);
  group()->broadcast(number);
  EXPECT_EQ(number.item<int64_t>(), 0);
}

TEST(MpiGroup, GathersRowsInTheOrderOfRanks) {
  const auto all = at::arange(5 * 6).reshape({5, 2, 3}).to(at::kByte);
  const auto own = group()->first() ? all.slice(0, 0, 2) : all.slice(0, 2);
  const auto gathered = group()->gather_rows(own);
  EXPECT_EQ(gathered.defined(), group()->first());
  if (group()->first()) {
    EXPECT_TRUE(gathered.equal(all));
  }

  const auto lonely = group()->gather_rows(group()->first() ? all : Tensor());
  if (group()->first()) {
    EXPECT_TRUE(lonely.equal(all));
  }
}

TEST(MpiGroup, HasAStoreOfC10dBesideIt) {
  const auto store = store_beside(*group());
  store->set(std::to_string(group()->rank()), "here");
  EXPECT_EQ(store->get_to_str(std::to_string(1 - group()->rank())), "here");
  group()->barrier();  // Or the first would close it while the other reads.
}

TEST(MpiGroup, MeetsAtABarrier) { group()->barrier(); }

TEST(MpiGroup, SumsGradientsWhileBackwardRuns) { expect_summed_gradients(*group(), 300); }

}  // namespace
}  // namespace bitdiff

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  bitdiff::group() = bitdiff::join_group(at::kCPU);
  const bool together = bitdiff::group()->size() == 2;
  const int code = together ? RUN_ALL_TESTS() : 1;
  bitdiff::group().reset();
  return code;
}
