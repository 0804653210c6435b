#include "bitdiff/data/open.h"

#include <cstdlib>

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "bitdiff/base/config.h"
#include "bitdiff/data/images.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/image.h"
#include "bitdiff/io/npz.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

constexpr size_t kRecord = 3073;

std::string record(int label, char pixel) {
  return std::string(1, static_cast<char>(label)) + std::string(kRecord - 1, pixel);
}

Batch example(const Dataset& dataset, int64_t index) {
  return dataset.get(std::vector<int64_t>{index});
}

// The folder of a real data set, empty when it is not here.
fs::path real_data(const char* name) {
  const char* folder = std::getenv("BITDIFF_DATA");
  if (!folder || !fs::exists(fs::path(folder) / name)) return {};
  return fs::path(folder) / name;
}

TEST(Cifar, GivesLabelsAndPixelsOfEveryFileInOrder) {
  const TemporaryFolder folder;
  for (int i = 1; i <= 5; ++i) {
    folder.write(str("data_batch_", i, ".bin"),
                 record(i, static_cast<char>(2 * i)) + record(9, 'x'));
  }
  const auto dataset = open_cifar10(cifar10_files(folder.path(), CifarPart::kTrain), true);
  EXPECT_EQ(dataset->size(), 10);
  EXPECT_EQ(dataset->info().classes, 10);
  const auto batch = example(*dataset, 4);
  EXPECT_EQ(batch.label.item<int64_t>(), 3);
  EXPECT_EQ(batch.x.sizes(), IntArrayRef({1, 3, 32, 32}));
  EXPECT_TRUE(batch.x.eq(6).all().item<bool>());
  const auto plain = open_cifar10(cifar10_files(folder.path(), CifarPart::kTrain), false);
  EXPECT_FALSE(example(*plain, 0).label.defined());
}

TEST(Cifar, ShrinksByTheMeanOfTheArea) {
  const TemporaryFolder folder;
  // Columns of 10, 20, 10, 20, ...
  std::string pixels(3072, 10);
  for (size_t i = 1; i < pixels.size(); i += 2) pixels[i] = 20;
  folder.write("one.bin", std::string(1, 3) + pixels);
  const std::vector files{folder.path() / "one.bin"};
  const auto dataset = open_cifar10(files, false, 2);
  EXPECT_EQ(dataset->info().shape, (std::vector<int64_t>{3, 16, 16}));
  EXPECT_TRUE(example(*dataset, 0).x.eq(15).all().item<bool>());
  refusal(ErrorKind::kUsage, [&] { open_cifar10(files, false, 3); });
}

TEST(Cifar, ThatIsDamagedSaysWhere) {
  const TemporaryFolder folder;
  const auto refusal_of = [&](const std::string& bytes) {
    const auto path = folder.write("data_batch_1.bin", bytes);
    auto what = refusal(ErrorKind::kInput, [&] { open_cifar10({path}, false); });
    expect_contains(what, path.string());
    return what;
  };
  expect_contains(
      refusal_of(record(1, 'x') + record(2, 'y').substr(0, 100)),
      "expected records of 3073 bytes, found 3173 bytes: the file ends 100 bytes into record 1");
  expect_contains(refusal_of(""), "found 0 bytes");
  expect_contains(refusal_of(record(1, 'x') + record(10, 'y')),
                  "record 1, byte 3073: expected a label in 0..9, found 10");
  expect_contains(
      refusal(ErrorKind::kInput, [&] { cifar10_files(folder.path(), CifarPart::kTrain); }),
      "data_batch_2.bin: no such file");
  expect_contains(
      refusal(ErrorKind::kInput, [&] { cifar10_files(folder.path(), CifarPart::kTest); }),
      "expected test_batch.bin");
}

TEST(Cifar, HasThePublishedStatistics) {
  const auto folder = real_data("cifar10");
  if (folder.empty()) GTEST_SKIP() << "BITDIFF_DATA names no folder with cifar10/";
  const auto dataset = open_cifar10(cifar10_files(folder, CifarPart::kTrain), true);
  EXPECT_EQ(dataset->size(), 50000);
  std::vector<int64_t> indices(50000);
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<int64_t>(i);
  const auto batch = dataset->get(indices);
  const double published[3] = {.4914, .4822, .4465};
  for (int64_t c = 0; c < 3; ++c) {
    const auto sum = batch.x.select(1, c).sum().item<int64_t>();
    EXPECT_NEAR(static_cast<double>(sum) / (50000.0 * 1024 * 255), published[c], 5e-5);
  }
  for (int64_t k = 0; k < 10; ++k) EXPECT_EQ(batch.label.eq(k).sum().item<int64_t>(), 5000);
}

class ImageFolders : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"b/2.png", "a/1.PNG", "b/10.png"}) {
      fs::create_directories((folder_ / name).parent_path());
      write_png(folder_ / name, at::full({3, 8, 12}, name[2] - '0', at::kByte));
    }
    folder_.write("b/notes.txt", "no image");
  }

  const TemporaryFolder folder_;
};

TEST_F(ImageFolders, AreReadInTheOrderOfTheirPathsAndMadeSquare) {
  const auto dataset = open_images(folder_.path(), {.size = 4});
  ASSERT_EQ(dataset->size(), 3);
  EXPECT_EQ(dataset->info().shape, (std::vector<int64_t>{3, 4, 4}));
  for (const auto& [index, pixel] : {std::pair(0, 1), {1, 1}, {2, 2}}) {
    const auto batch = example(*dataset, index);
    EXPECT_EQ(batch.x.sizes(), IntArrayRef({1, 3, 4, 4}));
    EXPECT_TRUE(batch.x.eq(pixel).all().item<bool>());
    EXPECT_FALSE(batch.label.defined());
  }
}

