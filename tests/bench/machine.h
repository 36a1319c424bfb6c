// What the figures were measured on, and what processes used.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace dolmen::bench {

using Seconds = std::chrono::duration<double>;

class Stopwatch {
 public:
  double Elapsed() const { return Seconds(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// "2 cores (AMD EPYC ...), 23 GiB, Linux 6.1.0, ext4 on /dev/vda for /tmp".
std::string DescribeMachine(const std::string& directory);

// CPU seconds that the live processes used so far, all their threads, user and system. By the processes' CPU clocks,
// which is what /proc/PID/stat counts, without its rounding to 10 ms.
double CpuSeconds(const std::vector<pid_t>& processes);

// VmRSS and its peak of /proc/PID/status.
struct Memory {
  double resident_mib = 0;
  double peak_mib = 0;
};
Memory MemoryOf(pid_t process);

// Writes back everything and drops the page cache. Error: kPermissionDenied unless root on a system that lets it.
absl::Status DropCaches();

// Wall and CPU time of a piece of work.
struct Cost {
  double seconds = 0;
  double cpu_seconds = 0;
};
class Meter {
 public:
  // `processes` are alive until Read; this process counts as well.
  explicit Meter(std::vector<pid_t> processes);
  Cost Read() const;

 private:
  std::vector<pid_t> processes_;
  double cpu_before_;
  Stopwatch watch_;
};

}  // namespace dolmen::bench
