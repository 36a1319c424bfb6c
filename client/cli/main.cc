// `dolmen`, also under the name `hdfs`: hands the process's streams, environment and signals to the app.
#include <fcntl.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "client/cli/app.h"
#include "client/cli/process.h"
#include "client/dolmen/client.h"
#include "common/error.h"
#include "common/version.h"

namespace {

static_assert(std::string_view(DOLMEN_VERSION) == dolmen::kVersion);

std::atomic<bool> interrupted{false};

// A first signal asks the copy to clean up and stop; a second one, unhandled, kills.
const std::atomic<bool>* CatchInterrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted.store(true, std::memory_order_relaxed); };
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // and no SA_RESTART: a waiting read ends
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return &interrupted;
}

// A standard stream that the caller closed must not become the number of a connection. What takes its place refuses
// every read or write, as the closed stream would. Runs before all static initialisers: gRPC's open descriptors.
__attribute__((constructor(101))) void HoldStandardStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) _exit(127);  // takes the lowest number
  }
}

int RunDaemon(const std::string& program, const std::vector<std::string>& args) {
  const absl::StatusOr<std::string> directory = dolmen::cli::OwnDirectory();
  if (!directory.ok()) {
    std::cerr << "dolmen: " << dolmen::MessageOf(directory.status()) << "\n";
    return 127;
  }
  const std::string path = *directory + "/" + program;
  std::vector<char*> argv = {const_cast<char*>(path.c_str())};
  for (const std::string& word : args) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execv(path.c_str(), argv.data());
  std::cerr << "dolmen: cannot run " << path << ": " << std::strerror(errno) << "; it belongs beside dolmen\n";
  return 127;
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  // Standard output belongs to the files that are printed there.
  spdlog::set_default_logger(spdlog::stderr_logger_mt("dolmen"));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
  // A reader that goes away ends `dolmen dfs -cat x | head` quietly, even where the parent ignored the signal.
  signal(SIGPIPE, SIG_DFL);
  const dolmen::cli::App app{
      .connector = [](std::string_view uri,
                      const dolmen::ClientOptions& options) { return dolmen::FileSystemClient::Connect(uri, options); },
      .environment = [](const char* name) -> const char* { return std::getenv(name); },
      .streams = {.out = std::cout,
                  .err = std::cerr,
                  .input_fd = STDIN_FILENO,
                  .output_fd = STDOUT_FILENO,
                  .terminal = isatty(STDERR_FILENO) == 1 ? STDERR_FILENO : -1},
      .version = DOLMEN_VERSION,
      .run_daemon = RunDaemon,
      .catch_interrupts = CatchInterrupts,
  };
  const int code = dolmen::cli::RunApp(app, std::vector<std::string>(argv + 1, argv + argc));
  std::cout.flush();
  std::cerr.flush();
  // Nothing is left to do, and taking the RPC library down would cost more than the command.
  std::_Exit(code == 0 && !std::cout ? 1 : code);
}
