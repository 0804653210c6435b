#include <string_view>

#include "bitdiff/cli/environment.h"
#include "bitdiff/cli/run.h"

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "train" || command == "sample" || command == "features" || command == "eval") {
    bitdiff::prepare_environment(argv);
  }
  return bitdiff::run(argc, argv);
}
