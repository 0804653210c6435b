#include "bitdiff/data/text_lines.h"

#include <sstream>

#include "bitdiff/base/error.h"
#include "bitdiff/io/file.h"

namespace bitdiff {

std::vector<std::string> read_text_lines(const std::filesystem::path& path) {
  std::istringstream text(read_file(path));
  std::vector<std::string> lines;
  int64_t number = 0;
  for (std::string line; std::getline(text, line);) {
    ++number;
    if (line.find('\0') != std::string::npos) {
      throw InputError(path.string(), ": line ", number, ": expected text, found a zero byte");
    }
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
  }
  if (lines.empty()) throw InputError(path.string(), ": expected lines of text, found none");
  return lines;
}

}  // namespace bitdiff
