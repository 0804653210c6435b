#include "bitdiff/bits/codec.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <map>
#include <numeric>
#include <span>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/aminmax.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/bitwise_right_shift.h>
#include <ATen/ops/bitwise_xor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/round.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include "bitdiff/base/device.h"
#include "bitdiff/base/error.h"
#include "bitdiff/bits/nearest.h"
#include "bitdiff/bits/permutation.h"
#include "bitdiff/kernels/int2bit.h"

namespace bitdiff {
namespace {

constexpr int64_t kMostCategories = int64_t{1} << 31;

int64_t bits_of(int64_t categories) {
  return std::bit_width(static_cast<uint64_t>(categories - 1));
}

// Bit channels of a channel of K categories.
int64_t width_of(Encoding encoding, int64_t categories) {
  if (encoding == Encoding::kOneHot) return categories;
  return encoding == Encoding::kPixels ? 1 : bits_of(categories);
}

bool is_power_of_two(int64_t categories) {
  return std::has_single_bit(static_cast<uint64_t>(categories));
}

std::vector<int64_t> categories_of(const CodecOptions& options, int64_t channels) {
  auto categories = options.categories;
  if (categories.size() == 1) categories.resize(channels, categories.front());
  if (static_cast<int64_t>(categories.size()) != channels) {
    throw UsageError("categories: expected one number or ", channels,
                     ", one for each channel of the data, found ", categories.size());
  }
  for (const int64_t k : categories) {
    if (k < 2 || k > kMostCategories) {
      throw UsageError("categories: expected numbers in 2..", kMostCategories, ", found ", k);
    }
  }
  return categories;
}

// Of decoded numbers.
at::ScalarType type_of(const std::vector<int64_t>& categories) {
  return *std::max_element(categories.begin(), categories.end()) <= 256 ? at::kByte : at::kInt;
}

// A tensor [B, C, *S] in a row, as loops see it.
struct Layout {
  explicit Layout(const Tensor& x)
      : batch(x.size(0)),
        channels(x.size(1)),
        count(x.numel() / std::max<int64_t>(1, batch * channels)) {}

  // Calls work(example, channel) for every pair, on several threads.
  template <class Work>
  void for_each(const Work& work) const {
    const int64_t grain = std::max<int64_t>(1, 8192 / std::max<int64_t>(1, count));
    at::parallel_for(0, batch * channels, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) work(i / channels, i % channels);
    });
  }

  int64_t batch, channels, count;
};

template <class Code>
Code larger(Code a, Code b) {
  return std::max(a, b);
}

template <class Code>
void look_up(const int32_t* table, const Code* from, int64_t count, Code* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<Code>(table[from[i]]);
}

void check_finite(const Tensor& x_bits) {
  const auto places = at::nonzero(at::isnan(x_bits));
  if (places.size(0) == 0) return;
  throw NumbersError(places.size(0), " of ", x_bits.numel(),
                     " analog bits to decode are NaN, the first in row ",
                     places[0][0].item<int64_t>(), ", bit channel ", places[0][1].item<int64_t>(),
                     "; the network's output is not finite");
}

}  // namespace

const Words<Encoding>& encoding_words() {
  static const Words<Encoding> words = {{"binary", Encoding::kBinary},
                                        {"gray", Encoding::kGray},
                                        {"permuted", Encoding::kPermuted},
                                        {"onehot", Encoding::kOneHot},
                                        {"pixels", Encoding::kPixels}};
  return words;
}

Codec::Codec(const CodecOptions& options, int64_t channels)
    : options_(options), categories_(categories_of(options, channels)) {
  if (!(options.scale > 0) || !std::isfinite(options.scale)) {
    throw UsageError("codec.scale: expected a number above 0, found ", options.scale);
  }
  if (options.seed < 0 || options.seed > 0xffffffff) {
    throw UsageError("codec.seed: expected a number in 0..4294967295, found ", options.seed);
  }
  std::map<int64_t, std::shared_ptr<const Shuffle>> shuffles;
  for (const int64_t k : categories_) {
    bits_.push_back(width_of(options.encoding, k));
    if (options.encoding != Encoding::kPermuted) continue;
    auto& shuffle = shuffles[k];
    if (!shuffle) {
      Shuffle made{.code = numpy_permutation(options.seed, k), .number = {}};
      made.number.resize(int64_t{1} << bits_of(k));
      std::iota(made.number.begin(), made.number.end(), 0);
      for (int64_t i = 0; i < k; ++i) made.number[made.code[i]] = static_cast<int32_t>(i);
      shuffle = std::make_shared<const Shuffle>(std::move(made));
    }
    shuffles_.push_back(shuffle);
  }
  bit_channels_ = std::accumulate(bits_.begin(), bits_.end(), int64_t{0});
}

