#include "bitdiff/io/atomic_file.h"

#include <gtest/gtest.h>

#include "bitdiff/io/file.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

int64_t entries(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

TEST(AtomicFile, ReplacesTheOldFileAndLeavesNothingElse) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  write_file_atomically(folder / "a", std::string("new\0text", 8));
  EXPECT_EQ(read_file(folder / "a"), std::string("new\0text", 8));
  EXPECT_EQ(entries(folder.path()), 1);
}

TEST(AtomicFile, KeepsTheOldFileWhenWritingThrows) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  const auto fail = [](const fs::path& temporary) {
    std::ofstream(temporary) << "half";
    throw InputError("no more");
  };
  EXPECT_THROW(write_file_atomically(folder / "a", fail), InputError);
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(entries(folder.path()), 1);
}

TEST(AtomicFile, SaysWhyTheDiskRefused) {
  expect_contains(refusal(ErrorKind::kStorage, [] { write_file_atomically("/nowhere/a", "x"); }),
                  "No such file or directory");
  expect_contains(refusal(ErrorKind::kStorage, [] { OutputFile("/dev/full").append("x", 1); }),
                  "cannot write /dev/full: No space left on device");
}

TEST(PublishedFolder, AppearsWholeUnderItsName) {
  const TemporaryFolder folder;
  folder.write("tmp/deep/a", "1");
  publish_folder(folder / "tmp", folder / "final");
  EXPECT_EQ(read_file(folder / "final/deep/a"), "1");
  EXPECT_EQ(entries(folder.path()), 1);
}

TEST(PublishedFolder, ReplacesAFullOne) {
  const TemporaryFolder folder;
  folder.write("final/old", "1");
  folder.write("tmp/new", "2");
  publish_folder(folder / "tmp", folder / "final");
  EXPECT_EQ(read_file(folder / "final/new"), "2");
  EXPECT_FALSE(fs::exists(folder / "final/old"));
  EXPECT_EQ(entries(folder.path()), 1);
}

TEST(PublishedFolder, SaysWhatIsMissing) {
  const TemporaryFolder folder;
  expect_contains(
      refusal(ErrorKind::kStorage, [&] { publish_folder(folder / "none", folder / "final"); }),
      "none: No such file or directory");
}

}  // namespace
}  // namespace bitdiff
