#include "tests/bench/skeleton_process.h"

#include <chrono>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/daemon.h"
#include "common/error.h"
#include "common/posix_file_system.h"
#include "tests/support/eventually.h"

namespace dolmen::bench {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

}  // namespace

absl::Status TellPort(const std::string& port_file, int port) {
  return WritePortFile(*MakePosixFileSystem(), port_file, static_cast<uint16_t>(port));
}

absl::StatusOr<std::unique_ptr<SkeletonProcess>> SkeletonProcess::Start(
    const std::string& kind, const std::string& directory, const std::vector<std::string>& more_arguments) {
  const std::string port_file = directory + "/port";
  const std::string log = directory + "/log";
  std::filesystem::remove(port_file);
  std::vector<std::string> argv = {std::filesystem::read_symlink("/proc/self/exe").string(), kind, directory,
                                   port_file};
  argv.insert(argv.end(), more_arguments.begin(), more_arguments.end());
  std::unique_ptr<SkeletonProcess> skeleton(new SkeletonProcess(argv, log));
  const bool listens = Eventually(
      [&] {
        skeleton->port_ = static_cast<uint16_t>(std::atoi(ReadAll(port_file).c_str()));
        return skeleton->port_ != 0 || !skeleton->process_.Running();
      },
      std::chrono::seconds(60));
  if (!listens || skeleton->port_ == 0) {
    return MakeError(ErrorReason::kIo, absl::StrCat(kind, " did not start: ", ReadAll(log)));
  }
  return skeleton;
}

}  // namespace dolmen::bench
