#include "tests/bench/machine.h"

#include <fcntl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/error.h"

namespace dolmen::bench {
namespace {

// The value of "name : value" in a file of such lines; empty when there is none.
std::string Field(const std::string& file, std::string_view name) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    if (!std::string_view(line).starts_with(name)) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t first = line.find_first_not_of(" \t", colon + 1);
    return first == std::string::npos ? "" : line.substr(first);
  }
  return "";
}

double MiBOf(const std::string& kilobytes) { return std::strtod(kilobytes.c_str(), nullptr) / 1024; }

// "ext4 on /dev/vda": the mount with the longest path above `directory`.
std::string FileSystemOf(const std::string& directory) {
  std::error_code ignored;
  const std::string path = std::filesystem::weakly_canonical(directory, ignored).string();
  std::ifstream in("/proc/mounts");
  std::string line, best = "unknown filesystem";
  size_t longest = 0;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string device, mount, type;
    words >> device >> mount >> type;
    const bool above = mount == "/" || path == mount || path.starts_with(mount + "/");
    if (!above || mount.size() < longest) continue;
    longest = mount.size();
    best = absl::StrCat(type, " on ", device);
  }
  return best;
}

}  // namespace

std::string DescribeMachine(const std::string& directory) {
  utsname name{};
  uname(&name);
  return absl::StrFormat("%d cores (%s), %.0f GiB memory, Linux %s, %s for %s", std::thread::hardware_concurrency(),
                         Field("/proc/cpuinfo", "model name"), MiBOf(Field("/proc/meminfo", "MemTotal")) / 1024,
                         name.release, FileSystemOf(directory), directory);
}

double CpuSeconds(const std::vector<pid_t>& processes) {
  double sum = 0;
  for (const pid_t process : processes) {
    clockid_t clock;
    timespec used{};
    if (clock_getcpuclockid(process, &clock) == 0 && clock_gettime(clock, &used) == 0)
      sum += static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
  }
  return sum;
}

Memory MemoryOf(pid_t process) {
  const std::string file = absl::StrCat("/proc/", process, "/status");
  return {.resident_mib = MiBOf(Field(file, "VmRSS")), .peak_mib = MiBOf(Field(file, "VmHWM"))};
}

absl::Status DropCaches() {
  sync();
  const int file = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
  const bool dropped = file >= 0 && write(file, "3", 1) == 1;
  const int why = errno;
  if (file >= 0) close(file);
  if (dropped) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("the page cache cannot be dropped: ", std::strerror(why)));
}

Meter::Meter(std::vector<pid_t> processes) : processes_(std::move(processes)) {
  processes_.push_back(getpid());
  cpu_before_ = CpuSeconds(processes_);
  watch_ = Stopwatch();
}

Cost Meter::Read() const { return {.seconds = watch_.Elapsed(), .cpu_seconds = CpuSeconds(processes_) - cpu_before_}; }

}  // namespace dolmen::bench
