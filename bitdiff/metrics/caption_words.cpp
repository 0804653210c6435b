#include "bitdiff/metrics/caption_words.h"

#include <sstream>

#include "bitdiff/metrics/caption_ptb.h"

namespace bitdiff {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

std::vector<std::string> split(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

/// Everything but a-z and 0-9 becomes a space.
std::string simplified(std::string text) {
  for (char& c : text) c = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : ' ';
  return text;
}

}  // namespace

const Words<CaptionTokenizer>& caption_tokenizer_words() {
  static const Words<CaptionTokenizer> words = {{"ptb", CaptionTokenizer::kPtb},
                                                {"simple", CaptionTokenizer::kSimple},
                                                {"none", CaptionTokenizer::kNone}};
  return words;
}

std::vector<std::string> caption_words(const std::string& caption, CaptionTokenizer tokenizer) {
  switch (tokenizer) {
    case CaptionTokenizer::kPtb:
      return ptb_words(lower(caption));
    case CaptionTokenizer::kSimple:
      return split(simplified(lower(caption)));
    default:
      return split(caption);
  }
}

}  // namespace bitdiff
