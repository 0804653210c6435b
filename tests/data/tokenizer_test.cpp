#include "bitdiff/data/tokenizer.h"

#include <cstdlib>

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include "bitdiff/data/sentencepiece.h"
#include "bitdiff/data/text_lines.h"
#include "bitdiff/io/npz.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

/// Sentences of few words, enough for a small vocabulary.
std::string small_text() {
  std::string text;
  for (int i = 0; i < 300; ++i) {
    text += str("A dog number ", i, " runs to ", i % 3 ? "the park" : "a river", "\n");
  }
  return text;
}

TEST(ByteTokenizer, GivesBytes) {
  const auto bytes = load_tokenizer("bytes");
  EXPECT_EQ(bytes->size(), 256);
  const std::string text =
      "Gr\xc3\xbc\xc3\x9f"
      "e!";
  const auto tokens = bytes->encode(text);
  EXPECT_EQ(tokens.at(2), 0xc3);
  EXPECT_EQ(bytes->decode(tokens), text);
  EXPECT_EQ(bytes->decode(std::vector{int64_t{'a'}, bytes->eos(), bytes->pad(), int64_t{'b'}}),
            "ab");
  EXPECT_THROW(bytes->decode(std::vector<int64_t>{256}), InputError);
  EXPECT_THROW(bytes->decode(std::vector<int64_t>{-1}), InputError);
}

TEST(SentencePiece, IsTrainedAndGivesTheTextBack) {
  const TemporaryFolder folder;
  const auto text = folder.write("text.txt", small_text());
  const auto model = train_sentencepiece({text}, 320);
  EXPECT_EQ(model, train_sentencepiece({text}, 320)) << "the same text gave another model";
  const auto tokenizer = load_sentencepiece(folder.write("small.model", model));
  EXPECT_EQ(tokenizer->model(), model);
  EXPECT_EQ(tokenizer->size(), 320);
  EXPECT_EQ(tokenizer->pad(), 0);
  EXPECT_EQ(tokenizer->eos(), 1);
  // The last holds characters that training never saw: they are spelled in bytes.
  for (const std::string line : {"A dog number 17 runs to the park", "parkour", "\xe7\x8a\xac?"}) {
    const auto tokens = tokenizer->encode(line);
    EXPECT_EQ(tokenizer->decode(tokens), line);
    for (const int64_t token : tokens) EXPECT_GT(token, 2) << line;
  }
  const std::string line = "A dog number 17 runs to the park";
  EXPECT_LT(tokenizer->encode(line).size(), line.size()) << "no piece is longer than a character";
  auto tokens = tokenizer->encode("the park");
  tokens.insert(tokens.end(), {1, 0, 0});
  EXPECT_EQ(tokenizer->decode(tokens), "the park");
  tokens.push_back(320);
  expect_contains(refusal(ErrorKind::kInput, [&] { tokenizer->decode(tokens); }), "token 320");
}

TEST(SentencePiece, RefusesWhatIsNoModel) {
  const TemporaryFolder folder;
  for (const std::string bytes : {"", "no model", "\n\x05\n\x03 a\x15"}) {
    const auto path = folder.write("bad.model", bytes);
    expect_contains(refusal(ErrorKind::kInput, [&] { load_sentencepiece(path); }), "bad.model");
  }
  refusal(ErrorKind::kInput, [&] { load_tokenizer((folder / "none.model").string()); });
  const auto text = folder.write("text.txt", small_text());
  expect_contains(refusal(ErrorKind::kUsage, [&] { train_sentencepiece({text}, 9000); }), "9000");
}

/// Tokens and texts of the PyPI package beside ours.
void compare_with_python(const TemporaryFolder& folder, const fs::path& model, const fs::path& text,
                         size_t count) {
  const char* python = std::getenv("BITDIFF_PYTHON");
  if (!python || !fs::exists(python)) {
    GTEST_SKIP() << "BITDIFF_PYTHON names no Python with sentencepiece";
  }
  const auto out = folder / "out.npz";
  const auto command =
      str("'", python, "' '", BITDIFF_SOURCE_DIR, "/tests/data/tokenizer_oracle.py' '",
          model.string(), "' '", text.string(), "' ", count, " '", out.string(), "'");
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  const auto arrays = read_arrays(out);
  const auto& tokens = arrays.at(0).second;
  const auto& counts = arrays.at(1).second;
  const auto* expected = tokens.const_data_ptr<int32_t>();
  const auto tokenizer = load_sentencepiece(model);
  auto lines = read_text_lines(text);
  lines.resize(count);
  std::string decoded;
  for (size_t i = 0; i < count; ++i) {
    const auto found = tokenizer->encode(lines[i]);
    const auto length = counts[static_cast<int64_t>(i)].item<int64_t>();
    ASSERT_EQ(found, std::vector<int64_t>(expected, expected + length)) << lines[i];
    expected += length;
    decoded += tokenizer->decode(found) + "\n";
  }
  EXPECT_EQ(expected, tokens.const_data_ptr<int32_t>() + tokens.numel());
  const auto& bytes = arrays.at(2).second;
  EXPECT_EQ(decoded, std::string(reinterpret_cast<const char*>(bytes.const_data_ptr<uint8_t>()),
                                 static_cast<size_t>(bytes.numel())));
}

TEST(SentencePiece, OfAForeignModelGivesTheTokensOfThePythonPackage) {
  const char* data = std::getenv("BITDIFF_DATA");
  const fs::path folder = data ? data : "";
  const auto model = folder / "tokenizer/llama_32000.model";
  if (!data || !fs::exists(model)) GTEST_SKIP() << "BITDIFF_DATA names no folder with tokenizer/";
  const auto tokenizer = load_sentencepiece(model);
  EXPECT_EQ(tokenizer->size(), 32000);
  EXPECT_EQ(tokenizer->eos(), 2);
  EXPECT_EQ(tokenizer->pad(), 2) << "the model has no pad of its own";
  compare_with_python(TemporaryFolder(), model, folder / "text/flickr30k_captions.txt", 10000);
}

TEST(SentencePiece, OfAModelOfOursGivesTheTokensOfThePythonPackage) {
  const TemporaryFolder folder;
  const auto text = folder.write("text.txt", small_text());
  compare_with_python(folder, folder.write("small.model", train_sentencepiece({text}, 320)), text,
                      300);
}

}  // namespace
}  // namespace bitdiff
