#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <c10/util/Exception.h>

#include "bitdiff/cli/commands.h"
#include "bitdiff/cli/output_path.h"
#include "bitdiff/io/atomic_file.h"
#include "bitdiff/metrics/caption_bleu.h"
#include "bitdiff/metrics/caption_cider.h"
#include "bitdiff/metrics/caption_files.h"
#include "bitdiff/metrics/caption_rouge.h"

namespace bitdiff {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
  std::string candidates;
  std::string references;
  std::string tokenizer = "ptb";
  std::string json;
};

CaptionTokenizer tokenizer_of(const std::string& chosen) {
  for (const auto& [word, tokenizer] : caption_tokenizer_words()) {
    if (word == chosen) return tokenizer;
  }
  TORCH_CHECK(false, "the command line let ", chosen, " pass");
}

Json report_of(const Flags& flags, const CaptionSet& set, const std::vector<CaptionScore>& scores) {
  Json report{{"candidates", flags.candidates},       {"references", flags.references},
              {"tokenizer", flags.tokenizer},         {"images", set.pairs.size()},
              {"reference_captions", set.references}, {"images_without_candidate", set.unscored}};
  for (const auto& score : scores) report["scores"][score.name] = score.corpus;
  for (size_t i = 0; i < set.images.size(); ++i) {
    Json image{{"image", set.images[i]}};
    for (const auto& score : scores) image[score.name] = score.each[i];
    report["each"].push_back(std::move(image));
  }
  return report;
}

int eval_captions(const Flags& flags) {
  check_folder_of("--json", flags.json);
  const auto set = read_captions(flags.candidates, flags.references, tokenizer_of(flags.tokenizer));
  auto scores = bleu(set.pairs);
  scores.push_back(cider(set.pairs));
  scores.push_back(rouge_l(set.pairs));
  std::cerr << set.pairs.size() << " images, " << set.references << " references, tokenizer "
            << flags.tokenizer;
  if (set.unscored > 0) std::cerr << "; " << set.unscored << " images have no candidate";
  std::cerr << "\n";
  for (const auto& score : scores) std::cout << score.name << ": " << score.corpus << "\n";
  if (!flags.json.empty()) {
    write_file_atomically(
        flags.json,
        report_of(flags, set, scores).dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  }
  return 0;
}

}  // namespace

Action add_eval_captions(CLI::App& eval) {
  auto flags = std::make_shared<Flags>();
  auto* command =
      eval.add_subcommand("captions", "Score captions: BLEU-1 to BLEU-4, CIDEr, ROUGE-L.");
  command->add_option("--candidates", flags->candidates, "one caption for each image")
      ->required()
      ->type_name("FILE.json|FILE.jsonl");
  command->add_option("--references", flags->references, "what people wrote of the images")
      ->required()
      ->type_name("FILE.json|FILE.jsonl");
  std::vector<std::string> words;
  for (const auto& [word, tokenizer] : caption_tokenizer_words()) words.push_back(word);
  command->add_option("--tokenizer", flags->tokenizer, "how captions become words")
      ->type_name("NAME")
      ->check(CLI::IsMember(words))
      ->capture_default_str();
  command->add_option("--json", flags->json, "also write figures, of every image too, to a file")
      ->type_name("FILE.json");
  return [flags] { return eval_captions(*flags); };
}

}  // namespace bitdiff
