#include "bitdiff/dist/launch.h"

#include <cstdlib>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "bitdiff/base/device.h"
#include "bitdiff/base/error.h"
#include "bitdiff/dist/c10d_store.h"
#include "bitdiff/dist/group.h"
#include "tests/support/launch_variables.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

void expect_launch(const LaunchVariables::Values& values, const Launch& expected) {
  const LaunchVariables variables(values);
  const auto launch = launch_of_environment();
  EXPECT_EQ(launch.by, expected.by);
  EXPECT_EQ(launch.rank, expected.rank);
  EXPECT_EQ(launch.size, expected.size);
  EXPECT_EQ(launch.local_rank, expected.local_rank);
}

TEST(Launch, KnowsWhatEachLauncherTells) {
  expect_launch({}, {});
  expect_launch({{"OMPI_COMM_WORLD_SIZE", "4"},
                 {"OMPI_COMM_WORLD_RANK", "3"},
                 {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                 {"PMIX_RANK", "3"}},
                {Launcher::kMpi, 3, 4, 1});
  expect_launch({{"PMI_SIZE", "2"}, {"PMI_RANK", "1"}}, {Launcher::kMpi, 1, 2, 0});
  expect_launch({{"PMI_SIZE", "2"}, {"PMI_RANK", "1"}, {"MPI_LOCALRANKID", "1"}},
                {Launcher::kMpi, 1, 2, 1});
  expect_launch({{"PMI_SIZE", "2"}, {"PMI_RANK", "1"}, {"SLURM_LOCALID", "1"}},
                {Launcher::kMpi, 1, 2, 1});
  expect_launch({{"PMIX_RANK", "5"}, {"SLURM_NTASKS", "8"}, {"SLURM_LOCALID", "2"}},
                {Launcher::kMpi, 5, 8, 2});
  expect_launch({{"PMIX_RANK", "5"}}, {Launcher::kMpi, 5, 0, 0});
  expect_launch(
      {{"TORCHELASTIC_RUN_ID", "x"}, {"RANK", "3"}, {"WORLD_SIZE", "4"}, {"LOCAL_RANK", "1"}},
      {Launcher::kTorchrun, 3, 4, 1});
}

TEST(Launch, TorchrunStartedByAnotherLauncherIsTheOneThatCounts) {
  expect_launch({{"PMI_SIZE", "1"},
                 {"PMI_RANK", "0"},
                 {"TORCHELASTIC_RUN_ID", "x"},
                 {"RANK", "3"},
                 {"WORLD_SIZE", "8"},
                 {"LOCAL_RANK", "3"}},
                {Launcher::kTorchrun, 3, 8, 3});
}

TEST(Launch, ABatchJobsVariablesAreNoLauncher) {
  expect_launch({{"SLURM_NTASKS", "8"}, {"RANK", "1"}, {"WORLD_SIZE", "2"}}, {});
}

TEST(JoinGroup, IsAloneWithoutALauncherAndRefusesTorchrunOnCpus) {
  {
    const LaunchVariables none({});
    EXPECT_EQ(join_group(at::kCPU)->size(), 1);
  }
  const LaunchVariables torchrun(
      {{"TORCHELASTIC_RUN_ID", "x"}, {"RANK", "1"}, {"WORLD_SIZE", "2"}});
  EXPECT_NE(refusal(ErrorKind::kDistributed, [] { join_group(at::kCPU); }).find("mpirun -n 2"),
            std::string::npos);
}

/// What the second of two processes that torchrun starts for GPUs says, where the first has said
/// that it computes on `first_gpu`.
std::string refusal_on_gpus(const std::string& first_gpu) {
  GroupOfOne group;
  const auto agent = store_beside(group);
  agent->set("bitdiff/0/gpu/0", first_gpu);
  const auto port = dynamic_cast<const c10d::TCPStore&>(*agent).getPort();
  const LaunchVariables torchrun({{"TORCHELASTIC_RUN_ID", "x"},
                                  {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                  {"RANK", "1"},
                                  {"WORLD_SIZE", "2"},
                                  {"MASTER_ADDR", "localhost"},
                                  {"MASTER_PORT", std::to_string(port)}});
  return refusal(ErrorKind::kDistributed, [] { join_group(at::Device(at::kCUDA, 0)); });
}

TEST(JoinGroup, SaysWhatNcclLacksWithoutAGpu) {
  std::string why;
  try {
    open_device("cuda");
    GTEST_SKIP() << "there is a GPU, and the first process would be waited for";
  } catch (const UsageError& error) {
    why = error.what();
  }
  // Where the CUDA of LibTorch can be loaded, c10d is asked; else its library cannot be opened.
  const bool asked = BITDIFF_HAS_NCCL && why.find("no NVIDIA driver") != std::string::npos;
  const auto said = refusal_on_gpus("another");
  EXPECT_NE(said.find(asked ? "no GPUs found" : "through NCCL, but lib"), std::string::npos)
      << said;
  EXPECT_EQ(said.find('\n'), std::string::npos) << said;
}

TEST(JoinGroup, RefusesTwoProcessesOnOneGpu) {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  ::unsetenv("CUDA_VISIBLE_DEVICES");
  const auto said = refusal_on_gpus(str("cuda:0 of ", host));
  EXPECT_EQ(said.find("processes 0 and 1 both compute on cuda:0 of "), 0) << said;
}

}  // namespace
}  // namespace bitdiff
