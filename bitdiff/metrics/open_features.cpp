#include "bitdiff/metrics/open_features.h"

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/sha256.h"
#include "bitdiff/io/torch_file.h"

namespace bitdiff {
namespace {

constexpr const char* kKey = "bitdiff.features";
constexpr const char* kInception = "inception";

}  // namespace

std::unique_ptr<FeatureExtractor> open_features(const std::filesystem::path& path,
                                                const FeatureOptions& options) {
  const auto file = read_safetensors(path);
  const auto kind = file.metadata.find(kKey);
  if (kind == file.metadata.end() || kind->second != kInception) {
    throw InputError(path.string(), ": metadata: expected ", kKey, " = \"", kInception,
                     "\", found ",
                     kind == file.metadata.end() ? "none" : "\"" + printable(kind->second) + "\"",
                     "; `bitdiff convert inception` writes such a file");
  }
  return make_inception(weights_from(file.tensors, path.string()), options.resize,
                        sha256_of_file(path));
}

TensorFile inception_file(const std::filesystem::path& source) {
  const auto weights = weights_from(read_torch_state_dict(source), source.string());
  TensorFile file{{}, {{kKey, kInception}, {"source.sha256", sha256_of_file(source)}}};
  const auto copy = [&](const std::string& name, IntArrayRef shape) {
    file.tensors.emplace_back(name, weights(name, shape));
    return file.tensors.back().second;
  };
  make_inception(copy, InceptionResize::kTf, "");  // Asks for all it needs, and for nothing else.
  return file;
}

}  // namespace bitdiff
