#include "bitdiff/io/pickle.h"

#include <cstring>
#include <map>

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"

namespace bitdiff {
namespace {

using Kind = PickleValue::Kind;

constexpr const char* kOrderedDict = "collections OrderedDict";

// The stack machine that a pickle is a program for, without the operations that run anything.
class Reader {
 public:
  Reader(std::string_view bytes, const std::string& name, const std::set<std::string>& allowed)
      : bytes_(bytes), name_(name), allowed_(allowed) {}

  Pickle read() {
    for (;;) {
      const auto operation = number<uint8_t>();
      if (operation == '.') break;
      if (!constant(operation) && !memory(operation) && !collection(operation) &&
          !object(operation)) {
        fail(str("operation ", int{operation}, " is none that a file of tensors needs"));
      }
    }
    result_.root = pop();
    result_.size = next_;
    return std::move(result_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(name_, ": pickle, byte ", next_, ": ", what);
  }

  // --- Bytes ---

  std::string_view take(size_t count) {
    if (count > bytes_.size() - next_) fail("ends early");
    next_ += count;
    return bytes_.substr(next_ - count, count);
  }

  template <class Number>
  Number number() {
    Number result;
    const auto bytes = take(sizeof(Number));
    std::memcpy(&result, bytes.data(), bytes.size());
    return result;
  }

  std::string_view line() {
    const auto end = bytes_.find('\n', next_);
    if (end == std::string_view::npos) fail("ends early");
    const auto text = take(end - next_);
    take(1);
    return text;
  }

  // An integer of up to 8 bytes in two's complement.
  int64_t long_integer() {
    const size_t count = number<uint8_t>();
    if (count > 8) fail(str("an integer of ", count, " bytes; expected at most 8"));
    const auto raw = take(count);
    int64_t result = count > 0 && (raw.back() & 0x80) ? -1 : 0;
    std::memcpy(&result, raw.data(), count);
    return result;
  }

  // --- The stack ---

  void push(PickleValue value) {
    result_.values.push_back(std::move(value));
    stack_.push_back(&result_.values.back());
  }

  PickleValue* pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("takes from an empty stack");
    auto* top = stack_.back();
    stack_.pop_back();
    return top;
  }

  PickleValue* top(Kind kind) {
    auto* value = pop();
    stack_.push_back(value);
    if (value->kind != kind) fail("an operation meets a value it is not for");
    return value;
  }

  // What was pushed since the last mark.
  std::vector<const PickleValue*> pop_to_mark() {
    if (marks_.empty()) fail("has no mark");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<const PickleValue*> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return items;
  }

  std::vector<const PickleValue*> pop_items(int count) {
    std::vector<const PickleValue*> items(count);
    for (int i = count - 1; i >= 0; --i) items[i] = pop();
    return items;
  }

  void append(Kind kind, const std::vector<const PickleValue*>& items) {
    auto& to = top(kind)->items;
    if (kind == Kind::kMapping && items.size() % 2 != 0) fail("a key without a value");
    to.insert(to.end(), items.begin(), items.end());
  }

  // --- Operations: each of these four knows some and returns whether this was one of them ---

  bool constant(uint8_t operation) {
    switch (operation) {
      case 0x80:  // PROTO
        if (const int version = number<uint8_t>(); version != 2) {
          fail(str("expected protocol 2, found ", version));
        }
        return true;
      case 'N':
        push({.kind = Kind::kNone});
        return true;
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        push({.kind = Kind::kBool, .integer = operation == 0x88});
        return true;
      case 'K':
        push({.kind = Kind::kInteger, .integer = number<uint8_t>()});
        return true;
      case 'M':
        push({.kind = Kind::kInteger, .integer = number<uint16_t>()});
        return true;
      case 'J':
        push({.kind = Kind::kInteger, .integer = number<int32_t>()});
        return true;
      case 0x8a:  // LONG1
        push({.kind = Kind::kInteger, .integer = long_integer()});
        return true;
      case 'X':
        push({.kind = Kind::kText, .text = std::string(take(number<uint32_t>()))});
        return true;
      default:
        return false;
    }
  }

  bool memory(uint8_t operation) {
    switch (operation) {
      case 'q':
      case 'r': {
        const uint32_t place = operation == 'q' ? number<uint8_t>() : number<uint32_t>();
        stack_.push_back(memo_[place] = pop());
        return true;
      }
      case 'h':
      case 'j': {
        const uint32_t place = operation == 'h' ? number<uint8_t>() : number<uint32_t>();
        const auto found = memo_.find(place);
        if (found == memo_.end()) fail(str("remembers nothing at ", place));
        stack_.push_back(found->second);
        return true;
      }
      default:
        return false;
    }
  }

  bool collection(uint8_t operation) {
    switch (operation) {
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case '}':
        push({.kind = Kind::kMapping});
        return true;
      case ']':
      case ')':
        push({.kind = Kind::kSequence});
        return true;
      case 0x85:  // TUPLE1
      case 0x86:  // TUPLE2
      case 0x87:  // TUPLE3
        push({.kind = Kind::kSequence, .items = pop_items(operation - 0x84)});
        return true;
      case 't':
        push({.kind = Kind::kSequence, .items = pop_to_mark()});
        return true;
      case 'a':
        append(Kind::kSequence, pop_items(1));
        return true;
      case 'e':
        append(Kind::kSequence, pop_to_mark());
        return true;
      case 's':
        append(Kind::kMapping, pop_items(2));
        return true;
      case 'u':
        append(Kind::kMapping, pop_to_mark());
        return true;
      default:
        return false;
    }
  }

  bool object(uint8_t operation) {
    switch (operation) {
      case 'c':
        global();
        return true;
      case 'R':
        call();
        return true;
      case 'Q':
        push({.kind = Kind::kPersistent, .items = pop_items(1)});
        return true;
      case 'b':  // Attributes of the object below, which nobody reads.
        pop();
        top(Kind::kMapping);
        return true;
      default:
        return false;
    }
  }

  void global() {
    const std::string module(line());
    const auto full = module + " " + std::string(line());
    if (!allowed_.contains(full)) {
      fail(str("refuses the global \"", printable(full),
               "\": a file of tensors does not need it, and code is never run"));
    }
    push({.kind = Kind::kGlobal, .text = full});
  }

  void call() {
    auto arguments = top(Kind::kSequence)->items;
    pop();
    const std::string callee = top(Kind::kGlobal)->text;
    pop();
    if (callee == kOrderedDict) {
      if (!arguments.empty()) fail("an OrderedDict made of arguments");
      push({.kind = Kind::kMapping});
    } else {
      push({.kind = Kind::kCall, .text = callee, .items = std::move(arguments)});
    }
  }

  std::string_view bytes_;
  const std::string& name_;
  const std::set<std::string>& allowed_;
  size_t next_ = 0;
  Pickle result_;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::map<uint32_t, PickleValue*> memo_;
};

}  // namespace

const PickleValue* PickleValue::find(std::string_view key) const {
  for (size_t i = 0; kind == Kind::kMapping && i + 1 < items.size(); i += 2) {
    if (items[i]->kind == Kind::kText && items[i]->text == key) return items[i + 1];
  }
  return nullptr;
}

Pickle read_pickle(std::string_view bytes, const std::string& name,
                   const std::set<std::string>& allowed) {
  return Reader(bytes, name, allowed).read();
}

}  // namespace bitdiff
