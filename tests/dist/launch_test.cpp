#include "bitdiff/dist/launch.h"

#include <cstdlib>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "bitdiff/dist/group.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

using Values = std::map<std::string, std::string>;

/// While it lives a launcher has set these variables and no others.
class Variables {
 public:
  explicit Variables(const Values& values) {
    clear();
    for (const auto& [name, value] : values) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Variables() { clear(); }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

 private:
  static void clear() {
    for (const auto* name :
         {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_SIZE", "PMI_RANK", "PMIX_RANK",
          "SLURM_NTASKS", "TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE"}) {
      ::unsetenv(name);
    }
  }
};

void expect_launch(const Values& values, const Launch& expected) {
  const Variables variables(values);
  const auto launch = launch_of_environment();
  EXPECT_EQ(launch.by, expected.by);
  EXPECT_EQ(launch.rank, expected.rank);
  EXPECT_EQ(launch.size, expected.size);
}

TEST(Launch, KnowsWhatEachLauncherTells) {
  expect_launch({}, {});
  expect_launch({{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "3"}, {"PMIX_RANK", "3"}},
                {Launcher::kMpi, 3, 4});
  expect_launch({{"PMI_SIZE", "2"}, {"PMI_RANK", "1"}}, {Launcher::kMpi, 1, 2});
  expect_launch({{"PMIX_RANK", "5"}, {"SLURM_NTASKS", "8"}}, {Launcher::kMpi, 5, 8});
  expect_launch({{"PMIX_RANK", "5"}}, {Launcher::kMpi, 5, 0});
  expect_launch({{"TORCHELASTIC_RUN_ID", "x"}, {"RANK", "1"}, {"WORLD_SIZE", "2"}},
                {Launcher::kTorchrun, 1, 2});
}

TEST(Launch, ABatchJobsVariablesAreNoLauncher) {
  expect_launch({{"SLURM_NTASKS", "8"}, {"RANK", "1"}, {"WORLD_SIZE", "2"}}, {});
}

TEST(JoinGroup, IsAloneWithoutALauncherAndRefusesTorchrun) {
  {
    const Variables none({});
    EXPECT_EQ(join_group()->size(), 1);
  }
  const Variables torchrun({{"TORCHELASTIC_RUN_ID", "x"}, {"RANK", "1"}, {"WORLD_SIZE", "2"}});
  EXPECT_NE(refusal(ErrorKind::kDistributed, [] { join_group(); }).find("mpirun -n 2"),
            std::string::npos);
}

}  // namespace
}  // namespace bitdiff
