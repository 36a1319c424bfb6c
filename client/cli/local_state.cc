#include "client/cli/local_state.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr uint16_t kNamenodePort = 7020;
constexpr uint16_t kFirstDatanodePort = 7066;
constexpr size_t kDefaultDatanodes = 3;

template <typename Number>
std::optional<Number> WholeNumber(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

absl::StatusOr<uint16_t> ParsePort(const std::string& option, const std::string& value) {
  const std::optional<uint16_t> port = WholeNumber<uint16_t>(value);
  if (!port.has_value()) {
    return UsageError(absl::StrCat(option, " ", value, ": expected a port from 1 to 65535, or 0 for a free one"));
  }
  return *port;
}

absl::Status SetOption(const std::string& option, const std::string& value, LocalOptions& options) {
  if (option == "--dir") {
    if (value.empty()) return UsageError("--dir needs a directory");
    options.directory = value;
  } else if (option == "--datanodes") {
    const std::optional<size_t> count = WholeNumber<size_t>(value);
    if (!count.has_value() || *count < 1 || *count > LocalOptions::kMaxDatanodes) {
      return UsageError(
          absl::StrCat("--datanodes ", value, ": expected a number from 1 to ", LocalOptions::kMaxDatanodes));
    }
    options.datanodes = *count;
  } else if (option == "--namenode-port") {
    DOLMEN_ASSIGN_OR_RETURN(options.namenode_port, ParsePort(option, value));
  } else {
    DOLMEN_ASSIGN_OR_RETURN(options.datanode_port, ParsePort(option, value));
  }
  return absl::OkStatus();
}

bool TakesValue(const std::string& option) {
  return option == "--dir" || option == "--datanodes" || option == "--namenode-port" || option == "--datanode-port";
}

// Reads the one shape of JSON that FormatLocalState writes.
class StateReader {
 public:
  explicit StateReader(std::string_view text) : rest_(text) {}

  bool Take(std::string_view token) {
    SkipSpace();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  std::optional<uint16_t> Port() {
    SkipSpace();
    size_t digits = 0;
    while (digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9') ++digits;
    const std::optional<uint16_t> port = WholeNumber<uint16_t>(rest_.substr(0, digits));
    rest_.remove_prefix(digits);
    return port;
  }
  bool AtEnd() {
    SkipSpace();
    return rest_.empty();
  }

 private:
  void SkipSpace() {
    while (!rest_.empty() && std::string_view(" \t\r\n").find(rest_[0]) != std::string_view::npos) {
      rest_.remove_prefix(1);
    }
  }
  std::string_view rest_;
};

std::string JsonText(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<uint8_t>(c) < 0x20) {
      constexpr char kHex[] = "0123456789abcdef";
      absl::StrAppend(&json, "\\u00", std::string(1, kHex[c >> 4]), std::string(1, kHex[c & 15]));
    } else {
      json += c;
    }
  }
  return json + "\"";
}

const char* NameOf(DaemonState state) {
  switch (state) {
    case DaemonState::kRunning:
      return "running";
    case DaemonState::kDead:
      return "dead";
    case DaemonState::kStopped:
      break;
  }
  return "stopped";
}

std::string DaemonJson(const DaemonStatus& daemon) {
  std::string json = absl::StrCat("{\"name\": ", JsonText(daemon.name), ", \"state\": \"", NameOf(daemon.state), "\"");
  if (daemon.pid != 0) absl::StrAppend(&json, ", \"pid\": ", daemon.pid);
  if (daemon.port != 0) absl::StrAppend(&json, ", \"port\": ", daemon.port);
  absl::StrAppend(&json, ", \"log\": ", JsonText(daemon.log), "}");
  return json;
}

}  // namespace

std::string LocalUsage() {
  return "Usage: dolmen local start [--dir D] [--datanodes N] [--namenode-port P] [--datanode-port P] [--foreground]\n"
         "       dolmen local stop [--dir D]\n"
         "       dolmen local status [--dir D] [--json]\n"
         "A namenode and N datanodes (3) on this machine, with all state below D (~/.dolmen/local). Ports are 7020 "
         "and\n"
         "7066, 7067, ... unless given; 0 takes free ones, which are remembered.\n";
}

