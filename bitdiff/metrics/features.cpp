#include "bitdiff/metrics/features.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <vector>

#include <ATen/ops/cat.h>

#include "bitdiff/base/error.h"
#include "bitdiff/io/safetensors.h"
#include "bitdiff/io/sha256.h"

namespace bitdiff {
namespace {

using Output = FeatureExtractor::Output;

constexpr int64_t kBatch = 16;  // Images that the network sees at once.

std::string key_of(const ImageSet& images, const FeatureExtractor& extractor) {
  const auto text = images.hash + "\n" + extractor.name() + "\n" + extractor.description();
  Sha256 sha;
  sha.add(text.data(), text.size());
  // The name may be a stranger's file's, and must not lead out of the folder.
  auto name = extractor.name();
  std::replace_if(
      name.begin(), name.end(),
      [](unsigned char c) { return std::isalnum(c) == 0 && c != '-' && c != '_' && c != '.'; },
      '_');
  return name + "-" + sha.hex().substr(0, 32);
}

Output joined(const std::vector<Output>& parts) {
  const auto join = [&](Tensor Output::*member) {
    std::vector<Tensor> tensors;
    for (const auto& part : parts) {
      if (!(part.*member).defined()) return Tensor();
      tensors.push_back(part.*member);
    }
    return at::cat(tensors);
  };
  return {join(&Output::features), join(&Output::logits), join(&Output::spatial)};
}

}  // namespace

FeatureChunks::FeatureChunks(const ImageSet& images, const FeatureExtractor& extractor,
                             const std::filesystem::path& folder)
    : images_(images), extractor_(extractor) {
  if (folder.empty()) return;
  folder_ = folder / key_of(images, extractor);
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) throw StorageError("cannot make the folder ", folder_.string(), ": ", error.message());
}

void FeatureChunks::compute(const Shard& shard, const std::function<void(int64_t)>& show) {
  for (int64_t chunk = shard.index; chunk < chunks(); chunk += shard.count) {
    if (has(chunk)) continue;
    std::vector<Output> parts;
    const int64_t end = chunk * kChunk + size_of(chunk);
    for (int64_t begin = chunk * kChunk; begin < end; begin += kBatch) {
      const auto next = std::min(begin + kBatch, end);
      parts.push_back(extractor_(images_.get(begin, next)));
      show(next - begin);
    }
    keep(chunk, joined(parts));
  }
}

int64_t FeatureChunks::missing(const Shard& shard) const {
  int64_t images = 0;
  for (int64_t chunk = shard.index; chunk < chunks(); chunk += shard.count) {
    if (!has(chunk)) images += size_of(chunk);
  }
  return images;
}

Output FeatureChunks::all() const {
  std::vector<Output> parts;
  for (int64_t chunk = 0; chunk < chunks(); ++chunk) {
    parts.push_back(folder_.empty() ? memory_.at(chunk) : load(chunk));
  }
  return joined(parts);
}

int64_t FeatureChunks::chunks() const { return (images_.count + kChunk - 1) / kChunk; }

int64_t FeatureChunks::size_of(int64_t chunk) const {
  return std::min(kChunk, images_.count - chunk * kChunk);
}

std::filesystem::path FeatureChunks::path_of(int64_t chunk) const {
  char name[40];
  std::snprintf(name, sizeof(name), "chunk-%06ld.safetensors", chunk);
  return folder_ / name;
}

bool FeatureChunks::has(int64_t chunk) const {
  return folder_.empty() ? memory_.contains(chunk) : std::filesystem::exists(path_of(chunk));
}

void FeatureChunks::keep(int64_t chunk, const Output& output) {
  if (folder_.empty()) {
    memory_[chunk] = output;
    return;
  }
  TensorFile file{{{"features", output.features}},
                  {{"images", images_.hash},
                   {"network", extractor_.name()},
                   {"description", extractor_.description()}}};
  if (output.logits.defined()) file.tensors.emplace_back("logits", output.logits);
  if (output.spatial.defined()) file.tensors.emplace_back("spatial", output.spatial);
  write_safetensors(path_of(chunk), file);
}

Output FeatureChunks::load(int64_t chunk) const {
  const auto path = path_of(chunk);
  Output output;
  for (const auto& [name, tensor] : read_safetensors(path).tensors) {
    if (tensor.dim() != 2 || tensor.size(0) != size_of(chunk) ||
        tensor.scalar_type() != at::kFloat) {
      throw InputError(path.string(), ": tensor \"", name, "\": expected float32 [", size_of(chunk),
                       ", D], found ", tensor.scalar_type(), " ", tensor.sizes(),
                       "; remove the file to compute it again");
    }
    if (name == "features") output.features = tensor;
    if (name == "logits") output.logits = tensor;
    if (name == "spatial") output.spatial = tensor;
  }
  if (!output.features.defined()) {
    throw InputError(path.string(), ": expected a tensor \"features\"; remove the file to compute",
                     " it again");
  }
  return output;
}

}  // namespace bitdiff
