#include "client/cli/session.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/format.h"
#include "client/cli/local_file_system.h"
#include "client/cli/mode_change.h"
#include "client/cli/shell_error.h"
#include "common/error.h"
#include "common/settings.h"

namespace dolmen::cli {
namespace {

std::vector<Setting> SettingTable() {
  const ClientOptions defaults;
  return {
      {"fs", std::string("dolmen://localhost:7020"), "The default file system."},
      {"user", std::string(), "The identity claimed; empty: HADOOP_USER_NAME or the operating system's user."},
      {"umask", std::string("022"), "Octal; bits that new files and directories don't get."},
      {"replication", int64_t{0}, "Replicas of new files; 0 is the server's default.", 0, 512},
      {"block_bytes", int64_t{0}, "Block size of new files, a multiple of 512; 0 is the server's default.", 0,
       int64_t{1} << 50},
      {"rpc_timeout_ms", int64_t{defaults.rpc_timeout.count()},
       "Most time for one call to the namenode, retries included.", 1, 86'400'000},
      {"connect_timeout_ms", int64_t{defaults.connect_timeout.count()}, "How long an unreachable namenode is tried.", 1,
       86'400'000},
      {"progress", true, "Long copies show on a terminal how they go on."},
      {"stream_timeout_ms", int64_t{defaults.stream_timeout.count()}, "How long a silent datanode is waited for.", 1,
       86'400'000},
  };
}

// HDFS's property names for settings of ours.
std::string_view OwnName(std::string_view property) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"fs.defaultFS", "fs"},
      {"fs.default.name", "fs"},
      {"fs.permissions.umask-mode", "umask"},
      {"dfs.umaskmode", "umask"},
      {"dfs.replication", "replication"},
      {"dfs.blocksize", "block_bytes"},
      {"dfs.block.size", "block_bytes"},
  };
  for (const auto& [hdfs, own] : kNames) {
    if (property == hdfs) return own;
  }
  return property;
}

absl::StatusOr<int64_t> PropertyNumber(const std::string& name, const std::string& value) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (value.empty() || error != std::errc() || end != value.data() + value.size()) {
    return MakeError(ErrorReason::kIllegalArgument, absl::StrCat("-D ", name, "=", value, ": expected a number"));
  }
  return number;
}

absl::StatusOr<uint16_t> ParseUmask(const std::string& text) {
  unsigned mask = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mask, 8);
  if (!text.empty() && error == std::errc() && end == text.data() + text.size() && mask <= 0777) {
    return static_cast<uint16_t>(mask);
  }
  // HDFS's other form names what new files may have; a class without any is written as "o=".
  std::vector<absl::string_view> clauses = absl::StrSplit(text, ',');
  std::erase_if(clauses, [](absl::string_view clause) { return clause == "u=" || clause == "g=" || clause == "o="; });
  const std::optional<ModeChange> kept = text.find('=') != std::string::npos
                                             ? ModeChange::Parse(absl::StrJoin(clauses, ","))
                                             : std::optional<ModeChange>();
  if (kept.has_value()) return static_cast<uint16_t>(~kept->Apply(0, /*is_directory=*/false) & 0777);
  return MakeError(ErrorReason::kIllegalArgument,
                   absl::StrCat("umask '", text,
                                "': expected an octal number from 000 to 777, as 022, or what is kept, as "
                                "u=rwx,g=rx,o="));
}

absl::Status SetProperty(const std::string& name, const std::string& value, Settings& settings, ShellSettings& shell) {
  if (name == "fs.trash.interval") {
    DOLMEN_ASSIGN_OR_RETURN(shell.trash_interval, PropertyNumber(name, value));
    return absl::OkStatus();
  }
  if (name == "hadoop.shell.safely.delete.limit.num.files") {
    DOLMEN_ASSIGN_OR_RETURN(shell.safe_delete_limit, PropertyNumber(name, value));
    return absl::OkStatus();
  }
  const std::string_view own = OwnName(name);
  const bool known = std::any_of(settings.table().begin(), settings.table().end(),
                                 [&](const Setting& setting) { return setting.name == own; });
  // HDFS's other properties have dots in their names, and mean nothing here.
  if (!known && own.find('.') != std::string_view::npos) return absl::OkStatus();
  if (own == "block_bytes") {
    absl::StatusOr<uint64_t> bytes = ParseSize(value);
    if (!bytes.ok()) {
      return MakeError(ErrorReason::kIllegalArgument,
                       absl::StrCat("-D ", name, "=", value, ": ", ShownMessage(bytes.status())));
    }
    return settings.SetFromText(own, std::to_string(*bytes), absl::StrCat("-D ", name));
  }
  return settings.SetFromText(own, value, absl::StrCat("-D ", name));
}

struct ConfFile {
  std::string path;
  std::string origin;  // who named it
};

std::optional<ConfFile> FindConfFile(const GenericOptions& options, const Environment& environment) {
  if (options.conf_file.has_value()) return ConfFile{*options.conf_file, "given with -conf"};
  if (const char* named = environment("DOLMEN_CONF"); named != nullptr && *named != '\0') {
    return ConfFile{named, "given by DOLMEN_CONF"};
  }
  if (const char* home = environment("HOME"); home != nullptr && *home != '\0') {
    std::string own = absl::StrCat(home, "/.dolmen/client.toml");
    if (access(own.c_str(), F_OK) == 0) return ConfFile{std::move(own), "found as no other was given"};
  }
  constexpr char kSystem[] = "/etc/dolmen/client.toml";
  if (access(kSystem, F_OK) == 0) return ConfFile{kSystem, "found as no other was given"};
  return std::nullopt;
}

