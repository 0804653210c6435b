#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "bitdiff/base/error.h"
#include "bitdiff/cli/commands.h"
#include "bitdiff/data/sentencepiece.h"
#include "bitdiff/io/image.h"
#include "bitdiff/io/npz.h"
#include "bitdiff/io/safetensors.h"
#include "bitdiff/model/checkpoint.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Flags {
  std::string path;
  bool json = false;
};

Json describe_tensors(const NamedTensors& tensors) {
  Json list = Json::array();
  for (const auto& [name, tensor] : tensors) {
    Json entry{{"name", name},
               {"dtype", c10::toString(tensor.scalar_type())},
               {"shape", tensor.sizes().vec()}};
    if (tensor.numel() > 0) {
      entry["min"] = tensor.min().item<double>();
      entry["max"] = tensor.max().item<double>();
    }
    list.push_back(entry);
  }
  return list;
}

Json describe_tokenizer(const Tokenizer& tokenizer) {
  return {{"kind", "tokenizer"},
          {"pieces", tokenizer.size()},
          {"eos", tokenizer.eos()},
          {"pad", tokenizer.pad()}};
}

Json describe_checkpoint(const fs::path& path) {
  const auto folder = find_checkpoint(path);
  const auto checkpoint = load_checkpoint(folder);
  const auto model = load_model(folder);  // Shows that weights and config fit.
  return {{"kind", "checkpoint"},
          {"path", folder.string()},
          {"step", checkpoint.step},
          {"seed", checkpoint.seed},
          {"parameters", model.parameters.count()},
          {"shape", checkpoint.data.shape},
          {"categories", checkpoint.data.categories},
          {"classes", checkpoint.data.classes},
          {"bit_channels", model.process.codec.bit_channels()},
          {"checkpoints", list_checkpoints(path).size()}};
}

Json describe(const fs::path& path) {
  if (!fs::exists(path)) throw InputError(path.string(), ": does not exist");
  if (fs::is_directory(path)) return describe_checkpoint(path);
  const auto extension = path.extension();
  if (extension == ".safetensors") {
    const auto file = read_safetensors(path);
    return {{"kind", "safetensors"},
            {"metadata", file.metadata},
            {"tensors", describe_tensors(file.tensors)}};
  }
  if (extension == ".npz" || extension == ".npy") {
    return {{"kind", "arrays"}, {"arrays", describe_tensors(read_arrays(path))}};
  }
  if (extension == ".png" || extension == ".jpg" || extension == ".jpeg") {
    return {{"kind", "image"}, {"shape", read_image(path).sizes().vec()}};
  }
  if (extension == ".model") return describe_tokenizer(*load_sentencepiece(path));
  throw InputError(path.string(),
                   ": expected a run or checkpoint folder, .safetensors, .npz, .npy, ",
                   ".png, .jpg or .model");
}

/// "key: value" lines; a list of tensors as one line each.
void print(const Json& description) {
  for (const auto& [key, value] : description.items()) {
    if (!value.is_array() || value.empty() || !value[0].is_object()) {
      std::cout << key << ": " << (value.is_string() ? value.get<std::string>() : value.dump())
                << "\n";
      continue;
    }
    for (const auto& entry : value) {
      std::cout << "  " << entry["name"].get<std::string>() << "  "
                << entry["dtype"].get<std::string>() << " " << entry["shape"].dump();
      if (entry.contains("min"))
        std::cout << " in [" << entry["min"] << ", " << entry["max"] << "]";
      std::cout << "\n";
    }
  }
}

int inspect(const Flags& flags) {
  const auto description = describe(flags.path);
  if (flags.json) {
    std::cout << description.dump(2) << "\n";
  } else {
    print(description);
  }
  return 0;
}

}  // namespace

Action add_inspect(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  auto* command = program.add_subcommand("inspect", "Validate and describe a file or a run.");
  command
      ->add_option("path", flags->path,
                   "run, checkpoint, .safetensors, .npz, .npy, .png, .jpg or .model")
      ->required()
      ->type_name("FILE|RUN");
  command->add_flag("--json", flags->json, "print JSON");
  return [flags] { return inspect(*flags); };
}

}  // namespace bitdiff
