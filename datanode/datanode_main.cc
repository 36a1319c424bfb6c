// dolmen-datanode: serves block replicas from local directories.
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/fault_point.h"
#include "common/posix_file_system.h"
#include "common/rpc/channel_arguments.h"
#include "datanode/datanode_server.h"
#include "datanode/datanode_settings.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

extern char** environ;

namespace dolmen::datanode {
namespace {

constexpr int kExitBadUsage = 2;
constexpr int kExitFailed = 1;
constexpr unsigned kStopLimitSeconds = 30;

constexpr char kUsage[] =
    "Usage: dolmen-datanode --data-dirs DIR[,DIR...] [--namenode HOST:PORT] [options]\n"
    "\n"
    "  --data-dirs DIRS     directories for replicas, created when missing; [SSD]/dir names a storage type\n"
    "  --namenode ADDRESS   host:port of the namenode (default localhost:7020)\n"
    "  --bind-host HOST     address to listen on (default 127.0.0.1)\n"
    "  --port N             port for block data (default 7066, 0 = a free one)\n"
    "  --port-file FILE     write the port there once it listens\n"
    "  --config FILE        TOML file with settings\n"
    "  --sample-config      print a commented file of all settings\n"
    "  --help               print this\n"
    "\n"
    "Every setting can also be given as a flag, --datanode-rack=/r1, or as a variable, DOLMEN_DATANODE_RACK=/r1.\n";

struct CommandLine {
  std::string config_file;
  std::string port_file;
  bool help = false;
  bool sample = false;
  std::vector<std::string> setting_flags;
};

absl::Status BadUsage(std::string_view text) { return MakeError(ErrorReason::kIllegalArgument, text); }

// Short names for common settings; the rest is the table's.
absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& args) {
  static constexpr std::pair<const char*, const char*> kShort[] = {{"--data-dirs", "--datanode-data-dirs"},
                                                                   {"--namenode", "--datanode-namenode-address"},
                                                                   {"--bind-host", "--datanode-bind-host"},
                                                                   {"--port", "--datanode-port"}};
  CommandLine line;
  for (size_t i = 0; i < args.size(); ++i) {
    const size_t equals = args[i].find('=');
    const std::string name = args[i].substr(0, equals);
    std::optional<std::string> value;
    if (equals != std::string::npos) value = args[i].substr(equals + 1);
    if (name == "--help" || name == "-h") {
      line.help = true;
    } else if (name == "--sample-config") {
      line.sample = true;
    } else if (name == "--config" || name == "--port-file") {
      if (!value.has_value() && ++i < args.size()) value = args[i];
      if (!value.has_value() || value->empty()) return BadUsage(absl::StrCat(name, " needs a file name"));
      (name == "--config" ? line.config_file : line.port_file) = *value;
    } else {
      std::string flag = args[i];
      for (const auto& [from, to] : kShort) {
        if (name == from) flag = std::string(to) + args[i].substr(name.size());
      }
      line.setting_flags.push_back(std::move(flag));
    }
  }
  return line;
}

absl::Status LoadSettings(const CommandLine& line, Settings* settings) {
  if (!line.config_file.empty()) DOLMEN_RETURN_IF_ERROR(settings->LoadTomlFile(line.config_file));
  DOLMEN_RETURN_IF_ERROR(settings->LoadEnvironment(environ));
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string> rest, settings->LoadFlags(line.setting_flags));
  if (!rest.empty()) return BadUsage(absl::StrCat("unexpected argument '", rest.front(), "'; see --help"));
  return absl::OkStatus();
}

absl::Status StartLog(const std::string& level_name) {
  const auto level = spdlog::level::from_str(level_name);
  if (level == spdlog::level::off && level_name != "off") {
    return BadUsage(absl::StrCat("log_level = '", level_name, "' is not valid; use trace, debug, info, warn or error"));
  }
  spdlog::set_default_logger(spdlog::stderr_logger_mt("datanode"));
  spdlog::set_level(level);
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  return absl::OkStatus();
}

// Receive buffers come and go by the megabyte: without this each would be mapped and unmapped, x1.5 in throughput.
void TuneMalloc() {
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  mallopt(M_TOP_PAD, 16 << 20);
}

// Written under another name and renamed, so that who waits for it never reads half a number.
absl::Status WritePortFile(FileSystem& fs, const std::string& path, uint16_t port) {
  return WriteFileDurably(fs, path, absl::StrCat(port, "\n"));
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

int Fail(const absl::Status& why, int code) {
  std::fprintf(stderr, "dolmen-datanode: %s\n", std::string(why.message()).c_str());
  return code;
}

int Main(const std::vector<std::string>& args) {
  const absl::StatusOr<CommandLine> line = ParseCommandLine(args);
  if (!line.ok()) return Fail(line.status(), kExitBadUsage);
  Settings settings(DatanodeSettingsTable());
  if (line->help) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (line->sample) {
    std::fputs(settings.SampleToml().c_str(), stdout);
    return 0;
  }
  if (absl::Status loaded = LoadSettings(*line, &settings); !loaded.ok()) return Fail(loaded, kExitBadUsage);
  absl::StatusOr<DatanodeOptions> options = OptionsFromSettings(settings);
  if (!options.ok()) return Fail(options.status(), kExitBadUsage);
  if (absl::Status log = StartLog(settings.Text("log_level")); !log.ok()) return Fail(log, kExitBadUsage);
  if (absl::Status armed = fault::ArmFromEnvironment(); !armed.ok()) return Fail(armed, kExitBadUsage);
  rpc::SendGrpcLogsToOurs();
  TuneMalloc();

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
  if (!line->port_file.empty()) {
    if (absl::Status written = WritePortFile(*fs, line->port_file, (*server)->port()); !written.ok()) {
      stop.Ask(Annotate(written, absl::StrCat("writing ", line->port_file)));
    }
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
