// dolmen-namenode: formats a metadata directory, or serves one.
#include <malloc.h>
#include <signal.h>
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

#include "common/daemon.h"
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

constexpr char kProgram[] = "dolmen-namenode";

constexpr ShortFlag kShortFlags[] = {{"--metadata-dir", "--namenode-metadata-dir"},
                                     {"--bind-host", "--namenode-bind-host"},
                                     {"--port", "--namenode-port"}};

struct CommandLine {
  bool format = false;
  std::optional<std::string> force_cluster_id;
  DaemonFlags flags;
};

absl::StatusOr<CommandLine> Parse(const std::vector<std::string>& args) {
  CommandLine line;
  std::vector<std::string> rest;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--format") {
      line.format = true;
    } else if (args[i].starts_with("--force=")) {
      line.force_cluster_id = args[i].substr(std::string_view("--force=").size());
    } else if (args[i] == "--force") {
      if (++i == args.size()) return MakeError(ErrorReason::kIllegalArgument, "--force needs the id of the cluster");
      line.force_cluster_id = args[i];
    } else {
      rest.push_back(args[i]);
    }
  }
  DOLMEN_ASSIGN_OR_RETURN(line.flags, ParseDaemonFlags(rest, kShortFlags));
  return line;
}

absl::Status Configure(const CommandLine& line, Settings* settings) {
  DOLMEN_RETURN_IF_ERROR(LoadDaemonSettings(kProgram, line.flags, settings));
  if (line.force_cluster_id.has_value() && !line.format) {
    return MakeError(ErrorReason::kIllegalArgument,
                     "--force discards a namespace and goes with --format only; leave it away to serve");
  }
  if (settings->Text("namenode_metadata_dir").empty()) {
    return MakeError(ErrorReason::kIllegalArgument, "no metadata directory: give --metadata-dir DIR");
  }
  DOLMEN_RETURN_IF_ERROR(CheckBindHost(*settings, "namenode"));
  DOLMEN_RETURN_IF_ERROR(ToCoreSettings(*settings).status());
  DOLMEN_RETURN_IF_ERROR(StartLog("namenode", settings->Text("log_level")));
  return fault::ArmFromEnvironment();
}

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
  RaiseOpenFileLimit();
  DOLMEN_ASSIGN_OR_RETURN(CoreSettings core, ToCoreSettings(settings));
  const std::string& host = settings.Text("namenode_bind_host");
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
  if (!line.flags.port_file.empty()) {
    DOLMEN_RETURN_IF_ERROR(WritePortFile(fs, line.flags.port_file, server->port()));
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
  rpc::SendGrpcLogsToOurs();
  signal(SIGPIPE, SIG_IGN);
  umask(0077);  // names and permissions of all users' files are nobody else's business

  const absl::StatusOr<CommandLine> line = Parse(args);
  if (!line.ok()) return FailDaemon(kProgram, line.status(), kExitBadUsage);
  Settings settings(NamenodeSettingsTable());
  if (line->flags.help) {
    fputs(kUsage, stdout);
    return 0;
  }
  if (line->flags.print_config) {
    fputs(settings.SampleToml().c_str(), stdout);
    return 0;
  }
  const absl::Status configured = Configure(*line, &settings);
  if (!configured.ok()) return FailDaemon(kProgram, configured, kExitBadUsage);
  const std::unique_ptr<FileSystem> fs = MakePosixFileSystem();
  const absl::Status done = line->format ? Format(*fs, settings, *line) : Serve(*fs, settings, *line);
  return done.ok() ? 0 : FailDaemon(kProgram, done, kExitFailed);
}

}  // namespace
}  // namespace dolmen::namenode

int main(int argc, char** argv) { return dolmen::namenode::Main(std::vector<std::string>(argv + 1, argv + argc)); }
