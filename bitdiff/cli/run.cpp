#include "bitdiff/cli/run.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <c10/util/Exception.h>

#include "bitdiff/base/error.h"
#include "bitdiff/base/suggest.h"
#include "bitdiff/cli/commands.h"
#include "bitdiff/dist/group.h"
#include "bitdiff/dist/launch.h"

namespace bitdiff {
namespace {

/// Until a launcher has ended all processes after one has failed.
constexpr auto kTimeToEnd = std::chrono::seconds(3);

/// Says what went wrong; returns `code`. What goes wrong in all processes of a group alike is said
/// by the first, whose end is theirs before they come to say it.
int fail(int code, const std::string& what) {
  const auto launch = launch_of_environment();
  std::string who = "bitdiff: ";
  if (launch.rank > 0) {
    std::this_thread::sleep_for(kTimeToEnd);
    who = str("bitdiff (process ", launch.rank, "): ");
  }
  std::cerr << who + what + "\n";
  return code;
}

int fail(ErrorKind kind, const std::string& what) { return fail(static_cast<int>(kind), what); }

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

/// The words of the command that was given, such as "eval images".
std::string command_of(const CLI::App& app) {
  const auto& chosen = app.get_subcommands();
  if (chosen.empty()) return "";
  const auto inner = command_of(*chosen.front());
  return chosen.front()->get_name() + (inner.empty() ? "" : " " + inner);
}

/// Keeps several processes from doing the same beside each other.
void check_launch(const std::string& command) {
  if (command == "train" || command == "sample" || command == "caption" ||
      command == "eval images") {
    return;
  }
  if (const auto launch = launch_of_environment(); launch.size != 1) {
    throw UsageError(command, ": expected one process, for only train, sample, caption and eval ",
                     "images share work; start it without mpirun, srun or torchrun");
  }
}

/// Whether all that was printed has arrived.
bool written(std::ostream& out) {
  out.flush();
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && out.good();
}

/// The program, but for the end of the other processes that a failure here is to be.
int run_alone(int argc, char** argv) {
  CLI::App program("Bit Diffusion: trains, samples and describes models of discrete data.",
                   "bitdiff");
  program.set_version_flag("--version", "bitdiff 0.1.0");
  program.require_subcommand(1);
  const std::vector<std::pair<std::string, Action>> actions = {
      {"train", add_train(program)},       {"sample", add_sample(program)},
      {"caption", add_caption(program)},   {"inspect", add_inspect(program)},
      {"features", add_features(program)}, {"tokenizer", add_tokenizer(program)},
      {"eval", add_eval(program)},         {"convert", add_convert(program)},
      {"plan", add_plan(program)}};
  try {
    program.parse(argc, argv);
    for (const auto& [name, action] : actions) {
      if (!program.got_subcommand(name)) continue;
      check_launch(command_of(program));
      return action();
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
    return fail(1, "internal error, please report it: " + what);
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(ErrorKind::kInput,
                str(error.path1().string(), ": cannot be looked at: ", error.code().message()));
  } catch (const std::exception& error) {
    return fail(1, str("internal error, please report it: ", error.what()));
  }
}

}  // namespace

int run(int argc, char** argv) {
  int code = run_alone(argc, argv);
  if (code == 0 && !written(std::cout)) {
    code = fail(ErrorKind::kStorage, "standard output: cannot be written; what is missing is lost");
  }
  if (code != 0) end_group(code);
  return code;
}

}  // namespace bitdiff
