// `dolmen dfsadmin`: what the cluster and its nodes say of themselves, and safe mode.
#include <algorithm>
#include <chrono>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/command_text.h"
#include "client/cli/path_text.h"
#include "client/cli/report_format.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr int kExitFailure = 255;
constexpr std::chrono::milliseconds kSafeModePoll{500};

struct AdminText {
  std::string_view name;
  std::string_view usage;
  std::string_view help;
};

constexpr AdminText kAdminTexts[] = {
    {"-report", "[-report] [-live] [-dead] [-decommissioning] [-enteringmaintenance] [-inmaintenance]",
     "-report [-live] [-dead] [-decommissioning] [-enteringmaintenance] [-inmaintenance]:\n"
     "\tReports the state of the file system and of its datanodes.\n"
     "\tThe flags choose which datanodes are listed; without any, all are.\n"},
    {"-safemode", "[-safemode enter | leave | get | wait | forceExit]",
     "-safemode <enter|leave|get|wait|forceExit>:\n"
     "\tSafe mode: the namenode answers questions, changes nothing, and neither copies nor deletes blocks.\n"
     "\tIt is on after a start until enough blocks are known. enter and leave switch it by hand,\n"
     "\tget tells whether it is on, wait returns when it is off.\n"},
    {"-printTopology", "[-printTopology]",
     "-printTopology:\n"
     "\tShows the racks and their nodes as the namenode knows them.\n"},
    {"-getDatanodeInfo", "[-getDatanodeInfo <datanode_host:ipc_port>]",
     "-getDatanodeInfo <datanode_host:ipc_port>:\n"
     "\tAsks the given datanode how long it runs and of what version it is. This can be used to\n"
     "\tcheck if a datanode is alive.\n"},
    {"-listOpenFiles", "[-listOpenFiles [-blockingDecommission] [-path <path>]]",
     "-listOpenFiles [-blockingDecommission] [-path <path>]:\n"
     "\tLists all files that are open for writing, with the client that writes each.\n"
     "\tWith -path only those at or below the path; with -blockingDecommission only those that\n"
     "\tdecommissioning waits for. Nothing is ever decommissioned here, so these are none.\n"},
    {"-help", "[-help [cmd]]",
     "-help [cmd]:\n"
     "\tShows the help of the given command, or of all.\n"},
};

const AdminText* FindAdminText(std::string_view name) {
  for (const AdminText& text : kAdminTexts) {
    if (text.name == name) return &text;
  }
  return nullptr;
}

void PrintSummary(std::ostream& out) {
  out << "Usage: hdfs dfsadmin\nNote: Administrative commands can only be run as the HDFS superuser.\n";
  for (const AdminText& text : kAdminTexts) out << "\t" << text.usage << "\n";
  out << "\n" << GenericOptionsText();
}

int WrongUsage(Session& session, const AdminText& text) {
  session.err() << "Usage: hdfs dfsadmin " << text.usage << "\n";
  return kExitFailure;
}

int Failure(Session& session, std::string_view command, const absl::Status& status) {
  session.err() << command << ": " << ShownMessage(status) << "\n";
  return kExitFailure;
}

absl::Status PrintReport(Session& session, const ReportSections& sections) {
  DOLMEN_ASSIGN_OR_RETURN(FileSystemClient* const fs, session.DefaultFileSystem());
  DOLMEN_ASSIGN_OR_RETURN(const ClusterStats stats, fs->GetStats());
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<DatanodeReport> nodes, fs->GetDatanodeReport());
  session.out() << FormatReport(stats, nodes, sections);
  return absl::OkStatus();
}

int Report(Session& session, const std::vector<std::string>& args) {
  ReportSections sections;
  for (size_t i = 1; i < args.size(); ++i) {
    const std::string& word = args[i];
    bool* const flag = word == "-live"                  ? &sections.live
                       : word == "-dead"                ? &sections.dead
                       : word == "-decommissioning"     ? &sections.decommissioning
                       : word == "-enteringmaintenance" ? &sections.entering_maintenance
                       : word == "-inmaintenance"       ? &sections.in_maintenance
                                                        : nullptr;
    if (flag == nullptr) return WrongUsage(session, *FindAdminText("-report"));
    *flag = true;
  }
  const absl::Status status = PrintReport(session, sections);
  return status.ok() ? 0 : Failure(session, "report", status);
}

absl::StatusOr<bool> ChangeSafeMode(Session& session, std::string_view word) {
  using SafeMode = FileSystemClient::SafeMode;
  DOLMEN_ASSIGN_OR_RETURN(FileSystemClient* const fs, session.DefaultFileSystem());
  if (word == "enter") return fs->SetSafeMode(SafeMode::kEnter);
  if (word == "leave" || word == "forceexit") return fs->SetSafeMode(SafeMode::kLeave);
  while (true) {
    DOLMEN_ASSIGN_OR_RETURN(const bool on, fs->SetSafeMode(SafeMode::kGet));
    if (!on || word == "get") return on;
    session.Sleep(kSafeModePoll);
  }
}

