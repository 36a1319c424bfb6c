#include "client/cli/app.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "client/cli/command.h"
#include "client/cli/command_text.h"
#include "client/cli/generic_options.h"
#include "client/cli/local_cluster.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr int kExitUsage = 255;

constexpr std::string_view kHelp =
    "Usage: dolmen [generic options] <tool> ...\n"
    "\n"
    "  dolmen dfs -<command> ...       files: -ls, -put, -get, -cat, ...; `dolmen dfs -help` lists them all\n"
    "  dolmen dfsadmin -<command> ...  the cluster: -report, -safemode, ...; `dolmen dfsadmin -help` lists them all\n"
    "  dolmen fsck <path> ...          files and their blocks: what is missing, corrupt or under-replicated\n"
    "  dolmen debug ...                verifyMeta, recoverLease\n"
    "  dolmen local start|status|stop  a cluster on this machine; `dolmen local --help` tells more\n"
    "  dolmen namenode ...             runs the namenode\n"
    "  dolmen datanode ...             runs a datanode\n"
    "  dolmen version\n"
    "  dolmen --print-config           a commented sample of the settings file, with every setting\n"
    "\n"
    "`dolmen fs` is the same as `dolmen dfs`. Generic options go before the -command:\n"
    "  -fs dolmen://host:port          the file system; else DOLMEN_FS, the settings file, dolmen://localhost:7020\n"
    "  -D property=value               one setting, e.g. -D dfs.replication=2\n"
    "  -conf FILE                      a TOML settings file; else DOLMEN_CONF, ~/.dolmen/client.toml,\n"
    "                                  /etc/dolmen/client.toml\n";

// Commands that leave something half-made behind when they are killed.
bool Copies(const std::vector<std::string>& args) {
  constexpr std::string_view kNames[] = {"-put", "-copyFromLocal", "-moveFromLocal", "-get", "-copyToLocal",
                                         "-cp",  "-getmerge",      "-appendToFile"};
  return !args.empty() && std::find(std::begin(kNames), std::end(kNames), args[0]) != std::end(kNames);
}

// Whether a terminal of that name can take back what it shows.
bool CanErase(const char* term) { return term != nullptr && *term != '\0' && std::string_view(term) != "dumb"; }

int Fail(const App& app, std::string_view message) {
  app.streams.err << "dolmen: " << message << "\n";
  return kExitUsage;
}

int RunTool(const App& app, bool admin, GenericOptions options, std::vector<std::string> args) {
  if (const absl::Status status = TakeGenericOptions(args, options); !status.ok()) {
    return Fail(app, MessageOf(status));
  }
  absl::StatusOr<ShellSettings> settings = LoadShellSettings(options, app.environment);
  if (!settings.ok()) return Fail(app, ShownMessage(settings.status()));
  const std::atomic<bool>* interrupted = nullptr;
  if (!admin && Copies(args) && app.catch_interrupts) interrupted = app.catch_interrupts();
  Streams streams = app.streams;
  if (!CanErase(app.environment("TERM"))) streams.terminal = -1;
  Session session(app.connector, *std::move(settings), streams, interrupted, app.sleep);
  return admin ? RunAdmin(session, std::move(args)) : RunShell(session, std::move(args));
}

// A tool with a grammar of its own.
int RunOther(const App& app, int (*run)(Session&, std::vector<std::string>), GenericOptions options,
             std::vector<std::string> args) {
  if (const absl::Status status = TakeGenericOptions(args, options); !status.ok()) {
    return Fail(app, MessageOf(status));
  }
  absl::StatusOr<ShellSettings> settings = LoadShellSettings(options, app.environment);
  if (!settings.ok()) return Fail(app, ShownMessage(settings.status()));
  Session session(app.connector, *std::move(settings), app.streams);
  return run(session, std::move(args));
}

}  // namespace

int RunApp(const App& app, std::vector<std::string> args) {
  GenericOptions options;
  if (const absl::Status status = TakeGenericOptions(args, options); !status.ok()) {
    return Fail(app, MessageOf(status));
  }
  if (args.empty()) {
    app.streams.err << kHelp;
    return kExitUsage;
  }
  const std::string tool = args[0];
  args.erase(args.begin());
  if (tool == "dfs" || tool == "fs") return RunTool(app, /*admin=*/false, std::move(options), std::move(args));
  if (tool == "dfsadmin") return RunTool(app, /*admin=*/true, std::move(options), std::move(args));
  if (tool == "fsck") return RunOther(app, RunFsck, std::move(options), std::move(args));
  if (tool == "debug") return RunOther(app, RunDebug, std::move(options), std::move(args));
  if (tool == "local") return RunLocal(args, app.connector, app.environment, app.streams);
  if (tool == "namenode" || tool == "datanode") return app.run_daemon("dolmen-" + tool, args);
  if (tool == "version" || tool == "--version") {
    app.streams.out << "Dolmen " << app.version << "\n";
    return 0;
  }
  if (tool == "--print-config") {
    app.streams.out << SampleShellSettings();
    return 0;
  }
  if (tool == "help" || tool == "--help" || tool == "-help" || tool == "-h") {
    app.streams.out << kHelp;
    return 0;
  }
  app.streams.err << "dolmen: '" << tool << "' is not a tool of it; ";
  const std::string command = tool.substr(std::min(tool.find_first_not_of('-'), tool.size()));
  if (FindCommandText(command) != nullptr) app.streams.err << "did you mean `dolmen dfs -" << command << "`? ";
  app.streams.err << "`dolmen --help` lists them\n";
  return 1;
}

}  // namespace dolmen::cli
