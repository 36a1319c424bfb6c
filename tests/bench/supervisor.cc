#include "tests/bench/supervisor.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace dolmen::bench {
namespace {

constexpr int kTimeIsOver = 124;  // as timeout(1)
constexpr int kInterrupted = 130;

volatile sig_atomic_t interrupted = 0;

// Ends the child and waits until it and all that it left are gone. Its daemons die with it (ChildProcess); as their
// subreaper this process sees the last of them go.
void EndAll(pid_t child) {
  kill(child, SIGKILL);
  while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
}

int Watch(pid_t child, std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child) {
      if (WIFEXITED(status)) return WEXITSTATUS(status);
      std::fprintf(stderr, "dolmen-bench: the benchmark was ended by signal %d\n", WTERMSIG(status));
      return 1;
    }
    if (interrupted != 0) return kInterrupted;
    if (std::chrono::steady_clock::now() >= deadline) {
      std::fprintf(stderr, "dolmen-bench: not done after %lld s (--time-limit): given up\n",
                   static_cast<long long>(limit.count()));
      return kTimeIsOver;
    }
    usleep(10'000);
  }
}

}  // namespace

int RunSupervised(const std::string& parent, std::chrono::seconds limit, const std::vector<std::string>& words) {
  // First: whoever interrupts it from here on leaves nothing behind.
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted = 1; };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);

  std::error_code error;
  std::string directory =
      ((parent.empty() ? std::filesystem::temp_directory_path(error) : std::filesystem::path(parent)) /
       "dolmen-bench-XXXXXX")
          .string();
  if (mkdtemp(directory.data()) == nullptr) {
    std::fprintf(stderr, "dolmen-bench: cannot make a directory %s: %s\n", directory.c_str(), std::strerror(errno));
    return 1;
  }
  prctl(PR_SET_CHILD_SUBREAPER, 1);

  std::vector<std::string> command = {"dolmen-bench", kRunIn, directory};
  command.insert(command.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t self = getpid();
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != self) _exit(1);
    // The watcher decides what a signal to the whole group does.
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_IGN);
    setenv("TMPDIR", directory.c_str(), 1);
    execv("/proc/self/exe", argv.data());
    _exit(127);
  }
  const int code = child < 0 ? 1 : Watch(child, limit);
  if (child > 0) EndAll(child);
  std::filesystem::remove_all(directory, error);
  if (error) {
    std::fprintf(stderr, "dolmen-bench: %s is left behind: %s\n", directory.c_str(), error.message().c_str());
    return code == 0 ? 1 : code;
  }
  return code;
}

}  // namespace dolmen::bench
