#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>

#include "bitdiff/base/error.h"
#include "bitdiff/cli/commands.h"
#include "bitdiff/io/safetensors.h"
#include "bitdiff/metrics/open_features.h"

namespace bitdiff {
namespace {

struct Flags {
  std::string source;
  std::string out;
};

int convert_inception(const Flags& flags) {
  if (!flags.out.ends_with(".safetensors")) {
    throw UsageError(flags.out, ": expected a name that ends in .safetensors");
  }
  const auto file = inception_file(flags.source);
  write_safetensors(flags.out, file);
  std::cerr << "wrote " << file.tensors.size() << " weights to " << flags.out << "; SHA-256 of "
            << flags.source << ": " << file.metadata.at("source.sha256") << "\n";
  return 0;
}

}  // namespace

Action add_convert(CLI::App& program) {
  auto* convert = program.add_subcommand("convert", "Convert files of other programs.");
  convert->require_subcommand(1);
  auto flags = std::make_shared<Flags>();
  auto* inception = convert->add_subcommand(
      "inception",
      "Weights of pytorch-fid's Inception, for `bitdiff eval images`. Runs no pickle.");
  inception
      ->add_option("file", flags->source, "the state dict, such as pt_inception-2015-12-05.pth")
      ->required()
      ->type_name("FILE.pth");
  inception->add_option("out", flags->out, "what to write")
      ->required()
      ->type_name("OUT.safetensors");
  return [flags] { return convert_inception(*flags); };
}

}  // namespace bitdiff
