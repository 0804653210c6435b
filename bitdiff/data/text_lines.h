#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace bitdiff {

/// The lines of a text file that are not empty, without their ends (LF or CR LF). Throws InputError
/// when the file cannot be read, holds no line, or holds a zero byte, which no text does.
std::vector<std::string> read_text_lines(const std::filesystem::path& path);

}  // namespace bitdiff
