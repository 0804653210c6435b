// State dicts of PyTorch. tests/io/checkpoints/*.pth were written by torch.save of PyTorch 2.11, in
// today's form (zip) and that of before 1.6 (old); the hostile ones hold an object whose __reduce__
// asks for os.system.

#include "bitdiff/io/torch_file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "bitdiff/io/file.h"
#include "bitdiff/io/pickle.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

const std::filesystem::path kFolder =
    std::filesystem::path(BITDIFF_SOURCE_DIR) / "tests/io/checkpoints";

Tensor find(const NamedTensors& tensors, const std::string& name) {
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return tensor;
  }
  ADD_FAILURE() << name;
  return {};
}

TEST(TorchFile, HasTheTensorsThatPyTorchSaved) {
  for (const char* name : {"zip.pth", "old.pth"}) {
    const auto tensors = read_torch_state_dict(kFolder / name);
    ASSERT_EQ(tensors.size(), 9U) << name;
    EXPECT_EQ(tensors[0].first, "bn.weight");
    EXPECT_TRUE(tensors[0].second.equal(at::tensor({1.5F, -2.0F})));
    EXPECT_TRUE(find(tensors, "conv.weight").equal(at::arange(6.0).view({3, 2, 1, 1}).div(4)));
    EXPECT_TRUE(find(tensors, "bn.num_batches_tracked").equal(at::zeros({}, at::kLong)));
    const auto grid = at::arange(12.0F).view({3, 4});
    EXPECT_TRUE(find(tensors, "transposed").equal(grid.t()));
    EXPECT_TRUE(find(tensors, "part").equal(grid.slice(0, 1).slice(1, 1, 3)));
    EXPECT_TRUE(find(tensors, "half").equal(at::tensor({0.5F, -1.0F}).to(at::kHalf)));
  }
}

TEST(TorchFile, RefusesCodeAndRunsNone) {
  for (const char* name : {"hostile-zip.pth", "hostile-old.pth"}) {
    const auto said = refusal(ErrorKind::kInput, [&] { read_torch_state_dict(kFolder / name); });
    expect_contains(said, name);
    expect_contains(said, "refuses the global \"posix system\"");
    EXPECT_FALSE(std::filesystem::exists("/tmp/bitdiff-was-here"));
  }
}

TEST(TorchFile, RefusesWhatIsNone) {
  const TemporaryFolder folder;
  const auto say = [&](const std::string& bytes) {
    const auto path = folder.write("x.pth", bytes);
    return refusal(ErrorKind::kInput, [&] { read_torch_state_dict(path); });
  };
  expect_contains(say(""), "expected a state dict written by torch.save");
  expect_contains(say("not a checkpoint at all"), "expected a state dict written by torch.save");
  expect_contains(say("PK and no more"), "not a checkpoint of PyTorch");
}

// Reads bytes that stand for a pickle.
Pickle read(const std::string& bytes) { return read_pickle(bytes, "p", {"module name"}); }

std::string refused(const std::string& bytes) {
  return refusal(ErrorKind::kInput, [&] { read(bytes); });
}

TEST(Pickle, IsReadAsData) {
  using Kind = PickleValue::Kind;
  // {"k": [1, (True, None)]}, and a call that is not made.
  const auto mapping = read("\x80\x02}X\x01" + std::string(3, '\0') +
                            "k](K\x01\x88N\x86"
                            "es.");
  ASSERT_EQ(mapping.root->kind, Kind::kMapping);
  const auto* list = mapping.root->find("k");
  ASSERT_NE(list, nullptr);
  ASSERT_EQ(list->items.size(), 2U);
  EXPECT_EQ(list->items[0]->integer, 1);
  EXPECT_EQ(list->items[1]->items[0]->kind, Kind::kBool);
  EXPECT_EQ(list->items[1]->items[1]->kind, Kind::kNone);
  EXPECT_EQ(mapping.root->find("q"), nullptr);

  const auto call = read("cmodule\nname\nK\x05\x85R.");
  EXPECT_EQ(call.root->kind, Kind::kCall);
  EXPECT_EQ(call.root->text, "module name");
  EXPECT_EQ(call.root->items.at(0)->integer, 5);

  EXPECT_EQ(read("\x8a\x02\xff\xff.").root->integer, -1);
  EXPECT_EQ(read("J\xfe\xff\xff\xff.").root->integer, -2);
}

TEST(Pickle, IsRefusedWhereItAsksForMore) {
  expect_contains(refused("cos\nsystem\n."), "refuses the global \"os system\"");
  expect_contains(refused("\x80\x04."), "expected protocol 2, found 4");
  expect_contains(refused("\x93."), "operation 147 is none that a file of tensors needs");
  expect_contains(refused("N"), "ends early");
  expect_contains(refused("."), "empty stack");
  expect_contains(refused("NN(0."), "operation 48");
  expect_contains(refused("N(\x85."), "empty stack");
  expect_contains(refused("t."), "no mark");
  expect_contains(refused("h\x07."), "remembers nothing at 7");
  expect_contains(refused("NNs."), "empty stack");
  expect_contains(refused("NNNs."), "a value it is not for");
  expect_contains(refused("}(Nu."), "a key without a value");
  expect_contains(refused("NK\x05\x85R."), "a value it is not for");
}

}  // namespace
}  // namespace bitdiff
