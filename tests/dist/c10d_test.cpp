// C10dGroup on the CPU: two threads that are two processes, and a backend of c10d that hands
// tensors over through a store. NCCL itself takes GPUs.

#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include "bitdiff/dist/c10d_group.h"
#include "tests/dist/gradient_sum_case.h"

namespace bitdiff {
namespace {

using WorkPtr = c10::intrusive_ptr<c10d::Work>;
using StorePtr = c10::intrusive_ptr<c10d::Store>;

/// Work that is done when it is waited for, as on a GPU.
class Later final : public c10d::Work {
 public:
  explicit Later(std::function<void()> work) : work_(std::move(work)) {}
  bool wait(std::chrono::milliseconds) override {
    work_();
    return true;
  }

 private:
  std::function<void()> work_;
};

/// Takes what NCCL takes: one tensor on its device, which is here the CPU.
class StoreBackend final : public c10d::Backend {
 public:
  StoreBackend(StorePtr store, int rank, int size)
      : Backend(rank, size), store_(std::move(store)) {}

  WorkPtr allreduce(std::vector<Tensor>& tensors, const c10d::AllreduceOptions&) override {
    const auto tensor = only(tensors);
    const auto call = std::to_string(calls_++);
    give(call + "/" + std::to_string(rank_), tensor);
    return later([this, tensor, call] {
      tensor.zero_();
      for (int r = 0; r < size_; ++r) tensor.add_(take(call + "/" + std::to_string(r), tensor));
    });
  }
  WorkPtr broadcast(std::vector<Tensor>& tensors, const c10d::BroadcastOptions& options) override {
    const auto tensor = only(tensors);
    const auto call = std::to_string(calls_++);
    if (rank_ == options.rootRank) give(call, tensor);
    return later([this, tensor, call] { tensor.copy_(take(call, tensor)); });
  }
  WorkPtr send(std::vector<Tensor>& tensors, int to, int) override {
    give("to" + std::to_string(to) + "/" + std::to_string(rank_), only(tensors));
    return later([] {});
  }
  WorkPtr recv(std::vector<Tensor>& tensors, int from, int) override {
    const auto tensor = only(tensors);
    return later([this, tensor, from] {
      const auto key = "to" + std::to_string(rank_) + "/" + std::to_string(from);
      tensor.copy_(take(key, tensor));
      store_->deleteKey(key);
    });
  }
  void shutdown() override { store_->add("shutdown", 1); }
  void abort() override { store_->add("abort", 1); }

 private:
  static WorkPtr later(std::function<void()> work) {
    return c10::make_intrusive<Later>(std::move(work));
  }
  static Tensor only(const std::vector<Tensor>& tensors) {
    TORCH_CHECK(tensors.size() == 1 && tensors[0].is_contiguous() && tensors[0].is_cpu());
    return tensors[0];
  }
  void give(const std::string& key, const Tensor& tensor) {
    std::vector<uint8_t> bytes(tensor.nbytes());
    if (!bytes.empty()) std::memcpy(bytes.data(), tensor.const_data_ptr(), bytes.size());
    store_->set(key, bytes);
  }
  Tensor take(const std::string& key, const Tensor& like) {
    const auto bytes = store_->get(key);
    TORCH_CHECK(bytes.size() == like.nbytes(), "another process has another size");
    auto tensor = at::empty_like(like);
    if (!bytes.empty()) std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
    return tensor;
  }

