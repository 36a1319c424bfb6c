// Ports for servers that are started again on the same one.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/check.h"

namespace dolmen::testing {

// A port of loopback nobody listens on, never given twice by one process. It lies below the range outgoing connections
// draw from (32768 up on Linux), and in a hundred that belong to this process: another test can't take it while its
// server is away. One thread only.
inline uint16_t FreePort() {
  constexpr int kFirst = 20'000, kEach = 100, kRanges = 120;
  static int next = [] {
    // A name without a file (unix(7), abstract): taken while this process lives, whatever it dies of.
    const int mark = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (int range = 0; range < kRanges; ++range) {
      const std::string name = absl::StrCat("dolmen-test-ports-", range);
      sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
      name.copy(address.sun_path + 1, name.size());
      const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
      if (bind(mark, reinterpret_cast<const sockaddr*>(&address), size) == 0) return kFirst + range * kEach;
    }
    DOLMEN_CHECK(false, "all ranges of ports are taken");
  }();
  static const int end = next + kEach;
  for (; next < end; ++next) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(next));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool bound = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    close(fd);
    if (bound) return static_cast<uint16_t>(next++);
  }
  DOLMEN_CHECK(false, "no port is left in the range of this process");
}

}  // namespace dolmen::testing