absl::StatusOr<LocalOptions> ParseLocalOptions(const std::vector<std::string>& args) {
  LocalOptions options;
  if (args.empty()) return UsageError("say start, stop or status");
  if (args[0] == "start") {
    options.action = LocalOptions::Action::kStart;
  } else if (args[0] == "stop") {
    options.action = LocalOptions::Action::kStop;
  } else if (args[0] == "status") {
    options.action = LocalOptions::Action::kStatus;
  } else {
    return UsageError(absl::StrCat("'", args[0], "' is none of start, stop, status"));
  }
  const bool start = options.action == LocalOptions::Action::kStart;
  for (size_t i = 1; i < args.size(); ++i) {
    const size_t equals = args[i].find('=');
    const std::string option = args[i].substr(0, equals);
    const bool flag = equals == std::string::npos;
    if (flag && start && option == "--foreground") {
      options.foreground = true;
    } else if (flag && options.action == LocalOptions::Action::kStatus && option == "--json") {
      options.json = true;
    } else if (TakesValue(option) && (start || option == "--dir")) {
      if (flag && i + 1 == args.size()) return UsageError(absl::StrCat(option, " needs a value"));
      const std::string value = flag ? args[++i] : args[i].substr(equals + 1);
      DOLMEN_RETURN_IF_ERROR(SetOption(option, value, options));
    } else {
      return UsageError(absl::StrCat(args[0], ": unknown word '", args[i], "'"));
    }
  }
  return options;
}

std::string FormatLocalState(const LocalState& state) {
  std::string json = absl::StrCat("{\n  \"namenode_port\": ", state.namenode_port, ",\n  \"datanode_ports\": [");
  const char* separator = "";
  for (const uint16_t port : state.datanode_ports) {
    absl::StrAppend(&json, separator, port);
    separator = ", ";
  }
  absl::StrAppend(&json, "]\n}\n");
  return json;
}

absl::StatusOr<LocalState> ParseLocalState(std::string_view json) {
  const absl::Status damaged = MakeError(
      ErrorReason::kDamaged, "expected {\"namenode_port\": N, \"datanode_ports\": [N, ...]}; correct or remove it");
  LocalState state;
  StateReader reader(json);
  if (!reader.Take("{") || !reader.Take("\"namenode_port\"") || !reader.Take(":")) return damaged;
  const std::optional<uint16_t> namenode = reader.Port();
  if (!namenode.has_value() || !reader.Take(",") || !reader.Take("\"datanode_ports\"") || !reader.Take(":") ||
      !reader.Take("[")) {
    return damaged;
  }
  state.namenode_port = *namenode;
  if (!reader.Take("]")) {
    do {
      const std::optional<uint16_t> port = reader.Port();
      if (!port.has_value()) return damaged;
      state.datanode_ports.push_back(*port);
    } while (reader.Take(","));
    if (!reader.Take("]")) return damaged;
  }
  if (!reader.Take("}") || !reader.AtEnd()) return damaged;
  return state;
}

absl::StatusOr<LocalState> PlanPorts(const LocalOptions& options, const std::optional<LocalState>& remembered) {
  LocalState plan = remembered.value_or(LocalState{.namenode_port = kNamenodePort});
  const size_t known = plan.datanode_ports.size();
  const size_t wanted = options.datanodes.value_or(known > 0 ? known : kDefaultDatanodes);
  if (wanted < known) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat("there are ", known, " datanodes here; --datanodes ", wanted,
                                  " would leave the data of the others behind. Use another --dir"));
  }
  if (options.namenode_port.has_value() && (*options.namenode_port != 0 || !remembered.has_value())) {
    plan.namenode_port = *options.namenode_port;
  }
  plan.datanode_ports.resize(wanted);
  for (size_t i = 0; i < wanted; ++i) {
    if (options.datanode_port.value_or(0) == 0 && i < known) continue;
    const size_t first = options.datanode_port.value_or(kFirstDatanodePort);
    if (first + i > 65535) {
      return MakeError(ErrorReason::kIllegalArgument,
                       absl::StrCat("no port for datanode ", i + 1, ": they are counted up from ", first));
    }
    plan.datanode_ports[i] = first == 0 ? 0 : static_cast<uint16_t>(first + i);
  }
  return plan;
}

absl::StatusOr<uint16_t> ParsePortFile(std::string_view text) {
  const std::optional<uint16_t> port =
      text.ends_with('\n') ? WholeNumber<uint16_t>(text.substr(0, text.size() - 1)) : std::nullopt;
  if (!port.has_value() || *port == 0) {
    return MakeError(ErrorReason::kDamaged, absl::StrCat("'", ToAbsl(text), "' is not a port and a newline"));
  }
  return *port;
}

std::string FormatProcessRecord(const ProcessRecord& record) {
  return absl::StrCat(record.pid, " ", record.start_ticks, "\n");
}

