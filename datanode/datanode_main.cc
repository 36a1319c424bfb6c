// dolmen-datanode: serves block replicas from local directories.
#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <thread>

#include "common/clock.h"
#include "common/daemon.h"
#include "common/error.h"
#include "common/fault_point.h"
#include "common/posix_file_system.h"
#include "common/rpc/channel_arguments.h"
#include "datanode/datanode_server.h"
#include "datanode/datanode_settings.h"
#include "spdlog/spdlog.h"

namespace dolmen::datanode {
namespace {

constexpr char kProgram[] = "dolmen-datanode";
constexpr unsigned kStopLimitSeconds = 30;

constexpr char kUsage[] =
    "Usage: dolmen-datanode --data-dirs DIR[,DIR...] [--namenode HOST:PORT] [options]\n"
    "\n"
    "  --data-dirs DIRS     directories for replicas, created when missing; [SSD]/dir names a storage type\n"
    "  --namenode ADDRESS   host:port of the namenode (default localhost:7020)\n"
    "  --bind-host HOST     address to listen on (default 127.0.0.1); others need --datanode-allow-remote\n"
    "  --port N             port for block data (default 7066, 0 = a free one)\n"
    "  --port-file FILE     write the port there once it listens\n"
    "  --config FILE        TOML file with settings\n"
    "  --print-config       print a commented file of all settings\n"
    "  --help               print this\n"
    "\n"
    "Every setting can also be given as a flag, --datanode-rack=/r1, or as a variable, DOLMEN_DATANODE_RACK=/r1.\n";

constexpr ShortFlag kShortFlags[] = {{"--data-dirs", "--datanode-data-dirs"},
                                     {"--namenode", "--datanode-namenode-address"},
                                     {"--bind-host", "--datanode-bind-host"},
                                     {"--port", "--datanode-port"}};

// Receive buffers come and go by the megabyte: without this each would be mapped and unmapped, x1.5 in throughput.
void TuneMalloc() {
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  mallopt(M_TOP_PAD, 16 << 20);
}

// Set by the signal handler's thread and by a fatal error; waited for by main.
class StopRequest {
 public:
  void Ask(std::optional<absl::Status> why) {
    MutexLock lock(&mutex_);
    if (asked_) return;
    asked_ = true;
    why_ = std::move(why);
    changed_.SignalAll();
  }
  // Nothing: a signal asked.
  std::optional<absl::Status> Wait() {
    MutexLock lock(&mutex_);
    while (!asked_) changed_.Wait(&mutex_);
    return why_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool asked_ = false;
  std::optional<absl::Status> why_;
};

int Fail(const absl::Status& why, int code) { return FailDaemon(kProgram, why, code); }

absl::StatusOr<DatanodeOptions> Configure(const DaemonFlags& flags, Settings* settings) {
  DOLMEN_RETURN_IF_ERROR(LoadDaemonSettings(kProgram, flags, settings));
  DOLMEN_RETURN_IF_ERROR(CheckBindHost(*settings, "datanode"));
  DOLMEN_RETURN_IF_ERROR(StartLog("datanode", settings->Text("log_level")));
  DOLMEN_RETURN_IF_ERROR(fault::ArmFromEnvironment());
  return OptionsFromSettings(*settings);
}

int Main(const std::vector<std::string>& args) {
  const absl::StatusOr<DaemonFlags> flags = ParseDaemonFlags(args, kShortFlags);
  if (!flags.ok()) return Fail(flags.status(), kExitBadUsage);
  Settings settings(DatanodeSettingsTable());
  if (flags->help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (flags->print_config) {
    std::fputs(settings.SampleToml().c_str(), stdout);
    return 0;
  }
  absl::StatusOr<DatanodeOptions> options = Configure(*flags, &settings);
  if (!options.ok()) return Fail(options.status(), kExitBadUsage);
  rpc::SendGrpcLogsToOurs();
  rpc::TurnOffDeadlockSearch();
  TuneMalloc();
  RaiseOpenFileLimit();
  umask(0077);  // blocks hold the bytes of all users' files

  // Signals go to one thread that waits for them; every other thread inherits the mask.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  const std::unique_ptr<FileSystem> fs = MakePosixFileSystem();
  const SystemClock clock;
  StopRequest stop;
  std::thread([&stop, signals] {
    int received = 0;
    sigwait(&signals, &received);
    spdlog::info("stopping on signal {}", received);
    stop.Ask(std::nullopt);
    sigwait(&signals, &received);  // a second one: at once
    _exit(kExitFailed);
  }).detach();

  absl::StatusOr<std::unique_ptr<DatanodeServer>> server =
      DatanodeServer::Start(fs.get(), &clock, *std::move(options), [&stop](const absl::Status& why) { stop.Ask(why); });
  if (!server.ok()) {
    Fail(server.status(), kExitFailed);
    std::fflush(nullptr);
    _exit(kExitFailed);  // the signal thread still refers to this frame
  }
  spdlog::info(
      "dolmen-datanode {} listens on {}:{}; authentication is off (\"simple\" mode): whoever reaches this port "
      "and has a token may use it",
      (*server)->store().identity().datanode.value(), settings.Text("datanode_bind_host"), (*server)->port());
  int code = 0;
  if (!flags->port_file.empty()) {
    absl::Status written = WritePortFile(*fs, flags->port_file, (*server)->port());
    if (!written.ok()) stop.Ask(std::move(written));
  }
  if (const std::optional<absl::Status> why = stop.Wait(); why.has_value()) code = Fail(*why, kExitFailed);
  // Whatever hangs: what was promised is on disk.
  std::thread([] {
    sleep(kStopLimitSeconds);
    _exit(kExitFailed);
  }).detach();
  const bool clean = (*server)->Stop();
  if (!clean) {
    spdlog::error("a disk did not answer in time; ending without it");
    code = kExitFailed;
  } else {
    server->reset();
    spdlog::info("stopped");
  }
  spdlog::shutdown();
  std::fflush(nullptr);
  _exit(code);  // threads that hang in a disk call, and the signal thread, end here
}

}  // namespace
}  // namespace dolmen::datanode

int main(int argc, char** argv) { return dolmen::datanode::Main({argv + 1, argv + argc}); }
