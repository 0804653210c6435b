#include "bitdiff/io/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <numeric>
#include <string_view>
#include <utility>

#include <ATen/ops/empty.h>
#include <c10/core/ScalarType.h>

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/named_tensors.h"

namespace bitdiff {
namespace {

static_assert(std::endian::native == std::endian::little, "arrays are stored as they lie");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr uint64_t kMostHeader = 65536;
constexpr size_t kMostAxes = 64;  // NumPy's own limit.

struct Element {
  const char* code;       // As NumPy writes it, without the byte order.
  at::ScalarType tensor;  // What it becomes.
  uint64_t size;          // Bytes of an element in the file.
};

const std::array<Element, 12> kTypes = {{{"b1", at::kBool, 1},
                                         {"u1", at::kByte, 1},
                                         {"i1", at::kChar, 1},
                                         {"i2", at::kShort, 2},
                                         {"i4", at::kInt, 4},
                                         {"i8", at::kLong, 8},
                                         {"f2", at::kHalf, 2},
                                         {"f4", at::kFloat, 4},
                                         {"f8", at::kDouble, 8},
                                         {"u2", at::kInt, 2},
                                         {"u4", at::kLong, 4},
                                         {"u8", at::kLong, 8}}};

struct Header {
  Element type;
  bool fortran_order = false;
  std::vector<int64_t> shape;
};

// Reads the header: a Python dictionary of a text, a truth value and a tuple of numbers.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& name) : rest_(text), name_(name) {}

  Header parse() {
    Header header{};
    bool has_type = false, has_order = false, has_shape = false;
    expect('{');
    while (!take('}')) {
      const auto key = quoted();
      expect(':');
      if (key == "descr" && !has_type) {
        header.type = type();
        has_type = true;
      } else if (key == "fortran_order" && !has_order) {
        header.fortran_order = truth();
        has_order = true;
      } else if (key == "shape" && !has_shape) {
        header.shape = tuple();
        has_shape = true;
      } else {
        fail("a key of descr, fortran_order and shape, each once");
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!rest_.empty()) fail("the end of the header");
    if (!has_type || !has_order || !has_shape) fail("the keys descr, fortran_order and shape");
    return header;
  }

 private:
  [[noreturn]] void fail(const std::string& wanted) const {
    throw InputError(name_, ": header: expected ", wanted, ", found \"", printable(rest_), "\"");
  }

  void skip_space() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n\r"), rest_.size()));
  }

  bool take(char wanted) {
    skip_space();
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void expect(char wanted) {
    if (!take(wanted)) fail(str("\"", wanted, "\""));
  }

  std::string quoted() {
    skip_space();
    const char quote = rest_.empty() ? '\0' : rest_.front();
    const auto end = rest_.find(quote, 1);
    if ((quote != '\'' && quote != '"') || end == std::string_view::npos) fail("a text in quotes");
    std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return text;
  }

  Element type() {
    skip_space();
    if (rest_.starts_with('[')) fail("a plain type, for tables of named columns are not read");
    const auto text = quoted();
    if (text.find('O') != std::string::npos) {
      throw InputError(name_,
                       ": an array of Python objects, which is a pickle and never read; save"
                       " it as an array of numbers");
    }
    for (const auto& type : kTypes) {
      if (text.empty() || text.substr(1) != type.code) continue;
      const char order = text.front();
      if (order == '<' || order == '=' || (order == '|' && type.size == 1)) return type;
    }
    throw InputError(name_, ": dtype: expected little-endian bool, integers or floats, found \"",
                     printable(text), "\"");
  }

  bool truth() {
    skip_space();
    for (const std::string_view word : {"True", "False"}) {
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      return word == "True";
    }
    fail("True or False");
  }

  std::vector<int64_t> tuple() {
    std::vector<int64_t> numbers;
    expect('(');
    while (!take(')')) {
      if (numbers.size() == kMostAxes) fail("at most 64 axes");
      numbers.push_back(number());
      if (take(',')) continue;
      expect(')');
      break;
    }
    return numbers;
  }

  int64_t number() {
    skip_space();
    int64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc() || value < 0) fail("a size from 0 to 2^63 - 1");
    rest_.remove_prefix(end - rest_.data());
    return value;
  }

