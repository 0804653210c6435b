#pragma once

#include <algorithm>
#include <cstdint>

#include <ATen/Parallel.h>

namespace bitdiff::kernels {

constexpr int64_t divide_up(int64_t n, int64_t by) { return (n + by - 1) / by; }

/// Calls work(first, how many) for blocks of at most `most` of `count` things, on several threads,
/// each of which gets as many.
template <class Work>
void for_each_block(int64_t count, int64_t most, const Work& work) {
  if (count == 0) return;
  const int64_t threads = at::get_num_threads();
  const int64_t blocks = divide_up(divide_up(count, threads), most) * threads;
  const int64_t block = divide_up(count, blocks);
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = std::min(i * block, count);
      if (const int64_t size = std::min(block, count - first); size > 0) work(first, size);
    }
  });
}

}  // namespace bitdiff::kernels