int SafeModeCommand(Session& session, const std::vector<std::string>& args) {
  constexpr std::string_view kWords[] = {"enter", "leave", "get", "wait", "forceexit"};
  const std::string word = args.size() == 2 ? absl::AsciiStrToLower(args[1]) : "";
  if (std::find(std::begin(kWords), std::end(kWords), word) == std::end(kWords)) {
    return WrongUsage(session, *FindAdminText("-safemode"));
  }
  const absl::StatusOr<bool> on = ChangeSafeMode(session, word);
  if (!on.ok()) return Failure(session, "safemode", on.status());
  session.out() << "Safe mode is " << (*on ? "ON" : "OFF") << "\n";
  return 0;
}

int Topology(Session& session, const std::vector<std::string>& args) {
  if (args.size() != 1) return WrongUsage(session, *FindAdminText("-printTopology"));
  absl::StatusOr<FileSystemClient*> fs = session.DefaultFileSystem();
  if (!fs.ok()) return Failure(session, "printTopology", fs.status());
  const absl::StatusOr<std::vector<DatanodeReport>> nodes = (*fs)->GetDatanodeReport();
  if (!nodes.ok()) return Failure(session, "printTopology", nodes.status());
  session.out() << FormatTopology(*nodes);
  return 0;
}

bool HasHostAndPort(const std::string& address) {
  const absl::StatusOr<DolmenUri> uri = ParseDolmenUri("dolmen://" + address);
  return uri.ok() && uri->path.empty() && WithDefaultPort(address) == address;
}

int DatanodeInfo(Session& session, const std::vector<std::string>& args) {
  const AdminText& text = *FindAdminText("-getDatanodeInfo");
  if (args.size() != 2) return WrongUsage(session, text);
  if (!HasHostAndPort(args[1])) {
    session.err() << "getDatanodeInfo: Does not contain a valid host:port authority: " << args[1] << "\n";
    return WrongUsage(session, text);
  }
  absl::StatusOr<FileSystemClient*> fs = session.DefaultFileSystem();
  if (!fs.ok()) return Failure(session, "getDatanodeInfo", fs.status());
  const absl::StatusOr<DatanodeLocalInfo> info = (*fs)->GetDatanodeLocalInfo(args[1]);
  if (!info.ok()) {
    session.err() << "getDatanodeInfo: Datanode unreachable. " << ShownMessage(info.status()) << "\n";
    return kExitFailure;
  }
  session.out() << "Uptime: " << info->uptime_seconds << ", Software version: " << info->software_version
                << ", Config version: " << info->config_version << "\n";
  return 0;
}

absl::Status PrintOpenFiles(Session& session, const std::string& typed) {
  DOLMEN_ASSIGN_OR_RETURN(FileSystemClient* const fs, session.DefaultFileSystem());
  DOLMEN_ASSIGN_OR_RETURN(const std::string path, NormalizePath(typed, fs->HomeDirectory()));
  session.out() << OpenFilesHeader();
  return fs->ListOpenFiles(path, [&session](const OpenFile& file) {
    session.out() << FormatOpenFile(file);
    return true;
  });
}

int OpenFiles(Session& session, const std::vector<std::string>& args) {
  const AdminText& text = *FindAdminText("-listOpenFiles");
  std::string path = "/";
  bool blocking_decommission = false;
  for (size_t i = 1; i < args.size(); ++i) {
    if (args[i] == "-blockingDecommission") {
      blocking_decommission = true;
    } else if (args[i] == "-path" && i + 1 < args.size()) {
      const std::string_view trimmed = FromAbsl(absl::StripAsciiWhitespace(args[++i]));
      path = trimmed.empty() ? "/" : std::string(trimmed);
    } else {
      if (args[i] == "-path") session.err() << "listOpenFiles: option -path requires 1 argument.\n";
      return WrongUsage(session, text);
    }
  }
  if (blocking_decommission) {
    session.out() << OpenFilesHeader();
    return 0;
  }
  const absl::Status status = PrintOpenFiles(session, path);
  if (status.ok()) return 0;
  session.out() << "List open files failed.\n" << std::flush;
  return Failure(session, "listOpenFiles", status);
}

int Help(Session& session, const std::vector<std::string>& args) {
  if (args.size() > 2) return WrongUsage(session, *FindAdminText("-help"));
  if (args.size() == 2) {
    const AdminText* text = FindAdminText(args[1].starts_with('-') ? args[1] : "-" + args[1]);
    if (text != nullptr) {
      session.out() << text->help;
      return 0;
    }
  }
  for (const AdminText& text : kAdminTexts) session.out() << text.help << "\n";
  session.out() << GenericOptionsText();
  return 0;
}

}  // namespace

int RunAdmin(Session& session, std::vector<std::string> args) {
  int exit_code = kExitFailure;
  if (args.empty()) {
    PrintSummary(session.err());
  } else if (args[0] == "-report") {
    exit_code = Report(session, args);
  } else if (args[0] == "-safemode") {
    exit_code = SafeModeCommand(session, args);
  } else if (args[0] == "-printTopology") {
    exit_code = Topology(session, args);
  } else if (args[0] == "-getDatanodeInfo") {
    exit_code = DatanodeInfo(session, args);
  } else if (args[0] == "-listOpenFiles") {
    exit_code = OpenFiles(session, args);
  } else if (args[0] == "-help") {
    exit_code = Help(session, args);
  } else {
    session.err() << args[0].substr(args[0].starts_with('-') ? 1 : 0) << ": Unknown command\n";
    PrintSummary(session.err());
  }
  session.out().flush();
  return exit_code;
}

}  // namespace dolmen::cli
