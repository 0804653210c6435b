#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bitdiff/data/dataset.h"
#include "bitdiff/data/tokenizer.h"

namespace bitdiff {

struct TextOptions {
  std::string tokenizer;  ///< "bytes", or the file of a SentencePiece model.
  int64_t length = 64;    ///< L: tokens of an example.
  bool lines = true;      ///< See TextInfo.
};

/// How examples are text that these options name. Throws InputError or UsageError.
TextInfo text_info_of(const TextOptions& options);

/// One example a line: its tokens, eos, pad; uint8 or int32 [N, 1, length]. Lines that are longer
/// lose their end, not their eos, and are counted in info.cut.
Tensor examples_of_lines(const std::vector<std::string>& lines, int64_t length, TextInfo& info);

/// The lines of a text file as sequences of tokens [1, L], K = the tokenizer's size; see TextInfo
/// for what an example is. Throws InputError or UsageError.
std::shared_ptr<const Dataset> open_text(const std::filesystem::path& path,
                                         const TextOptions& options);

/// The text of one example, int [1, L] or [L]. Of a line: up to the first eos. Of running text:
/// all of it, each eos a line feed.
std::string text_of(const TextInfo& info, const Tensor& tokens);

}  // namespace bitdiff
