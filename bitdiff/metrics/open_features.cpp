#include "bitdiff/metrics/open_features.h"

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/sha256.h"
#include "bitdiff/io/torch_file.h"
#include "bitdiff/metrics/small_features.h"

namespace bitdiff {
namespace {

constexpr const char* kInception = "inception";

}  // namespace

std::unique_ptr<FeatureExtractor> open_features(const std::filesystem::path& path,
                                                const FeatureOptions& options) {
  const auto file = read_safetensors(path);
  const auto found = file.metadata.find(kFeaturesKey);
  const auto kind = found == file.metadata.end() ? "" : found->second;
  if (kind == kSmallNet) return open_small_net(file, path.string(), sha256_of_file(path));
  if (kind != kInception) {
    throw InputError(path.string(), ": metadata: expected ", kFeaturesKey, " = \"", kInception,
                     "\" or \"", kSmallNet, "\", found \"", printable(kind),
                     "\"; `bitdiff convert inception` and `bitdiff features` write such files");
  }
  return make_inception(weights_from(file.tensors, path.string()), options.resize,
                        sha256_of_file(path));
}

TensorFile inception_file(const std::filesystem::path& source) {
  const auto weights = weights_from(read_torch_state_dict(source), source.string());
  TensorFile file{{}, {{kFeaturesKey, kInception}, {"source.sha256", sha256_of_file(source)}}};
  const auto copy = [&](const std::string& name, IntArrayRef shape) {
    file.tensors.emplace_back(name, weights(name, shape));
    return file.tensors.back().second;
  };
  make_inception(copy, InceptionResize::kTf, "");  // Asks for all it needs, and for nothing else.
  return file;
}

}  // namespace bitdiff
