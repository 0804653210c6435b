#include "bitdiff/dist/launch.h"

#include <string>

#include <ATen/detail/CUDAHooksInterface.h>
#include <gtest/gtest.h>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

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

TEST(JoinGroup, SaysWhatNcclLacksWithoutAGpu) {
  if (at::detail::getCUDAHooks().deviceCount() > 0) GTEST_SKIP() << "there is a GPU";
  GroupOfOne group;
  const auto agent = store_beside(group);
  const auto port = dynamic_cast<const c10d::TCPStore&>(*agent).getPort();
  const LaunchVariables torchrun({{"TORCHELASTIC_RUN_ID", "x"},
                                  {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                  {"RANK", "1"},
                                  {"WORLD_SIZE", "2"},
                                  {"MASTER_ADDR", "localhost"},
                                  {"MASTER_PORT", std::to_string(port)}});
  const auto said = refusal(ErrorKind::kDistributed, [] { join_group(at::Device(at::kCUDA, 0)); });
  EXPECT_NE(said.find("NCCL"), std::string::npos) << said;
}

}  // namespace
}  // namespace bitdiff
