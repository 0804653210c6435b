#include "bitdiff/metrics/small_features.h"

#include <algorithm>
#include <utility>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>

#include "bitdiff/base/config.h"
#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/resize.h"

namespace bitdiff {
namespace {

constexpr int64_t kBlock = 64;  // Images that the network sees at once.
constexpr int64_t kMostClasses = 1 << 20;

class SmallFeatures final : public FeatureExtractor {
 public:
  SmallFeatures(std::unique_ptr<SmallNet> net, std::string hash)
      : net_(std::move(net)), hash_(std::move(hash)) {}

  std::string name() const override { return net_->options().name; }

  std::string description() const override {
    const auto size = net_->options().size;
    return str("weights sha256 ", hash_, ", resized to ", size, " x ", size, " by area, float32");
  }

  Output operator()(const Tensor& images) const override {
    const c10::NoGradGuard no_grad;
    const auto features = small_features(*net_, images);
    return {features, net_->classes() > 0 ? net_->logits(features) : Tensor(), {}};
  }

 private:
  std::unique_ptr<SmallNet> net_;
  std::string hash_;
};

/// The metadata `key` of a file, or an InputError.
const std::string& note(const TensorFile& file, const std::string& key, const std::string& where) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) {
    throw InputError(where, ": metadata: expected \"", key,
                     "\", found none; this is no file of `bitdiff features`");
  }
  return found->second;
}

int64_t classes_of(const TensorFile& file, const std::string& where) {
  const auto& text = note(file, "classes", where);
  const bool number =
      !text.empty() && text.size() < 8 &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!number || std::stoll(text) > kMostClasses) {
    throw InputError(where, ": metadata: classes: expected a number in 0..", kMostClasses,
                     ", found ", printable(text));
  }
  return std::stoll(text);
}

SmallNetOptions options_of(const TensorFile& file, const std::string& where) {
  SmallNetOptions options;
  try {
    auto config = Config::parse(note(file, "config", where), where + ": metadata: config");
    config.read("features", options);
  } catch (const UsageError& error) {
    throw InputError(error.what());  // Not the user's config, but a file's.
  }
  return options;
}

}  // namespace

Tensor fit_images(const Tensor& images, int64_t size) {
  TORCH_CHECK(images.dim() == 4 && images.size(1) == 3 && images.scalar_type() == at::kByte,
              "expected uint8 images [N, 3, H, W], got ", images.scalar_type(), " ",
              images.sizes());
  if (images.size(2) == size && images.size(3) == size) return images.to(at::kFloat);
  std::vector<Tensor> resized;
  for (const auto& image : images.unbind()) {
    resized.push_back(resize(image, {size, size}, Filter::kArea));
  }
  return at::stack(resized).to(at::kFloat);
}

Tensor small_features(const SmallNet& net, const Tensor& images) {
  const c10::NoGradGuard no_grad;
  std::vector<Tensor> features;
  for (int64_t begin = 0; begin < images.size(0); begin += kBlock) {
    const auto block = images.slice(0, begin, begin + kBlock);
    features.push_back(net.features(fit_images(block, net.options().size)));
  }
  return at::cat(features);
}

void round_to_file(const SmallNet& net) {
  const c10::NoGradGuard no_grad;
  for (const auto& parameter : net.parameters().tensors()) {
    parameter.copy_(parameter.to(at::kHalf));
  }
}

void save_small_net(const std::filesystem::path& path, const SmallNet& net, bool with_head,
                    const FeatureNotes& notes) {
  TensorFile file;
  file.metadata = notes;
  auto options = net.options();
  ConfigWriter writer;
  writer.write("features", options);
  file.metadata[kFeaturesKey] = kSmallNet;
  file.metadata["config"] = writer.text();
  file.metadata["classes"] = str(with_head ? net.classes() : 0);
  for (const auto& [name, value] : net.parameters().named()) {
    if (!with_head && name.starts_with("head.")) continue;
    file.tensors.emplace_back(name, value.detach().to(at::kHalf));
  }
  write_safetensors(path, file);
}

std::unique_ptr<FeatureExtractor> open_small_net(const TensorFile& file, const std::string& where,
                                                 const std::string& hash) {
  if (const auto& network = note(file, kFeaturesKey, where); network != kSmallNet) {
    throw InputError(where, ": metadata: ", kFeaturesKey, ": expected \"", kSmallNet,
                     "\", found \"", printable(network), "\"");
  }
  const auto options = options_of(file, where);
  const int64_t classes = classes_of(file, where);
  for (const auto& [name, value] : file.tensors) {
    if (!value.isfinite().all().item<bool>()) {
      throw InputError(where, ": tensor \"", printable(name), "\": expected finite numbers");
    }
  }
  try {
    // First without memory: the file must not decide how much is taken before it is checked.
    assign(where, file.tensors, SmallNet(options, classes, 0, at::kMeta).parameters().named());
    auto net = std::make_unique<SmallNet>(options, classes, 0);
    assign(where, file.tensors, net->parameters().named());
    return std::make_unique<SmallFeatures>(std::move(net), hash);
  } catch (const UsageError& error) {
    throw InputError(where, ": ", error.what());  // Options that make no network.
  }
}

}  // namespace bitdiff
