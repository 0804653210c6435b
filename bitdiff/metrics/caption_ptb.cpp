#include "bitdiff/metrics/caption_ptb.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

namespace bitdiff {
namespace {

using WordList = std::vector<std::string>;

bool is_letter(char c) {
  // Bytes of other scripts are letters.
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) { return is_letter(c) || is_digit(c); }

/// Quotes and dashes of typesetters as those of a typewriter, and characters for entities of HTML.
std::string plain(std::string text) {
  static const std::vector<std::pair<std::string, std::string>> replaced = {
      {"\u2018", "'"},  {"\u2019", "'"},   {"\u201c", "\""}, {"\u201d", "\""}, {"\u2013", "--"},
      {"\u2014", "--"}, {"\u2026", "..."}, {"\u00a0", " "},  {"&amp;", "&"},   {"&nbsp;", " "}};
  for (const auto& [from, to] : replaced) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
      text.replace(at, from.size(), to);
    }
  }
  return text;
}

/// Whether text[at] joins what is before and after it into one word, which begins at `begin`.
bool joins(std::string_view text, size_t begin, size_t at) {
  if (at == begin || at + 1 >= text.size()) return false;
  const char before = text[at - 1];
  const char after = text[at + 1];
  switch (text[at]) {
    case '-':
    case '/':
      return is_word(before) && is_word(after);
    case '\'':
    case '&':
      return is_letter(before) && is_letter(after);
    case ',':
    case ':':
      return is_digit(before) && is_digit(after);
    case '.':  // A number, an acronym, the name of a site.
      return (is_digit(before) && is_digit(after)) || (is_letter(before) && is_letter(after));
    default:
      return false;
  }
}

/// Whether a word is letters with a period between each two of them.
bool is_acronym(std::string_view word) {
  if (word.size() < 3) return false;
  for (size_t i = 0; i < word.size(); ++i) {
    if (i % 2 == 0 ? !is_letter(word[i]) : word[i] != '.') return false;
  }
  return true;
}

/// Whether a word keeps the period that follows it.
bool keeps_period(std::string_view word) {
  static const std::set<std::string_view> abbreviations = {
      "ave", "blvd", "co",  "corp", "dept", "dr",   "etc", "ft", "inc", "jr",
      "ltd", "mr",   "mrs", "ms",   "mt",   "prof", "rd",  "sr", "st",  "vs"};
  return abbreviations.contains(word) || is_acronym(word);
}

/// What a word and these are written as one: clitics, which are words of their own.
constexpr std::array<std::string_view, 7> kClitics = {"n't", "'s", "'re", "'ve", "'ll", "'d", "'m"};

/// A word that ends with n't, 's and the like is two words.
void add_word(std::string_view word, WordList& words) {
  static const std::map<std::string_view, size_t> assimilated = {
      {"cannot", 3}, {"gonna", 3}, {"gotta", 3}, {"wanna", 3}, {"gimme", 3}, {"lemme", 3}};
  size_t cut = 0;
  if (const auto found = assimilated.find(word); found != assimilated.end()) cut = found->second;
  for (const auto clitic : kClitics) {
    if (word.size() > clitic.size() && word.ends_with(clitic)) cut = word.size() - clitic.size();
  }
  if (cut > 0) words.emplace_back(word.substr(0, cut));
  words.emplace_back(word.substr(cut));
}

/// What is neither word nor number; most of it is dropped.
void add_sign(char sign, WordList& words) {
  static const std::map<char, std::string> brackets = {{'(', "-lrb-"}, {')', "-rrb-"},
                                                       {'[', "-lsb-"}, {']', "-rsb-"},
                                                       {'{', "-lcb-"}, {'}', "-rcb-"}};
  static constexpr std::string_view kDropped = ".,;:!?'`\"-";
  if (kDropped.find(sign) != std::string_view::npos) return;
  const auto bracket = brackets.find(sign);
  words.push_back(bracket == brackets.end() ? std::string(1, sign) : bracket->second);
}

/// How many bytes at text[at] are a clitic that stands alone, as in "it 's": 0 if none.
size_t lone_clitic(std::string_view text, size_t at) {
  for (const auto clitic : kClitics) {
    const size_t end = at + clitic.size();
    if (clitic[0] == '\'' && text.substr(at).starts_with(clitic) &&
        (end >= text.size() || !is_word(text[end]))) {
      return clitic.size();
    }
  }
  return 0;
}

/// Adds the words of a stretch without white space.
void add_words(std::string_view text, WordList& words) {
  for (size_t begin = 0; begin < text.size();) {
    if (const size_t length = lone_clitic(text, begin); length > 0) {
      words.emplace_back(text.substr(begin, length));
      begin += length;
      continue;
    }
    size_t end = begin;
    while (end < text.size() && (is_word(text[end]) || joins(text, begin, end))) ++end;
    if (end == begin) {
      add_sign(text[begin++], words);
      continue;
    }
    if (end < text.size() && text[end] == '.' && keeps_period(text.substr(begin, end - begin))) {
      ++end;
    }
    add_word(text.substr(begin, end - begin), words);
    begin = end;
  }
}

}  // namespace

std::vector<std::string> ptb_words(const std::string& caption) {
  WordList words;
  std::istringstream stream(plain(caption));
  for (std::string text; stream >> text;) add_words(text, words);
  return words;
}

}  // namespace bitdiff
