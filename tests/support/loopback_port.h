// A port of loopback behind which nobody answers.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace dolmen {

// A socket on a free port, closed by the destructor.
class LoopbackPort {
 public:
  enum class Kind : uint8_t {
    kRefuses,  // connections are refused, and nobody else takes the port
    kSilent,   // connections are accepted (by the backlog), and nothing is ever said
  };

  explicit LoopbackPort(Kind kind) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    DOLMEN_CHECK(bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0, "no free port");
    DOLMEN_CHECK(kind == Kind::kRefuses || listen(socket_, 64) == 0, "cannot listen");
    DOLMEN_CHECK(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "no name");
    number_ = ntohs(address.sin_port);
  }
  ~LoopbackPort() { close(socket_); }
  LoopbackPort(const LoopbackPort&) = delete;
  LoopbackPort& operator=(const LoopbackPort&) = delete;

  uint16_t number() const { return number_; }
  std::string Address() const { return absl::StrCat("127.0.0.1:", number_); }
  // Whether somebody has connected to a silent port.
  bool WasConnected() const {
    pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
    return poll(&waiting, 1, 0) == 1;
  }

 private:
  const int socket_;
  uint16_t number_ = 0;
};

}  // namespace dolmen