// Looks without opening: the file may be a pipe, which is read only once.
absl::Status CheckReadable(const ConfFile& file) {
  struct stat st {};
  int error = 0;
  if (stat(file.path.c_str(), &st) != 0 || access(file.path.c_str(), R_OK) != 0) {
    error = errno;
  } else if (S_ISDIR(st.st_mode)) {
    error = EISDIR;
  }
  if (error == 0) return absl::OkStatus();
  return MakeError(ErrorReason::kIllegalArgument, absl::StrCat("cannot read the settings file '", file.path, "' (",
                                                               file.origin, "): ", std::strerror(error)));
}

std::string WithoutPath(const std::string& scheme, const std::string& authority) {
  return absl::StrCat(scheme, "://", authority);
}

}  // namespace

absl::StatusOr<ShellSettings> LoadShellSettings(const GenericOptions& options, const Environment& environment) {
  ShellSettings shell;
  Settings settings(SettingTable());
  if (const std::optional<ConfFile> file = FindConfFile(options, environment); file.has_value()) {
    DOLMEN_RETURN_IF_ERROR(CheckReadable(*file));
    DOLMEN_RETURN_IF_ERROR(settings.LoadTomlFile(file->path));
  }
  for (const Setting& setting : settings.table()) {
    std::string variable = "DOLMEN_";
    for (const char c : setting.name) variable += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    const char* value = environment(variable.c_str());
    if (value != nullptr && *value != '\0') {
      DOLMEN_RETURN_IF_ERROR(settings.SetFromText(setting.name, value, variable));
    }
  }
  for (const auto& [name, value] : options.properties) {
    DOLMEN_RETURN_IF_ERROR(SetProperty(name, value, settings, shell));
  }
  if (options.fs.has_value()) DOLMEN_RETURN_IF_ERROR(settings.SetFromText("fs", *options.fs, "-fs"));

  shell.default_fs = settings.Text("fs");
  DOLMEN_ASSIGN_OR_RETURN(shell.umask, ParseUmask(settings.Text("umask")));
  shell.replication = static_cast<uint32_t>(settings.Int("replication"));
  shell.block_bytes = static_cast<uint64_t>(settings.Int("block_bytes"));
  shell.progress = settings.Bool("progress");
  shell.client.user = settings.Text("user");
  shell.client.rpc_timeout = std::chrono::milliseconds(settings.Int("rpc_timeout_ms"));
  shell.client.connect_timeout = std::chrono::milliseconds(settings.Int("connect_timeout_ms"));
  shell.client.stream_timeout = std::chrono::milliseconds(settings.Int("stream_timeout_ms"));
  return shell;
}

std::string SampleShellSettings() { return Settings(SettingTable()).SampleToml(); }

absl::StatusOr<FileSystemClient*> Session::FileSystemFor(const PathText& path) {
  if (path.scheme == "file") {
    if (path.authority.empty()) return Local();
    return UsageError(absl::StrCat("Wrong FS: ", path.Prefix(), path.path, ", expected: file:///"));
  }
  absl::StatusOr<PathText> base = ParsePathText(settings_.default_fs);
  if (base.ok() && base->scheme == "file" && base->authority.empty() && path.scheme.empty()) return Local();
  if (!base.ok() || (base->scheme != "dolmen" && base->scheme != "hdfs") || base->authority.empty()) {
    return MakeError(ErrorReason::kIllegalArgument, absl::StrCat("the default file system '", settings_.default_fs,
                                                                 "' is not of the form dolmen://host:port"));
  }
  const std::string own = WithDefaultPort(base->authority);
  if (path.scheme.empty()) return ConnectTo(own);
  if (path.scheme != "dolmen" && path.scheme != "hdfs") {
    return MakeError(ErrorReason::kIo, absl::StrCat("No FileSystem for scheme \"", path.scheme, "\""));
  }
  if (path.authority.empty()) return ConnectTo(own);
  const std::string authority = WithDefaultPort(path.authority);
  if (path.scheme == "hdfs" && authority != own) {
    return MakeError(ErrorReason::kIo,
                     absl::StrCat(WithoutPath(path.scheme, path.authority), " is not this file system (dolmen://", own,
                                  "); hdfs:// is only another name for it"));
  }
  return ConnectTo(authority);
}

absl::StatusOr<FileSystemClient*> Session::ConnectTo(const std::string& authority) {
  const auto known = clients_.find(authority);
  if (known != clients_.end()) return known->second.get();
  DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<FileSystemClient> client,
                          connector_(absl::StrCat("dolmen://", authority), settings_.client));
  FileSystemClient* const result = client.get();
  clients_[authority] = std::move(client);
  return result;
}

void Session::Sleep(std::chrono::milliseconds time) {
  streams_.out.flush();
  if (sleep_) {
    sleep_(time);
  } else {
    std::this_thread::sleep_for(time);
  }
}

FileSystemClient* Session::Local() {
  std::unique_ptr<FileSystemClient>& local = clients_[""];
  if (local == nullptr) local = MakeLocalFileSystem();
  return local.get();
}

std::string QualifiedPath(const FileSystemClient& fs, std::string_view path) {
  if (IsLocal(fs)) return absl::StrCat("file://", ToAbsl(path));
  return absl::StrCat("dolmen://", fs.authority(), ToAbsl(path));
}

}  // namespace dolmen::cli
