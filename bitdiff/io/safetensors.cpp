#include "bitdiff/io/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <set>

#include <ATen/ops/empty.h>
#include <c10/core/ScalarType.h>

#include "bitdiff/base/error.h"
#include "bitdiff/io/atomic_file.h"
#include "bitdiff/io/file.h"

namespace bitdiff {
namespace {

using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "tensors are stored as they lie");

constexpr uint64_t kMostHeader = 100'000'000;  // The limit of the format's own library.
constexpr size_t kMostAxes = 64;
constexpr int kMostDepth = 3;  // {"name": {"shape": [...]}}

const std::array<std::pair<const char*, at::ScalarType>, 10> kTypes = {{{"F64", at::kDouble},
                                                                        {"F32", at::kFloat},
                                                                        {"F16", at::kHalf},
                                                                        {"BF16", at::kBFloat16},
                                                                        {"I64", at::kLong},
                                                                        {"I32", at::kInt},
                                                                        {"I16", at::kShort},
                                                                        {"I8", at::kChar},
                                                                        {"U8", at::kByte},
                                                                        {"BOOL", at::kBool}}};

// The header's entry of one tensor, checked.
struct Entry {
  std::string name;
  at::ScalarType type = at::kFloat;
  std::vector<int64_t> shape;
  uint64_t begin = 0, end = 0;  // In the bytes behind the header.
};

// Parses JSON that may be hostile: no deep nesting, no key twice.
Json parse_header(const std::string& text, const std::string& file) {
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, Json::parse_event_t event, const Json& parsed) {
    using Event = Json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      if (depth >= kMostDepth) throw InputError(file, ": header: nested deeper than ", kMostDepth);
      keys.resize(depth + 1);
      keys.back().clear();
    } else if (event == Event::key &&
               !keys.at(depth - 1).insert(parsed.get<std::string>()).second) {
      throw InputError(file, ": header: the key ", printable(parsed.dump()), " stands there twice");
    }
    return true;
  };
  // The parser would take it for the end.
  if (text.find('\0') != std::string::npos) throw InputError(file, ": header: not JSON: a byte 0");
  try {
    auto header = Json::parse(text, check);
    if (!header.is_object()) throw InputError(file, ": header: expected a JSON object");
    return header;
  } catch (const Json::exception& error) {
    throw InputError(file, ": header: not JSON: ", error.what());
  }
}

at::ScalarType type_of(const Json& entry, const std::string& where) {
  const auto found = entry.find("dtype");
  std::string allowed;
  for (const auto& [word, type] : kTypes) {
    if (found != entry.end() && *found == word) return type;
    allowed += (allowed.empty() ? "" : ", ") + std::string(word);
  }
  throw InputError(where, ": dtype: expected one of ", allowed, ", found ",
                   found == entry.end() ? "none" : printable(found->dump()));
}

// A list of `least` to `most` integers from 0 to 2^63 - 1.
std::vector<int64_t> numbers_of(const Json& entry, const char* key, size_t least, size_t most,
                                const std::string& where) {
  const auto found = entry.find(key);
  const auto fits = [](const Json& item) {
    return item.is_number_unsigned() && item.get<uint64_t>() <= INT64_MAX;
  };
  if (found == entry.end() || !found->is_array() || found->size() < least || found->size() > most ||
      !std::all_of(found->begin(), found->end(), fits)) {
    throw InputError(where, ": ", key, ": expected a list of ",
                     least == most ? str(least) : str("at most ", most), " integers >= 0, found ",
                     found == entry.end() ? "none" : printable(found->dump()));
  }
  return found->get<std::vector<int64_t>>();
}

Entry entry_of(const std::string& name, const Json& json, uint64_t bytes, const std::string& file) {
  const auto where = file + ": tensor \"" + printable(name) + "\"";
  if (!json.is_object()) {
    throw InputError(where, ": expected {dtype, shape, data_offsets}, found ",
                     printable(json.dump()));
  }
  Entry entry{name, type_of(json, where), numbers_of(json, "shape", 0, kMostAxes, where)};
  const auto offsets = numbers_of(json, "data_offsets", 2, 2, where);
  entry.begin = offsets[0];
  entry.end = offsets[1];
  if (entry.begin > entry.end || entry.end > bytes) {
    throw InputError(where, ": data_offsets: expected two places in order within the ", bytes,
                     " bytes of data, found ", offsets[0], " and ", offsets[1]);
  }
  const auto size = bytes_of(entry.shape, c10::elementSize(entry.type));
  if (size != entry.end - entry.begin) {
    throw InputError(where, ": shape ", printable(json.at("shape").dump()), " of ",
                     json.at("dtype").get<std::string>(), " takes ",
                     size ? str(*size) : "2^63 or more", " bytes, but data_offsets hold ",
                     entry.end - entry.begin);
  }
  return entry;
}

