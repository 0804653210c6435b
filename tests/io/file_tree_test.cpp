#include "bitdiff/io/file_tree.h"

#include <archive.h>
#include <archive_entry.h>
#include <array>

#include <gtest/gtest.h>

#include "bitdiff/io/file.h"
#include "bitdiff/io/tar.h"
#include "tests/support/tar.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

constexpr uint64_t kMost = uint64_t{1} << 40;

bool every(const std::string&) { return true; }
bool no_tars(const std::string& name) { return !name.ends_with(".tar"); }

NamedBytes read(const std::string& bytes, uint64_t most = kMost) {
  const TemporaryFolder folder;
  return read_tar(folder.write("x.tar", bytes), every, most);
}

std::string refusal_of(const std::string& bytes, uint64_t most = kMost) {
  auto what = refusal(ErrorKind::kInput, [&] { read(bytes, most); });
  expect_contains(what, "x.tar: ");
  return what;
}

// Through one of libarchive's filters.
std::string compressed(const std::string& bytes, int filter) {
  const TemporaryFolder folder;
  const auto path = folder / "compressed";
  archive* out = archive_write_new();
  EXPECT_EQ(archive_write_add_filter(out, filter), ARCHIVE_OK);
  EXPECT_EQ(archive_write_set_format_raw(out), ARCHIVE_OK);
  EXPECT_EQ(archive_write_open_filename(out, path.c_str()), ARCHIVE_OK);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  EXPECT_EQ(archive_write_header(out, entry), ARCHIVE_OK);
  EXPECT_EQ(archive_write_data(out, bytes.data(), bytes.size()),
            static_cast<la_ssize_t>(bytes.size()));
  archive_entry_free(entry);
  EXPECT_EQ(archive_write_close(out), ARCHIVE_OK);
  archive_write_free(out);
  return read_file(path);
}

const std::vector<TarEntry> kEntries = {
    {"./b/", "", '5'}, {"./b/2", std::string(700, 'x')}, {"./a/1", "one"}, {"empty", ""}};

TEST(Tar, GivesTheFilesThatAreWanted) {
  const NamedBytes all = {{"b/2", std::string(700, 'x')}, {"a/1", "one"}, {"empty", ""}};
  EXPECT_EQ(read(tar_of(kEntries)), all);
  const TemporaryFolder folder;
  const auto path = folder.write("x.tar", tar_of(kEntries));
  const auto some = [](const std::string& name) { return name == "a/1"; };
  EXPECT_EQ(read_tar(path, some, kMost), (NamedBytes{{"a/1", "one"}}));
}

TEST(Tar, MayBeCompressed) {
  const auto plain = tar_of(kEntries);
  for (const int filter :
       {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_ZSTD}) {
    const auto bytes = compressed(plain, filter);
    EXPECT_LT(bytes.size(), plain.size()) << filter;
    EXPECT_EQ(read(bytes), read(plain)) << filter;
    for (size_t length = 0; length < bytes.size(); length += 7) {
      refusal_of(bytes.substr(0, length));
    }
  }
}

TEST(Tar, KeepsNamesThatAreNotAscii) {
  const std::string name = "\xc3\xa9/\xe7\x8c\xab.png";
  EXPECT_EQ(read(tar_of({{name, "x"}})).count(name), 1U);
  // As Python writes them: in attributes, beside a name without the letters.
  const auto record = "path=" + name + "\n";
  const auto attributes = str(record.size() + 3, " ", record);
  EXPECT_EQ(read(tar_of({{"attributes", attributes, 'x'}, {"?/?.png", "x"}})),
            (NamedBytes{{name, "x"}}));
}

TEST(Tar, CutShortIsRefused) {
  const auto whole = open_ended_tar({{"a", std::string(600, 'x')}, {"b", "y"}});
  EXPECT_EQ(read(whole).size(), 2U);
  for (size_t length = 1; length < whole.size(); ++length) {
    if (length == 1536) continue;  // Between a and b, where a tar may well end.
    expect_contains(refusal_of(whole.substr(0, length)),
                    length < 512 ? "not a whole tar" : "tar: ");
  }
  expect_contains(refusal_of(whole.substr(0, 1100)), "x.tar: a: cannot be unpacked");
  expect_contains(refusal_of(whole.substr(0, 1600)), "not a whole tar, behind a");
  refusal_of("");
  refusal_of("no tar at all");
}

TEST(Tar, WithADamagedHeaderIsRefused) {
  auto bytes = tar_of(kEntries);
  bytes[512] ^= 1;
  expect_contains(refusal_of(bytes), "x.tar: not a whole tar, behind b/: ");
}

TEST(Tar, MayNotNameAFileOutsideOfIt) {
  for (const std::string name : {"/etc/x", "../x", "a/../../x", "a/../x"}) {
    expect_contains(refusal_of(tar_of({{name, "x"}})), "expected a relative name without \"..\"");
  }
  // What nobody asks for is not looked at.
  const TemporaryFolder folder;
  const auto path = folder.write("x.tar", tar_of({{"/etc/x", "x"}, {"a", "y"}}));
  const auto some = [](const std::string& name) { return name == "a"; };
  EXPECT_EQ(read_tar(path, some, kMost).size(), 1U);
}

TEST(Tar, MayNotHoldLinks) {
  for (const char type : {'1', '2'}) {
    expect_contains(refusal_of(tar_of({{"a", "x"}, {"b", "", type, "a"}})),
                    "x.tar: b: expected a file, found a link");
  }
}

TEST(Tar, MayNotHoldAFileTwice) {
  expect_contains(refusal_of(tar_of({{"a", "x"}, {"./a", "y"}})), "x.tar: a: stands there twice");
}

