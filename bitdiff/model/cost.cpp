#include "bitdiff/model/cost.h"

#include <string>
#include <string_view>

namespace bitdiff {
namespace {

bool has(std::string_view name, std::string_view part) {
  return name.find(part) != std::string_view::npos;
}

/// The number behind "down." or "up.".
int64_t stage_of(std::string_view name) {
  return std::stoll(std::string(name.substr(name.find('.') + 1)));
}

/// At how many places of a U-Net's example the weight `name` is applied.
int64_t places_in_unet(const UNetOptions& options, const DataInfo& data, std::string_view name) {
  const int64_t full = data.shape[1] * data.shape[2];
  const auto last = static_cast<int64_t>(options.mult.size()) - 1;
  const auto at_stage = [&](int64_t stage) { return full >> (2 * stage); };
  if (name.starts_with("down.")) return at_stage(stage_of(name) + (has(name, ".shrink.") ? 1 : 0));
  if (name.starts_with("up.")) {
    return at_stage(last - stage_of(name) - (has(name, ".grow.") ? 1 : 0));
  }
  return full;
}

/// How many vectors the image encoder passes on.
int64_t context_length(const ModelOptions& options, const DataInfo& data) {
  if (data.image_shape.size() == 2) return data.image_shape[0];
  const int64_t patch = options.encoder.patch;
  return data.image_shape[1] / patch * (data.image_shape[2] / patch) + 1;
}

/// Whether a matrix is only added or looked up.
bool is_table(std::string_view name) {
  return name.ends_with("positions") || name.ends_with("start") || name.ends_with("class_token");
}

struct Counter {
  const ModelOptions& options;
  const DataInfo& data;

  int64_t places(std::string_view name) const {
    if (is_table(name)) return 0;
    if (name.starts_with("time.") || has(name, ".scale_shift.")) return 1;
    // The mean vector of each token goes in, and the logits come out, by the same matrix.
    if (options.network == Network::kTransformer && name.ends_with("embedding")) {
      return 2 * data.shape[1];
    }
    if (options.network == Network::kUNet) return places_in_unet(options.unet, data, name);
    if (has(name, ".key_value.") || name.starts_with("encoder.")) {
      return context_length(options, data);
    }
    return data.shape[1];
  }

  /// Of a weight applied as a matrix, and of the mixing that follows if it makes queries: each
  /// compares all its channels with as many keys and adds as many values.
  double macs(std::string_view name, const Tensor& weight) const {
    if (weight.dim() < 2) return 0;
    const auto applied = static_cast<double>(places(name));
    const double count = applied * static_cast<double>(weight.numel());
    double keys = 0;
    if (has(name, ".qkv.")) keys = applied;
    if (has(name, ".query.")) keys = static_cast<double>(context_length(options, data));
    return count + 2 * applied * keys * static_cast<double>(weight.size(1));
  }
};

}  // namespace

double ModelCost::forward_macs(double self_cond_rate) const {
  return (1 + self_cond_rate) * net_macs + encoder_macs;
}

double ModelCost::backward_macs() const { return 2 * (net_macs + encoder_macs); }

ModelCost cost_of(const ModelOptions& options, const DataInfo& data) {
  const auto model = make_model(options, data, 0, at::kMeta);
  const Counter counter{options, data};
  ModelCost cost{.parameters = model.parameters.count()};
  for (const auto& [name, weight] : model.parameters.named()) {
    const bool encoder = std::string_view(name).starts_with("encoder.");
    (encoder ? cost.encoder_macs : cost.net_macs) += counter.macs(name, weight);
  }
  return cost;
}

}  // namespace bitdiff
