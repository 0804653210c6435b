#include "bitdiff/io/safetensors.h"

#include <cstring>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "bitdiff/io/file.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

std::string file_of(const std::string& header, const std::string& data = "") {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

std::string refusal_of(const std::string& bytes) {
  const TemporaryFolder folder;
  const auto path = folder.write("x.safetensors", bytes);
  auto what = refusal(ErrorKind::kInput, [&] { read_safetensors(path); });
  expect_contains(what, path.string());
  return what;
}

std::string entry(const std::string& shape, const std::string& offsets,
                  const std::string& type = "\"F32\"") {
  return R"({"dtype":)" + type + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(Safetensors, GiveBackEveryTypeAndShapeInOrder) {
  const TemporaryFolder folder;
  TensorFile file{{}, {{"format", "pt"}, {"a \"quoted\" key", "line\nbreak"}}};
  for (const auto type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt,
                          at::kShort, at::kChar, at::kByte, at::kBool}) {
    file.tensors.emplace_back(str("z", file.tensors.size()),
                              at::arange(6).reshape({2, 3}).to(type));
  }
  file.tensors.emplace_back("scalar", at::full({}, 3.5));
  file.tensors.emplace_back("empty", at::empty({0, 4}));
  file.tensors.emplace_back("a.turned", at::arange(6).reshape({2, 3}).t());
  write_safetensors(folder / "x", file);

  const auto found = read_safetensors(folder / "x");
  EXPECT_EQ(found.metadata, file.metadata);
  ASSERT_EQ(found.tensors.size(), file.tensors.size());
  for (size_t i = 0; i < found.tensors.size(); ++i) {
    EXPECT_EQ(found.tensors[i].first, file.tensors[i].first);
    EXPECT_EQ(found.tensors[i].second.scalar_type(), file.tensors[i].second.scalar_type());
    EXPECT_TRUE(found.tensors[i].second.equal(file.tensors[i].second)) << found.tensors[i].first;
  }
}

TEST(Safetensors, AreTheSameBytesForTheSameTensorsWithTheDataAtAMultipleOfEight) {
  const TemporaryFolder folder;
  for (const char* name : {"a", "b"})
    write_safetensors(folder / name, {{{"w", at::ones({3})}}, {}});
  const auto bytes = read_file(folder / "a");
  EXPECT_EQ(bytes, read_file(folder / "b"));
  EXPECT_EQ((bytes.size() - 3 * sizeof(float)) % 8, 0);
}

TEST(Safetensors, RefuseAFileThatIsShort) {
  expect_contains(refusal_of("1234567"), "ends early");
  expect_contains(refusal_of(file_of("{}").substr(0, 9)), "expected a header of at most 1 bytes");
  expect_contains(refusal_of(file_of("{\"a\":" + entry("[2]", "[0,8]") + "}", "1234567")),
                  "within the 7 bytes of data");
  expect_contains(refusal_of(file_of("{\"a\":" + entry("[2]", "[0,8]") + "}", "123456789")),
                  "expected 8 bytes of data");
}

TEST(Safetensors, RefuseAHeaderThatIsNoHeader) {
  expect_contains(refusal_of(std::string(8, '\xff') + "{}"), "this is no safetensors file");
  expect_contains(refusal_of(file_of("[]")), "expected a JSON object");
  expect_contains(refusal_of(file_of("{\"a\":")), "not JSON");
  expect_contains(refusal_of(file_of(std::string("{}\0x", 4))), "not JSON: a byte 0");
  expect_contains(refusal_of(file_of("{\"a\":3}")), "expected {dtype, shape, data_offsets}");
  expect_contains(refusal_of(file_of(R"({"__metadata__":{"step":3}})")),
                  "expected an object of strings");
  const auto one = "\"a\":" + entry("[0]", "[0,0]");
  expect_contains(refusal_of(file_of("{" + one + "," + one + "}")), "\"a\" stands there twice");
}

TEST(Safetensors, RefuseDeepNestingWithoutFollowingIt) {
  const std::string deep(100000, '[');
  expect_contains(refusal_of(file_of("{\"a\":" + deep)), "nested deeper");
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  expect_contains(refusal_of(file_of(objects)), "nested deeper");
}

TEST(Safetensors, RefuseShapesThatAreHugeOrNegativeOrNotWhole) {
  const auto with_shape = [](const std::string& shape, const std::string& offsets = "[0,8]") {
    return refusal_of(file_of("{\"a\":" + entry(shape, offsets) + "}", "12345678"));
  };
  expect_contains(with_shape("[4294967296,4294967296]"), "takes 2^63 or more bytes");
  expect_contains(with_shape("[0,9223372036854775807,9]", "[0,0]"), "takes 2^63 or more bytes");
  expect_contains(with_shape("[3]"), "takes 12 bytes, but data_offsets hold 8");
  expect_contains(with_shape("[-2]"), "integers >= 0, found [-2]");
  expect_contains(with_shape("[2.0]"), "integers >= 0, found [2.0]");
  expect_contains(with_shape("[18446744073709551615]"), "integers >= 0");
  expect_contains(with_shape("2"), "expected a list");
}

TEST(Safetensors, RefusePlacesThatOverlapLeaveHolesOrLieOutside) {
  const auto with = [](const std::string& first, const std::string& second) {
    return refusal_of(file_of(
        "{\"a\":" + entry("[1]", first) + ",\"b\":" + entry("[1]", second) + "}", "0123456789ab"));
  };
  expect_contains(with("[0,4]", "[0,4]"), "\"b\": expected its data at byte 4");
  expect_contains(with("[0,4]", "[2,6]"), "\"b\": expected its data at byte 4");
  expect_contains(with("[0,4]", "[8,12]"), "\"b\": expected its data at byte 4");
  expect_contains(with("[4,8]", "[8,12]"), "\"a\": expected its data at byte 0");
  expect_contains(with("[4,0]", "[8,12]"), "\"a\": data_offsets");
  expect_contains(with("[0,4]", "[12,16]"), "\"b\": data_offsets");
  expect_contains(with("[0,4]", "[4]"), "expected a list of 2 integers");
}

TEST(Safetensors, RefuseATypeThatTensorsLack) {
  const auto what =
      refusal_of(file_of("{\"a\":" + entry("[1]", "[0,1]", "\"F8_E4M3\"") + "}", "1"));
  expect_contains(what, "found \"F8_E4M3\"");
  expect_contains(what, "BF16");
  expect_contains(refusal_of(file_of("{\"a\":" + entry("[2]", "[0,2]", "\"BOOL\"") + "}", "\1\2")),
                  "element 1: expected 0 or 1 for BOOL, found 2");
}

TEST(Safetensors, SayThatAFileIsMissing) {
  expect_contains(refusal(ErrorKind::kInput, [] { read_safetensors("/nowhere/x"); }),
                  "/nowhere/x: no such file");
  expect_contains(refusal(ErrorKind::kStorage, [] { write_safetensors("/nowhere/x", {}); }),
                  "No such file or directory");
}

}  // namespace
}  // namespace bitdiff
