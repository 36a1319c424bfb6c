// What a shell command works with: the file systems it names, its streams, its settings.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "client/cli/generic_options.h"
#include "client/cli/path_text.h"
#include "client/dolmen/client.h"

namespace dolmen::cli {

struct ShellSettings {
  std::string default_fs = "dolmen://localhost:7020";
  uint16_t umask = 022;
  uint32_t replication = 0;         // 0: the server's default
  uint64_t block_bytes = 0;         // 0: the server's default
  int64_t trash_interval = 0;       // minutes; 0: no trash
  int64_t safe_delete_limit = 100;  // files; -rm -safely asks above it
  ClientOptions client;
};

// Where an environment variable's value comes from; nullptr when unset.
using Environment = std::function<const char*(const char* name)>;

// Later ones win: defaults, the settings file (-conf, else $DOLMEN_CONF, else ~/.dolmen/client.toml or
// /etc/dolmen/client.toml if there), DOLMEN_... variables, -D, -fs. HDFS's property names are understood where they
// mean something here and ignored otherwise. Errors name the setting, the value and where it came from.
absl::StatusOr<ShellSettings> LoadShellSettings(const GenericOptions& options, const Environment& environment);

// Makes a client; FileSystemClient::Connect outside tests.
using Connector = std::function<absl::StatusOr<std::unique_ptr<FileSystemClient>>(std::string_view uri,
                                                                                  const ClientOptions& options)>;

struct Streams {
  std::ostream& out;
  std::ostream& err;
  int input_fd = 0;  // standard input, for "-" and questions
};

// Connects to file systems when first needed and keeps them. One thread only; the clients it hands out are
// thread-safe and live as long as the session.
class Session {
 public:
  Session(Connector connector, ShellSettings settings, Streams streams, const std::atomic<bool>* interrupted = nullptr)
      : connector_(std::move(connector)),
        settings_(std::move(settings)),
        streams_(streams),
        interrupted_(interrupted) {}

  // The file system a path names: the default one unless it has an authority of its own. hdfs:// is another name for
  // the default file system's dolmen://.
  absl::StatusOr<FileSystemClient*> FileSystemFor(const PathText& path);
  absl::StatusOr<FileSystemClient*> DefaultFileSystem() { return FileSystemFor(PathText{}); }

  const ShellSettings& settings() const { return settings_; }
  std::ostream& out() { return streams_.out; }
  std::ostream& err() { return streams_.err; }
  int input_fd() const { return streams_.input_fd; }
  const std::atomic<bool>* interrupted() const { return interrupted_; }

 private:
  absl::StatusOr<FileSystemClient*> ConnectTo(const std::string& authority);

  const Connector connector_;
  const ShellSettings settings_;
  const Streams streams_;
  const std::atomic<bool>* const interrupted_;                        // not owned; may be null
  std::map<std::string, std::unique_ptr<FileSystemClient>> clients_;  // by authority with port
};

// "dolmen://host:port" + path: how messages name a path in full.
std::string QualifiedPath(const FileSystemClient& fs, std::string_view path);

}  // namespace dolmen::cli
