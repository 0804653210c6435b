#include "bitdiff/io/npz.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "bitdiff/io/file.h"
#include "bitdiff/io/npy.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

// A .npy with this header and data.
std::string npy_of(const std::string& header, const std::string& data = "") {
  std::string bytes = "\x93NUMPY";
  bytes += {1, 0, static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  return bytes + header + data;
}

std::string header_of(const std::string& descr, const std::string& shape,
                      const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n";
}

Tensor read_one(const std::string& bytes) {
  const TemporaryFolder folder;
  return read_arrays(folder.write("x.npy", bytes)).at(0).second;
}

std::string refusal_of(const std::string& bytes) {
  const TemporaryFolder folder;
  const auto path = folder.write("x.npy", bytes);
  auto what = refusal(ErrorKind::kInput, [&] { read_arrays(path); });
  expect_contains(what, path.string());
  return what;
}

TEST(Npz, GivesBackEveryTypeInOrder) {
  const TemporaryFolder folder;
  NamedTensors arrays;
  for (const auto type : {at::kBool, at::kByte, at::kChar, at::kShort, at::kInt, at::kLong,
                          at::kHalf, at::kFloat, at::kDouble}) {
    arrays.emplace_back(str("z", arrays.size()), at::arange(6).reshape({1, 2, 3}).to(type));
  }
  arrays.emplace_back("scalar", at::full({}, 7, at::kLong));
  arrays.emplace_back("empty", at::empty({0, 4}));
  arrays.emplace_back("turned", at::arange(6).reshape({2, 3}).t());
  write_npz(folder / "x", arrays);
  const auto found = read_arrays(folder / "x");
  ASSERT_EQ(found.size(), arrays.size());
  for (size_t i = 0; i < arrays.size(); ++i) {
    EXPECT_EQ(found[i].first, arrays[i].first);
    EXPECT_EQ(found[i].second.scalar_type(), arrays[i].second.scalar_type());
    EXPECT_TRUE(found[i].second.equal(arrays[i].second)) << found[i].first;
  }
}

TEST(Npz, IsTheSameBytesForTheSameArrays) {
  const TemporaryFolder folder;
  for (const char* name : {"a", "b"}) write_npz(folder / name, {{"arr_0", at::arange(99)}});
  EXPECT_EQ(read_file(folder / "a"), read_file(folder / "b"));
}

TEST(Npz, RefusesADamagedArchive) {
  const TemporaryFolder folder;
  write_npz(folder / "x", {{"images", at::arange(4096)}});
  auto bytes = read_file(folder / "x");
  expect_contains(refusal_of(bytes.substr(0, bytes.size() / 2)), "not a .npz");
  bytes[bytes.size() / 3] ^= 1;
  expect_contains(refusal_of(bytes), "array \"images\"");
}

TEST(Npz, RefusesMembersThatShareTheirBytes) {
  const TemporaryFolder folder;
  write_npz(folder / "x", {{"a", at::zeros({4096})}});
  const auto bytes = read_file(folder / "x");
  // The directory's entry of the one member again and again, each time by another name.
  const auto first = bytes.find("PK\1\2"), end = bytes.find("PK\5\6");
  auto bomb = bytes.substr(0, first);
  for (char name = 'a'; name <= 'z'; ++name) {
    auto entry = bytes.substr(first, end - first);
    entry[entry.find("a.npy")] = name;
    bomb += entry;
  }
  const auto size = static_cast<uint16_t>(26 * (end - first));
  auto last = bytes.substr(end);
  last[8] = last[10] = 26;
  last[12] = static_cast<char>(size & 0xff);
  last[13] = static_cast<char>(size >> 8);
  expect_contains(refusal_of(bomb + last), "that the file has for it");
}

TEST(Npy, GivesBackWhatWasWritten) {
  const TemporaryFolder folder;
  for (const auto& array : {at::arange(5), at::arange(6).reshape({2, 3}), at::zeros({})}) {
    write_npy(folder / "x", array);
    const auto found = read_arrays(folder / "x");
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].first, "arr_0");
    EXPECT_TRUE(found[0].second.equal(array));
    EXPECT_EQ(npy_header(array).size() % 64, 0U);
  }
}

