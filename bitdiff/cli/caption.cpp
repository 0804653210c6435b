#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/stack.h>

#include "bitdiff/base/config.h"
#include "bitdiff/base/error.h"
#include "bitdiff/cli/commands.h"
#include "bitdiff/cli/output_path.h"
#include "bitdiff/cli/progress.h"
#include "bitdiff/cli/sampling_flags.h"
#include "bitdiff/data/open.h"
#include "bitdiff/data/text.h"
#include "bitdiff/dist/group.h"
#include "bitdiff/io/atomic_file.h"
#include "bitdiff/io/image.h"
#include "bitdiff/io/resize.h"
#include "bitdiff/metrics/caption_consensus.h"
#include "bitdiff/metrics/caption_words.h"
#include "bitdiff/model/checkpoint.h"

namespace bitdiff {
namespace {

struct Flags {
  SamplingFlags sampling;
  std::vector<std::string> images;
  std::optional<std::string> split;
  std::string captions;
  std::string path;
  int64_t num = 1;
  int64_t consensus = 1;
  bool json = false;
  std::string out;
};

/// What is to be described.
struct Images {
  std::vector<ImageNames> names;
  ImagesOfSamples of;  ///< Of sample i: number i % names.size().
};

Images images_of_files(const std::vector<std::string>& files, const DataInfo& data) {
  const auto& shape = data.image_shape;
  if (shape.size() != 3) {
    throw UsageError("IMAGE: this model looks at features [", shape[0], ", ", shape[1],
                     "], not at pixels; describe those of its data with --split");
  }
  Images images;
  std::vector<Tensor> pixels;
  for (const auto& file : files) {
    images.names.push_back({{"file", {.text = file}}});
    pixels.push_back(
        resize(read_image(file), {.height = shape[1], .width = shape[2]}, Filter::kArea));
  }
  images.of = in_turn(at::stack(pixels));
  return images;
}

/// The images of a split of the data that the run was trained on, or of others like them.
Images images_of_split(const Flags& flags, const std::filesystem::path& checkpoint,
                       const DataInfo& info) {
  DataOptions data;
  Config::load(checkpoint / "config.toml").read("data", data);
  if (!flags.captions.empty()) data.captions = flags.captions;
  if (!flags.path.empty()) data.path = flags.path;
  if (info.image_shape.size() == 3) data.size = info.image_shape[1];
  const auto source = open_caption_source(data);
  if (source.images()->shape() != info.image_shape) {
    throw InputError(data.path, ": expected images ", IntArrayRef(info.image_shape),
                     " as the model was trained on, found ", IntArrayRef(source.images()->shape()));
  }
  Images images;
  std::vector<int64_t> numbers;
  for (const auto& described : source.split(*flags.split).images) {
    images.names.push_back(described.names);
    numbers.push_back(described.image);
  }
  images.of = [all = source.images(), numbers](std::span<const int64_t> samples) {
    std::vector<int64_t> chosen;
    for (const int64_t i : samples) chosen.push_back(numbers[i % numbers.size()]);
    return all->get(chosen);
  };
  return images;
}

/// Refuses several captions where they would be the same one.
void check_several(const Flags& flags, const Model& model, const DrawOptions& options) {
  const int64_t several = std::max(flags.num, flags.consensus);
  if (several == 1 || !model.next_token) return;
  if (options.decode.method != DecodeMethod::kSample) {
    throw UsageError(flags.num > 1 ? "--num " : "--consensus ", several,
                     ": expected decode.method = sample, for the most likely caption is one; ",
                     "add --set decode.method=sample");
  }
}

/// Caption k of image i is sample i of seed + k. The processes of a group share the work; the first
/// has the captions.
std::vector<std::vector<std::string>> describe(Group& group, const Model& model,
                                               DrawOptions options, const Images& images,
                                               int64_t num) {
  const auto count = static_cast<int64_t>(images.names.size());
  options.images = images.of;
  std::vector<std::vector<std::string>> captions(count);
  const int64_t chunk = options.micro_batch * group.size();
  std::optional<Progress> progress;
  if (group.first()) progress.emplace("caption", 0, num * count, "captions", 1);
  for (int64_t k = 0; k < num; ++k, ++options.seed) {
    for (int64_t at = 0; at < count;) {
      const int64_t next = std::min(at + chunk, count);
      const auto x = draw_together(group, model, options, at, next).x;
      if (group.first()) {
        for (int64_t i = at; i < next; ++i) {
          captions[i].push_back(text_of(model.data.text, x[i - at]));
        }
        progress->show(k * count + next, "");
      }
      at = next;
    }
  }
  return captions;
}

/// Of each image the caption that is most like the others of it.
void keep_consensus(std::vector<std::vector<std::string>>& captions) {
  for (auto& of_image : captions) {
    std::vector<CaptionWords> words;
    for (const auto& text : of_image) words.push_back(caption_words(text, CaptionTokenizer::kPtb));
    of_image = {of_image[find_consensus(words)]};
  }
}

/// What people call an image: the file or else the number.
std::string title_of(const ImageNames& names) {
  const auto file = names.find("file");
  return (file == names.end() ? names.begin() : file)->second.text;
}

void print(const Flags& flags, const Images& images,
           const std::vector<std::vector<std::string>>& captions) {
  for (size_t i = 0; i < captions.size(); ++i) {
    const auto title = title_of(images.names[i]);
    if (flags.json) {
      using Json = nlohmann::ordered_json;
      std::cout << Json{{"image", title}, {"captions", captions[i]}}.dump(
                       -1, ' ', false, Json::error_handler_t::replace)
                << "\n";
      continue;
    }
    for (const auto& caption : captions[i]) {
      std::cout << (captions.size() > 1 ? title + ": " : "") << caption << "\n";
    }
  }
}

int caption(const Flags& flags) {
  if (flags.images.empty() == !flags.split) {
    throw UsageError("caption: expected either IMAGE... or --split NAME");
  }
  if (!flags.split && !(flags.captions.empty() && flags.path.empty())) {
    throw UsageError(
        "--captions, --path: expected --split beside them; \"\" is all of the records");
  }
  if (!flags.out.empty() && flags.num != 1) {
    throw UsageError("--out: expected --num 1, for a record has one caption, found ", flags.num);
  }
  check_folder_of("--out", flags.out);
  const auto folder = find_checkpoint(flags.sampling.model);
  const auto options = flags.sampling.options(folder);
  const auto model = flags.sampling.model_of(folder);
  if (!model.encoder || !model.data.text.tokenizer) {
    throw UsageError(flags.sampling.model, ": this model describes no images; use bitdiff sample");
  }
  const auto images = flags.split ? images_of_split(flags, folder, model.data)
                                  : images_of_files(flags.images, model.data);
  check_several(flags, model, options);
  const auto group = join_group(model.parameters.device());
  auto captions = describe(*group, model, options, images, std::max(flags.num, flags.consensus));
  if (!group->first()) return 0;
  if (flags.consensus > 1) keep_consensus(captions);
  if (flags.out.empty()) {
    print(flags, images, captions);
    return 0;
  }
  std::string lines;
  for (size_t i = 0; i < captions.size(); ++i) {
    lines += caption_record_line(images.names[i], captions[i].front());
  }
  write_file_atomically(flags.out, lines);
  std::cerr << "wrote " << captions.size() << " captions to " << flags.out << "\n";
  return 0;
}

}  // namespace

Action add_caption(CLI::App& program) {
  auto flags = std::make_shared<Flags>();
  auto* command = program.add_subcommand("caption", "Describe images with a trained model.");
  flags->sampling.add_to(*command);
  command->add_option("images", flags->images, "PNG or JPEG files")->type_name("IMAGE...");
  command
      ->add_option("--split", flags->split,
                   "describe the images of this split of the data the model was trained on; "
                   "\"\": of all")
      ->type_name("NAME");
  command
      ->add_option("--captions", flags->captions,
                   "with --split: other records than those of the run (data.captions)")
      ->type_name("FILE");
  command
      ->add_option("--path", flags->path, "with --split: other images than the run's (data.path)")
      ->type_name("PATH");
  const auto many = CLI::Range(int64_t{1}, int64_t{1} << 20);
  auto* num = command->add_option("--num", flags->num, "captions of each image");
  num->type_name("N")->check(many)->capture_default_str();
  command
      ->add_option("--consensus", flags->consensus,
                   "draw N captions of each image and keep the one most like the others: better on "
                   "average, N times the work")
      ->type_name("N")
      ->check(many)
      ->excludes(num);
  command->add_flag("--json", flags->json, "print an object a line: image, captions");
  command
      ->add_option("--out", flags->out,
                   "write records that bitdiff eval captions scores, instead of printing")
      ->type_name("FILE.jsonl");
  return [flags] { return caption(*flags); };
}

}  // namespace bitdiff
