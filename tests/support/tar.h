#pragma once

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "bitdiff/base/error.h"

namespace bitdiff {

/// A member of a tar as POSIX writes it, true or not.
struct TarEntry {
  std::string name;  ///< At most 100 bytes.
  std::string bytes;
  char type = '0';  ///< '0' file, '1' and '2' links, '5' folder, 'x' attributes of the next one.
  std::string target = {};  ///< Of links.
  uint64_t claimed = 0;     ///< The size the header gives; 0: that of `bytes`.
};

/// A tar, byte for byte as in POSIX.1-1988 (ustar), without the two blocks of zeros at its end.
inline std::string open_ended_tar(const std::vector<TarEntry>& entries) {
  constexpr size_t kBlock = 512;
  std::string tar;
  for (const auto& entry : entries) {
    std::string header(kBlock, '\0');
    const auto put = [&](size_t at, const std::string& text) {
      header.replace(at, text.size(), text);
    };
    const auto octal = [](uint64_t value, int digits) {
      std::array<char, 24> text{};
      std::snprintf(text.data(), text.size(), "%0*lo", digits, static_cast<unsigned long>(value));
      return std::string(text.data());
    };
    put(0, entry.name);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, octal(entry.claimed ? entry.claimed : entry.bytes.size(), 11));
    put(136, "00000000000");
    put(148, "        ");
    put(156, std::string(1, entry.type));
    put(157, entry.target);
    put(257, std::string("ustar\00000", 8));
    uint64_t sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    put(148, octal(sum, 6) + std::string("\0 ", 2));
    tar += header + entry.bytes;
    tar.append((kBlock - entry.bytes.size() % kBlock) % kBlock, '\0');
  }
  return tar;
}

/// A whole tar.
inline std::string tar_of(const std::vector<TarEntry>& entries) {
  return open_ended_tar(entries) + std::string(1024, '\0');
}

}  // namespace bitdiff