TEST(Npy, OfTypesThatTensorsLackAreWidened) {
  const auto u2 = read_one(npy_of(header_of("<u2", "(1,)"), "\xff\xff"));
  EXPECT_EQ(u2.scalar_type(), at::kInt);
  EXPECT_EQ(u2[0].item<int64_t>(), 65535);
  const auto u4 = read_one(npy_of(header_of("<u4", "(1,)"), "\xff\xff\xff\xff"));
  EXPECT_EQ(u4[0].item<int64_t>(), 4294967295);
  const auto u8 = read_one(npy_of(header_of("<u8", "(1,)"), "\xff\xff\xff\xff\xff\xff\xff\x7f"));
  EXPECT_EQ(u8[0].item<int64_t>(), INT64_MAX);
  expect_contains(refusal_of(npy_of(header_of("<u8", "(2,)"), std::string(15, '\0') + "\x80")),
                  "element 1: expected at most 2^63 - 1, found 9223372036854775808");
}

TEST(Npy, InFortranOrderIsTurned) {
  const auto array = read_one(npy_of(header_of("|u1", "(2, 3)", "True"), "\1\4\2\5\3\6"));
  EXPECT_TRUE(array.equal(at::arange(1, 7).to(at::kByte).reshape({2, 3})));
  EXPECT_TRUE(array.is_contiguous());
}

TEST(Npy, RefusesPicklesAndTypesThatAreNoNumbers) {
  expect_contains(refusal_of(npy_of(header_of("|O", "(1,)"), "12345678")),
                  "a pickle and never read");
  expect_contains(refusal_of(npy_of(header_of(">i4", "(1,)"), "1234")), "found \">i4\"");
  expect_contains(refusal_of(npy_of(header_of("", "(1,)"), "1234")), "found \"\"");
  expect_contains(refusal_of(npy_of(header_of("<U1", "(1,)"), "1234")), "found \"<U1\"");
  expect_contains(refusal_of(npy_of("{'descr': [('a', '<i4')], ", "1234")), "named columns");
  expect_contains(refusal_of(npy_of(header_of("|b1", "(2,)"), "\1\2")), "found 2");
}

TEST(Npy, RefusesHeadersThatAreNotWhole) {
  expect_contains(refusal_of(""), "neither a .npy nor a .npz");
  expect_contains(refusal_of("\x93NUMPY"), "expected a NumPy array, found 6 bytes");
  expect_contains(refusal_of(std::string("\x93NUMPY\7\0\1\0{}", 12)), "format 1, 2 or 3");
  expect_contains(refusal_of(std::string("\x93NUMPY\2\0\xff\xff\xff\xff{}", 14)),
                  "length of 4294967295");
  expect_contains(refusal_of(npy_of("{'descr': '<i4'}")),
                  "the keys descr, fortran_order and shape");
  expect_contains(refusal_of(npy_of("{'descr': '<i4', 'descr': '<i4'}")), "each once");
  expect_contains(refusal_of(npy_of("{'shape")), "a text in quotes");
  expect_contains(refusal_of(npy_of(header_of("<i4", "(1, -1)"))), "a size from 0 to 2^63 - 1");
  expect_contains(refusal_of(npy_of(header_of("<i4", "(9223372036854775808,)"))), "a size from 0");
}

TEST(Npy, RefusesShapesThatTheDataDoesNotFill) {
  expect_contains(refusal_of(npy_of(header_of("<i4", "(2,)"), "1234567")),
                  "takes 8 bytes, found 7");
  expect_contains(refusal_of(npy_of(header_of("<i4", "(1,)"), "12345678")),
                  "takes 4 bytes, found 8");
  expect_contains(refusal_of(npy_of(header_of("<i4", "(4294967296, 4294967296)"))), "2^63 or more");
  expect_contains(refusal_of(npy_of(header_of("<i4", "(0, 9223372036854775807, 9)"))),
                  "2^63 or more");
}

}  // namespace
}  // namespace bitdiff
