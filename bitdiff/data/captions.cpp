#include "bitdiff/data/captions.h"

#include <string>
#include <utility>

#include "bitdiff/data/memory_dataset.h"
#include "bitdiff/data/text.h"
#include "bitdiff/data/tokenizer.h"

namespace bitdiff {
namespace {

class Captions final : public Dataset {
 public:
  /// `x`: [N, 1, L]. `image_of`: the image of each.
  Captions(DataInfo info, Tensor x, std::vector<int64_t> image_of,
           std::shared_ptr<const CaptionImages> images)
      : info_(std::move(info)),
        x_(std::move(x)),
        image_of_(std::move(image_of)),
        images_(std::move(images)) {}

  const DataInfo& info() const override { return info_; }
  int64_t size() const override { return x_.size(0); }

  Batch get(std::span<const int64_t> indices) const override {
    std::vector<int64_t> numbers;
    for (const int64_t index : indices) numbers.push_back(image_of_.at(index));
    return {take_rows(x_, indices), Tensor(), images_->get(numbers)};
  }

 private:
  DataInfo info_;
  Tensor x_;
  std::vector<int64_t> image_of_;
  std::shared_ptr<const CaptionImages> images_;
};

}  // namespace

std::shared_ptr<const Dataset> open_captions(std::shared_ptr<const CaptionImages> images,
                                             const CaptionSplit& split, TextInfo text,
                                             int64_t length) {
  std::vector<std::string> lines;
  std::vector<int64_t> image_of;
  for (const auto& image : split.images) {
    for (const auto& caption : image.captions) {
      lines.push_back(caption);
      image_of.push_back(image.image);
    }
  }
  text.lines = true;
  auto x = examples_of_lines(lines, length, text);
  const int64_t k = text.tokenizer->size();
  DataInfo info{.shape = {1, length},
                .categories = {k},
                .text = std::move(text),
                .image_shape = images->shape(),
                .missing = split.missing};
  return std::make_shared<Captions>(std::move(info), std::move(x), std::move(image_of),
                                    std::move(images));
}

}  // namespace bitdiff
