// A skeleton server as a process of its own: this same program, called with another first word.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/support/child_process.h"

namespace dolmen::bench {

inline constexpr char kServeRpc[] = "serve-rpc-skeleton";      // DIRECTORY PORT-FILE
inline constexpr char kServeRelay[] = "serve-relay-skeleton";  // DIRECTORY PORT-FILE NEXT-PORT MODE

// The server's side: says where it listens. The file appears whole.
absl::Status TellPort(const std::string& port_file, int port);

// One thread only. Killed by the destructor.
class SkeletonProcess {
 public:
  // `directory` is the server's own and exists; its log is there. Waits until the server listens.
  static absl::StatusOr<std::unique_ptr<SkeletonProcess>> Start(const std::string& kind, const std::string& directory,
                                                                const std::vector<std::string>& more_arguments = {});
  pid_t pid() const { return process_.pid(); }
  uint16_t port() const { return port_; }
  void Kill() { process_.Kill(); }

 private:
  SkeletonProcess(const std::vector<std::string>& argv, const std::string& log) : process_(argv, log) {}
  testing::ChildProcess process_;
  uint16_t port_ = 0;
};

}  // namespace dolmen::bench