std::vector<Entry> entries_of(const Json& header, uint64_t bytes, const std::string& file) {
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name != "__metadata__") entries.push_back(entry_of(name, json, bytes, file));
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t next = 0;
  for (const auto& entry : entries) {
    if (entry.begin != next) {
      throw InputError(file, ": tensor \"", printable(entry.name), "\": expected its data at byte ",
                       next, ", where the one before ends, found ", entry.begin);
    }
    next = entry.end;
  }
  if (next != bytes) {
    throw InputError(file, ": expected ", next, " bytes of data, as the header says, found ",
                     bytes);
  }
  return entries;
}

std::map<std::string, std::string> metadata_of(const Json& header, const std::string& file) {
  const auto found = header.find("__metadata__");
  if (found == header.end()) return {};
  const auto is_text = [](const Json& item) { return item.is_string(); };
  if (!found->is_object() || !std::all_of(found->begin(), found->end(), is_text)) {
    throw InputError(file, ": __metadata__: expected an object of strings");
  }
  return found->get<std::map<std::string, std::string>>();
}

Tensor read_tensor(InputFile& file, const Entry& entry) {
  auto tensor = at::empty(entry.shape, entry.type);
  file.read(tensor.mutable_data_ptr(), entry.end - entry.begin);
  if (entry.type == at::kBool) {
    const auto* bytes = static_cast<const uint8_t*>(tensor.const_data_ptr());
    const auto* bad = std::find_if(bytes, bytes + tensor.numel(), [](uint8_t b) { return b > 1; });
    if (bad != bytes + tensor.numel()) {
      throw InputError(file.name(), ": tensor \"", printable(entry.name), "\": element ",
                       bad - bytes, ": expected 0 or 1 for BOOL, found ", int{*bad});
    }
  }
  return tensor;
}

std::string header_of(const TensorFile& file) {
  std::string header = "{";
  if (!file.metadata.empty()) header += "\"__metadata__\":" + Json(file.metadata).dump();
  uint64_t next = 0;
  for (const auto& entry : file.tensors) {
    const Tensor& tensor = entry.second;
    const auto type = std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& candidate) {
      return candidate.second == tensor.scalar_type();
    });
    TORCH_CHECK(type != kTypes.end(), "safetensors cannot hold ", tensor.scalar_type());
    const uint64_t end = next + tensor.nbytes();
    const Json described = {
        {"dtype", type->first}, {"shape", tensor.sizes().vec()}, {"data_offsets", {next, end}}};
    header += (header.size() > 1 ? "," : "") + Json(entry.first).dump() + ":" + described.dump();
    next = end;
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return header;
}

}  // namespace

TensorFile read_safetensors(const std::filesystem::path& path) {
  InputFile file(path);
  uint64_t length = 0;
  file.read(&length, sizeof(length));
  const uint64_t rest = file.size() - sizeof(length);
  if (length > std::min(kMostHeader, rest)) {
    throw InputError(file.name(), ": expected a header of at most ", std::min(kMostHeader, rest),
                     " bytes, found a length of ", length, "; this is no safetensors file");
  }
  std::string text(length, '\0');
  file.read(text.data(), length);
  const auto header = parse_header(text, file.name());

  TensorFile result{{}, metadata_of(header, file.name())};
  for (const auto& entry : entries_of(header, rest - length, file.name())) {
    result.tensors.emplace_back(entry.name, read_tensor(file, entry));
  }
  return result;
}

void write_safetensors(const std::filesystem::path& path, const TensorFile& file) {
  const auto header = header_of(file);
  const uint64_t length = header.size();
  write_file_atomically(path, [&](const std::filesystem::path& temporary) {
    OutputFile out(temporary);
    out.append(&length, sizeof(length));
    out.append(header.data(), header.size());
    for (const auto& [name, tensor] : file.tensors) {
      const auto plain = tensor.cpu().contiguous();
      out.append(plain.const_data_ptr(), plain.nbytes());
    }
    out.close();
  });
}

}  // namespace bitdiff
