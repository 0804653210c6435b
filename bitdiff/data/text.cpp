#include "bitdiff/data/text.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include "bitdiff/base/error.h"
#include "bitdiff/data/memory_dataset.h"
#include "bitdiff/data/text_lines.h"

namespace bitdiff {
namespace {

/// Of the smallest type that batches have.
Tensor compact(const Tensor& x, const TextInfo& info) {
  return info.tokenizer->size() <= 256 ? x.to(at::kByte) : x;
}

/// Windows [1, L] one after the other of all lines with an eos after each; what is left at the end
/// is no example.
Tensor examples_of_running_text(const std::string& where, const std::vector<std::string>& lines,
                                const TextInfo& info, int64_t length) {
  std::vector<int32_t> all;
  for (const auto& line : lines) {
    const auto tokens = info.tokenizer->encode(line);
    all.insert(all.end(), tokens.begin(), tokens.end());
    all.push_back(static_cast<int32_t>(info.tokenizer->eos()));
  }
  const auto count = static_cast<int64_t>(all.size()) / length;
  if (count == 0) {
    throw InputError(where, ": expected at least data.length = ", length, " tokens, found ",
                     all.size());
  }
  auto x = at::empty({count, 1, length}, at::kInt);
  std::copy_n(all.begin(), x.numel(), x.mutable_data_ptr<int32_t>());
  return compact(x, info);
}

}  // namespace

TextInfo text_info_of(const TextOptions& options) {
  if (options.tokenizer.empty()) {
    throw UsageError("data.tokenizer: expected \"bytes\" or the file of a SentencePiece model,",
                     " found \"\"");
  }
  return {.tokenizer = load_tokenizer(options.tokenizer), .lines = options.lines};
}

Tensor examples_of_lines(const std::vector<std::string>& lines, int64_t length, TextInfo& info) {
  const auto& tokenizer = *info.tokenizer;
  auto x = at::full({static_cast<int64_t>(lines.size()), 1, length}, tokenizer.pad(), at::kInt);
  auto* row = x.mutable_data_ptr<int32_t>();
  for (const auto& line : lines) {
    auto tokens = tokenizer.encode(line);
    if (static_cast<int64_t>(tokens.size()) > length - 1) {
      tokens.resize(length - 1);
      ++info.cut;
    }
    tokens.push_back(tokenizer.eos());
    std::copy(tokens.begin(), tokens.end(), row);
    row += length;
  }
  return compact(x, info);
}

std::shared_ptr<const Dataset> open_text(const std::filesystem::path& path,
                                         const TextOptions& options) {
  auto text = text_info_of(options);
  const auto lines = read_text_lines(path);
  const auto x = options.lines
                     ? examples_of_lines(lines, options.length, text)
                     : examples_of_running_text(path.string(), lines, text, options.length);
  const int64_t k = text.tokenizer->size();
  DataInfo info{.shape = {1, options.length}, .categories = {k}, .text = std::move(text)};
  return std::make_shared<MemoryDataset>(std::move(info), x, Tensor());
}

std::string text_of(const TextInfo& info, const Tensor& tokens) {
  const auto flat = tokens.to(at::kLong).flatten().contiguous();
  const auto* const begin = flat.const_data_ptr<int64_t>();
  const auto* const end = begin + flat.numel();
  const int64_t eos = info.tokenizer->eos();
  const auto* stop = std::find(begin, end, eos);
  auto text = info.tokenizer->decode({begin, stop});
  if (info.lines) return text;
  while (stop != end) {
    const auto* const start = stop + 1;
    stop = std::find(start, end, eos);
    text += "\n" + info.tokenizer->decode({start, stop});
  }
  return text;
}

}  // namespace bitdiff
