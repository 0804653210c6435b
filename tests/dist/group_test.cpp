#include "bitdiff/dist/group.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace bitdiff {
namespace {

TEST(GroupOfOne, LeavesEverythingAsItIs) {
  GroupOfOne group;
  EXPECT_EQ(group.rank(), 0);
  EXPECT_EQ(group.size(), 1);
  EXPECT_TRUE(group.first());
  const auto x = at::arange(6, at::kFloat).reshape({2, 3});
  EXPECT_TRUE(group.sum(x).equal(x));
  EXPECT_TRUE(group.gather_rows(x).equal(x));
  group.broadcast(x);
  group.barrier();
  EXPECT_TRUE(x.equal(at::arange(6, at::kFloat).reshape({2, 3})));
}

}  // namespace
}  // namespace bitdiff
