#include "bitdiff/model/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>

#include <ATen/ops/zeros_like.h>

#include "bitdiff/base/error.h"
#include "bitdiff/data/tokenizer.h"
#include "bitdiff/io/atomic_file.h"
#include "bitdiff/io/safetensors.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kBitOrder = "least significant first";
constexpr const char* kTokenizerFile = "tokenizer.model";

Json json_of(const TextInfo& text) {
  return {{"tokenizer", text.tokenizer->model().empty() ? "bytes" : kTokenizerFile},
          {"lines", text.lines}};
}

Json json_of(const Checkpoint& checkpoint) {
  const auto& data = checkpoint.data;
  Json json{{"format", 1},
            {"step", checkpoint.step},
            {"seed", checkpoint.seed},
            {"bit_order", kBitOrder},
            {"data",
             {{"shape", data.shape},
              {"categories", data.categories},
              {"classes", data.classes},
              {"palette", data.palette}}}};
  if (data.text.tokenizer) json["data"]["text"] = json_of(data.text);
  if (!data.image_shape.empty()) json["data"]["image_shape"] = data.image_shape;
  return json;
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) throw InputError(path.string(), ": cannot be read; expected a file of a checkpoint");
  return text.str();
}

/// `folder`: of the checkpoint.
TextInfo read_text_info(const fs::path& folder, const Json& text) {
  const std::string name = text.at("tokenizer");
  const auto tokenizer = name == "bytes" ? name : (folder / kTokenizerFile).string();
  return {.tokenizer = load_tokenizer(tokenizer), .lines = text.at("lines")};
}

void read_state(const fs::path& path, Checkpoint& checkpoint) {
  try {
    const auto state = Json::parse(read_text(path));
    if (state.at("format") != 1) {
      throw InputError(path.string(), ": format: expected 1, found ", state.at("format").dump(),
                       "; this checkpoint was written by a newer bitdiff");
    }
    if (state.at("bit_order") != kBitOrder) {
      throw InputError(path.string(), ": bit_order: expected \"", kBitOrder, "\", found ",
                       state.at("bit_order").dump());
    }
    checkpoint.step = state.at("step");
    checkpoint.seed = state.at("seed");
    const auto& data = state.at("data");
    checkpoint.data.shape = data.at("shape").get<std::vector<int64_t>>();
    checkpoint.data.categories = data.at("categories").get<std::vector<int64_t>>();
    checkpoint.data.classes = data.at("classes");
    checkpoint.data.palette = data.at("palette").get<std::vector<int64_t>>();
    if (data.contains("image_shape")) {
      checkpoint.data.image_shape = data["image_shape"].get<std::vector<int64_t>>();
    }
    if (data.contains("text")) {
      checkpoint.data.text = read_text_info(path.parent_path(), data["text"]);
    }
  } catch (const Json::exception& error) {
    throw InputError(path.string(), ": not the state of a checkpoint: ", error.what());
  }
  const auto positive = [](const std::vector<int64_t>& sizes) {
    return std::all_of(sizes.begin(), sizes.end(), [](auto n) { return n > 0; });
  };
  const auto& shape = checkpoint.data.shape;
  if (shape.size() < 2 || !positive(shape)) {
    throw InputError(path.string(), ": data.shape: expected [C, ...] of positive sizes");
  }
  const auto& image = checkpoint.data.image_shape;
  const bool pixels = image.size() == 3 && image[0] == 3, features = image.size() == 2;
  if (!image.empty() && !(positive(image) && (pixels || features))) {
    throw InputError(path.string(), ": data.image_shape: expected [3, H, W] or [M, D] of positive ",
                     "sizes");
  }
  const auto& text = checkpoint.data.text;
  if (text.tokenizer && checkpoint.data.categories != std::vector{text.tokenizer->size()}) {
    throw InputError(path.string(), ": data.categories: expected [", text.tokenizer->size(),
                     "], the size of the tokenizer; they belong to different checkpoints");
  }
}

NamedTensors detached(const NamedTensors& tensors) {
  NamedTensors plain;
  for (const auto& [name, tensor] : tensors) plain.emplace_back(name, tensor.detach().cpu());
  return plain;
}

