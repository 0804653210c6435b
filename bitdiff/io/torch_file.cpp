#include "bitdiff/io/torch_file.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include <ATen/ops/empty.h>
#include <c10/core/ScalarType.h>

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/pickle.h"
#include "bitdiff/io/zip_reader.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;
using Kind = PickleValue::Kind;

constexpr uint64_t kMostPickle = uint64_t{1} << 26;
constexpr const char* kRebuild = "torch._utils _rebuild_tensor_v2";
// The magic number of the older form, as the pickle of protocol 2 that it begins with.
constexpr std::string_view kOldMagic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

const std::map<std::string, at::ScalarType>& storage_types() {
  static const std::map<std::string, at::ScalarType> types = {
      {"torch DoubleStorage", at::kDouble},     {"torch FloatStorage", at::kFloat},
      {"torch HalfStorage", at::kHalf},         {"torch LongStorage", at::kLong},
      {"torch BFloat16Storage", at::kBFloat16}, {"torch IntStorage", at::kInt},
      {"torch ByteStorage", at::kByte}};
  return types;
}

const std::set<std::string>& allowed_globals() {
  static const std::set<std::string> allowed = [] {
    std::set<std::string> names = {"collections OrderedDict", kRebuild};
    for (const auto& [name, type] : storage_types()) names.insert(name);
    return names;
  }();
  return allowed;
}

// What a tensor is a view of, as the pickle names it.
struct StorageId {
  std::string key;
  at::ScalarType type;
  int64_t elements;
};

struct View {
  std::string name;
  StorageId storage;
  int64_t offset;
  std::vector<int64_t> shape, strides;
};

[[noreturn]] void refuse(const std::string& where, const std::string& wanted) {
  throw InputError(where, ": expected ", wanted);
}

const PickleValue& item(const PickleValue& value, size_t index, Kind kind,
                        const std::string& where) {
  if (index >= value.items.size() || value.items[index]->kind != kind) {
    refuse(where, "a tensor as PyTorch writes it");
  }
  return *value.items[index];
}

// ("storage", type, key, "cpu", elements[, None])
StorageId storage_of(const PickleValue& persistent, const std::string& where) {
  const auto& id = item(persistent, 0, Kind::kSequence, where);
  if (item(id, 0, Kind::kText, where).text != "storage") refuse(where, "a tensor's storage");
  const auto type = storage_types().find(item(id, 1, Kind::kGlobal, where).text);
  if (type == storage_types().end()) refuse(where, "a storage of numbers");
  const auto elements = item(id, 4, Kind::kInteger, where).integer;
  if (elements < 0 || (id.items.size() > 5 && id.items[5]->kind != Kind::kNone)) {
    refuse(where, "a whole storage of 0 or more elements");
  }
  return {item(id, 2, Kind::kText, where).text, type->second, elements};
}

std::vector<int64_t> numbers_of(const PickleValue& tuple, const std::string& where) {
  constexpr size_t kMostAxes = 64;
  std::vector<int64_t> numbers;
  for (size_t i = 0; i < tuple.items.size(); ++i) {
    numbers.push_back(item(tuple, i, Kind::kInteger, where).integer);
    if (numbers.back() < 0 || i >= kMostAxes) refuse(where, "at most 64 sizes and strides >= 0");
  }
  return numbers;
}

// _rebuild_tensor_v2(storage, offset, shape, strides, ...), checked to lie within its storage.
View view_of(const std::string& name, const PickleValue& call, const std::string& file) {
  const auto where = file + ": tensor \"" + printable(name) + "\"";
  if (call.kind != Kind::kCall || call.text != kRebuild) refuse(where, "a tensor");
  View view{name, storage_of(item(call, 0, Kind::kPersistent, where), where),
            item(call, 1, Kind::kInteger, where).integer,
            numbers_of(item(call, 2, Kind::kSequence, where), where),
            numbers_of(item(call, 3, Kind::kSequence, where), where)};
  const auto bytes = bytes_of(view.shape, 1);
  if (view.shape.size() != view.strides.size() || view.offset < 0 || !bytes ||
      *bytes > static_cast<uint64_t>(view.storage.elements)) {
    refuse(where, "a shape that fits its storage");
  }
  int64_t last = view.offset;
  for (size_t axis = 0; axis < view.shape.size(); ++axis) {
    int64_t reach = 0;
    if (__builtin_mul_overflow(std::max<int64_t>(view.shape[axis] - 1, 0), view.strides[axis],
                               &reach) ||
        __builtin_add_overflow(last, reach, &last)) {
      refuse(where, "strides within its storage");
    }
  }
  if (*bytes > 0 && last >= view.storage.elements) refuse(where, "a place within its storage");
  return view;
}

std::vector<View> views_of(const PickleValue& root, const std::string& file) {
  if (root.kind != Kind::kMapping) refuse(file, "a state dict: a dictionary of tensors by name");
  std::vector<View> views;
  std::set<std::string> names;
  for (size_t i = 0; i + 1 < root.items.size(); i += 2) {
    const auto& name = item(root, i, Kind::kText, file).text;
    if (!names.insert(name).second) {
      throw InputError(file, ": tensor \"", printable(name), "\" stands there twice");
    }
    views.push_back(view_of(name, *root.items[i + 1], file));
  }
  return views;
}

