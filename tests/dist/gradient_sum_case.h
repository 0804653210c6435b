#pragma once

#include <vector>

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "bitdiff/base/tensor.h"
#include "bitdiff/dist/gradient_sum.h"
#include "bitdiff/dist/group.h"

namespace bitdiff {

/// What both processes of `group` do: gradients of four parameters [width, width], a bucket each,
/// are summed while backward runs.
inline void expect_summed_gradients(Group& group, int64_t width) {
  std::vector<Tensor> parameters;
  for (int i = 0; i < 4; ++i) parameters.push_back(at::ones({width, width}).requires_grad_());
  GradientSum sum(group, parameters, static_cast<int64_t>(parameters[0].nbytes()) * 3 / 2);
  EXPECT_EQ(sum.buckets(), 4);
  for (int step = 1; step <= 3; ++step) {
    auto loss = at::zeros({});
    for (const auto& p : parameters) loss = loss + (p * p).sum() * step * (group.rank() + 1);
    sum.begin();
    loss.backward();
    sum.finish();
    for (const auto& p : parameters) {
      EXPECT_TRUE(p.grad().equal(at::full({width, width}, 6.0f * static_cast<float>(step))));
      p.mutable_grad().reset();
    }
  }
}

}  // namespace bitdiff