TEST_F(ImageFolders, MayNameTheClasses) {
  const auto dataset = open_images(folder_.path(), {.size = 4, .labels = "folders"});
  EXPECT_EQ(dataset->info().classes, 2);
  EXPECT_EQ(example(*dataset, 0).label.item<int64_t>(), 0);
  EXPECT_EQ(example(*dataset, 2).label.item<int64_t>(), 1);
  write_png(folder_ / "stray.png", at::full({3, 8, 12}, 1, at::kByte));
  expect_contains(refusal(ErrorKind::kInput,
                          [&] { open_images(folder_.path(), {.size = 4, .labels = "folders"}); }),
                  "stray.png: expected it in a folder named after its class");
}

TEST_F(ImageFolders, MayComeWithAFileOfLabels) {
  const auto open = [&](const std::string& lines) {
    const auto file = folder_.write("labels.txt", lines);
    return open_images(folder_.path(), {.size = 4, .labels = file.string()});
  };
  const auto words = open("b/2.png cat 0 0\nb/10.png ant\r\n\na/1.PNG\tdog\nother.png bee\n");
  EXPECT_EQ(words->info().classes, 3);
  EXPECT_EQ(example(*words, 2).label.item<int64_t>(), 1);
  const auto numbers = open("b/2.png 7\nb/10.png 0\na/1.PNG 3\n");
  EXPECT_EQ(numbers->info().classes, 8);
  EXPECT_EQ(example(*numbers, 2).label.item<int64_t>(), 7);

  const auto refusal_of = [&](const std::string& lines) {
    return refusal(ErrorKind::kInput, [&] { open(lines); });
  };
  expect_contains(refusal_of("b/2.png cat\nb/10.png\n"), "line 2: expected \"name label\"");
  expect_contains(refusal_of("b/2.png 1\nb/2.png 1\n"), "line 2: a second label for b/2.png");
  expect_contains(refusal_of("b/2.png 1\n"), "expected a line for a/1.PNG");
}

TEST_F(ImageFolders, NameTheImageThatIsCutShort) {
  const auto path = folder_ / "b/10.png";
  const auto whole = read_file(path);
  folder_.write("b/10.png", whole.substr(0, whole.size() / 2));
  const auto dataset = open_images(folder_.path(), {.size = 4});
  expect_contains(refusal(ErrorKind::kInput, [&] { example(*dataset, 1); }),
                  path.string() + ": not a whole PNG");
}

TEST_F(ImageFolders, ThatAreNoneAreRefused) {
  const auto refusal_of = [&](const fs::path& path) {
    return refusal(ErrorKind::kInput, [&] { open_images(path, {}); });
  };
  expect_contains(refusal_of("/nowhere"), "expected a folder of images, found nothing");
  expect_contains(refusal_of(folder_ / "b/2.png"), "found a file");
  fs::create_directory(folder_ / "empty");
  expect_contains(refusal_of(folder_ / "empty"), "expected .png, .jpg or .jpeg files, found none");
}

TEST(Images, OfTinyImageNetAreAllRead) {
  const auto folder = real_data("tiny-imagenet");
  if (folder.empty()) GTEST_SKIP() << "BITDIFF_DATA names no folder with tiny-imagenet/";
  const auto dataset =
      open_images(folder, {.size = 64, .labels = (folder / "val_annotations.txt").string()});
  EXPECT_EQ(dataset->size(), 10100);
  EXPECT_EQ(dataset->info().classes, 202);
  for (int64_t i = 0; i < dataset->size(); i += 10) example(*dataset, i);
}

TEST(DataOptions, OpenEverySource) {
  const TemporaryFolder folder;
  const auto open = [&](const std::string& text) {
    DataOptions options;
    auto config = Config::parse("[data]\n" + text, "x.toml");
    config.read("data", options);
    config.refuse_unknown();
    if (!options.path.empty()) options.path = folder / options.path;
    return open_dataset(options);
  };
  folder.write("one.bin", record(3, 'x'));
  const auto cifar = open("source = \"cifar10\"\npath = \"one.bin\"\nlabels = \"classes\"\n");
  EXPECT_EQ(example(*cifar, 0).label.item<int64_t>(), 3);

  fs::create_directory(folder / "images");
  write_png(folder / "images/a.png", at::full({3, 8, 12}, 1, at::kByte));
  const auto images = open("source = \"images\"\npath = \"images\"\nsize = 8\n");
  EXPECT_EQ(images->info().shape, (std::vector<int64_t>{3, 8, 8}));

  write_npy(folder / "x.npy", at::arange(6).reshape({2, 3}));
  const auto array = open("path = \"x.npy\"\nlayout = \"nl\"\ncategories = [6]\n");
  EXPECT_EQ(array->info().categories, std::vector<int64_t>{6});
}

TEST(DataOptions, FitTheEmojiThatAreShipped) {
  DataOptions options;
  options.path = std::string(BITDIFF_SOURCE_DIR) + "/data/emoji/emoji16.npz";
  options.key = "images";
  options.categories = {32};
  const auto emoji = open_dataset(options);
  EXPECT_GT(emoji->size(), 3000);
  EXPECT_EQ(emoji->info().shape, (std::vector<int64_t>{1, 16, 16}));
  EXPECT_EQ(emoji->info().palette.size(), 96U);
}

TEST(DataOptions, SayWhatIsWrong) {
  expect_contains(refusal(ErrorKind::kUsage, [] { open_dataset({}); }), "data.path: expected");
  DataOptions options;
  options.source = Source::kCifar10;
  options.path = "x";
  options.labels = "folders";
  expect_contains(refusal(ErrorKind::kUsage, [&] { open_dataset(options); }),
                  "data.labels: expected \"classes\"");
}

}  // namespace
}  // namespace bitdiff
