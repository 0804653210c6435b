#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bitdiff {

/// A value of a pickle, as data: what a pickle would call is written down and never called.
struct PickleValue {
  enum class Kind {
    kNone,
    kBool,        ///< `integer` is 0 or 1.
    kInteger,     ///< `integer`.
    kText,        ///< `text`.
    kSequence,    ///< A tuple or list of `items`.
    kMapping,     ///< `items` are key, value, key, value, ...
    kGlobal,      ///< `text` is "module name".
    kCall,        ///< `text` is the global that would be called with `items`.
    kPersistent,  ///< `items` holds one value, the id of something outside the pickle.
  };

  Kind kind = Kind::kNone;
  int64_t integer = 0;
  std::string text = {};
  std::vector<const PickleValue*> items = {};

  /// The value under a key of text in a mapping; null when there is none.
  const PickleValue* find(std::string_view key) const;
};

/// The values of one pickle; `root` is the outermost.
struct Pickle {
  std::deque<PickleValue> values;
  const PickleValue* root = nullptr;
  size_t size = 0;  ///< Bytes from the first to the STOP.
};

/// Reads the pickle at the beginning of `bytes`, as Python's protocol 2 writes dictionaries, lists,
/// tuples, texts and integers. A global that is not in `allowed` ("module name") and any other
/// operation is refused. "collections OrderedDict" is read as a mapping; what is set on an object
/// besides its items is ignored. Throws InputError.
/// Format: Lib/pickletools.py of CPython.
Pickle read_pickle(std::string_view bytes, const std::string& name,
                   const std::set<std::string>& allowed);

}  // namespace bitdiff
