#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/wait.h>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace bitdiff {

inline std::string content(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// Runs the program in a folder of its own.
class ProgramTest : public ::testing::Test {
 protected:
  /// Runs `bitdiff arguments`; returns the exit code. What it said is in said_, the part of it that
  /// went to the standard output in printed_.
  int run(const std::string& arguments) {
    return run_command(str(BITDIFF_PROGRAM, " ", arguments));
  }

  /// The same of any command.
  int run_command(const std::string& command) {
    const auto out = path("out"), log = path("log");
    const int status = std::system(str(command, " >", out, " 2>", log).c_str());
    printed_ = content(out);
    said_ = content(log) + printed_;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  TemporaryFolder folder_;
  std::string said_;
  std::string printed_;
};

}  // namespace bitdiff