void Codec::check_range(const Tensor& x) const {
  const auto type = x.scalar_type();
  TORCH_CHECK(type == at::kByte || type == at::kInt || type == at::kLong,
              "expected uint8, int32 or int64 data, got ", type);
  TORCH_CHECK(x.dim() >= 2 && x.size(1) == channels(), "expected [B, ", channels(),
              ", ...] data, got ", x.sizes());
  const auto check = [](const Tensor& values, int64_t k, const std::string& where) {
    if (values.numel() == 0 || (values.scalar_type() == at::kByte && k >= 256)) return;
    const auto [low, high] = at::aminmax(values);
    const auto lowest = low.item<int64_t>(), highest = high.item<int64_t>();
    if (lowest >= 0 && highest < k) return;
    throw InputError("the data holds the value ", lowest < 0 ? lowest : highest, where,
                     "; expected 0..", k - 1, ", for there are ", k, " categories");
  };
  if (std::equal(categories_.begin() + 1, categories_.end(), categories_.begin())) {
    return check(x, categories_.front(), "");
  }
  for (int64_t c = 0; c < channels(); ++c) {
    check(x.select(1, c), categories_[c], str(" in channel ", c));
  }
}

// The numbers `x` as codes, on the CPU: uint8 or int32 [B, C, *S].
Tensor Codec::codes_of(const Tensor& x) const {
  const bool small = *std::max_element(bits_.begin(), bits_.end()) <= 8;
  auto numbers = x.to(small ? at::kByte : at::kInt).contiguous();
  if (options_.encoding == Encoding::kBinary) return numbers;
  if (options_.encoding == Encoding::kGray) {
    return at::bitwise_xor(numbers, at::bitwise_right_shift(numbers, 1));
  }
  auto codes = at::empty(numbers.sizes(), numbers.options());
  const Layout layout(codes);
  const auto look_up_all = [&]<class Code>(const Code* from, Code* to) {
    layout.for_each([&](int64_t b, int64_t c) {
      const int64_t begin = (b * layout.channels + c) * layout.count;
      look_up(shuffles_[c]->code.data(), from + begin, layout.count, to + begin);
    });
  };
  if (small) {
    look_up_all(numbers.const_data_ptr<uint8_t>(), codes.mutable_data_ptr<uint8_t>());
  } else {
    look_up_all(numbers.const_data_ptr<int32_t>(), codes.mutable_data_ptr<int32_t>());
  }
  return codes;
}

Tensor Codec::encode(const Tensor& x, std::optional<at::Device> device) const {
  check_range(x);
  const auto there = device.value_or(x.device());
  if (options_.encoding == Encoding::kPixels) {
    const auto values = to_device(x, there);
    return values.to(at::kFloat) / largest(values) * (2 * options_.scale) - options_.scale;
  }
  if (options_.encoding != Encoding::kOneHot) {
    // Only the codes travel to the device: they are much smaller than the bits.
    return kernels::int2bit(to_device(codes_of(x.cpu()), there), bits_, options_.scale);
  }
  const auto values = to_device(x, there);
  std::vector<Tensor> parts;
  for (int64_t c = 0; c < channels(); ++c) {
    std::vector<int64_t> shape(x.dim(), 1);
    shape[1] = categories_[c];
    const auto classes = at::arange(categories_[c], values.options()).reshape(shape);
    const auto hit = values.narrow(1, c, 1).eq(classes);
    parts.push_back(hit.to(at::kFloat).mul_(2 * options_.scale).sub_(options_.scale));
  }
  return at::cat(parts, 1);
}

Tensor Codec::codes(int64_t channel, at::Device device) const {
  const std::lock_guard lock(made_->mutex);
  auto& codes = made_->codes[{channel, device.type(), device.index()}];
  if (codes.defined()) return codes;
  Codec one = *this;
  one.categories_ = {categories_.at(channel)};
  one.bits_ = {bits_[channel]};
  if (!shuffles_.empty()) one.shuffles_ = {shuffles_[channel]};
  codes = to_device(one.encode(at::arange(categories_[channel], at::kLong).unsqueeze(1)), device);
  return codes;
}