// `read_storage` gives the elements of a storage; each is read once.
NamedTensors tensors_of(const std::vector<View>& views, const std::string& file,
                        const std::function<Tensor(const StorageId&)>& read_storage) {
  std::map<std::string, Tensor> storages;
  NamedTensors tensors;
  for (const auto& view : views) {
    auto& storage = storages[view.storage.key];
    if (!storage.defined()) storage = read_storage(view.storage);
    if (storage.scalar_type() != view.storage.type || storage.numel() != view.storage.elements) {
      throw InputError(file, ": storage ", printable(view.storage.key),
                       ": expected one type and size, found two");
    }
    tensors.emplace_back(view.name, storage.as_strided(view.shape, view.strides, view.offset));
  }
  return tensors;
}

NamedTensors read_zip(const fs::path& path) {
  const auto file = path.string();
  ZipReader archive(path, "checkpoint of PyTorch");
  std::map<std::string, size_t> places;  // By the name below the archive's one folder.
  for (size_t i = 0; i < archive.names().size(); ++i) {
    const auto& name = archive.names()[i];
    places[name.substr(name.find('/') + 1)] = i;
  }
  const auto read = [&](const std::string& name,
                        const std::function<void(const ByteSource&)>& use) {
    const auto found = places.find(name);
    if (found == places.end()) throw InputError(file, ": has no member ", printable(name));
    archive.read(found->second, file + ": " + printable(name), use);
  };
  const auto text_of = [&](const std::string& name) {
    std::string bytes;
    read(name, [&](const ByteSource& source) {
      if (source.size > kMostPickle) throw InputError(source.name, ": too large");
      bytes.resize(source.size);
      source.read(bytes.data(), bytes.size());
    });
    return bytes;
  };
  if (places.contains("byteorder") && text_of("byteorder") != "little") {
    throw InputError(file, ": expected little-endian numbers");
  }
  const auto pickle = read_pickle(text_of("data.pkl"), file, allowed_globals());
  return tensors_of(views_of(*pickle.root, file), file, [&](const StorageId& id) {
    Tensor storage;
    read("data/" + id.key, [&](const ByteSource& source) {
      const auto size = bytes_of({id.elements}, c10::elementSize(id.type));
      if (size != source.size) {
        throw InputError(source.name, ": expected ", id.elements, " elements of ",
                         c10::elementSize(id.type), " bytes, found ", source.size, " bytes");
      }
      storage = at::empty({id.elements}, id.type);
      source.read(storage.mutable_data_ptr(), source.size);
    });
    return storage;
  });
}

// Pickles of a magic number, the version, the system, the state dict and the keys of the storages;
// then each storage: its number of elements as int64, and they.
NamedTensors read_old(const fs::path& path) {
  const auto file = path.string();
  const auto bytes = read_file(path);
  std::string_view rest(bytes);
  const auto next = [&] {
    auto pickle = read_pickle(rest.substr(0, kMostPickle), file, allowed_globals());
    rest.remove_prefix(pickle.size);
    return pickle;
  };
  rest.remove_prefix(kOldMagic.size());
  next();
  const auto system = next();
  const auto* little = system.root->find("little_endian");
  if (!little || little->integer != 1) throw InputError(file, ": expected little-endian numbers");
  const auto state = next();
  const auto views = views_of(*state.root, file);
  std::map<std::string, StorageId> ids;
  for (const auto& view : views) ids.emplace(view.storage.key, view.storage);

  const auto keys = next();
  std::map<std::string, Tensor> storages;
  for (size_t i = 0; i < keys.root->items.size(); ++i) {
    const auto& key = item(*keys.root, i, Kind::kText, file).text;
    const auto id = ids.find(key);
    if (id == ids.end()) throw InputError(file, ": storage ", printable(key), " is of no tensor");
    const auto where = file + ": storage " + printable(key);
    const auto size = bytes_of({id->second.elements}, c10::elementSize(id->second.type));
    int64_t elements = 0;
    if (rest.size() < sizeof(elements)) throw InputError(where, ": ends early");
    rest.copy(reinterpret_cast<char*>(&elements), sizeof(elements));
    rest.remove_prefix(sizeof(elements));
    if (elements != id->second.elements || !size || *size > rest.size()) {
      throw InputError(where, ": expected ", id->second.elements, " elements, found ", elements,
                       " and ", rest.size(), " bytes");
    }
    auto storage = at::empty({elements}, id->second.type);
    rest.copy(static_cast<char*>(storage.mutable_data_ptr()), *size);
    rest.remove_prefix(*size);
    storages[key] = storage;
  }
  return tensors_of(views, file, [&](const StorageId& id) {
    const auto found = storages.find(id.key);
    if (found == storages.end()) {
      throw InputError(file, ": storage ", printable(id.key), " is not there");
    }
    return found->second;
  });
}

}  // namespace

NamedTensors read_torch_state_dict(const fs::path& path) {
  InputFile file(path);
  std::string start(std::min<uint64_t>(file.size(), kOldMagic.size()), '\0');
  file.read(start.data(), start.size());
  if (start == kOldMagic) return read_old(path);
  if (start.starts_with("PK")) return read_zip(path);
  throw InputError(path.string(), ": expected a state dict written by torch.save");
}

}  // namespace bitdiff
