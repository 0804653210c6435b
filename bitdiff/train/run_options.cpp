#include "bitdiff/train/run_options.h"

namespace bitdiff {

namespace {

bool describes_images(const DataOptions& data) { return data.source == Source::kCaptions; }

bool is_autoregressive(const RunOptions& options) {
  return options.model.network == Network::kArTransformer;
}

}  // namespace

RunOptions read_run(Config& config) {
  RunOptions options;
  config.read("data", options.data);
  read_model(config, options.model, describes_images(options.data));
  config.read("train", options.train);
  if (is_autoregressive(options)) {
    config.read("decode", options.decode);
  } else {
    config.read("sample", options.sample);
  }
  config.refuse_unknown();
  return options;
}

std::string write_run(RunOptions options) {
  ConfigWriter writer;
  writer.write("data", options.data);
  write_model(writer, options.model, describes_images(options.data));
  writer.write("train", options.train);
  if (is_autoregressive(options)) {
    writer.write("decode", options.decode);
  } else {
    writer.write("sample", options.sample);
  }
  return writer.text();
}

}  // namespace bitdiff
