#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <setjmp.h>
#include <stdexcept>
#include <ucontext.h>
#include <vector>

#include "bitdiff/cuda/launch.cuh"

/// Runs CUDA kernels on the CPU, as they stand: blocks one after the other, the threads of a block
/// in turns that end at its barriers. Every other turn goes backwards, in every other block the
/// first, so that results change where a barrier is missing. To be included before the kernels.
namespace bitdiff::cuda {

// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): CUDA's names.

// What CUDA C++ adds to the language.
#define __global__
#define __device__
#define __shared__ static  // Blocks run one after the other.

struct Index {
  unsigned x;
};
inline Index blockIdx, threadIdx;

// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)

/// The threads of the block that runs.
class Block {
 public:
  Block() : threads_(kThreads), stacks_(std::make_unique_for_overwrite<char[]>(kThreads * kStack)) {
    running = this;
  }

  /// Runs `work` as each of kThreads threads. Throws std::logic_error when some of them wait at a
  /// barrier that others do not reach.
  void run(const std::function<void()>& work) {
    work_ = &work;
    for (int i = 0; i < kThreads; ++i) {
      auto& context = threads_[i].context;
      getcontext(&context);
      context.uc_stack.ss_sp = &stacks_[i * kStack];
      context.uc_stack.ss_size = kStack;
      makecontext(&context, start, 0);
      threads_[i].state = State::kNew;
    }
    for (bool backwards = blockIdx.x % 2 == 1; turn(backwards) > 0; backwards = !backwards)
      continue;
  }

  static void barrier() {
    if (_setjmp(running->self().place) == 0) leave(State::kWaiting);
  }

  /// What the thread whose number differs by the bits of `mask` passes.
  static float exchange(float x, unsigned mask) {
    running->self().passed = x;
    barrier();
    const float of_other = running->threads_[threadIdx.x ^ mask].passed;
    barrier();
    return of_other;
  }

 private:
  enum class State { kNew, kWaiting, kDone };
  struct Thread {
    ucontext_t context;  // Where it starts, on a stack of its own.
    jmp_buf place;       // Where it goes on; unlike a change of context no call of the system.
    float passed = 0;
    State state = State::kNew;
  };
  static constexpr size_t kStack = 32 << 10;

  static void start() {
    (*running->work_)();
    leave(State::kDone);
  }

  [[noreturn]] static void leave(State state) {
    running->self().state = state;
    _longjmp(running->scheduler_, 1);
  }

  void go_on() {
    if (_setjmp(scheduler_) != 0) return;
    if (self().state == State::kNew) setcontext(&self().context);
    _longjmp(self().place, 1);
  }

  Thread& self() { return threads_[threadIdx.x]; }

  // Lets each thread go on to its next barrier or its end; says how many wait.
  int turn(bool backwards) {
    int waiting = 0;
    for (int i = 0; i < kThreads; ++i) {
      threadIdx.x = static_cast<unsigned>(backwards ? kThreads - 1 - i : i);
      go_on();
      if (self().state == State::kWaiting) ++waiting;
    }
    if (waiting != 0 && waiting != kThreads)
      throw std::logic_error("some threads of a block ended where others wait");
    return waiting;
  }

  inline static Block* running = nullptr;
  const std::function<void()>* work_ = nullptr;
  jmp_buf scheduler_{};
  std::vector<Thread> threads_;
  std::unique_ptr<char[]> stacks_;
};

// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): CUDA's names.
inline void __syncthreads() { Block::barrier(); }
inline float __shfl_xor_sync(unsigned, float x, int mask) {
  return Block::exchange(x, static_cast<unsigned>(mask));
}
inline float __uint_as_float(uint32_t bits) { return std::bit_cast<float>(bits); }
inline uint32_t __float_as_uint(float x) { return std::bit_cast<uint32_t>(x); }
// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)

template <typename Call, typename... More>
const char* launch(void (*kernel)(Call, More...), int64_t blocks, Place, const Call& call,
                   More... more) {
  Block block;
  for (int64_t i = 0; i < blocks; ++i) {
    blockIdx.x = static_cast<unsigned>(i);
    block.run([&] { kernel(call, more...); });
  }
  return nullptr;
}

}  // namespace bitdiff::cuda
