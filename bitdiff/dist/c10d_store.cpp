#include "bitdiff/dist/c10d_store.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

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

StorePtr open_store(const std::string& host, const c10d::TCPStoreOptions& options) {
  try {
    return c10::make_intrusive<c10d::TCPStore>(host, options);
  } catch (const c10::Error& error) {
    throw DistributedError("cannot reach the store at ", host, ":", options.port, ": ",
                           error.what_without_backtrace());
  }
}

/// The store at a port of `host`, which this process keeps where it has a socket for it.
StorePtr open_store(const std::string& host, uint16_t port, BoundSocket* own) {
  c10d::TCPStoreOptions options;
  options.port = port;
  options.isServer = own != nullptr;
  options.waitWorkers = false;
  options.timeout = kPatience;
  if (own) options.masterListenFd = own->release();
  return open_store(host, options);
}

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  if (!value || !*value)
    throw DistributedError("torchrun: expected the environment variable ", name);
  return value;
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

using HostName = std::array<char, 256>;

HostName host_name() {
  HostName name{};
  ::gethostname(name.data(), name.size() - 1);
  return name;
}

Tensor bytes_of(const HostName& name) {
  const auto bytes = at::zeros({1, static_cast<int64_t>(name.size())}, at::kByte);
  std::copy(name.begin(), name.end(), static_cast<char*>(bytes.mutable_data_ptr()));
  return bytes;
}

}  // namespace

StorePtr store_of_torchrun(const Launch& launch) {
  const auto host = variable("MASTER_ADDR");
  const auto port = static_cast<uint16_t>(std::stoi(variable("MASTER_PORT")));
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
  const auto mine = bytes_of(host_name());
  const auto names = group.gather_rows(mine);
  std::optional<BoundSocket> own;
  const auto port = at::zeros({}, at::kLong);
  const auto host = mine.clone();
  if (group.first()) {
    const bool one_machine = names.eq(mine).all().item<bool>();
    if (one_machine) {
      HostName loopback{};
      std::string_view(kLoopback).copy(loopback.data(), loopback.size() - 1);
      host.copy_(bytes_of(loopback));
    }
    own.emplace(0, one_machine);
    port.fill_(own->port());
  }
  group.broadcast(host);
  group.broadcast(port);
  return open_store(static_cast<const char*>(host.const_data_ptr()),
                    static_cast<uint16_t>(port.item<int64_t>()), own ? &*own : nullptr);
}

}  // namespace bitdiff
