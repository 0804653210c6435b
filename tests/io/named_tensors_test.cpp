#include "bitdiff/io/named_tensors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/base/error.h"

namespace bitdiff {
namespace {

TEST(Assign, GoesByNameInWhateverOrder) {
  const NamedTensors to{{"a", at::zeros({2})}, {"b", at::zeros({3})}};
  assign("f", {{"b", at::full({3}, 7)}, {"a", at::ones({2})}}, to);
  EXPECT_TRUE(to[0].second.equal(at::ones({2})));
  EXPECT_TRUE(to[1].second.equal(at::full({3}, 7.0F)));
}

TEST(Assign, ChangesNothingWhereNamesOrShapesDiffer) {
  const NamedTensors to{{"a", at::zeros({2})}, {"b", at::zeros({3})}};
  const auto refused = [&](const NamedTensors& from) {
    EXPECT_THROW(assign("f", from, to), InputError);
    EXPECT_TRUE(to[0].second.eq(0).all().item<bool>());
  };
  refused({{"a", at::ones({2})}});
  refused({{"a", at::ones({2})}, {"c", at::ones({3})}});
  refused({{"a", at::ones({2})}, {"b", at::ones({4})}});
  refused({{"a", at::ones({2})}, {"a", at::ones({2})}});
  refused({{"a", at::ones({2})}, {"b", at::ones({3})}, {"c", at::ones({1})}});
}

}  // namespace
}  // namespace bitdiff
