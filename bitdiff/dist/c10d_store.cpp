#include "bitdiff/dist/c10d_store.h"

#include <arpa/inet.h>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "bitdiff/dist/c10d_group.h"

namespace bitdiff {
namespace {

using StorePtr = c10::intrusive_ptr<c10d::Store>;

constexpr auto kPatience = std::chrono::minutes(5);
constexpr const char* kLoopback = "127.0.0.1";

/// A socket at `port` (0: any that is free) of this machine; of loopback only, or of every network.
class BoundSocket {
 public:
  BoundSocket(uint16_t port, bool loopback) : file_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const int on = 1;
    ::setsockopt(file_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(loopback ? INADDR_LOOPBACK : INADDR_ANY);
    socklen_t length = sizeof address;
    auto* const plain = reinterpret_cast<sockaddr*>(&address);
    if (file_ < 0 || ::bind(file_, plain, length) != 0 ||
        ::getsockname(file_, plain, &length) != 0) {
      const std::string why = std::strerror(errno);
      if (file_ >= 0) ::close(file_);
      throw DistributedError("cannot listen at port ", port, ": ", why);
    }
    port_ = ntohs(address.sin_port);
  }
  ~BoundSocket() {
    if (file_ >= 0) ::close(file_);
  }
  BoundSocket(const BoundSocket&) = delete;
  BoundSocket& operator=(const BoundSocket&) = delete;

  uint16_t port() const { return port_; }
  int release() { return std::exchange(file_, -1); }

 private:
  int file_;
  uint16_t port_ = 0;
};

/// The store at a port of `host`, which this process keeps where it has a socket for it.
StorePtr open_store(const std::string& host, uint16_t port, BoundSocket* own) {
  c10d::TCPStoreOptions options;
  options.port = port;
  options.isServer = own != nullptr;
  options.waitWorkers = false;
  options.timeout = kPatience;
  if (own) options.masterListenFd = own->release();
  try {
    return c10::make_intrusive<c10d::TCPStore>(host, options);
  } catch (const c10::Error& error) {
    throw DistributedError("cannot reach the first process at ", host, ":", port, ": ",
                           first_line(error.what_without_backtrace()),
                           "; MASTER_ADDR names another address of its machine");
  }
}

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  if (!value || !*value)
    throw DistributedError("torchrun: expected the environment variable ", name);
  return value;
}

uint16_t port_of_torchrun() {
  const auto text = variable("MASTER_PORT");
  uint16_t port = 0;
  const auto* const end = text.data() + text.size();
  if (const auto read = std::from_chars(text.data(), end, port); read.ptr != end || port == 0) {
    throw DistributedError("torchrun: MASTER_PORT: expected a port in 1..65535, found ", text);
  }
  return port;
}

bool is_loopback(std::string_view host) { return host == "localhost" || host.starts_with("127."); }

/// A line as a row of bytes, and back.
constexpr size_t kMostBytes = 512;

Tensor row_of(const std::string& line) {
  auto row = at::zeros({1, static_cast<int64_t>(kMostBytes)}, at::kByte);
  line.copy(static_cast<char*>(row.mutable_data_ptr()), kMostBytes - 1);
  return row;
}

std::string line_of(const Tensor& row) { return static_cast<const char*>(row.const_data_ptr()); }

/// Equal for processes that reach each other at the loopback address: the machine, by the number of
/// its start, and the network that it lets this process see.
std::string place_of_this_process() {
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  std::error_code none;
  return boot + " " + std::filesystem::read_symlink("/proc/self/ns/net", none).string();
}

/// Where other machines reach this one.
std::string address_of_this_machine() {
  if (const char* const told = std::getenv("MASTER_ADDR"); told && *told) return told;
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace

StorePtr store_of_torchrun(const Launch& launch) {
  const auto host = variable("MASTER_ADDR");
  const auto port = port_of_torchrun();
  const char* const agent = std::getenv("TORCHELASTIC_USE_AGENT_STORE");
  std::optional<BoundSocket> own;
  if (launch.rank == 0 && !(agent && std::string_view(agent) == "True")) {
    own.emplace(port, is_loopback(host));
  }
  // A start anew finds the notes of the one before in torchrun's store.
  const char* const attempt = std::getenv("TORCHELASTIC_RESTART_COUNT");
  return c10::make_intrusive<c10d::PrefixStore>(str("bitdiff/", attempt ? attempt : "0"),
                                                open_store(host, port, own ? &*own : nullptr));
}

StorePtr store_beside(Group& group) {
  const auto place = row_of(place_of_this_process());
  const auto places = group.gather_rows(place);
  std::optional<BoundSocket> own;
  const auto port = at::zeros({}, at::kLong);
  const auto host = at::zeros_like(place);
  if (group.first()) {
    const bool one_machine = places.eq(place).all().item<bool>();
    host.copy_(row_of(one_machine ? kLoopback : address_of_this_machine()));
    own.emplace(0, one_machine);
    port.fill_(own->port());
  }
  group.broadcast(host);
  group.broadcast(port);
  return open_store(line_of(host), static_cast<uint16_t>(port.item<int64_t>()),
                    own ? &*own : nullptr);
}

}  // namespace bitdiff
