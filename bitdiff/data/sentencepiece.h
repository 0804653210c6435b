#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bitdiff/data/tokenizer.h"

namespace bitdiff {

/// The tokenizer of a SentencePiece model (Kudo and Richardson, 2018). K is its number of pieces;
/// pad is the model's, or eos where it has none. Throws InputError that names the file when it is
/// no such model or has no eos.
std::shared_ptr<const Tokenizer> load_sentencepiece(const std::filesystem::path& path);

/// Trains a unigram model of `pieces` pieces on the lines of text files; returns the bytes of its
/// file. pad is 0, eos 1, unknown 2; characters too rare for a piece are spelled in bytes, so that
/// every text has tokens. The same text gives the same model. Throws InputError for a file that
/// cannot be read, UsageError when the text does not suffice for so many pieces.
std::string train_sentencepiece(const std::vector<std::filesystem::path>& files, int64_t pieces);

}  // namespace bitdiff
