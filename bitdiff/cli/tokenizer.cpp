#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "bitdiff/cli/commands.h"
#include "bitdiff/cli/output_path.h"
#include "bitdiff/data/sentencepiece.h"
#include "bitdiff/io/atomic_file.h"

namespace bitdiff {
namespace {

struct Flags {
  std::vector<std::filesystem::path> texts;
  int64_t vocab = 4096;
  std::string out;
};

int train(const Flags& flags) {
  check_folder_of("--out", flags.out);
  write_file_atomically(flags.out, train_sentencepiece(flags.texts, flags.vocab));
  std::cerr << "wrote a tokenizer of " << load_sentencepiece(flags.out)->size() << " pieces to "
            << flags.out << "\n";
  return 0;
}

}  // namespace

Action add_tokenizer(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  auto* command = program.add_subcommand("tokenizer", "Train a tokenizer for text.");
  command->require_subcommand(1);
  auto* training =
      command->add_subcommand("train", "Train a SentencePiece model (unigram) on lines of text.");
  training->add_option("texts", flags->texts, "text files")->required()->type_name("TEXT.txt...");
  training->add_option("--vocab", flags->vocab, "pieces of the model, 256 of them single bytes")
      ->type_name("K")
      ->check(CLI::Range(int64_t{300}, int64_t{1} << 20))
      ->capture_default_str();
  training->add_option("--out", flags->out, "the model")->required()->type_name("FILE.model");
  return [flags] { return train(*flags); };
}

}  // namespace bitdiff
