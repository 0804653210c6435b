#pragma once

#include <filesystem>

namespace bitdiff {

/// Refuses, before hours are spent on it, what cannot be written: throws UsageError when `path`,
/// the value of `flag`, is in a folder that does not exist. An empty path is no output and passes.
void check_folder_of(const char* flag, const std::filesystem::path& path);

}  // namespace bitdiff
