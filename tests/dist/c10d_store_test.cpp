#include "bitdiff/dist/c10d_store.h"

#include <fstream>
#include <sstream>
#include <string>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "tests/support/launch_variables.h"
#include "tests/support/temporary_folder.h"

namespace bitdiff {
namespace {

using StorePtr = c10::intrusive_ptr<c10d::Store>;

const c10d::TCPStore& tcp_of(const StorePtr& store) {
  if (auto* const prefix = dynamic_cast<c10d::PrefixStore*>(store.get())) {
    return dynamic_cast<const c10d::TCPStore&>(*prefix->getUnderlyingStore());
  }
  return dynamic_cast<const c10d::TCPStore&>(*store);
}

/// The address, in the kernel's hexadecimal form, at which this machine listens at a port.
std::string listens_at(uint16_t port) {
  std::ifstream table("/proc/net/tcp");
  std::ostringstream wanted;
  wanted << ":" << std::hex << std::uppercase;
  wanted.width(4);
  wanted.fill('0');
  wanted << port;
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string number, local, remote, state;
    words >> number >> local >> remote >> state;
    if (local.ends_with(wanted.str()) && state == "0A") return local.substr(0, 8);
  }
  return "";
}

TEST(StoreBeside, ListensOnLoopbackWhereAllAreOnOneMachine) {
  GroupOfOne group;
  const auto store = store_beside(group);
  store->set("key", "value");
  EXPECT_EQ(store->get_to_str("key"), "value");
  EXPECT_EQ(listens_at(tcp_of(store).getPort()), "0100007F");
}

LaunchVariables torchrun_at(uint16_t port, LaunchVariables::Values others = {}) {
  others.merge(
      LaunchVariables::Values{{"MASTER_ADDR", "localhost"}, {"MASTER_PORT", std::to_string(port)}});
  return LaunchVariables(others);
}

const Launch kFirst = {Launcher::kTorchrun, 0, 2, 0}, kSecond = {Launcher::kTorchrun, 1, 2, 1};

TEST(StoreOfTorchrun, IsKeptByTheFirstWhereTorchrunKeepsNone) {
  GroupOfOne group;
  // A port that was free a moment ago.
  const auto variables = torchrun_at(tcp_of(store_beside(group)).getPort());
  const auto first = store_of_torchrun(kFirst);
  const auto second = store_of_torchrun(kSecond);
  first->set("key", "value");
  EXPECT_EQ(second->get_to_str("key"), "value");
  EXPECT_EQ(listens_at(tcp_of(first).getPort()), "0100007F");
}

TEST(StoreOfTorchrun, IsTorchrunsOwnAndNewAfterARestart) {
  GroupOfOne group;
  const auto agent = store_beside(group);
  const auto port = tcp_of(agent).getPort();
  const auto is_there = [&](const std::string& restarts) {
    const auto variables = torchrun_at(
        port, {{"TORCHELASTIC_USE_AGENT_STORE", "True"}, {"TORCHELASTIC_RESTART_COUNT", restarts}});
    const auto store = store_of_torchrun(kFirst);
    return store->add("key", 1) > 1;
  };
  EXPECT_FALSE(is_there("0"));
  EXPECT_TRUE(is_there("0"));
  EXPECT_FALSE(is_there("1"));
}

TEST(StoreOfTorchrun, RefusesWhatIsNoPort) {
  for (const std::string port : {"abc", "70000", "0", "80x"}) {
    const LaunchVariables variables({{"MASTER_ADDR", "localhost"}, {"MASTER_PORT", port}});
    const auto said = refusal(ErrorKind::kDistributed, [] { store_of_torchrun(kSecond); });
    EXPECT_NE(said.find("MASTER_PORT: expected a port"), std::string::npos) << said;
  }
}

TEST(StoreOfTorchrun, NamesTheVariableThatIsMissing) {
  const LaunchVariables none({});
  EXPECT_NE(refusal(ErrorKind::kDistributed, [] { store_of_torchrun(kFirst); }).find("MASTER_ADDR"),
            std::string::npos);
}

}  // namespace
}  // namespace bitdiff
