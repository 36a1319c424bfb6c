// What `dolmen local` knows about its cluster: options, remembered ports, process records, and how they are shown.
// Pure: files and processes are local_cluster.h's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace dolmen::cli {

struct LocalOptions {
  enum class Action { kStart, kStop, kStatus };
  Action action = Action::kStart;
  std::string directory;                  // "": ~/.dolmen/local
  std::optional<size_t> datanodes;        // nothing: as many as there are, or 3
  std::optional<uint16_t> namenode_port;  // 0: a free one; nothing: the remembered one, or 7020
  std::optional<uint16_t> datanode_port;  // of the first datanode, others count up; 0: free ones
  bool foreground = false;
  bool json = false;

  static constexpr size_t kMaxDatanodes = 64;
};

// The words after `dolmen local`. "--name=value" and "--name value" are the same. Errors name the word.
absl::StatusOr<LocalOptions> ParseLocalOptions(const std::vector<std::string>& args);
std::string LocalUsage();

// The content of local.json: what must stay the same across restarts.
struct LocalState {
  uint16_t namenode_port = 0;
  std::vector<uint16_t> datanode_ports;  // one per datanode; 0: not known yet
  friend bool operator==(const LocalState&, const LocalState&) = default;
};
std::string FormatLocalState(const LocalState& state);
// Error: not what FormatLocalState writes (white space is free).
absl::StatusOr<LocalState> ParseLocalState(std::string_view json);

// The ports for a start: given ones win, then remembered ones, then the defaults (7020; 7066, 7067, ...). A given 0
// keeps a remembered one.
// Error: fewer datanodes than are remembered would leave their data behind.
absl::StatusOr<LocalState> PlanPorts(const LocalOptions& options, const std::optional<LocalState>& remembered);

// The port a daemon wrote, followed by a newline. Error: not (yet) that.
absl::StatusOr<uint16_t> ParsePortFile(std::string_view text);

// A pid file's content. The start time tells the process from a later one that got the same number.
struct ProcessRecord {
  int pid = 0;
  uint64_t start_ticks = 0;  // since boot
  friend bool operator==(const ProcessRecord&, const ProcessRecord&) = default;
};
std::string FormatProcessRecord(const ProcessRecord& record);
absl::StatusOr<ProcessRecord> ParseProcessRecord(std::string_view text);

// What the system says about a process.
struct ObservedProcess {
  char state = 0;  // 'Z': ended, not yet collected by its parent
  uint64_t start_ticks = 0;
  std::string program;  // file name of the executable; "" when it can't be read
};
// From /proc/<pid>/stat. The program's name in it may hold spaces and parentheses.
absl::StatusOr<ObservedProcess> ParseProcStat(std::string_view text);
// Whether the recorded process, a `program`, is the one observed, and runs.
bool IsSameProcess(const ProcessRecord& record, const std::optional<ObservedProcess>& observed,
                   std::string_view program);

enum class DaemonState { kRunning, kDead, kStopped };  // kDead: was started, was not stopped, does not run

struct DaemonStatus {
  std::string name;  // "namenode", "datanode-1"
  DaemonState state = DaemonState::kStopped;
  int pid = 0;  // of a running one
  uint16_t port = 0;
  std::string log;
};
// The first is the namenode.
struct LocalStatus {
  std::string directory;
  std::vector<DaemonStatus> daemons;
  size_t running() const;
  // "running" (all), "partial", "stopped" (none).
  std::string state() const;
  std::string uri() const;  // "dolmen://localhost:port"; "" while the port is not known
};
std::string FormatStatusText(const LocalStatus& status);
std::string FormatStatusJson(const LocalStatus& status);

// The last `count` lines of `text`, each after `indent`.
std::string LastLines(std::string_view text, size_t count, std::string_view indent);

}  // namespace dolmen::cli
