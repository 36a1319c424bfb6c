// The bare programs that bytes are measured against. A relay of three processes: each checks the CRCs of a packet,
// sends it on as it came, and hands it to a thread that writes it to a file; acks come back once a hop and all behind
// it have written; at the end each hop syncs its files. The frames are Dolmen's (common/rpc/frames.h), so that the same
// bytes travel; the names, tokens, states and recovery around them are what is left out. And one stream that reads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/skeleton_process.h"

namespace dolmen::bench {

inline constexpr char kRelayCached[] = "page-cache";  // written as our datanodes do
inline constexpr char kRelayDirect[] = "direct";      // O_DIRECT: the fastest way known (limits.md)

// One hop's process: serves until it is killed. `next_port` 0: the last hop. Returns only an error.
absl::Status ServeRelaySkeleton(const std::string& directory, const std::string& port_file, int next_port, bool direct);

// Three hops and a client of them. One thread only.
class RelaySkeleton {
 public:
  // The hops' directories are made below `directory`.
  static absl::StatusOr<std::unique_ptr<RelaySkeleton>> Start(const std::string& directory, bool direct);

  // Writes `bytes`, repetitions of `pattern` (at most 1 MiB each), to files of `block_bytes` on all three, durably.
  absl::Status Write(const std::string& pattern, uint64_t bytes, uint64_t block_bytes);
  // Reads and verifies them from the first hop.
  absl::Status Read(uint64_t bytes, uint64_t block_bytes);
  // Removes the files.
  void Clear();

  std::vector<pid_t> processes() const;

 private:
  std::string directory_;
  std::vector<std::unique_ptr<SkeletonProcess>> hops_;  // the last one first
};

}  // namespace dolmen::bench