TEST(Tar, IsReadIntoNoMoreMemoryThanGranted) {
  const auto tar = tar_of({{"a", "12345"}, {"b", "6789"}});
  EXPECT_EQ(read(tar, 9).size(), 2U);
  expect_contains(refusal_of(tar, 8), "x.tar: b: expected at most 8 bytes in all, found 9");
}

TEST(Tar, ThatClaimsGigabytesTakesNoneOfThem) {
  constexpr uint64_t kClaimed = (uint64_t{1} << 33) - 1;  // The most that ustar can say.
  expect_contains(refusal_of(open_ended_tar({{"a", "x", '0', "", kClaimed}})),
                  "x.tar: a: cannot be unpacked");
}

TEST(FileTree, GivesTheSameFilesInTheSameOrderFromFolderAndTar) {
  const TemporaryFolder folder;
  std::vector<TarEntry> entries;
  for (const char* name : {"b/10", "a/1", "b/2", "a-b/1", "a/c/1", "a.x", "B", "skipped"}) {
    folder.write(std::string("tree/") + name, name);
    entries.push_back({name, name});
  }
  const auto wanted = [](const std::string& name) { return name != "skipped"; };
  const auto from_folder = open_file_tree(folder / "tree", wanted);
  const auto from_tar = open_file_tree(folder.write("tree.tar", tar_of(entries)), wanted);
  const std::vector<std::string> order = {"B", "a/1", "a/c/1", "a-b/1", "a.x", "b/10", "b/2"};
  EXPECT_EQ(from_folder->names(), order);
  EXPECT_EQ(from_tar->names(), order);
  EXPECT_EQ(from_folder->read("b/2"), "b/2");
  EXPECT_EQ(from_tar->read("b/2"), "b/2");
  EXPECT_EQ(from_folder->describe("b/2"), (folder / "tree/b/2").string());
  EXPECT_EQ(from_tar->describe("b/2"), (folder / "tree.tar").string() + ": b/2");
}

TEST(Shards, GiveTheirFilesInTheOrderInWhichTheyLie) {
  const TemporaryFolder folder;
  const std::string letters = "\xc3\xa9.png", record = "path=" + letters + "\n";
  folder.write("s/1.tar",
               tar_of({{"b", "of 1"}, {"./a/x", std::string(1300, 'x')}, {"skipped", ""}}));
  folder.write("s/0.tar", tar_of({{"c", "of 0"},
                                  {"attributes", str(record.size() + 3, " ", record), 'x'},
                                  {"?.png", "beside attributes"},
                                  {"empty", ""}}));
  const auto wanted = [](const std::string& name) { return name != "skipped" && no_tars(name); };
  const auto files = open_file_tree(folder / "s", wanted);
  EXPECT_EQ(files->names(), (std::vector<std::string>{"c", letters, "empty", "b", "a/x"}));
  EXPECT_EQ(files->read("a/x"), std::string(1300, 'x'));
  EXPECT_EQ(files->read("c"), "of 0");
  EXPECT_EQ(files->read(letters), "beside attributes");
  EXPECT_EQ(files->read("empty"), "");
  EXPECT_EQ(files->describe("b"), (folder / "s/1.tar").string() + ": b");
}

TEST(Shards, AreRefusedWhereTheyDoNotFit) {
  const auto small = compressed(tar_of({{"b", "x"}}), ARCHIVE_FILTER_GZIP);
  const TemporaryFolder folder;
  const auto refusal_of_shards = [&] {
    return refusal(ErrorKind::kInput, [&] { open_file_tree(folder / "s", no_tars); });
  };
  folder.write("s/0.tar", tar_of({{"a", "x"}}));
  folder.write("s/1.tar", tar_of({{"b", "x"}, {"a", "y"}}));
  expect_contains(refusal_of_shards(), "1.tar: a: expected a name of its own, found the same in");
  expect_contains(refusal_of_shards(), "s/0.tar: a");
  folder.write("s/1.tar", small);
  expect_contains(refusal_of_shards(), "1.tar: expected a plain tar among several");
  folder.write("s/1.tar", tar_of({{"../b", "x"}}));
  expect_contains(refusal_of_shards(), "expected a relative name without \"..\"");
}

TEST(Shards, AreNotLookedIntoBesideFiles) {
  const TemporaryFolder folder;
  folder.write("s/0.tar", tar_of({{"a", "x"}}));
  folder.write("s/loose", "z");
  EXPECT_EQ(open_file_tree(folder / "s", no_tars)->names(), std::vector<std::string>{"loose"});
}

TEST(Shards, ThatChangeWhileInUseAreNoticed) {
  const TemporaryFolder folder;
  folder.write("s/0.tar", tar_of({{"a", "x"}, {"b", std::string(600, 'y')}}));
  const auto files = open_file_tree(folder / "s", no_tars);
  const auto refusal_of_b = [&] { return refusal(ErrorKind::kInput, [&] { files->read("b"); }); };
  folder.write("s/0.tar", tar_of({{"a", std::string(600, 'x')}, {"b", "y"}}));
  expect_contains(refusal_of_b(), "0.tar: b: is not where it was");
  folder.write("s/0.tar",
               open_ended_tar({{"a", "x"}, {"b", std::string(600, 'y')}}).substr(0, 1700));
  expect_contains(refusal_of_b(), "0.tar: b: cannot be unpacked");
  std::filesystem::remove(folder / "s/0.tar");
  expect_contains(refusal_of_b(), "0.tar: b: cannot be read: ");
}

TEST(FileTree, OfNothingIsRefused) {
  expect_contains(refusal(ErrorKind::kInput, [] { open_file_tree("/nowhere", every); }),
                  "/nowhere: no such file");
}

}  // namespace
}  // namespace bitdiff
