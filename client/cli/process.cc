#include "client/cli/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "client/cli/path_text.h"
#include "common/error.h"

extern char** environ;

namespace dolmen::cli {
namespace {

std::optional<std::string> ReadLink(const std::string& path) {
  std::array<char, 4096> buffer{};
  const ssize_t length = readlink(path.c_str(), buffer.data(), buffer.size());
  if (length < 0) return std::nullopt;
  return std::string(buffer.data(), static_cast<size_t>(length));
}

}  // namespace

absl::StatusOr<ProcessRecord> StartDaemon(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  posix_spawn_file_actions_addchdir_np(&files, "/");  // don't hold on to the caller's directory
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], &files, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    return MakeError(ErrorReason::kIo,
                     absl::StrCat("cannot run ", command[0], " with its log ", log, ": ", std::strerror(error)));
  }
  const std::optional<ObservedProcess> observed = ObserveProcess(pid);  // a child stays visible until collected
  return ProcessRecord{.pid = pid, .start_ticks = observed.has_value() ? observed->start_ticks : 0};
}

std::optional<ObservedProcess> ObserveProcess(int pid) {
  const std::string directory = absl::StrCat("/proc/", pid);
  const int fd = open(absl::StrCat(directory, "/stat").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::array<char, 1024> buffer{};
  const ssize_t length = read(fd, buffer.data(), buffer.size());
  close(fd);
  if (length <= 0) return std::nullopt;
  absl::StatusOr<ObservedProcess> process = ParseProcStat(std::string_view(buffer.data(), static_cast<size_t>(length)));
  if (!process.ok()) return std::nullopt;
  if (const std::optional<std::string> executable = ReadLink(directory + "/exe"); executable.has_value()) {
    process->program = std::string(BaseName(*executable));
  }
  return *std::move(process);
}

bool IsRunning(const ProcessRecord& record, std::string_view program) {
  if (IsSameProcess(record, ObserveProcess(record.pid), program)) return true;
  waitpid(record.pid, nullptr, WNOHANG);  // fails harmlessly for other people's children
  return false;
}

void SignalProcess(const ProcessRecord& record, std::string_view program, int signal) {
  if (IsRunning(record, program)) kill(record.pid, signal);
}

int WaitForChild(int pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return 127;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

absl::StatusOr<std::string> OwnDirectory() {
  const std::optional<std::string> executable = ReadLink("/proc/self/exe");
  if (!executable.has_value()) {
    return MakeError(ErrorReason::kIo, absl::StrCat("cannot read /proc/self/exe: ", std::strerror(errno)));
  }
  return std::string(ParentPath(*executable));
}

}  // namespace dolmen::cli
