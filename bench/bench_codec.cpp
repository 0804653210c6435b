// Throughput of the codec beside memcpy of as many bytes, alternately, so that both see the same
// machine. Usage: bench_codec [ROUNDS]; OMP_NUM_THREADS=1 for one thread against one.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <malloc.h>
#include <string>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/randint.h>

#include "bitdiff/bits/codec.h"

namespace {

using bitdiff::Codec;
using bitdiff::Encoding;

double seconds(const std::function<void()>& work, int64_t repeats) {
  const auto begin = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < repeats; ++i) work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() /
         static_cast<double>(repeats);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Both allocate what they write, as a caller has it.
void compare(const std::string& name, double bytes, int64_t rounds, int64_t repeats,
             const std::function<void()>& ours, const std::function<void()>& copy) {
  std::vector<double> ours_s, copy_s;
  ours();
  copy();
  for (int64_t round = 0; round < rounds; ++round) {
    ours_s.push_back(seconds(ours, repeats));
    copy_s.push_back(seconds(copy, repeats));
  }
  const double us = bytes / median(ours_s) * 1e-9, them = bytes / median(copy_s) * 1e-9;
  std::printf("%-28s %8.1f MB %8.2f GB/s %8.2f GB/s %7.0f %%\n", name.c_str(), bytes * 1e-6, us,
              them, 100 * us / them);
}

void bench(const std::string& word, Encoding encoding, int64_t categories, int64_t images,
           int64_t rounds) {
  const Codec codec({.encoding = encoding, .categories = {categories}}, 3);
  const auto x = at::randint(categories, {images, 3, 32, 32}, at::kByte);
  const auto x_bits = codec.encode(x);
  const auto bytes = static_cast<double>(x_bits.nbytes());
  const int64_t repeats = std::max<int64_t>(1, static_cast<int64_t>(3e8 / bytes));
  const auto copy = [&] {
    const auto out = at::empty(x_bits.sizes(), x_bits.options());
    std::memcpy(out.mutable_data_ptr(), x_bits.const_data_ptr(), x_bits.nbytes());
  };
  const std::string name = word + " K=" + std::to_string(categories);
  compare(
      "encode " + name, bytes, rounds, repeats, [&] { codec.encode(x); }, copy);
  compare(
      "decode " + name, bytes, rounds, repeats, [&] { codec.decode(x_bits); }, copy);
}

void bench_all(const char* title, int64_t rounds) {
  std::printf("%-28s %11s %13s %13s %9s\n", title, "bits", "ours", "memcpy", "ratio");
  for (const int64_t images : {int64_t{128}, int64_t{2730}}) {
    for (const auto& [word, encoding] : bitdiff::encoding_words()) {
      if (encoding == Encoding::kOneHot) continue;
      bench(word, encoding, 256, images, rounds);
      bench(word, encoding, 200, images, rounds);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int64_t rounds = argc > 1 ? std::stoll(argv[1]) : 15;
  bench_all("fresh memory", rounds);
  // From here on malloc keeps what is freed: without this the large outputs measure page faults.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  bench_all("reused memory", rounds);
  return 0;
}
