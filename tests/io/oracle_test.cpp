// What NumPy, safetensors and Pillow make of our files, and we of theirs. Needs a Python that has
// them, named by BITDIFF_PYTHON, as `make test` does.
#include <cstdlib>
#include <sstream>

#include <ATen/ops/arange.h>
#include <gtest/gtest.h>

#include "bitdiff/io/image.h"
#include "bitdiff/io/npz.h"
#include "bitdiff/io/resize.h"
#include "bitdiff/io/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

class Oracle : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* python = std::getenv("BITDIFF_PYTHON");
    if (!python || !std::filesystem::exists(python)) {
      GTEST_SKIP() << "BITDIFF_PYTHON names no Python with NumPy, safetensors and Pillow";
    }
    python_ = python;
  }

  void run(const std::string& verb) const {
    const auto script = std::string(BITDIFF_SOURCE_DIR) + "/tests/io/oracle.py";
    const auto command =
        "'" + python_ + "' '" + script + "' " + verb + " '" + folder_.path().string() + "'";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }

  const TemporaryFolder folder_;

 private:
  std::string python_;
};

const Tensor& grid() {
  static const Tensor grid = at::arange(24).reshape({2, 3, 4});
  return grid;
}

TEST_F(Oracle, ReadsWhatWeWrite) {
  const auto as = [](at::ScalarType type) { return grid().to(type); };
  write_npz(folder_ / "ours.npz", {{"arr_0", as(at::kByte)},
                                   {"int32", as(at::kInt)},
                                   {"int64", as(at::kLong)},
                                   {"float32", as(at::kFloat)}});
  write_npy(folder_ / "ours.npy", as(at::kInt));
  write_safetensors(folder_ / "ours.safetensors", {{{"uint8", as(at::kByte)},
                                                    {"int32", as(at::kInt)},
                                                    {"int64", as(at::kLong)},
                                                    {"float32", as(at::kFloat)},
                                                    {"bfloat16", as(at::kBFloat16)}},
                                                   {{"step", "7"}}});
  write_png(folder_ / "ours.png", as(at::kByte).reshape({3, 2, 4}), {{"seed", "3"}});
  run("check");
}

TEST_F(Oracle, WritesWhatWeRead) {
  run("make");
  const auto expect_grid = [](const std::string& name, const Tensor& array) {
    if (name == "scalar") {
      EXPECT_EQ(array.item<int64_t>(), 24);
    } else if (name == "bool") {
      EXPECT_TRUE(array.equal(grid().remainder(3).eq(0)));
    } else {
      EXPECT_TRUE(array.to(at::kLong).equal(grid())) << name;
    }
  };
  for (const char* file : {"stored.npz", "deflated.npz"}) {
    const auto arrays = read_arrays(folder_.path() / "arrays" / file);
    EXPECT_EQ(arrays.size(), 14U);
    for (const auto& [name, array] : arrays) expect_grid(name, array);
  }
  for (const char* file : {"plain.npy", "version3.npy"}) {
    expect_grid(file, read_arrays(folder_.path() / "arrays" / file).at(0).second);
  }
  const auto tensors = read_safetensors(folder_ / "arrays" / "numpy.safetensors");
  EXPECT_EQ(tensors.tensors.size(), 10U);
  for (const auto& [name, tensor] : tensors.tensors) expect_grid(name, tensor);

  const auto images = read_arrays(folder_ / "images" / "images.npz");
  EXPECT_EQ(images.size(), 13U);
  for (const auto& [name, image] : images) {
    EXPECT_TRUE(read_image(folder_ / "images" / name).equal(image)) << name;
  }

  const auto resized = read_arrays(folder_ / "sizes" / "resized.npz");
  EXPECT_EQ(resized.size(), 25U);
  const auto whole = resized.front().second;
  const std::map<std::string, Filter> filters = {
      {"area", Filter::kArea}, {"bilinear", Filter::kBilinear}, {"bicubic", Filter::kBicubic}};
  for (size_t i = 1; i < resized.size(); ++i) {
    std::istringstream name(resized[i].first);
    std::string filter;
    ImageSize size;
    name >> filter >> size.height >> size.width;
    EXPECT_TRUE(resize(whole, size, filters.at(filter)).equal(resized[i].second)) << name.str();
  }
}

}  // namespace
}  // namespace bitdiff
