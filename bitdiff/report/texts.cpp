#include "bitdiff/report/texts.h"

#include <algorithm>

#include "bitdiff/data/text.h"

namespace bitdiff {

std::string to_text(const Tensor& x, const TextInfo& info) {
  std::string all;
  for (int64_t i = 0; i < x.size(0); ++i) {
    auto text = text_of(info, x[i]);
    // A line feed that was spelled in bytes.
    if (info.lines) std::replace(text.begin(), text.end(), '\n', ' ');
    all += (info.lines || i == 0 ? "" : "\n") + text + "\n";
  }
  return all;
}

}  // namespace bitdiff
