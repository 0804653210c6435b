#include "bitdiff/data/sentencepiece.h"

#include <algorithm>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>
#include <sstream>
#include <utility>

#include <c10/util/Exception.h>

#include "bitdiff/base/error.h"
#include "bitdiff/data/text_lines.h"
#include "bitdiff/io/file.h"

namespace bitdiff {
namespace {

namespace spm = sentencepiece;

constexpr uint64_t kMostBytes = uint64_t{1} << 28;

class SentencePiece final : public Tokenizer {
 public:
  SentencePiece(const std::string& where, std::string model) : model_(std::move(model)) {
    // An empty model is taken for a model of no pieces, and asked for one it ends the program.
    const auto status = processor_.LoadFromSerializedProto(model_);
    if (!status.ok() || processor_.GetPieceSize() < 2) {
      throw InputError(where, ": not a SentencePiece model: ",
                       printable(status.ok() ? "it has no pieces" : status.message()));
    }
    if (processor_.eos_id() < 0) {
      throw InputError(where, ": expected a SentencePiece model with an end of sentence (eos_id),",
                       " found none; train one with `bitdiff tokenizer train`");
    }
  }

  int64_t size() const override { return processor_.GetPieceSize(); }
  int64_t eos() const override { return processor_.eos_id(); }
  int64_t pad() const override {
    return processor_.pad_id() < 0 ? processor_.eos_id() : processor_.pad_id();
  }
  const std::string& model() const override { return model_; }

  std::vector<int64_t> encode(const std::string& text) const override {
    std::vector<int> tokens;
    const auto status = processor_.Encode(text, &tokens);
    TORCH_CHECK(status.ok(), "SentencePiece: ", status.message());
    return {tokens.begin(), tokens.end()};
  }

  std::string decode(std::span<const int64_t> tokens) const override {
    std::vector<int> shown;
    for (const int64_t token : tokens) {
      if (token < 0 || token >= size()) {
        throw InputError("token ", token, ": expected 0 to ", size() - 1, ", a piece of the model");
      }
      if (token != eos() && token != pad()) shown.push_back(static_cast<int>(token));
    }
    std::string text;
    const auto status = processor_.Decode(shown, &text);
    TORCH_CHECK(status.ok(), "SentencePiece: ", status.message());
    return text;
  }

 private:
  std::string model_;
  spm::SentencePieceProcessor processor_;
};

/// The lines of files, one after the other, as SentencePiece asks for them.
class Lines final : public spm::SentenceIterator {
 public:
  explicit Lines(std::vector<std::string> lines) : lines_(std::move(lines)) {}
  bool done() const override { return next_ >= lines_.size(); }
  void Next() override { ++next_; }  // NOLINT(readability-identifier-naming)
  const std::string& value() const override { return lines_[next_]; }
  spm::util::Status status() const override { return {}; }

 private:
  std::vector<std::string> lines_;
  size_t next_ = 0;
};

}  // namespace

std::shared_ptr<const Tokenizer> load_sentencepiece(const std::filesystem::path& path) {
  return std::make_shared<SentencePiece>(path.string(), read_file(path, kMostBytes));
}

std::string train_sentencepiece(const std::vector<std::filesystem::path>& files, int64_t pieces) {
  std::vector<std::string> all;
  for (const auto& file : files) {
    auto lines = read_text_lines(file);
    std::move(lines.begin(), lines.end(), std::back_inserter(all));
  }
  Lines lines(std::move(all));
  std::string model;
  const auto status = spm::SentencePieceTrainer::Train({{"vocab_size", std::to_string(pieces)},
                                                        {"model_type", "unigram"},
                                                        {"byte_fallback", "true"},
                                                        {"pad_id", "0"},
                                                        {"eos_id", "1"},
                                                        {"unk_id", "2"},
                                                        {"bos_id", "-1"},
                                                        {"minloglevel", "2"}},
                                                       &lines, &model);
  if (!status.ok()) {
    throw UsageError("no tokenizer of ", pieces,
                     " pieces can be trained on this text: ", printable(status.message()));
  }
  return model;
}

}  // namespace bitdiff
