#include "bitdiff/data/open.h"

#include <cstdlib>

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include "bitdiff/base/config.h"
#include "bitdiff/data/images.h"
#include "bitdiff/io/file.h"
#include "bitdiff/io/image.h"
#include "bitdiff/io/npz.h"
#include "tests/support/tar.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

namespace fs = std::filesystem;

constexpr size_t kRecord = 3073;

std::string record(int label, char pixel) {
  std::string bytes(kRecord, pixel);
  bytes[0] = static_cast<char>(label);
  return bytes;
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
  expect_contains(refusal_of("/nowhere"), "/nowhere: no such file");
  expect_contains(refusal_of(folder_ / "b/2.png"), "2.png: not a whole tar");
  fs::create_directory(folder_ / "empty");
  expect_contains(refusal_of(folder_ / "empty"), "expected .png, .jpg or .jpeg files, found none");
}

// A tar of the files below a folder, in the order of the disk.
std::string packed(const fs::path& folder) {
  std::vector<TarEntry> entries;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    entries.push_back(
        {"./" + entry.path().lexically_relative(folder).string(), read_file(entry.path())});
  }
  return tar_of(entries);
}

void expect_same(const Dataset& a, const Dataset& b, int64_t every) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(a.info().classes, b.info().classes);
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < a.size(); i += every) indices.push_back(i);
  const auto of_a = a.get(indices), of_b = b.get(indices);
  EXPECT_TRUE(of_a.x.equal(of_b.x));
  ASSERT_EQ(of_a.label.defined(), of_b.label.defined());
  if (of_a.label.defined()) {
    EXPECT_TRUE(of_a.label.equal(of_b.label));
  }
}

TEST_F(ImageFolders, AreTheSameInATar) {
  const auto tar = folder_.write("images.tar", packed(folder_.path()));
  for (const char* labels : {"", "folders"}) {
    const ImageOptions options{.size = 4, .labels = labels};
    expect_same(*open_images(folder_.path(), options), *open_images(tar, options), 1);
  }
}

TEST_F(ImageFolders, AreTheSameInManyTars) {
  const TarEntry first{"a/1.PNG", read_file(folder_ / "a/1.PNG")};
  const TarEntry second{"b/10.png", read_file(folder_ / "b/10.png")};
  const TarEntry third{"b/2.png", read_file(folder_ / "b/2.png")};
  folder_.write("tars/0.tar", tar_of({first}));
  folder_.write("tars/1.tar", tar_of({second, third}));
  const ImageOptions options{.size = 4, .labels = "folders"};
  expect_same(*open_images(folder_.path(), options), *open_images(folder_ / "tars", options), 1);

  // Their labels may lie beside them.
  const ImageOptions listed{.size = 4, .labels = "labels.txt"};
  for (const std::string place : {"", "tars/"}) {
    folder_.write(place + "labels.txt", "a/1.PNG 2\nb/10.png 0\nb/2.png 1\n");
  }
  expect_same(*open_images(folder_.path(), listed), *open_images(folder_ / "tars", listed), 1);
}

TEST_F(ImageFolders, MayHoldTheFileOfLabelsToo) {
  folder_.write("c/labels.txt", "b/2.png 4\nb/10.png 2\na/1.PNG 0\n");
  const auto outside = folder_.write("labels.txt", "b/2.png 9\nb/10.png 2\na/1.PNG 0\n");
  const auto tar = folder_.write("images.tar", packed(folder_.path()));
  for (const auto& root : {folder_.path(), tar}) {
    const auto open = [&](const std::string& labels) {
      DataOptions options;
      auto config = Config::parse(str("[data]\nsource = \"images\"\npath = \"", root.string(),
                                      "\"\nsize = 4\nlabels = \"", labels, "\"\n"),
                                  "x.toml");
      config.read("data", options);
      return open_dataset(options);
    };
    EXPECT_EQ(example(*open("c/labels.txt"), 2).label.item<int64_t>(), 4);
    EXPECT_EQ(example(*open(outside.string()), 2).label.item<int64_t>(), 9);
    expect_contains(refusal(ErrorKind::kInput, [&] { open("d/labels.txt"); }),
                    "d/labels.txt: no such file");
  }
  folder_.write("c/labels.txt", "b/2.png 4\n");
  const auto short_tar = folder_.write("short.tar", packed(folder_.path()));
  expect_contains(
      refusal(ErrorKind::kInput, [&] { open_images(short_tar, {.labels = "c/labels.txt"}); }),
      "short.tar: c/labels.txt: expected a line for a/1.PNG");
}

TEST_F(ImageFolders, NameTheDamagedImageOfATar) {
  folder_.write("b/10.png", "\x89PNG and no more");
  const auto dataset =
      open_images(folder_.write("images.tar", packed(folder_.path())), {.size = 4});
  expect_contains(refusal(ErrorKind::kInput, [&] { example(*dataset, 1); }),
                  "images.tar: b/10.png: not a whole PNG");
}

TEST_F(ImageFolders, AreDecodedAlikeByAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  const auto dataset = open_images(folder_.path(), {.size = 4, .labels = "folders"});
  std::vector<int64_t> indices(100);
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<int64_t>(i % 3);
  at::set_num_threads(1);
  const auto one = dataset->get(indices);
  at::set_num_threads(4);
  const auto four = dataset->get(indices);
  EXPECT_TRUE(one.x.equal(four.x));
  EXPECT_TRUE(one.label.equal(four.label));
  folder_.write("b/10.png", "damaged");
  expect_contains(refusal(ErrorKind::kInput, [&] { dataset->get(indices); }), "b/10.png: neither");
  at::set_num_threads(before);
}

TEST(Images, OfTinyImageNetAreAllRead) {
  const auto labels = real_data("tiny-imagenet/val_annotations.txt");
  const auto first = real_data("tiny-imagenet/val_0.JPEG");
  auto tar = real_data("tiny-imagenet/val_jpeg.tar.xz");
  if (labels.empty() || (first.empty() && tar.empty())) {
    GTEST_SKIP() << "BITDIFF_DATA names no folder with tiny-imagenet/";
  }
  const TemporaryFolder folder;
  if (tar.empty()) tar = folder.write("images.tar", packed(first.parent_path()));
  const ImageOptions options{.labels = labels.string()};
  const auto dataset = open_images(tar, options);
  EXPECT_EQ(dataset->size(), 10100);
  EXPECT_EQ(dataset->info().classes, 202);
  for (int64_t i = 0; i < dataset->size(); i += 10) example(*dataset, i);
  if (!first.empty()) expect_same(*open_images(first.parent_path(), options), *dataset, 10);
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
