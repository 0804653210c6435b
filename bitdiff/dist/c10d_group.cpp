#include "bitdiff/dist/c10d_group.h"

#include <exception>
#include <utility>
#include <vector>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

namespace bitdiff {
namespace {

/// What c10d throws, in our words.
template <class Call>
auto attempt(const char* what, const Call& call) {
  try {
    return call();
  } catch (const c10::Error& error) {
    throw DistributedError("c10d failed to ", what, ": ",
                           first_line(error.what_without_backtrace()),
                           "; another process may have ended: see what it said");
  }
}

/// A tensor without gaps as one row, in the order of its memory.
Tensor flat(const Tensor& tensor) {
  TORCH_CHECK(tensor.is_non_overlapping_and_dense(), "expected a tensor without gaps, got strides ",
              tensor.strides());
  return tensor.as_strided({tensor.numel()}, {1});
}

void wait_for(const c10::intrusive_ptr<c10d::Work>& work, const char* what) {
  attempt(what, [&] { return work->wait(); });
}

class C10dSum final : public PendingSum {
 public:
  C10dSum(const Tensor& own, Tensor sum, at::Device device, c10d::Backend& backend)
      : sum_(std::move(sum)),
        there_(sum_.device() == device ? sum_ : at::empty_like(sum_, device)) {
    there_.copy_(own);
    std::vector<Tensor> tensors = {flat(there_)};
    work_ = attempt("sum", [&] { return backend.allreduce(tensors); });
  }
  void poll() override {}  // c10d needs no help to move on.
  void wait() override {
    wait_for(work_, "sum");
    if (!there_.is_same(sum_)) sum_.copy_(there_);
  }

 private:
  Tensor sum_, there_;
  c10::intrusive_ptr<c10d::Work> work_;
};

}  // namespace

C10dGroup::C10dGroup(c10::intrusive_ptr<c10d::Backend> backend, at::Device device,
                     std::unique_ptr<Group> beside)
    : Group(backend->getRank(), backend->getSize()),
      beside_(std::move(beside)),
      backend_(std::move(backend)),
      device_(device) {}

C10dGroup::~C10dGroup() {
  try {
    if (std::uncaught_exceptions() == 0) {
      backend_->shutdown();
    } else {
      backend_->abort();
    }
  } catch (const std::exception&) {
    // All work is done, or its failure is on its way to be told.
  }
}

std::unique_ptr<PendingSum> C10dGroup::start_sum(const Tensor& own, const Tensor& sum) {
  TORCH_CHECK(own.strides() == sum.strides() && own.dtype() == sum.dtype(),
              "start_sum: expected tensors alike");
  return std::make_unique<C10dSum>(own, sum, device_, *backend_);
}

void C10dGroup::broadcast(const Tensor& value) {
  const auto there = value.to(device_);
  std::vector<Tensor> tensors = {flat(there)};
  wait_for(attempt("broadcast", [&] { return backend_->broadcast(tensors); }), "broadcast");
  if (!there.is_same(value)) value.copy_(there);
}

Tensor C10dGroup::receive(const Tensor& like, int64_t count, int64_t from) {
  auto shape = like.sizes().vec();
  shape[0] = count;
  const auto there = at::empty(shape, like.options().device(device_));
  std::vector<Tensor> bytes = {flat(there).view(at::kByte)};
  wait_for(
      attempt("gather", [&] { return backend_->recv(bytes, static_cast<int>(from), /*tag=*/0); }),
      "gather");
  return there.to(like.device());
}

Tensor C10dGroup::gather_rows(const Tensor& rows) {
  const Tensor own = rows.defined() ? rows.contiguous() : rows;
  const auto counts = at::zeros({size()}, at::kLong);
  if (own.defined()) counts[rank()] = own.size(0);
  const auto all_counts = sum(counts);
  if (!first()) {
    if (!own.defined() || own.size(0) == 0) return {};
    std::vector<Tensor> bytes = {flat(own.to(device_)).view(at::kByte)};
    wait_for(attempt("gather", [&] { return backend_->send(bytes, /*dstRank=*/0, /*tag=*/0); }),
             "gather");
    return {};
  }
  TORCH_CHECK(own.defined() && own.size(0) > 0, "gather_rows: the first process must have a row");
  std::vector<Tensor> parts = {own};
  for (int64_t from = 1; from < size(); ++from) {
    const auto count = all_counts[from].item<int64_t>();
    if (count > 0) parts.push_back(receive(own, count, from));
  }
  return at::cat(parts);
}

void C10dGroup::barrier() { sum(at::zeros({1}, at::kLong)); }

}  // namespace bitdiff
