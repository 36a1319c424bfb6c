// dolmen-namenode: formats a metadata directory, checks one, or serves it.
#include <malloc.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/daemon.h"
#include "common/error.h"
#include "common/fault_point.h"
#include "common/posix_file_system.h"
#include "common/random.h"
#include "common/rpc/channel_arguments.h"
#include "namenode/namenode_server.h"
#include "namenode/namenode_settings.h"
#include "namenode/storage/metadata_directory.h"

namespace dolmen::namenode {
namespace {

constexpr char kUsage[] =
    "Usage: dolmen-namenode --format --metadata-dir DIR [--force CLUSTER_ID]\n"
    "       dolmen-namenode --metadata-dir DIR [--bind-host HOST] [--port PORT] [--port-file FILE]\n"
    "                       [--config FILE] [--SETTING=VALUE ...]\n"
    "       dolmen-namenode --check --metadata-dir DIR    is the stored namespace consistent? changes nothing\n"
    "       dolmen-namenode --print-config     a commented sample configuration with every setting\n"
    "\n"
    "With the variable DOLMEN_FORMAT=if-empty a start formats a metadata directory in which there is nothing.\n";

constexpr char kProgram[] = "dolmen-namenode";

constexpr ShortFlag kShortFlags[] = {{"--metadata-dir", "--namenode-metadata-dir"},
                                     {"--bind-host", "--namenode-bind-host"},
                                     {"--port", "--namenode-port"}};

struct CommandLine {
  bool format = false;
  bool check = false;
  std::optional<std::string> force_cluster_id;
  DaemonFlags flags;
};

absl::StatusOr<CommandLine> Parse(const std::vector<std::string>& args) {
  CommandLine line;
  std::vector<std::string> rest;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--format") {
      line.format = true;
    } else if (args[i] == "--check") {
      line.check = true;
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

// Whether a start may format what is empty. Error: kIllegalArgument for a value it does not know.
absl::StatusOr<bool> FormatsIfEmpty() {
  const char* const value = std::getenv("DOLMEN_FORMAT");
  if (value == nullptr || *value == '\0') return false;
  if (std::string_view(value) == "if-empty") return true;
  return MakeError(ErrorReason::kIllegalArgument,
                   absl::StrCat("variable DOLMEN_FORMAT = \"", value, "\" is not valid; allowed: if-empty, or unset"));
}

absl::Status Configure(const CommandLine& line, Settings* settings) {
  DOLMEN_RETURN_IF_ERROR(LoadDaemonSettings(kProgram, line.flags, settings));
  if (line.force_cluster_id.has_value() && !line.format) {
    return MakeError(ErrorReason::kIllegalArgument,
                     "--force discards a namespace and goes with --format only; leave it away to serve");
  }
  if (line.check && line.format) {
    return MakeError(ErrorReason::kIllegalArgument,
                     "--check looks at a namespace, --format makes one: give one of them");
  }
  if (settings->Text("namenode_metadata_dir").empty()) {
    return MakeError(ErrorReason::kIllegalArgument, "no metadata directory: give --metadata-dir DIR");
  }
  DOLMEN_RETURN_IF_ERROR(FormatsIfEmpty().status());
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
  fflush(stdout);
  return absl::OkStatus();
}

// Prints what is wrong line by line as it is found, then a summary. Error: kDamaged when something is wrong, others
// when it can't be found out.
absl::Status Check(FileSystem& fs, const Settings& settings) {
  const std::string& directory = settings.Text("namenode_metadata_dir");
  MetadataDirectory::Options options;
  options.store.sizes.block_cache_bytes = static_cast<uint64_t>(settings.Int("namenode_block_cache_bytes"));
  DOLMEN_ASSIGN_OR_RETURN(const MetadataDirectory::Checked checked,
                          MetadataDirectory::Check(fs, directory, options, [](std::string_view line) {
                            printf("%.*s\n", static_cast<int>(line.size()), line.data());
                            fflush(stdout);
                          }));
  for (const LogFileScan& log : checked.logs.files) {
    if (log.valid_bytes == log.file_bytes) continue;
    printf("%s: the last %llu bytes are of a commit that was never acknowledged; the next start cuts them off\n",
           log.path.c_str(), static_cast<unsigned long long>(log.file_bytes - log.valid_bytes));
  }
  const ConsistencyReport& report = checked.report;
  printf("%s", absl::StrCat("checked ", directory, ": cluster ", checked.info.cluster.value(), ", up to ",
                            checked.last_commit.ToString(), ": ", report.directories, " directories, ", report.files,
                            " files (", report.open_files, " open), ", report.blocks, " blocks, ", report.deleted_roots,
                            " deletions to be finished\n")
                   .c_str());
  if (report.violations == 0) {
    printf("the stored namespace is consistent\n");
    return absl::OkStatus();
  }
  printf("the stored namespace is NOT consistent: %llu violations\n",
         static_cast<unsigned long long>(report.violations));
  return MakeError(ErrorReason::kDamaged, "the stored namespace is not consistent; restore a checkpoint");
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
                             .group_mapping_file = settings.Text("namenode_group_mapping_file"),
                             .create_home_directories = settings.Bool("namenode_create_home_directories"),
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

absl::Status FormatIfEmptyAndServe(FileSystem& fs, const Settings& settings, const CommandLine& line) {
  absl::Status served = Serve(fs, settings, line);
  if (!*FormatsIfEmpty() || ReasonOf(served) != ErrorReason::kFileNotFound) return served;
  const absl::Status formatted = Format(fs, settings, line);
  if (ReasonOf(formatted) == ErrorReason::kFileAlreadyExists) return served;  // something else was not found
  DOLMEN_RETURN_IF_ERROR(formatted);
  return Serve(fs, settings, line);
}

int Main(const std::vector<std::string>& args) {
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  rpc::SendGrpcLogsToOurs();
  rpc::TurnOffDeadlockSearch();
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
  const absl::Status done = line->format  ? Format(*fs, settings, *line)
                            : line->check ? Check(*fs, settings)
                                          : FormatIfEmptyAndServe(*fs, settings, *line);
  return done.ok() ? 0 : FailDaemon(kProgram, done, kExitFailed);
}

}  // namespace
}  // namespace dolmen::namenode

int main(int argc, char** argv) { return dolmen::namenode::Main(std::vector<std::string>(argv + 1, argv + argc)); }