absl::StatusOr<ProcessRecord> ParseProcessRecord(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  const size_t space = text.find(' ');
  const std::optional<int> pid = WholeNumber<int>(text.substr(0, space));
  const std::optional<uint64_t> ticks =
      space == std::string_view::npos ? std::nullopt : WholeNumber<uint64_t>(text.substr(space + 1));
  if (!pid.has_value() || *pid <= 1 || !ticks.has_value()) {
    return MakeError(ErrorReason::kDamaged, absl::StrCat("'", ToAbsl(text), "' is not a process record"));
  }
  return ProcessRecord{.pid = *pid, .start_ticks = *ticks};
}

absl::StatusOr<ObservedProcess> ParseProcStat(std::string_view text) {
  constexpr size_t kStateField = 3;
  constexpr size_t kStartField = 22;  // numbered from 1, as in proc(5)
  const size_t parenthesis = text.rfind(')');
  const absl::Status bad = MakeError(ErrorReason::kIo, absl::StrCat("unexpected process state '", ToAbsl(text), "'"));
  if (parenthesis == std::string_view::npos) return bad;
  ObservedProcess process;
  std::string_view rest = text.substr(parenthesis + 1);
  for (size_t field = kStateField; field <= kStartField; ++field) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    const std::string_view value = rest.substr(0, rest.find(' '));
    rest.remove_prefix(value.size());
    if (value.empty()) return bad;
    if (field == kStateField) process.state = value[0];
    if (field == kStartField) {
      const std::optional<uint64_t> ticks = WholeNumber<uint64_t>(value);
      if (!ticks.has_value()) return bad;
      process.start_ticks = *ticks;
    }
  }
  return process;
}

bool IsSameProcess(const ProcessRecord& record, const std::optional<ObservedProcess>& observed,
                   std::string_view program) {
  if (!observed.has_value() || observed->state == 'Z' || observed->state == 'X') return false;
  if (observed->start_ticks != record.start_ticks) return false;
  // After a reboot another process can have both numbers; after an upgrade ours is shown as "program (deleted)".
  return observed->program.empty() || observed->program.starts_with(program);
}

size_t LocalStatus::running() const {
  return static_cast<size_t>(std::count_if(daemons.begin(), daemons.end(), [](const DaemonStatus& daemon) {
    return daemon.state == DaemonState::kRunning;
  }));
}

std::string LocalStatus::state() const {
  if (running() == 0) return "stopped";
  return running() == daemons.size() ? "running" : "partial";
}

std::string LocalStatus::uri() const {
  return daemons.empty() || daemons[0].port == 0 ? "" : absl::StrCat("dolmen://localhost:", daemons[0].port);
}

std::string FormatStatusText(const LocalStatus& status) {
  std::string text = absl::StrCat(status.state(), ": ", status.uri().empty() ? "no cluster yet" : status.uri(), " in ",
                                  status.directory, "\n");
  for (const DaemonStatus& daemon : status.daemons) {
    absl::StrAppend(&text, "  ", daemon.name, ": ", NameOf(daemon.state));
    if (daemon.pid != 0) absl::StrAppend(&text, ", pid ", daemon.pid);
    if (daemon.port != 0) absl::StrAppend(&text, ", port ", daemon.port);
    absl::StrAppend(&text, ", log ", daemon.log, "\n");
  }
  return text;
}

std::string FormatStatusJson(const LocalStatus& status) {
  std::string json = absl::StrCat("{\"state\": \"", status.state(), "\", \"uri\": ", JsonText(status.uri()),
                                  ", \"dir\": ", JsonText(status.directory));
  if (!status.daemons.empty()) {
    absl::StrAppend(&json, ",\n \"namenode\": ", DaemonJson(status.daemons[0]), ",\n \"datanodes\": [");
    const char* separator = "";
    for (size_t i = 1; i < status.daemons.size(); ++i) {
      absl::StrAppend(&json, separator, DaemonJson(status.daemons[i]));
      separator = ",\n  ";
    }
    absl::StrAppend(&json, "]");
  }
  return json + "}\n";
}

std::string LastLines(std::string_view text, size_t count, std::string_view indent) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  size_t begin = text.size();
  for (size_t lines = 0; lines < count && begin != 0 && begin != std::string_view::npos; ++lines) {
    begin = text.rfind('\n', begin - 1);
  }
  if (begin == std::string_view::npos) {
    begin = 0;
  } else if (begin < text.size() && text[begin] == '\n') {
    ++begin;
  }
  std::string last;
  std::string_view rest = text.substr(begin);
  while (!rest.empty()) {
    const size_t newline = rest.find('\n');
    absl::StrAppend(&last, ToAbsl(indent), ToAbsl(rest.substr(0, newline)), "\n");
    rest = newline == std::string_view::npos ? std::string_view() : rest.substr(newline + 1);
  }
  return last;
}

}  // namespace dolmen::cli
