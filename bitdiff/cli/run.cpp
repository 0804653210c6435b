#include "bitdiff/cli/run.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <c10/util/Exception.h>

#include "bitdiff/base/error.h"
#include "bitdiff/base/suggest.h"
#include "bitdiff/cli/commands.h"

namespace bitdiff {
namespace {

int fail(ErrorKind kind, const std::string& what) {
  std::cerr << "bitdiff: " << what << "\n";
  return static_cast<int>(kind);
}

/// The flags and subcommands that `app` knows.
std::vector<std::string> words_of(const CLI::App& app) {
  std::vector<std::string> words;
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) words.push_back("--" + name);
  }
  for (const auto* command : app.get_subcommands({})) words.push_back(command->get_name());
  return words;
}

/// What CLI11 says, and what may have been meant.
int usage_error(const CLI::ParseError& error, const CLI::App& program) {
  const CLI::App* innermost = &program;
  std::string command = "bitdiff";
  while (!innermost->get_subcommands().empty()) {
    innermost = innermost->get_subcommands().front();
    command += " " + innermost->get_name();
  }
  const CLI::App& app = *innermost;
  std::string suggestion;
  for (const auto& word : app.remaining()) {
    suggestion = did_you_mean(word.substr(0, word.find('=')), words_of(app));
    if (!suggestion.empty()) break;
  }
  return fail(ErrorKind::kUsage, str(error.what(), ".", suggestion, " See ", command, " --help."));
}

bool is_out_of_memory(const std::string& what) {
  return what.find("can't allocate memory") != std::string::npos ||
         what.find("out of memory") != std::string::npos;
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App program("Bit Diffusion: trains, samples and describes models of discrete data.",
                   "bitdiff");
  program.set_version_flag("--version", "bitdiff 0.1.0");
  program.require_subcommand(1);
  const std::vector<std::pair<std::string, Action>> actions = {
      {"train", add_train(program)},       {"sample", add_sample(program)},
      {"caption", add_caption(program)},   {"inspect", add_inspect(program)},
      {"features", add_features(program)}, {"tokenizer", add_tokenizer(program)},
      {"eval", add_eval(program)},         {"convert", add_convert(program)}};
  try {
    program.parse(argc, argv);
    for (const auto& [name, action] : actions) {
      if (program.got_subcommand(name)) return action();
    }
    return 0;
  } catch (const CLI::Success& help) {
    return program.exit(help);
  } catch (const CLI::ParseError& error) {
    return usage_error(error, program);
  } catch (const Error& error) {
    return fail(error.kind(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(ErrorKind::kMemory, "memory ran out; try a smaller batch");
  } catch (const c10::Error& error) {
    const std::string what = error.what_without_backtrace();
    if (is_out_of_memory(what)) {
      return fail(ErrorKind::kMemory, "memory ran out; try a smaller batch: " + what);
    }
    std::cerr << "bitdiff: internal error, please report it: " << what << "\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "bitdiff: internal error, please report it: " << error.what() << "\n";
    return 1;
  }
}

}  // namespace bitdiff
