#include "bitdiff/io/sha256.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

// The examples of FIPS 180-2.
constexpr const char* kOfAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* kOfMillion =
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST(Sha256, IsThatOfTheStandard) {
  Sha256 sha;
  sha.add("a", 1);
  sha.add("bc", 2);
  EXPECT_EQ(sha.hex(), kOfAbc);
  const TemporaryFolder folder;
  EXPECT_EQ(sha256_of_file(folder.write("x", std::string(1000000, 'a'))), kOfMillion);
  EXPECT_EQ(sha256_of_file(folder.write("y", "abc")), kOfAbc);
}

}  // namespace
}  // namespace bitdiff
