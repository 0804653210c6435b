#include "bitdiff/base/config.h"

#include <charconv>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <toml++/toml.h>
#include <utility>

#include "bitdiff/base/error.h"
#include "bitdiff/base/suggest.h"

namespace bitdiff {

struct Config::State {
  std::string name;
  toml::table table;
  std::set<std::string> from_set;                     ///< "section.key" given by set().
  std::map<std::string, std::set<std::string>> seen;  ///< Keys that options have, by section.

  /// "file:line: section.key", the beginning of every error about a key.
  std::string place(const std::string& section, const std::string& key) const {
    const auto path = section + "." + key;
    if (from_set.contains(path)) return "--set " + path;
    const auto node = table[section][key].node();
    return str(name, ":", node ? node->source().begin.line : 0, ": ", path);
  }

  const toml::node* find(const std::string& section, const std::string& key) {
    seen[section].insert(key);
    return table[section][key].node();
  }
};

namespace {

std::string printed(const toml::node& node) {
  std::ostringstream out;
  node.visit([&](const auto& n) { out << n; });
  return out.str();
}

std::string printed(Range range) {
  const bool low = std::isfinite(range.low);
  const bool high = std::isfinite(range.high);
  if (low && high) return str("in [", shortest(range.low), ", ", shortest(range.high), "]");
  if (low) return "at least " + shortest(range.low);
  if (high) return "at most " + shortest(range.high);
  return "finite";
}

bool inside(double value, Range range) {
  return std::isfinite(value) && value >= range.low && value <= range.high;
}

std::string list_of(const std::vector<std::string>& words) {
  std::string all;
  for (const auto& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

std::vector<std::string> keys_of(const std::set<std::string>& keys) {
  return {keys.begin(), keys.end()};
}

[[noreturn]] void fail(const std::string& place, const toml::node& node,
                       const std::string& wanted) {
  throw UsageError(place, " = ", printed(node), ": expected ", wanted);
}

}  // namespace

std::string shortest(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return {buffer, end};
}

Config Config::parse(const std::string& text, const std::string& name) {
  auto state = std::make_shared<State>();
  state->name = name;
  try {
    state->table = toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    throw UsageError(name, ":", error.source().begin.line,
                     ": not valid TOML: ", error.description());
  }
  for (const auto& [section, node] : state->table) {
    if (!node.is_table()) {
      throw UsageError(name, ":", node.source().begin.line, ": ", section.str(),
                       " stands outside of any section; expected [section] first");
    }
  }
  return Config(std::move(state));
}

Config Config::load(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) throw UsageError(path.string(), ": cannot read this config file");
  return parse(text.str(), path.string());
}

void Config::set(const std::string& assignment) {
  const auto equals = assignment.find('=');
  const auto dot = assignment.find('.');
  if (equals == std::string::npos || dot == std::string::npos || dot > equals) {
    throw UsageError("--set ", assignment, ": expected section.key=value");
  }
  const auto section = assignment.substr(0, dot);
  const auto key = assignment.substr(dot + 1, equals - dot - 1);
  const auto value = assignment.substr(equals + 1);
  toml::table parsed;
  try {
    parsed = toml::parse("value = " + value);
  } catch (const toml::parse_error&) {
    parsed.insert("value", value);
  }
  if (!state_->table[section].is_table()) state_->table.insert_or_assign(section, toml::table{});
  state_->table[section].as_table()->insert_or_assign(key, *parsed.get("value"));
  state_->from_set.insert(section + "." + key);
}

void Config::refuse_unknown() const {
  std::vector<std::string> sections;
  for (const auto& [section, keys] : state_->seen) sections.push_back(section);
  for (const auto& [name, node] : state_->table) {
    const std::string section(name.str());
    const auto known = state_->seen.find(section);
    for (const auto& [key_name, value] : *node.as_table()) {
      const std::string key(key_name.str());
      const auto place = state_->place(section, key);
      if (known == state_->seen.end()) {
        throw UsageError(place, ": unknown section [", section, "]; the sections here are ",
                         list_of(sections), ".", did_you_mean(section, sections));
      }
      if (!known->second.contains(key)) {
        const auto keys = keys_of(known->second);
        throw UsageError(place, ": unknown key; [", section, "] has ", list_of(keys), ".",
                         did_you_mean(key, keys));
      }
    }
  }
}

void Config::Reader::number(const std::string& key, int64_t& value, Range range, const char*) {
  const auto* node = config_.state_->find(section_, key);
  if (!node) return;
  const auto number = node->is_integer() ? node->value<int64_t>() : std::nullopt;
  if (!number || !inside(static_cast<double>(*number), range)) {
    fail(config_.state_->place(section_, key), *node, "an integer " + printed(range));
  }
  value = *number;
}

void Config::Reader::number(const std::string& key, double& value, Range range, const char*) {
  const auto* node = config_.state_->find(section_, key);
  if (!node) return;
  const auto number = node->is_number() ? node->value<double>() : std::nullopt;
  if (!number || !inside(*number, range)) {
    fail(config_.state_->place(section_, key), *node, "a number " + printed(range));
  }
  value = *number;
}

void Config::Reader::numbers(const std::string& key, std::vector<int64_t>& value, Range range,
                             const char*) {
  const auto* node = config_.state_->find(section_, key);
  if (!node) return;
  const auto wanted = "a list of integers " + printed(range);
  std::vector<int64_t> list;
  const auto add = [&](const toml::node& item) {
    const auto number = item.is_integer() ? item.value<int64_t>() : std::nullopt;
    if (!number || !inside(static_cast<double>(*number), range)) {
      fail(config_.state_->place(section_, key), *node, wanted);
    }
    list.push_back(*number);
  };
  if (const auto* array = node->as_array()) {
    for (const auto& item : *array) add(item);
  } else {
    add(*node);
  }
  value = std::move(list);
}

void Config::Reader::flag(const std::string& key, bool& value, const char*) {
  const auto* node = config_.state_->find(section_, key);
  if (!node) return;
  if (!node->is_boolean()) fail(config_.state_->place(section_, key), *node, "true or false");
  value = *node->value<bool>();
}

void Config::Reader::text(const std::string& key, std::string& value, const char*) {
  const auto* node = config_.state_->find(section_, key);
  if (!node) return;
  if (!node->is_string()) fail(config_.state_->place(section_, key), *node, "a string in quotes");
  value = *node->value<std::string>();
}

int64_t Config::Reader::chosen(const std::string& key, const std::vector<std::string>& allowed,
                               const char*) {
  const auto* node = config_.state_->find(section_, key);
  if (!node) return -1;
  const auto word = node->value<std::string>().value_or("");
  for (size_t i = 0; i < allowed.size(); ++i) {
    if (allowed[i] == word) return static_cast<int64_t>(i);
  }
  fail(config_.state_->place(section_, key), *node,
       "one of " + list_of(allowed) + "." + did_you_mean(word, allowed));
}

void ConfigWriter::line(const std::string& key, const std::string& value, const std::string& help) {
  text_ += str(key, " = ", value, "  # ", help, "\n");
  values_.push_back({section_ + "." + key, value});
}

void ConfigWriter::number(const std::string& key, int64_t value, Range, const char* help) {
  line(key, std::to_string(value), help);
}

void ConfigWriter::number(const std::string& key, double value, Range, const char* help) {
  const auto digits = shortest(value);
  // TOML tells floats from integers by their look.
  const bool integral = digits.find_first_of(".en") == std::string::npos;
  line(key, integral ? digits + ".0" : digits, help);
}

void ConfigWriter::numbers(const std::string& key, const std::vector<int64_t>& value, Range,
                           const char* help) {
  std::vector<std::string> items;
  for (const int64_t item : value) items.push_back(std::to_string(item));
  line(key, "[" + list_of(items) + "]", help);
}

void ConfigWriter::flag(const std::string& key, bool value, const char* help) {
  line(key, value ? "true" : "false", help);
}

void ConfigWriter::text(const std::string& key, const std::string& value, const char* help) {
  std::ostringstream quoted;
  quoted << toml::value<std::string>(value);
  line(key, quoted.str(), help);
}

}  // namespace bitdiff