// Turns thresholded codes into numbers in place; where a code has none, into the nearest one's.
// Returns how many had none.
template <class Code>
int64_t Codec::numbers_of(Tensor& codes, const Tensor& x_bits) const {
  const Layout layout(codes);
  const int64_t count = layout.count;
  const bool gray = options_.encoding == Encoding::kGray;
  std::vector<int64_t> first_bit(channels() + 1, 0);
  std::partial_sum(bits_.begin(), bits_.end(), first_bit.begin() + 1);
  auto* const all = codes.mutable_data_ptr<Code>();
  std::atomic<int64_t> invalid = 0;

  layout.for_each([&](int64_t b, int64_t c) {
    const std::span<Code> numbers(all + (b * layout.channels + c) * count, count);
    const int32_t* table = shuffles_.empty() ? nullptr : shuffles_[c]->number.data();
    if (gray) {
      for (auto& number : numbers) number = static_cast<Code>(number_of_gray(number));
    } else if (table) {
      look_up(table, numbers.data(), count, numbers.data());
    }
    const int64_t k = categories_[c];
    if (std::accumulate(numbers.begin(), numbers.end(), Code{0}, larger<Code>) < k) return;

    std::vector<float> bits(bits_[c]);
    const float* rows = x_bits.const_data_ptr<float>() + (b * bit_channels_ + first_bit[c]) * count;
    for (int64_t i = 0; i < count; ++i) {
      if (numbers[i] < k) continue;
      for (int64_t bit = 0; bit < bits_[c]; ++bit) bits[bit] = rows[bit * count + i];
      const int64_t nearest = nearest_number(bits, k, gray);
      numbers[i] = static_cast<Code>(table ? table[nearest] : nearest);
      invalid += 1;
    }
  });
  return invalid;
}

Codec::Decoded Codec::decode(const Tensor& x_bits) const {
  TORCH_CHECK(
      x_bits.scalar_type() == at::kFloat && x_bits.dim() >= 2 && x_bits.size(1) == bit_channels_,
      "expected float32 [B, ", bit_channels_, ", ...] bits, got ", x_bits.scalar_type(), " ",
      x_bits.sizes());
  if (options_.encoding == Encoding::kOneHot) return decode_one_hot(x_bits);
  if (options_.encoding == Encoding::kPixels) return decode_pixels(x_bits);

  const auto [device_codes, nan] = kernels::bit2int(x_bits, bits_);
  if (nan) check_finite(x_bits);
  auto codes = device_codes.cpu();
  const bool finished = options_.encoding == Encoding::kBinary &&
                        std::all_of(categories_.begin(), categories_.end(), is_power_of_two);
  if (finished) return {codes.to(x_bits.device()), 0};
  const auto host_bits = x_bits.cpu().contiguous();
  const int64_t invalid = codes.scalar_type() == at::kByte ? numbers_of<uint8_t>(codes, host_bits)
                                                           : numbers_of<int32_t>(codes, host_bits);
  return {codes.to(x_bits.device()), invalid};
}

Codec::Decoded Codec::decode_one_hot(const Tensor& x_bits) const {
  check_finite(x_bits);
  std::vector<Tensor> numbers;
  int64_t row = 0, invalid = 0;
  for (const int64_t k : categories_) {
    const auto part = x_bits.narrow(1, row, k);
    numbers.push_back(at::argmax(part, 1));
    invalid += part.gt(0).sum(1).ne(1).sum().item<int64_t>();
    row += k;
  }
  return {at::stack(numbers, 1).to(type_of(categories_)), invalid};
}

Tensor Codec::largest(const Tensor& x) const {
  std::vector<int64_t> shape(x.dim() - 1, 1);
  shape[0] = channels();
  const auto k = at::tensor(categories_, at::kDouble) - 1;
  return to_device(k.to(at::kFloat).reshape(shape), x.device());
}

Codec::Decoded Codec::decode_pixels(const Tensor& x_bits) const {
  check_finite(x_bits);
  const auto most = largest(x_bits);
  const auto numbers = at::round((x_bits / options_.scale + 1) / 2 * most);
  return {at::minimum(numbers.clamp_min(0), most).to(type_of(categories_)), 0};
}

}  // namespace bitdiff
