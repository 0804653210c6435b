#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "bitdiff/cli/commands.h"

namespace bitdiff {

Action add_eval(CLI::App& program) {
  auto* eval = program.add_subcommand("eval", "Measure how good samples are.");
  eval->require_subcommand(1);
  const std::vector<std::pair<std::string, Action>> actions = {
      {"bits", add_eval_bits(*eval)},
      {"captions", add_eval_captions(*eval)},
      {"images", add_eval_images(*eval)},
      {"loss", add_eval_loss(*eval)}};
  return [eval, actions] {
    for (const auto& [name, action] : actions) {
      if (eval->got_subcommand(name)) return action();
    }
    return 0;
  };
}

}  // namespace bitdiff
