#include "bitdiff/cli/output_path.h"

#include "bitdiff/base/error.h"

namespace bitdiff {

void check_folder_of(const char* flag, const std::filesystem::path& path) {
  const auto folder = path.parent_path();
  if (folder.empty() || std::filesystem::is_directory(folder)) return;
  throw UsageError(flag, " ", path.string(), ": the folder ", folder.string(), " does not exist");
}

}  // namespace bitdiff
