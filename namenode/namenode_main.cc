// dolmen-namenode: formats a metadata directory, or serves one.
#include <malloc.h>
#include <signal.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/error.h"
#include "common/fault_point.h"
#include "common/posix_file_system.h"
#include "common/random.h"
#include "common/rpc/channel_arguments.h"
#include "namenode/namenode_server.h"
#include "namenode/namenode_settings.h"

namespace dolmen::namenode {
namespace {

constexpr char kUsage[] =
    "Usage: dolmen-namenode --format --metadata-dir DIR [--force CLUSTER_ID]\n"
    "       dolmen-namenode --metadata-dir DIR [--bind-host HOST] [--port PORT] [--port-file FILE]\n"
    "                       [--config FILE] [--SETTING=VALUE ...]\n"
    "       dolmen-namenode --print-config     a commented sample configuration with every setting\n";

struct CommandLine {
  bool format = false;
  bool help = false;
  bool print_config = false;
  std::optional<std::string> force_cluster_id;
  std::string config;
  std::string port_file;
  std::vector<std::string> settings;  // rest, for the settings table
};

// Short names for what is typed most.
std::string LongName(const std::string& flag) {
  for (const char* name : {"metadata-dir", "bind-host", "port"}) {
    const std::string plain = std::string("--") + name;
    if (flag == plain || flag.starts_with(plain + "=")) return "--namenode-" + flag.substr(2);
  }
  return flag;
}

absl::StatusOr<CommandLine> Parse(const std::vector<std::string>& args) {
  CommandLine line;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    const auto value_of = [&](std::string_view name) -> absl::StatusOr<std::optional<std::string>> {
      const std::string plain = "--" + std::string(name);
      if (arg.starts_with(plain + "=")) return arg.substr(plain.size() + 1);
      if (arg != plain) return std::nullopt;
      if (++i == args.size()) return MakeError(ErrorReason::kIllegalArgument, absl::StrCat(plain, " needs a value"));
      return args[i];
    };
    if (arg == "--format") {
      line.format = true;
    } else if (arg == "--help" || arg == "-h") {
      line.help = true;
    } else if (arg == "--print-config") {
      line.print_config = true;
    } else if (auto force = value_of("force"); !force.ok() || force->has_value()) {
      if (!force.ok()) return force.status();
      line.force_cluster_id = **force;
    } else if (auto config = value_of("config"); !config.ok() || config->has_value()) {
      if (!config.ok()) return config.status();
      line.config = **config;
    } else if (auto port_file = value_of("port-file"); !port_file.ok() || port_file->has_value()) {
      if (!port_file.ok()) return port_file.status();
      line.port_file = **port_file;
    } else {
      line.settings.push_back(LongName(arg));
    }
  }
  return line;
}

absl::Status LoadSettings(const CommandLine& line, Settings* settings) {
  if (!line.config.empty()) DOLMEN_RETURN_IF_ERROR(settings->LoadTomlFile(line.config));
  DOLMEN_RETURN_IF_ERROR(settings->LoadEnvironment(environ));
  absl::StatusOr<std::vector<std::string>> flags = settings->LoadFlags(line.settings);
  if (!flags.ok()) {
    return MakeError(ReasonOf(flags.status()),
                     absl::StrCat(flags.status().message(), "; dolmen-namenode --print-config lists all settings"));
  }
  const std::vector<std::string>& rest = *flags;
  if (!rest.empty()) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat("unexpected argument '", rest.front(), "'; see dolmen-namenode --help"));
  }
  if (line.force_cluster_id.has_value() && !line.format) {
    return MakeError(ErrorReason::kIllegalArgument,
                     "--force discards a namespace and goes with --format only; leave it away to serve");
  }
  if (settings->Text("namenode_metadata_dir").empty()) {
    return MakeError(ErrorReason::kIllegalArgument, "no metadata directory: give --metadata-dir DIR");
  }
  return absl::OkStatus();
}

bool IsLoopback(const std::string& host) { return host == "localhost" || host == "::1" || host.starts_with("127."); }

