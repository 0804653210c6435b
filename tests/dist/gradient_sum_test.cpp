#include "bitdiff/dist/gradient_sum.h"

#include <memory>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace bitdiff {
namespace {

/// Two processes that always have the same to add: every sum is the double.
class Twins final : public Group {
 public:
  Twins() : Group(0, 2) {}

  std::unique_ptr<PendingSum> start_sum(const Tensor& own, const Tensor& sum) override {
    started.push_back(own.numel());
    class Pending final : public PendingSum {
     public:
      Pending(Tensor own, Tensor sum) : own_(std::move(own)), sum_(std::move(sum)) {}
      void poll() override {}
      void wait() override { sum_.copy_(2 * own_); }

     private:
      Tensor own_, sum_;
    };
    return std::make_unique<Pending>(own, sum);
  }
  void broadcast(const Tensor&) override {}
  Tensor gather_rows(const Tensor& rows) override { return rows; }
  void barrier() override {}

  std::vector<int64_t> started;  ///< Numbers in each sum so far.
};

std::vector<Tensor> three_parameters() {
  std::vector<Tensor> parameters{at::ones({4, 2, 3, 3}).to(at::MemoryFormat::ChannelsLast),
                                 at::ones({10}), at::ones({3})};
  for (auto& parameter : parameters) parameter.requires_grad_();
  return parameters;
}

/// Has the gradient `weight` * (i + 1) * (position in parameter i).
Tensor loss_of(const std::vector<Tensor>& parameters, double weight) {
  auto loss = at::zeros({});
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto& p = parameters[i];
    const auto slope = at::arange(p.numel(), at::kFloat).reshape(p.sizes());
    loss = loss + (p * slope).sum() * (weight * static_cast<double>(i + 1));
  }
  return loss;
}

void expect_gradients(const std::vector<Tensor>& parameters, double weight) {
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto& p = parameters[i];
    const auto slope = at::arange(p.numel(), at::kFloat).reshape(p.sizes());
    EXPECT_TRUE(at::allclose(p.grad(), slope * (weight * static_cast<double>(i + 1)))) << i;
    EXPECT_EQ(p.grad().strides(), p.strides());
  }
}

TEST(GradientSum, SumsWhatBackwardLeavesInBucketsFromTheLastParameterOn) {
  Twins group;
  const auto parameters = three_parameters();
  GradientSum sum(group, parameters, /*bucket_bytes=*/60);
  EXPECT_EQ(sum.buckets(), 2);  // 3 + 10 numbers fit into one, 72 are more than that.
  for (int step = 0; step < 2; ++step) {
    group.started.clear();
    sum.begin();
    loss_of(parameters, 1).backward();
    EXPECT_EQ(group.started, (std::vector<int64_t>{13, 72})) << "backward sends what is full";
    sum.finish();
    expect_gradients(parameters, 2);
    for (const auto& p : parameters) p.mutable_grad().reset();
  }
}

TEST(GradientSum, SendsOnlyTheLastOfSeveralBackwards) {
  Twins group;
  const auto parameters = three_parameters();
  GradientSum sum(group, parameters);
  loss_of(parameters, 1).backward();
  loss_of(parameters, 10).backward();
  EXPECT_TRUE(group.started.empty());
  sum.begin();
  loss_of(parameters, 100).backward();
  sum.finish();
  EXPECT_EQ(group.started, (std::vector<int64_t>{85}));
  expect_gradients(parameters, 222);
}

TEST(GradientSum, AParameterThatWasNotUsedCountsAsZero) {
  Twins group;
  const auto parameters = three_parameters();
  GradientSum sum(group, parameters, /*bucket_bytes=*/60);
  sum.begin();
  loss_of({parameters[0], parameters[1]}, 1).backward();
  EXPECT_TRUE(group.started.empty()) << "buckets go in the same order everywhere";
  sum.finish();
  EXPECT_EQ(group.started, (std::vector<int64_t>{13, 72}));
  EXPECT_TRUE(parameters[2].grad().equal(at::zeros({3})));
}

TEST(GradientSum, LeavesAGroupOfOneAlone) {
  GroupOfOne group;
  const auto parameters = three_parameters();
  GradientSum sum(group, parameters);
  EXPECT_EQ(sum.buckets(), 0);
  sum.begin();
  loss_of(parameters, 1).backward();
  sum.finish();
  expect_gradients(parameters, 1);
}

TEST(GradientSum, LeavesNoTraceInTheParametersBehind) {
  Twins group;
  const auto parameters = three_parameters();
  {
    GradientSum sum(group, parameters);
    sum.begin();
  }
  loss_of(parameters, 1).backward();
  expect_gradients(parameters, 1);
}

}  // namespace
}  // namespace bitdiff