  std::string_view rest_;
  const std::string& name_;
};

// The header's text, and in `used` how many bytes stand before the data.
std::string read_header(const ByteSource& source, uint64_t& used) {
  std::array<char, 8> start{};
  if (source.size < start.size() + 2) {
    throw InputError(source.name, ": expected a NumPy array, found ", source.size, " bytes");
  }
  source.read(start.data(), start.size());
  const int version = static_cast<uint8_t>(start[6]);
  if (std::string_view(start.data(), kMagic.size()) != kMagic || version < 1 || version > 3) {
    throw InputError(source.name, ": not a NumPy array of format 1, 2 or 3");
  }
  const uint64_t width = version == 1 ? 2 : 4;
  uint64_t length = 0;
  used = start.size() + width;
  if (source.size >= used) source.read(&length, width);
  if (source.size < used || length > std::min(kMostHeader, source.size - used)) {
    throw InputError(source.name, ": header: expected at most ", kMostHeader, " bytes, within the ",
                     source.size, " there are, found a length of ", length);
  }
  std::string text(length, '\0');
  source.read(text.data(), length);
  used += length;
  return text;
}

// Reads `count` elements of type From and stores them as To.
template <class From, class To>
void read_wider(const ByteSource& source, To* to, int64_t count) {
  std::vector<From> piece(std::min<int64_t>(count, 65536));
  for (int64_t done = 0; done < count; done += static_cast<int64_t>(piece.size())) {
    piece.resize(std::min<int64_t>(count - done, static_cast<int64_t>(piece.size())));
    source.read(piece.data(), piece.size() * sizeof(From));
    for (size_t i = 0; i < piece.size(); ++i) {
      if (!std::in_range<To>(piece[i])) {
        throw InputError(source.name, ": element ", done + static_cast<int64_t>(i),
                         ": expected at most 2^63 - 1, found ", piece[i]);
      }
      to[done + static_cast<int64_t>(i)] = static_cast<To>(piece[i]);
    }
  }
}

void check_truth(const ByteSource& source, const Tensor& array) {
  const auto* bytes = static_cast<const uint8_t*>(array.const_data_ptr());
  const auto* end = bytes + array.numel();
  const auto* bad = std::find_if(bytes, end, [](uint8_t byte) { return byte > 1; });
  if (bad == end) return;
  throw InputError(source.name, ": element ", bad - bytes, ": expected 0 or 1 for bool, found ",
                   int{*bad});
}

void read_data(const ByteSource& source, const Element& type, Tensor& array) {
  const std::string_view code = type.code;
  if (code == "u2") return read_wider<uint16_t>(source, array.data_ptr<int32_t>(), array.numel());
  if (code == "u4") return read_wider<uint32_t>(source, array.data_ptr<int64_t>(), array.numel());
  if (code == "u8") return read_wider<uint64_t>(source, array.data_ptr<int64_t>(), array.numel());
  source.read(array.mutable_data_ptr(), array.nbytes());
  if (code == "b1") check_truth(source, array);
}

}  // namespace

Tensor read_npy(const ByteSource& source) {
  uint64_t used = 0;
  const auto text = read_header(source, used);
  auto header = HeaderParser(text, source.name).parse();
  const auto bytes = bytes_of(header.shape, header.type.size);
  if (!bytes || *bytes != source.size - used) {
    throw InputError(source.name, ": shape (", at::IntArrayRef(header.shape), ") of \"",
                     header.type.code, "\" takes ", bytes ? str(*bytes) : "2^63 or more",
                     " bytes, found ", source.size - used);
  }
  if (!header.fortran_order) {
    auto array = at::empty(header.shape, header.type.tensor);
    read_data(source, header.type, array);
    return array;
  }
  std::reverse(header.shape.begin(), header.shape.end());
  auto array = at::empty(header.shape, header.type.tensor);
  read_data(source, header.type, array);
  std::vector<int64_t> axes(header.shape.size());
  std::iota(axes.rbegin(), axes.rend(), 0);
  return array.permute(axes).contiguous();
}

std::string npy_header(const Tensor& array) {
  const auto* type = std::find_if(kTypes.begin(), kTypes.end(), [&](const Element& candidate) {
    return candidate.tensor == array.scalar_type();
  });
  TORCH_CHECK(type != kTypes.end(), "a .npy cannot hold ", array.scalar_type());
  std::string text = str("{'descr': '", type->size == 1 ? "|" : "<", type->code,
                         "', 'fortran_order': False, 'shape': (");
  for (const int64_t length : array.sizes()) text += str(length, array.dim() == 1 ? "," : ", ");
  if (array.dim() > 1) text.resize(text.size() - 2);
  text += "), }";
  constexpr size_t kStart = 10;  // Magic, version and length.
  const size_t whole = (kStart + text.size() + 1 + 63) / 64 * 64;
  text.resize(whole - kStart - 1, ' ');
  text += '\n';
  const auto length = static_cast<uint16_t>(text.size());
  const std::array<char, 4> start = {1, 0, static_cast<char>(length & 0xff),
                                     static_cast<char>(length >> 8)};
  return std::string(kMagic) + std::string(start.data(), start.size()) + text;
}

}  // namespace bitdiff
