#pragma once

#include <memory>
#include <vector>

#include "bitdiff/data/caption_source.h"
#include "bitdiff/data/dataset.h"

namespace bitdiff {

/// The captions of a split as sequences of tokens [1, length], each with the image it describes
/// (Batch::image), in the order of the images. `text`: the tokenizer; an example is a line.
std::shared_ptr<const Dataset> open_captions(std::shared_ptr<const CaptionImages> images,
                                             const CaptionSplit& split, TextInfo text,
                                             int64_t length);

}  // namespace bitdiff
