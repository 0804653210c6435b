#include "bitdiff/io/file_tree.h"

#include <algorithm>
#include <unistd.h>
#include <unordered_map>
#include <utility>

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/tar.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostBytes = 1 << 30;  // Of a file.

using Wanted = std::function<bool(const std::string&)>;

// Compares as paths do: '/' comes before every other character.
bool in_path_order(const std::string& a, const std::string& b) {
  const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c); };
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [&](char x, char y) { return rank(x) < rank(y); });
}

std::vector<std::string> names_below(const fs::path& folder, const Wanted& wanted) {
  std::vector<std::string> names;
  try {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      auto name = entry.path().lexically_relative(folder).generic_string();
      if (wanted(name)) names.push_back(std::move(name));
    }
  } catch (const fs::filesystem_error& error) {
    throw InputError(folder.string(), ": cannot be read: ", error.what());
  }
  std::sort(names.begin(), names.end(), in_path_order);
  return names;
}

class Folder final : public FileTree {
 public:
  Folder(const fs::path& folder, const Wanted& wanted)
      : folder_(folder), names_(names_below(folder, wanted)) {}

  const std::vector<std::string>& names() const override { return names_; }
  std::string read(const std::string& name) const override {
    return read_file(folder_ / name, kMostBytes);
  }
  std::string describe(const std::string& name) const override { return (folder_ / name).string(); }

 private:
  fs::path folder_;
  std::vector<std::string> names_;
};

uint64_t half_of_memory() {
  return static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) / 2;
}

class Tar final : public FileTree {
 public:
  Tar(const fs::path& tar, const Wanted& wanted)
      : tar_(tar.string()), files_(read_tar(tar, wanted, half_of_memory())) {
    for (const auto& [name, bytes] : files_) names_.push_back(name);
    std::sort(names_.begin(), names_.end(), in_path_order);
  }

  const std::vector<std::string>& names() const override { return names_; }
  std::string read(const std::string& name) const override { return files_.at(name); }
  std::string describe(const std::string& name) const override {
    return tar_ + ": " + printable(name);
  }

 private:
  std::string tar_;
  NamedBytes files_;
  std::vector<std::string> names_;
};

// Tars of which each file is read when it is asked for.
class Shards final : public FileTree {
 public:
  Shards(const fs::path& folder, const std::vector<std::string>& tars, const Wanted& wanted) {
    for (const auto& tar : tars) {
      for (const auto& member : list_tar(tars_.emplace_back(folder / tar), wanted)) {
        names_.push_back(member.name);
        if (!places_.emplace(names_.back(), Place{tars_.size() - 1, member.at}).second) {
          throw InputError(tars_.back().string(), ": ", printable(names_.back()),
                           ": expected a name of its own, found the same in ",
                           describe(names_.back()));
        }
      }
    }
  }

  const std::vector<std::string>& names() const override { return names_; }
  std::string read(const std::string& name) const override {
    const auto& place = places_.at(name);
    return read_tar_member(tars_[place.tar], {name, place.at}, kMostBytes);
  }
  std::string describe(const std::string& name) const override {
    return tars_[places_.at(name).tar].string() + ": " + printable(name);
  }

 private:
  struct Place {
    size_t tar;
    int64_t at;  // See TarMember.
  };

  std::vector<fs::path> tars_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, Place> places_;
};

bool is_tar_below(const std::string& name) {
  return name.ends_with(".tar") && name.find('/') == std::string::npos;
}

std::unique_ptr<const FileTree> open_folder(const fs::path& folder, const Wanted& wanted) {
  auto files = std::make_unique<Folder>(folder, wanted);
  const auto tars =
      files->names().empty() ? names_below(folder, is_tar_below) : std::vector<std::string>();
  if (tars.empty()) return files;
  return std::make_unique<Shards>(folder, tars, wanted);
}

}  // namespace

std::unique_ptr<const FileTree> open_file_tree(const fs::path& root, const Wanted& wanted) {
  std::error_code unreadable;  // Which opening it as a file says better.
  if (fs::is_directory(root, unreadable)) return open_folder(root, wanted);
  return std::make_unique<Tar>(root, wanted);
}

}  // namespace bitdiff
