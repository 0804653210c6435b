#include "bitdiff/data/text.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "bitdiff/data/sentencepiece.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

std::vector<int64_t> example(const Dataset& data, int64_t index) {
  const auto x = data.get(std::vector<int64_t>{index}).x.to(at::kLong).contiguous();
  const auto* first = x.const_data_ptr<int64_t>();
  return {first, first + x.numel()};
}

std::string text_of(const Dataset& data, int64_t index) {
  return text_of(data.info().text, data.get(std::vector<int64_t>{index}).x);
}

TEST(Text, OfLinesIsTokensThenEosThenPad) {
  const TemporaryFolder folder;
  const auto path = folder.write("text.txt", "abc\r\n\nabcdefgh\nabcd");
  const auto data = open_text(path, {.tokenizer = "bytes", .length = 5});
  ASSERT_EQ(data->size(), 3);
  EXPECT_EQ(data->info().shape, (std::vector<int64_t>{1, 5}));
  EXPECT_EQ(data->info().categories, std::vector<int64_t>{256});
  EXPECT_EQ(example(*data, 0), (std::vector<int64_t>{'a', 'b', 'c', '\n', 0}));
  EXPECT_EQ(example(*data, 1), (std::vector<int64_t>{'a', 'b', 'c', 'd', '\n'}));
  EXPECT_EQ(example(*data, 2), example(*data, 1)) << "four tokens fit";
  EXPECT_EQ(data->info().text.cut, 1);
  EXPECT_EQ(text_of(*data, 0), "abc");
  EXPECT_EQ(text_of(*data, 1), "abcd");
}

TEST(Text, OfLinesEndsAtTheFirstEos) {
  const TextInfo lines{.tokenizer = load_tokenizer("bytes")};
  const auto tokens = [](const char* text) { return load_tokenizer("bytes")->encode(text); };
  EXPECT_EQ(text_of(lines, at::tensor(tokens("ab\ncd\n"))), "ab");
  EXPECT_EQ(text_of(lines, at::tensor(tokens("abcd"))), "abcd");
  const TextInfo running{.tokenizer = lines.tokenizer, .lines = false};
  EXPECT_EQ(text_of(running, at::tensor(tokens("ab\ncd\n"))), "ab\ncd\n");
}

TEST(Text, ThatRunsIsCutIntoWindows) {
  const TemporaryFolder folder;
  const auto path = folder.write("text.txt", "abc\ndefg\nh\nij");
  const auto data = open_text(path, {.tokenizer = "bytes", .length = 4, .lines = false});
  ASSERT_EQ(data->size(), 3) << "abc_ defg _h_i, and what is left is too short";
  EXPECT_EQ(text_of(*data, 0), "abc\n");
  EXPECT_EQ(text_of(*data, 1), "defg");
  EXPECT_EQ(text_of(*data, 2), "\nh\ni");
  EXPECT_EQ(data->info().text.cut, 0);
  expect_contains(
      refusal(ErrorKind::kInput,
              [&] { open_text(path, {.tokenizer = "bytes", .length = 40, .lines = false}); }),
      "data.length = 40");
}

TEST(Text, HasTheCategoriesOfItsTokenizer) {
  const TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 300; ++i) lines += str("A dog number ", i, " runs to the park\n");
  const auto path = folder.write("text.txt", lines);
  const auto model = folder.write("small.model", train_sentencepiece({path}, 320));
  const auto data = open_text(path, {.tokenizer = model.string(), .length = 32});
  EXPECT_EQ(data->info().categories, std::vector<int64_t>{320});
  EXPECT_EQ(text_of(*data, 17), "A dog number 17 runs to the park");
  EXPECT_EQ(example(*data, 17).back(), 0);
}

TEST(Text, ThatIsNoneIsRefused) {
  const TemporaryFolder folder;
  const auto refusal_of = [&](const std::string& text) {
    const auto path = folder.write("text.txt", text);
    return refusal(ErrorKind::kInput, [&] { open_text(path, {.tokenizer = "bytes"}); });
  };
  expect_contains(refusal_of("\n\r\n"), "expected lines of text, found none");
  expect_contains(refusal_of(std::string("a\nb\0c\n", 6)), "line 2: expected text");
  refusal(ErrorKind::kInput, [&] { open_text(folder / "none", {.tokenizer = "bytes"}); });
  expect_contains(refusal(ErrorKind::kUsage, [&] { open_text(folder / "text.txt", {}); }),
                  "data.tokenizer");
}

}  // namespace
}  // namespace bitdiff
