#include "bitdiff/data/tokenizer.h"

#include "bitdiff/base/error.h"
#include "bitdiff/data/sentencepiece.h"

namespace bitdiff {
namespace {

class ByteTokenizer final : public Tokenizer {
 public:
  int64_t size() const override { return 256; }
  int64_t eos() const override { return '\n'; }
  int64_t pad() const override { return '\0'; }
  const std::string& model() const override { return model_; }

  std::vector<int64_t> encode(const std::string& text) const override {
    std::vector<int64_t> tokens;
    tokens.reserve(text.size());
    for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
    return tokens;
  }

  std::string decode(std::span<const int64_t> tokens) const override {
    std::string text;
    for (const int64_t token : tokens) {
      if (token < 0 || token > 255) {
        throw InputError("token ", token, ": expected a byte, 0 to 255");
      }
      if (token != eos() && token != pad()) text.push_back(static_cast<char>(token));
    }
    return text;
  }

 private:
  std::string model_;
};

}  // namespace

std::shared_ptr<const Tokenizer> load_tokenizer(const std::string& name) {
  if (name == "bytes") return std::make_shared<ByteTokenizer>();
  return load_sentencepiece(name);
}

}  // namespace bitdiff
