#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "bitdiff/base/options.h"

namespace bitdiff {

/// A config as written by a person: TOML sections of options, with line numbers for errors.
///
///   auto config = Config::load("configs/emoji.toml");
///   config.set("train.steps=100");
///   config.read("train", options);   // fills what the section names, leaves the rest
///   config.refuse_unknown();
///
/// Everything that is not as it should be is a UsageError that names file, line, key, the value and
/// what is allowed.
class Config {
 public:
  /// `name`: what errors call the text.
  static Config parse(const std::string& text, const std::string& name);
  /// Throws UsageError when the file cannot be read.
  static Config load(const std::filesystem::path& path);

  /// Overrides one key: "section.key=value". A value that is no TOML is taken as a string.
  void set(const std::string& assignment);

  /// Fills `options` from a section. A section may be read into several options.
  template <class Options>
  void read(const std::string& section, Options& options);

  /// Throws for the first section or key that nothing has read.
  void refuse_unknown() const;

 private:
  class Reader;
  struct State;
  explicit Config(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

/// The visitor that fills options from one section of a Config.
class Config::Reader {
 public:
  Reader(Config& config, std::string section) : config_(config), section_(std::move(section)) {}

  void number(const std::string& key, int64_t& value, Range range, const char* help);
  void number(const std::string& key, double& value, Range range, const char* help);
  void numbers(const std::string& key, std::vector<int64_t>& value, Range range, const char* help);
  void flag(const std::string& key, bool& value, const char* help);
  void text(const std::string& key, std::string& value, const char* help);

  template <class Enum>
  void choice(const std::string& key, Enum& value, const Words<Enum>& words, const char* help) {
    std::vector<std::string> allowed;
    for (const auto& [word, meaning] : words) allowed.push_back(word);
    if (const int64_t index = chosen(key, allowed, help); index >= 0) value = words[index].second;
  }

 private:
  /// The index of the word the config holds, or -1 when it holds none.
  int64_t chosen(const std::string& key, const std::vector<std::string>& allowed, const char* help);

  Config& config_;
  std::string section_;
};

template <class Options>
void Config::read(const std::string& section, Options& options) {
  Reader reader(*this, section);
  options.visit(reader);
}

/// Writes options as a TOML config, each key with its help, such that Config::read gives them back.
class ConfigWriter {
 public:
  /// A key with its section, "train.lr", and its value as TOML.
  struct Value {
    std::string name;
    std::string toml;
    bool operator==(const Value&) const = default;
  };

  template <class Options>
  void write(const std::string& section, Options& options) {
    text_ += (text_.empty() ? "[" : "\n[") + section + "]\n";
    section_ = section;
    options.visit(*this);
  }

  const std::string& text() const { return text_; }
  /// All that was written, in its order.
  const std::vector<Value>& values() const { return values_; }

  void number(const std::string& key, int64_t value, Range range, const char* help);
  void number(const std::string& key, double value, Range range, const char* help);
  void numbers(const std::string& key, const std::vector<int64_t>& value, Range range,
               const char* help);
  void flag(const std::string& key, bool value, const char* help);
  void text(const std::string& key, const std::string& value, const char* help);

  template <class Enum>
  void choice(const std::string& key, Enum value, const Words<Enum>& words, const char* help) {
    std::string allowed;
    std::string current;
    for (const auto& [word, meaning] : words) {
      allowed += (allowed.empty() ? "" : " | ") + word;
      if (meaning == value) current = word;
    }
    text(key, current, (std::string(help) + ": " + allowed).c_str());
  }

 private:
  void line(const std::string& key, const std::string& value, const std::string& help);
  std::string text_;
  std::string section_;
  std::vector<Value> values_;
};

/// The shortest text that reads back as the same double, e.g. "0.0002".
std::string shortest(double value);

}  // namespace bitdiff