  StorePtr store_;
  int64_t calls_ = 0;
};

/// Runs `work` as each of `size` processes. What one throws is thrown here.
StorePtr together(int size, const std::function<void(Group&)>& work) {
  StorePtr store = c10::make_intrusive<c10d::HashStore>();
  store->setTimeout(std::chrono::seconds(20));
  std::vector<std::exception_ptr> thrown(size);
  {
    std::vector<std::jthread> processes;
    for (int rank = 0; rank < size; ++rank) {
      processes.emplace_back([&, rank] {
        try {
          C10dGroup group(c10::make_intrusive<StoreBackend>(store, rank, size), at::kCPU);
          work(group);
        } catch (...) {
          thrown[rank] = std::current_exception();
        }
      });
    }
  }
  for (const auto& one : thrown) {
    if (one) std::rethrow_exception(one);
  }
  return store;
}

TEST(C10dGroup, SumsAndGivesEveryoneTheSame) {
  together(3, [](Group& group) {
    for (const auto type : {at::kFloat, at::kDouble, at::kLong}) {
      const auto own = at::arange(5).to(type) + group.rank();
      const auto before = own.clone();
      EXPECT_TRUE(group.sum(own).equal((3 * at::arange(5) + 3).to(type))) << type;
      EXPECT_TRUE(own.equal(before)) << type;
    }
    group.barrier();
  });
}

TEST(C10dGroup, BroadcastsWhatTheFirstHas) {
  together(2, [](Group& group) {
    auto value = at::arange(96, at::kFloat).reshape({3, 2, 4, 4}) * (1 - group.rank());
    value = value.contiguous(at::MemoryFormat::ChannelsLast);
    group.broadcast(value);
    EXPECT_TRUE(value.equal(at::arange(96, at::kFloat).reshape({3, 2, 4, 4})));
    const auto number = at::full({}, group.rank() + 4, at::kLong);
    group.broadcast(number);
    EXPECT_EQ(number.item<int64_t>(), 4);
  });
}

TEST(C10dGroup, GathersRowsInTheOrderOfRanks) {
  for (const auto type : {at::kByte, at::kFloat, at::kLong}) {
    const auto all = at::arange(6 * 6).reshape({6, 2, 3}).to(type);
    together(3, [&](Group& group) {
      // Two, three and one rows; a part of a tensor is not without gaps.
      const std::vector<int64_t> bounds = {0, 2, 5, 6};
      const auto own = all.slice(0, bounds[group.rank()], bounds[group.rank() + 1]);
      const auto gathered = group.gather_rows(own);
      EXPECT_EQ(gathered.defined(), group.first());
      if (group.first()) {
        EXPECT_TRUE(gathered.equal(all));
      }

      const auto lonely = group.gather_rows(group.first() ? all : Tensor());
      if (group.first()) {
        EXPECT_TRUE(lonely.equal(all));
      }
    });
  }
}

TEST(C10dGroup, SumsGradientsWhileBackwardRuns) {
  together(2, [](Group& group) { expect_summed_gradients(group, 30); });
}

TEST(C10dGroup, LeavesTheOthersInOrderOrAtOnce) {
  const auto left = together(2, [](Group& group) { group.barrier(); });
  EXPECT_EQ(left->add("shutdown", 0), 2);
  EXPECT_EQ(left->add("abort", 0), 0);

  StorePtr store = c10::make_intrusive<c10d::HashStore>();
  try {
    const C10dGroup group(c10::make_intrusive<StoreBackend>(store, 0, 2), at::kCPU);
    throw NumbersError("the loss is nan");
  } catch (const NumbersError&) {
    EXPECT_EQ(store->add("abort", 0), 1);
    EXPECT_EQ(store->add("shutdown", 0), 0);
  }
}

TEST(C10dGroup, SaysWhatItDidWhenAnotherIsMissing) {
  StorePtr store = c10::make_intrusive<c10d::HashStore>();
  store->setTimeout(std::chrono::milliseconds(50));
  C10dGroup group(c10::make_intrusive<StoreBackend>(store, 0, 2), at::kCPU);
  try {
    group.sum(at::ones({2}));
    FAIL() << "it summed with nobody";
  } catch (const DistributedError& error) {
    const std::string said = error.what();
    EXPECT_EQ(said.find("c10d failed to sum: "), 0) << said;
    EXPECT_EQ(said.find('\n'), std::string::npos) << said;
  }
}

}  // namespace
}  // namespace bitdiff