absl::Status Format(FileSystem& fs, const Settings& settings, const CommandLine& line) {
  DOLMEN_ASSIGN_OR_RETURN(NamespaceInfo info,
                          MetadataDirectory::Format(fs, settings.Text("namenode_metadata_dir"),
                                                    {.superuser = ProcessUser(),
                                                     .supergroup = settings.Text("namenode_supergroup"),
                                                     .now = SystemClock().WallNow(),
                                                     .seed = SeedFromOs(),
                                                     .force_cluster_id = line.force_cluster_id},
                                                    {}),
                          "formatting");
  printf("formatted %s: cluster %s, superuser %s\n", settings.Text("namenode_metadata_dir").c_str(),
         info.cluster.value().c_str(), info.superuser.c_str());
  return absl::OkStatus();
}

absl::Status Serve(FileSystem& fs, const Settings& settings, const CommandLine& line) {
  DOLMEN_ASSIGN_OR_RETURN(CoreSettings core, ToCoreSettings(settings));
  const std::string& host = settings.Text("namenode_bind_host");
  if (!IsLoopback(host) && !settings.Bool("namenode_allow_remote")) {
    return MakeError(
        ErrorReason::kIllegalArgument,
        absl::StrCat("namenode_bind_host is ", host,
                     ", but callers are not authenticated yet: anybody who "
                     "reaches it can claim to be anybody. Set namenode_allow_remote if that is acceptable"));
  }
  // Signals are taken by a thread of ours; every other thread inherits the mask.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  std::atomic<bool> failed{false};
  DOLMEN_ASSIGN_OR_RETURN(
      std::unique_ptr<NamenodeServer> server,
      NamenodeServer::Start(&fs,
                            {.metadata_dir = settings.Text("namenode_metadata_dir"),
                             .bind_host = host,
                             .port = static_cast<uint16_t>(settings.Int("namenode_port")),
                             .query_threads = static_cast<int>(settings.Int("namenode_query_threads")),
                             .block_cache_bytes = static_cast<uint64_t>(settings.Int("namenode_block_cache_bytes")),
                             .core = core,
                             .on_stop = [&failed](const absl::Status& why) {
                               spdlog::critical("stopping: {}", MessageOf(why));
                               failed = true;
                               kill(getpid(), SIGTERM);
                             }}));
  if (!line.port_file.empty()) {
    DOLMEN_RETURN_IF_ERROR(WriteFileDurably(fs, line.port_file, std::to_string(server->port()) + "\n"),
                           "writing the port file");
  }
  spdlog::info("namenode serves cluster {} (epoch {}) on {}:{}", server->info().cluster.value(),
               server->epoch().value(), host, server->port());
  spdlog::warn("security is \"simple\": the identity of callers is claimed, not proven");
  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("stopping on signal {}", signal);
  server->Stop();
  spdlog::info("stopped");
  if (failed) return MakeError(ErrorReason::kStopped, "the namenode had to stop; see the log above");
  return absl::OkStatus();
}

int Main(const std::vector<std::string>& args) {
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  spdlog::set_default_logger(spdlog::stderr_logger_mt("namenode"));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  spdlog::flush_on(spdlog::level::info);
  rpc::SendGrpcLogsToOurs();
  signal(SIGPIPE, SIG_IGN);
  umask(0077);  // names and permissions of all users' files are nobody else's business

  Settings settings(NamenodeSettingsTable());
  const auto run = [&]() -> absl::Status {
    DOLMEN_RETURN_IF_ERROR(fault::ArmFromEnvironment());
    DOLMEN_ASSIGN_OR_RETURN(const CommandLine line, Parse(args));
    if (line.help) {
      fputs(kUsage, stdout);
      return absl::OkStatus();
    }
    if (line.print_config) {
      fputs(settings.SampleToml().c_str(), stdout);
      return absl::OkStatus();
    }
    DOLMEN_RETURN_IF_ERROR(LoadSettings(line, &settings));
    const std::unique_ptr<FileSystem> fs = MakePosixFileSystem();
    return line.format ? Format(*fs, settings, line) : Serve(*fs, settings, line);
  };
  if (const absl::Status done = run(); !done.ok()) {
    fprintf(stderr, "dolmen-namenode: %s\n", std::string(MessageOf(done)).c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace dolmen::namenode

int main(int argc, char** argv) { return dolmen::namenode::Main(std::vector<std::string>(argv + 1, argv + argc)); }
