// The program that people start. It has nothing of LibTorch, which alone takes a quarter of a
// second to load: it says at once what the program can do, and starts the program proper in the
// environment that it runs best in.

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <unistd.h>

#include "bitdiff/cli/environment.h"
#include "help_text.h"

namespace {

namespace fs = std::filesystem;

/// Beside this program in a build folder, under ../libexec where it is installed.
fs::path program_proper() {
  const auto folder = fs::read_symlink("/proc/self/exe").parent_path();
  auto built = folder / "bitdiff-program";
  return fs::exists(built) ? built : folder.parent_path() / "libexec" / "bitdiff-program";
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view first = argc == 2 ? argv[1] : "";
  if (first == "--help" || first == "-h") {
    std::fputs(bitdiff::kHelp, stdout);
    return 0;
  }
  bitdiff::prepare_environment();
  try {
    const auto program = program_proper();
    ::execv(program.c_str(), argv);
    std::fprintf(stderr, "bitdiff: %s: %s; build or install it again\n", program.c_str(),
                 std::strerror(errno));
  } catch (const fs::filesystem_error& error) {
    std::fprintf(stderr, "bitdiff: %s\n", error.what());
  }
  return 1;
}
