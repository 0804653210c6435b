#include "bitdiff/data/arrays.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "bitdiff/io/npz.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

std::shared_ptr<const Dataset> open(const NamedTensors& arrays, const ArrayOptions& options) {
  const TemporaryFolder folder;
  write_npz(folder / "x.npz", arrays);
  return open_arrays(folder / "x.npz", options);
}

std::string refusal_of(const NamedTensors& arrays, const ArrayOptions& options) {
  auto what = refusal(ErrorKind::kInput, [&] { open(arrays, options); });
  expect_contains(what, "x.npz");
  return what;
}

Tensor all_of(const Dataset& dataset) {
  std::vector<int64_t> indices(dataset.size());
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<int64_t>(i);
  return dataset.get(indices).x;
}

TEST(Arrays, HaveTheirChannelsOnAxisOneInEveryLayout) {
  const auto x = at::arange(24, at::kByte);
  const auto nl = x.reshape({4, 6});
  EXPECT_TRUE(all_of(*open({{"x", nl}}, {.layout = Layout::kNL})).equal(nl.unsqueeze(1)));
  const auto nhw = x.reshape({2, 3, 4});
  EXPECT_TRUE(all_of(*open({{"x", nhw}}, {.layout = Layout::kNHW})).equal(nhw.unsqueeze(1)));
  const auto four = x.reshape({2, 2, 2, 3});
  EXPECT_TRUE(all_of(*open({{"x", four}}, {.layout = Layout::kNCHW})).equal(four));
  const auto dataset = open({{"x", four}}, {.layout = Layout::kNHWC});
  EXPECT_TRUE(all_of(*dataset).equal(four.permute({0, 3, 1, 2})));
  EXPECT_EQ(dataset->info().shape, (std::vector<int64_t>{3, 2, 2}));
}

TEST(Arrays, GiveTheExamplesThatAreAskedForInTheirOrder) {
  const auto x = at::arange(12, at::kLong).reshape({4, 3});
  const auto dataset = open({{"x", x}, {"y", at::arange(4).mul(2)}},
                            {.layout = Layout::kNL, .categories = {1000}, .labels = "y"});
  const std::vector<int64_t> indices = {3, 0, 3};
  const auto batch = dataset->get(indices);
  EXPECT_EQ(batch.x.scalar_type(), at::kInt);
  EXPECT_EQ(batch.x[1][0][2].item<int64_t>(), 2);
  EXPECT_EQ(batch.x[2][0][0].item<int64_t>(), 9);
  EXPECT_EQ(batch.label[0].item<int64_t>(), 6);
  EXPECT_EQ(dataset->info().classes, 7);
}

TEST(Arrays, BringTheirPalette) {
  const auto colours = at::arange(6, at::kByte).reshape({2, 3});
  const auto dataset = open({{"images", at::zeros({1, 2, 2}, at::kByte)}, {"palette", colours}},
                            {.categories = {2}});
  EXPECT_EQ(dataset->info().palette, (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  expect_contains(refusal_of({{"x", at::zeros({1, 2, 2}, at::kByte)}, {"palette", colours}},
                             {.categories = {3}}),
                  "array \"palette\": expected the shape [3, 3]");
}

TEST(Arrays, WithAValueOutOfRangeSayWhere) {
  auto x = at::zeros({4, 5, 6}, at::kByte);
  x[2][3][1].fill_(32);
  expect_contains(refusal_of({{"x", x}}, {.categories = {32}}),
                  "element [2, 3, 1]: expected a category in 0..31, found 32");
  auto y = at::zeros({4, 5}, at::kShort);
  y[0][4].fill_(-7);
  expect_contains(refusal_of({{"x", y}}, {.layout = Layout::kNL}),
                  "element [0, 4]: expected a category in 0..255, found -7");
}

TEST(Arrays, AreCheckedAgainstTheCategoriesOfEachChannel) {
  auto x = at::zeros({1, 2, 2, 2}, at::kByte);
  x[0][0][0][0].fill_(8);
  const ArrayOptions options{.layout = Layout::kNCHW, .categories = {9, 4}};
  EXPECT_EQ(open({{"x", x}}, options)->info().categories, options.categories);
  x[0][1][1][0].fill_(4);
  expect_contains(refusal_of({{"x", x}}, options), "channel 1: element [0, 0, 1, 0]");
}

TEST(Arrays, ThatAreNotWhatWasSaidAreRefused) {
  const auto x = at::zeros({2, 3, 4}, at::kByte);
  expect_contains(refusal_of({{"x", at::full({2, 3, 4}, 0.5)}}, {}),
                  "expected integers, found Float");
  expect_contains(refusal_of({{"x", x}}, {.layout = Layout::kNHWC}),
                  "expected 4 axes, as the layout nhwc says, found the shape [2, 3, 4]");
  expect_contains(refusal_of({{"a", x}, {"b", x}}, {}),
                  "expected one array of examples, found \"a\", \"b\"");
  expect_contains(refusal_of({{"images", x}}, {.key = "image"}), "Did you mean \"images\"?");
  expect_contains(refusal_of({{"x", at::zeros({0, 3, 4}, at::kByte)}}, {}),
                  "found the shape [0, 3, 4]");
  expect_contains(
      refusal_of({{"x", x}, {"y", at::zeros({3}, at::kLong)}}, {.key = "x", .labels = "y"}),
      "array \"y\": expected 2 labels");
  expect_contains(refusal_of({{"x", x}, {"y", at::full({2}, -1, at::kLong)}}, {.labels = "y"}),
                  "element [0]: expected a label");
}

}  // namespace
}  // namespace bitdiff
