#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bitdiff/base/tensor.h"
#include "bitdiff/data/dataset.h"
#include "bitdiff/diffusion/denoiser.h"

namespace bitdiff {

/// log of how often each category stands at each place in `count` examples of `data` spread evenly
/// over it, float32 [sum of K, *S], the K of one channel behind those of the other. `categories`: K
/// of each channel. A place counts as five examples more that are as frequent as in its channel
/// over all places, and that as one more of each category.
Tensor log_frequencies(const Dataset& data, const std::vector<int64_t>& categories, int64_t count);

/// A denoiser that has seen nothing but these: its answer is always they. With Head::kPosterior, by
/// Bayes' rule, this is the best to be said of a value from its own noisy bits alone; what a
/// network says better it has from other places or the condition.
std::unique_ptr<Denoiser> make_frequency_denoiser(const Tensor& log_frequencies);

}  // namespace bitdiff
