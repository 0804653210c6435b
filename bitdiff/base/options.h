#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace bitdiff {

/// A closed range of numbers.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

inline Range at_least(double low) { return {.low = low}; }
inline Range between(double low, double high) { return {low, high}; }

/// The words that stand for the values of an enum.
template <class Enum>
using Words = std::vector<std::pair<std::string, Enum>>;

// Options are plain structs that live beside the class they configure. Each has one template,
//
//   template <class Visitor> void visit(Visitor& v) {
//     v.number("dim", dim, at_least(1), "width of the first stage");     // int64_t, double
//     v.numbers("mult", mult, at_least(1), "...");                       // vector<int64_t>
//     v.flag("bf16", bf16, "...");                                       // bool
//     v.text("path", path, "...");                                       // string
//     v.choice("encoding", encoding, encoding_words(), "...");           // enum
//   }
//
// and whoever reads, checks, prints or documents options is a visitor (see base/toml.h).

}  // namespace bitdiff
