#pragma once

#include <CLI/App.hpp>
#include <functional>
#include <memory>

namespace bitdiff {

/// What a subcommand does once the command line is understood; returns the exit code.
using Action = std::function<int()>;

// Each adds its subcommand to the program and returns what to do when it is chosen.
Action add_train(CLI::App& program);
Action add_sample(CLI::App& program);
Action add_caption(CLI::App& program);
Action add_inspect(CLI::App& program);
Action add_features(CLI::App& program);
Action add_tokenizer(CLI::App& program);
Action add_eval(CLI::App& program);
Action add_convert(CLI::App& program);
Action add_plan(CLI::App& program);

// Each adds its subcommand to `bitdiff eval`.
Action add_eval_bits(CLI::App& eval);
Action add_eval_captions(CLI::App& eval);
Action add_eval_images(CLI::App& eval);
Action add_eval_loss(CLI::App& eval);

}  // namespace bitdiff
