#pragma once

#include <filesystem>
#include <memory>
#include <string>

struct evp_md_ctx_st;

namespace bitdiff {

/// SHA-256 of bytes that come piece by piece.
class Sha256 {
 public:
  Sha256();
  void add(const void* bytes, size_t count);

  /// The hash of all that was added, 64 hexadecimal digits. Nothing can be added afterwards.
  std::string hex();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

/// The hash of a file's bytes. Throws InputError when it cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace bitdiff
