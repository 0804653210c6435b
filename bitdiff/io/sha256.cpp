#include "bitdiff/io/sha256.h"

#include <algorithm>
#include <array>
#include <openssl/evp.h>
#include <vector>

#include <c10/util/Exception.h>

#include "bitdiff/io/file.h"

namespace bitdiff {

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  TORCH_CHECK(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1,
              "OpenSSL has no SHA-256");
}

void Sha256::add(const void* bytes, size_t count) {
  TORCH_CHECK(EVP_DigestUpdate(context_.get(), bytes, count) == 1, "SHA-256 failed");
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  TORCH_CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1, "SHA-256 failed");
  std::string text;
  for (const unsigned byte : digest) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string sha256_of_file(const std::filesystem::path& path) {
  InputFile file(path);
  Sha256 sha;
  std::vector<char> piece(1 << 20);
  for (uint64_t left = file.size(); left > 0;) {
    const auto count = std::min<uint64_t>(left, piece.size());
    file.read(piece.data(), count);
    sha.add(piece.data(), count);
    left -= count;
  }
  return sha.hex();
}

}  // namespace bitdiff
