#include "bitdiff/dist/gradient_sum.h"

#include <utility>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/custom_function.h>

namespace bitdiff {

/// What autograd calls when the gradient of one parameter is complete.
class GradientSum::Hook final : public torch::autograd::PostAccumulateGradHook {
 public:
  Hook(GradientSum& owner, size_t bucket, size_t slot)
      : owner_(owner), bucket_(bucket), slot_(slot) {}
  void operator()(const Tensor&) override { owner_.take(bucket_, slot_); }

 private:
  GradientSum& owner_;
  size_t bucket_, slot_;
};

GradientSum::GradientSum(Group& group, const std::vector<Tensor>& parameters, int64_t bucket_bytes)
    : group_(group) {
  if (group.size() == 1) return;
  std::vector<Tensor> together;
  int64_t bytes = 0;
  for (auto it = parameters.rbegin(); it != parameters.rend(); ++it) {
    const auto size = static_cast<int64_t>(it->nbytes());
    if (!together.empty() && bytes + size > bucket_bytes) {
      add_bucket(std::exchange(together, {}));
      bytes = 0;
    }
    together.push_back(*it);
    bytes += size;
  }
  if (!together.empty()) add_bucket(together);
}

GradientSum::~GradientSum() {
  for (const auto& bucket : buckets_) {
    for (const auto& slot : bucket.slots) {
      torch::autograd::impl::set_post_acc_grad_hooks(slot.parameter, nullptr);
    }
  }
}

void GradientSum::add_bucket(const std::vector<Tensor>& parameters) {
  auto& bucket = buckets_.emplace_back();
  int64_t size = 0;
  for (const auto& parameter : parameters) size += parameter.numel();
  bucket.own = at::empty({size}, parameters.front().options().requires_grad(false));
  bucket.sum = at::empty_like(bucket.own);
  int64_t begin = 0;
  for (const auto& parameter : parameters) {
    TORCH_CHECK(parameter.scalar_type() == at::kFloat && parameter.is_non_overlapping_and_dense(),
                "GradientSum: expected float32 parameters without gaps");
    const auto place = [&](const Tensor& all) {
      return all.as_strided(parameter.sizes(), parameter.strides(), begin);
    };
    bucket.slots.push_back({parameter, place(bucket.own), place(bucket.sum)});
    torch::autograd::impl::set_post_acc_grad_hooks(
        parameter, std::make_unique<Hook>(*this, buckets_.size() - 1, bucket.slots.size() - 1));
    begin += parameter.numel();
  }
}

void GradientSum::begin() {
  sending_ = true;
  sent_ = 0;
  for (auto& bucket : buckets_) {
    bucket.missing = static_cast<int64_t>(bucket.slots.size());
    for (auto& slot : bucket.slots) slot.there = false;
  }
}

void GradientSum::take(size_t bucket, size_t slot) {
  if (!sending_) return;
  auto& place = buckets_[bucket].slots[slot];
  TORCH_CHECK(!place.there, "GradientSum: a gradient was finished twice");
  place.own.copy_(place.parameter.grad());
  place.parameter.mutable_grad().reset();
  place.there = true;
  --buckets_[bucket].missing;
  send_full_buckets();
}

void GradientSum::send_full_buckets() {
  while (sent_ < buckets_.size() && buckets_[sent_].missing == 0) {
    auto& bucket = buckets_[sent_++];
    bucket.pending = group_.start_sum(bucket.own, bucket.sum);
  }
  for (size_t i = 0; i < sent_; ++i) buckets_[i].pending->poll();
}

void GradientSum::finish() {
  const c10::NoGradGuard no_grad;
  sending_ = false;
  for (auto& bucket : buckets_) {
    for (auto& slot : bucket.slots) {
      if (!slot.there) slot.own.zero_();
    }
    bucket.missing = 0;
  }
  send_full_buckets();
  for (auto& bucket : buckets_) {
    bucket.pending->wait();
    bucket.pending.reset();
    for (auto& slot : bucket.slots) slot.parameter.mutable_grad() = slot.sum;
  }
}

}  // namespace bitdiff
