// Our networks against PyTorch's modules, where BITDIFF_TORCH_PYTHON names a Python that has them.

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "bitdiff/io/safetensors.h"
#include "bitdiff/nn/transformer.h"
#include "bitdiff/nn/unet.h"

namespace bitdiff {
namespace {

class Oracle : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::getenv("BITDIFF_TORCH_PYTHON"))
      GTEST_SKIP() << "BITDIFF_TORCH_PYTHON names no Python with PyTorch";
  }

  static std::map<std::string, Tensor> ask(const std::string& kind) {
    const auto path =
        std::filesystem::path(testing::TempDir()) / ("oracle-" + kind + ".safetensors");
    const std::string command = "\"$BITDIFF_TORCH_PYTHON\" '" BITDIFF_SOURCE_DIR
                                "/tests/nn/oracle.py' " +
                                kind + " '" + path.string() + "'";
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    std::map<std::string, Tensor> answer;
    for (const auto& [name, tensor] : read_safetensors(path).tensors) answer[name] = tensor;
    std::filesystem::remove(path);
    return answer;
  }

  static void expect_close(const Tensor& ours, const Tensor& theirs, const std::string& what) {
    ASSERT_EQ(ours.sizes(), theirs.sizes()) << what;
    const auto error = (ours.to(at::kDouble) - theirs).norm() / theirs.norm();
    EXPECT_LT(error.item<double>(), 1e-5) << what;
  }

  /// Gives the oracle's weights to the network of `parameters` and compares answer and gradients.
  static void compare(const Denoiser& net, const Parameters& parameters,
                      std::map<std::string, Tensor> oracle) {
    size_t theirs = 0;
    for (const auto& [name, tensor] : oracle) theirs += name.starts_with("weight.");
    EXPECT_EQ(parameters.named().size(), theirs);
    for (const auto& [name, tensor] : parameters.named()) {
      const c10::NoGradGuard no_grad;
      ASSERT_TRUE(oracle.contains("weight." + name)) << name;
      ASSERT_EQ(tensor.sizes(), oracle["weight." + name].sizes()) << name;
      Tensor(tensor).copy_(oracle["weight." + name]);
    }

    const auto x_t = oracle["x_t"].requires_grad_();
    const auto y = net.forward(x_t, oracle["x0_prev"], oracle["gamma"],
                               {.label = oracle["label"], .dropout = {}});
    expect_close(y, oracle["y"], "output");
    (y * oracle["probe"]).sum().backward();
    expect_close(x_t.grad(), oracle["gradient_x_t"], "gradient of x_t");
    for (const auto& [name, tensor] : parameters.named())
      expect_close(tensor.grad(), oracle["gradient." + name], "gradient of " + name);
  }
};

TEST_F(Oracle, AgreesOnTheUNet) {
  const UNetOptions options{
      .dim = 32, .mult = {1, 2, 3}, .blocks = 2, .attention = {8, 4}, .head_dim = 32};
  Parameters parameters(0);
  const auto net = make_unet(options, {5, 5, 16, 6}, Scope(parameters));
  compare(*net, parameters, ask("unet"));
}

TEST_F(Oracle, AgreesOnTheTransformer) {
  const TransformerOptions options{.layers = 3, .width = 32, .heads = 4, .mlp = 3};
  Parameters parameters(0);
  const auto net = make_transformer(options, {5, 5, 20, 6}, Scope(parameters));
  compare(*net, parameters, ask("transformer"));
}

}  // namespace
}  // namespace bitdiff
