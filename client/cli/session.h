// What a shell command works with: the file systems it names, its streams, its settings.
#pragma once

#include <atomic>
#include <chrono>
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
  bool progress = true;             // long copies show on a terminal how they go on
  ClientOptions client;
};

// Where an environment variable's value comes from; nullptr when unset.
using Environment = std::function<const char*(const char* name)>;

// Later ones win: defaults, the settings file (-conf, else $DOLMEN_CONF, else ~/.dolmen/client.toml or
// /etc/dolmen/client.toml if there), DOLMEN_... variables, -D, -fs. HDFS's property names are understood where they
// mean something here and ignored otherwise. Errors name the setting, the value and where it came from.
absl::StatusOr<ShellSettings> LoadShellSettings(const GenericOptions& options, const Environment& environment);

// A commented sample of the settings file.
std::string SampleShellSettings();

// Makes a client; FileSystemClient::Connect outside tests.
using Connector = std::function<absl::StatusOr<std::unique_ptr<FileSystemClient>>(std::string_view uri,
                                                                                  const ClientOptions& options)>;

// Waits so long; std::this_thread::sleep_for outside tests.
using Sleeper = std::function<void(std::chrono::milliseconds)>;

struct Streams {
  std::ostream& out;
  std::ostream& err;
  int input_fd = 0;    // standard input, for "-" and questions
  int output_fd = -1;  // what `out` writes to, to notice that its reader is gone; -1: not known
  int terminal = -1;   // the terminal that `err` is; -1: it is none
};

// Connects to file systems when first needed and keeps them. One thread only; the clients it hands out are
// thread-safe and live as long as the session.
class Session {
 public:
  Session(Connector connector, ShellSettings settings, Streams streams, const std::atomic<bool>* interrupted = nullptr,
          Sleeper sleep = nullptr)
      : connector_(std::move(connector)),
        settings_(std::move(settings)),
        streams_(streams),
        interrupted_(interrupted),
        sleep_(std::move(sleep)) {}

  // The file system a path names: the default one unless it has an authority of its own. hdfs:// is another name for
  // the default file system's dolmen://, file:// the machine's own files.
  absl::StatusOr<FileSystemClient*> FileSystemFor(const PathText& path);
  absl::StatusOr<FileSystemClient*> DefaultFileSystem() { return FileSystemFor(PathText{}); }

  const ShellSettings& settings() const { return settings_; }
  std::ostream& out() { return streams_.out; }
  std::ostream& err() { return streams_.err; }
  int input_fd() const { return streams_.input_fd; }
  int output_fd() const { return streams_.output_fd; }
  int terminal() const { return streams_.terminal; }
  const std::atomic<bool>* interrupted() const { return interrupted_; }
  // Between two looks at something that is waited for. What was printed is shown first.
  void Sleep(std::chrono::milliseconds time);

 private:
  absl::StatusOr<FileSystemClient*> ConnectTo(const std::string& authority);
  FileSystemClient* Local();

  const Connector connector_;
  const ShellSettings settings_;
  const Streams streams_;
  const std::atomic<bool>* const interrupted_;  // not owned; may be null
  const Sleeper sleep_;
  std::map<std::string, std::unique_ptr<FileSystemClient>> clients_;  // by authority with port; "": the machine's own
};

// Whether these are the machine's own files.
inline bool IsLocal(const FileSystemClient& fs) { return fs.authority().empty(); }

// "dolmen://host:port" + path, or "file://" + path: how messages name a path in full.
std::string QualifiedPath(const FileSystemClient& fs, std::string_view path);

}  // namespace dolmen::cli
