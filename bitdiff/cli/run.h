#pragma once

namespace bitdiff {

/// The whole program but for `main`: understands the command line, does what it says, and turns
/// what goes wrong into one line on stderr and the exit code (ErrorKind; 130 after Ctrl-C).
int run(int argc, char** argv);

}  // namespace bitdiff
