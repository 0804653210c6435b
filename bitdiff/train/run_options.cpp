#include "bitdiff/train/run_options.h"

namespace bitdiff {

RunOptions read_run(Config& config) {
  RunOptions options;
  config.read("data", options.data);
  read_model(config, options.model);
  config.read("train", options.train);
  config.read("sample", options.sample);
  config.refuse_unknown();
  return options;
}

std::string write_run(RunOptions options) {
  ConfigWriter writer;
  writer.write("data", options.data);
  write_model(writer, options.model);
  writer.write("train", options.train);
  writer.write("sample", options.sample);
  return writer.text();
}

}  // namespace bitdiff