/// The step of a folder that is called as checkpoint_name says; nothing for other names, such as
/// those of copies that a user keeps beside them.
std::optional<int64_t> step_of(const std::string& name) {
  constexpr std::string_view kPrefix = "step-";
  if (!name.starts_with(kPrefix)) return {};
  int64_t step = 0;
  const auto* end = name.data() + name.size();
  const auto [last, error] = std::from_chars(name.data() + kPrefix.size(), end, step);
  if (error != std::errc() || last != end || checkpoint_name(step) != name) return {};
  return step;
}

}  // namespace

bool is_checkpoint(const fs::path& path) {
  std::error_code unreadable;
  return fs::exists(path / "state.json", unreadable);
}

fs::path tokenizer_of(const fs::path& folder) {
  std::error_code unreadable;
  const auto file = folder / kTokenizerFile;
  return fs::exists(file, unreadable) ? file : fs::path();
}

std::string checkpoint_name(int64_t step) {
  const auto digits = std::to_string(step);
  return "step-" + std::string(std::max<size_t>(8, digits.size()) - digits.size(), '0') + digits;
}

void save_checkpoint(const fs::path& folder, const Checkpoint& checkpoint) {
  const auto temporary = folder.parent_path() / ("." + folder.filename().string() + ".tmp");
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
  try {
    fs::create_directories(temporary);
  } catch (const fs::filesystem_error& error) {
    throw StorageError(temporary.string(), ": cannot be made: ", error.code().message());
  }
  write_file_atomically(temporary / "config.toml", checkpoint.config);
  write_file_atomically(temporary / "state.json", json_of(checkpoint).dump(2) + "\n");
  write_safetensors(temporary / "model.safetensors", {detached(checkpoint.weights), {}});
  write_safetensors(temporary / "ema.safetensors", {detached(checkpoint.ema), {}});
  write_safetensors(temporary / "optimizer.safetensors", {detached(checkpoint.optimizer), {}});
  if (const auto& tokenizer = checkpoint.data.text.tokenizer;
      tokenizer && !tokenizer->model().empty()) {
    write_file_atomically(temporary / kTokenizerFile, tokenizer->model());
  }
  publish_folder(temporary, folder);
}

std::vector<fs::path> list_checkpoints(const fs::path& run) {
  std::map<int64_t, fs::path> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", none)) {
    const auto step = step_of(entry.path().filename().string());
    if (step && is_checkpoint(entry.path())) found.emplace(*step, entry.path());
  }
  std::vector<fs::path> in_order;
  for (const auto& [step, path] : found) in_order.push_back(path);
  return in_order;
}

fs::path find_checkpoint(const fs::path& path) {
  if (is_checkpoint(path)) return path;
  const auto all = list_checkpoints(path);
  if (all.empty()) {
    std::error_code unreadable;
    throw InputError(path.string(), ": ",
                     fs::exists(path, unreadable) ? "holds no checkpoint" : "does not exist",
                     "; expected a run folder or a checkpoint folder");
  }
  return all.back();
}

Checkpoint load_checkpoint(const fs::path& folder) {
  Checkpoint checkpoint;
  checkpoint.config = read_text(folder / "config.toml");
  read_state(folder / "state.json", checkpoint);
  checkpoint.weights = read_safetensors(folder / "model.safetensors").tensors;
  checkpoint.ema = read_safetensors(folder / "ema.safetensors").tensors;
  checkpoint.optimizer = read_safetensors(folder / "optimizer.safetensors").tensors;
  return checkpoint;
}

Model load_model(const fs::path& folder, at::Device device) {
  Checkpoint checkpoint;
  read_state(folder / "state.json", checkpoint);
  ModelOptions options;
  auto config = Config::load(folder / "config.toml");
  read_model(config, options, !checkpoint.data.image_shape.empty());
  auto model = unset_model(options, checkpoint.data, device);
  const auto file = folder / "ema.safetensors";
  assign(file.string(), read_safetensors(file).tensors, model.parameters.named());
  return model;
}

}  // namespace bitdiff
