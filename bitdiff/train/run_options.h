#pragma once

#include <string>

#include "bitdiff/ar/ar_generate.h"
#include "bitdiff/data/open.h"
#include "bitdiff/diffusion/generate.h"
#include "bitdiff/model/model.h"
#include "bitdiff/train/trainer.h"

namespace bitdiff {

/// Everything a run depends on: what a file in configs/ says.
struct RunOptions {
  DataOptions data;
  ModelOptions model;
  TrainOptions train;
  GenerateOptions sample;  ///< For sheets while training, and what `bitdiff sample` begins with.
  DecodeOptions decode;    ///< The same of an autoregressive model.
};

/// Reads all sections; what `config` does not name keeps its default. Unknown keys are errors.
RunOptions read_run(Config& config);

/// The resolved config: read_run of it gives the same options.
std::string write_run(RunOptions options);

}  // namespace bitdiff
