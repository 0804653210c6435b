#include "bitdiff/model/pretrained.h"

#include <array>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/cat.h>
#include <c10/core/GradMode.h>

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/safetensors.h"

namespace bitdiff {
namespace {

constexpr std::array<std::pair<const char*, const char*>, 6> kPartsOfBlocks = {
    {{"norm0", "norm1"},
     {"attention.qkv", "attn.qkv"},
     {"attention.out", "attn.proj"},
     {"norm1", "norm2"},
     {"dense0", "mlp.fc1"},
     {"dense1", "mlp.fc2"}}};

/// "block.3.dense0.weight" -> "blocks.3.mlp.fc1.weight"; "" for what a ViT does not have.
std::string timm_name(const std::string& name) {
  if (name == "class_token") return "cls_token";
  if (name == "positions") return "pos_embed";
  if (name.starts_with("patch.")) return "patch_embed.proj." + name.substr(6);
  if (name.starts_with("norm.")) return name;
  if (!name.starts_with("block.")) return "";
  const auto end_of_number = name.find('.', 6);
  const auto start_of_kind = name.rfind('.');
  const auto part = name.substr(end_of_number + 1, start_of_kind - end_of_number - 1);
  for (const auto& [ours, theirs] : kPartsOfBlocks) {
    if (part == ours) {
      return "blocks" + name.substr(5, end_of_number - 4) + theirs + name.substr(start_of_kind);
    }
  }
  return "";
}

/// Positions [1 + n^2, D] -> [count, D] on another square grid; the first is the class token's.
/// Undefined when either grid is not square.
Tensor resample(const Tensor& positions, int64_t count) {
  const auto side = [](int64_t n) { return std::llround(std::sqrt(static_cast<double>(n - 1))); };
  const int64_t from = side(positions.size(0)), to = side(count);
  if (from * from + 1 != positions.size(0) || to * to + 1 != count) return {};
  const auto grid = positions.slice(0, 1).t().reshape({1, -1, from, from});
  const auto resized = at::_upsample_bicubic2d_aa(grid, {to, to}, /*align_corners=*/false);
  return at::cat({positions.slice(0, 0, 1), resized.flatten(2)[0].t()});
}

}  // namespace

void load_vit(const std::filesystem::path& path, const Parameters& parameters) {
  const c10::NoGradGuard no_grad;
  std::map<std::string, Tensor> file;
  for (auto& [name, tensor] : read_safetensors(path).tensors) file[name] = tensor;
  const std::string prefix = "encoder.";
  for (const auto& [name, parameter] : parameters.named()) {
    if (!name.starts_with(prefix)) continue;
    const auto theirs = timm_name(name.substr(prefix.size()));
    if (theirs.empty()) continue;
    const auto found = file.find(theirs);
    if (found == file.end()) {
      throw InputError(path.string(), ": expected a tensor ", theirs,
                       " as in timm's ViTs, found none; compare encoder.layers");
    }
    auto value = found->second.to(at::kFloat);
    if (value.dim() == parameter.dim() + 1 && value.size(0) == 1) value = value.squeeze(0);
    if (name == prefix + "positions" && value.dim() == 2 && value.size(0) != parameter.size(0)) {
      value = resample(value, parameter.size(0));
    }
    if (!value.defined() || value.sizes() != parameter.sizes()) {
      throw InputError(path.string(), ": ", theirs, ": expected ", parameter.sizes(), ", found ",
                       found->second.sizes(), "; compare the section [encoder] of the config");
    }
    Tensor(parameter).copy_(value);
  }
}

}  // namespace bitdiff
