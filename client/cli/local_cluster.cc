#include "client/cli/local_cluster.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/path_text.h"
#include "client/cli/process.h"
#include "client/cli/shell_error.h"
#include "common/error.h"
#include "common/posix_file_system.h"

namespace dolmen::cli {
namespace {

using std::chrono::steady_clock;

constexpr char kHost[] = "127.0.0.1";
constexpr char kNamenodeProgram[] = "dolmen-namenode";
constexpr char kDatanodeProgram[] = "dolmen-datanode";
constexpr std::chrono::seconds kStartTimeout{60};
constexpr std::chrono::seconds kStopTimeout{20};
constexpr std::chrono::seconds kKillTimeout{5};
constexpr std::chrono::milliseconds kPoll{10};
constexpr std::chrono::milliseconds kForegroundPoll{200};
constexpr size_t kLogLines = 15;
constexpr uint64_t kLogTailBytes = 16 << 10;

void Pause(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

absl::StatusOr<std::string> ReadTail(FileSystem& files, const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(path, OpenMode::kRead));
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  std::string tail(std::min(size, kLogTailBytes), '\0');
  DOLMEN_ASSIGN_OR_RETURN(const size_t count, file->ReadAt(size - tail.size(), std::span<char>(tail)));
  tail.resize(count);
  return tail;
}

}  // namespace

LocalCluster::LocalCluster(LocalOptions options, std::string directory, std::string binaries, Connector connector,
                           Streams streams)
    : options_(std::move(options)),
      directory_(std::move(directory)),
      binaries_(std::move(binaries)),
      connector_(std::move(connector)),
      streams_(streams),
      files_(MakePosixFileSystem()) {}

std::string LocalCluster::LogOf(const Daemon& daemon) const {
  return PathOf(absl::StrCat("logs/", daemon.name, ".log"));
}

std::string LocalCluster::RunFile(const Daemon& daemon, std::string_view suffix) const {
  return PathOf(absl::StrCat("run/", daemon.name, ".", ToAbsl(suffix)));
}

bool LocalCluster::Runs(const Daemon& daemon) const {
  return daemon.process.has_value() && IsRunning(*daemon.process, daemon.program);
}

bool LocalCluster::StopRequested() const {
  if (!options_.foreground) return false;  // the signals have their usual effect
  const sigset_t signals = StopSignals();
  const timespec now{};
  return sigtimedwait(&signals, nullptr, &now) > 0;
}

absl::StatusOr<std::unique_ptr<FileLock>> LocalCluster::Lock() {
  DOLMEN_RETURN_IF_ERROR(files_->CreateDirectories(PathOf("run")));
  DOLMEN_RETURN_IF_ERROR(files_->CreateDirectories(PathOf("logs")));
  absl::StatusOr<std::unique_ptr<FileLock>> lock = files_->Lock(PathOf("lock"));
  if (ReasonOf(lock.status()) == ErrorReason::kBusy) {
    return MakeError(ErrorReason::kBusy,
                     absl::StrCat("another start or stop is at work in ", directory_, "; try again when it is done"));
  }
  return lock;
}

absl::StatusOr<std::optional<LocalState>> LocalCluster::ReadState() {
  const std::string path = PathOf("local.json");
  DOLMEN_ASSIGN_OR_RETURN(const bool exists, files_->Exists(path));
  if (!exists) return std::nullopt;
  DOLMEN_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(*files_, path));
  DOLMEN_ASSIGN_OR_RETURN(LocalState state, ParseLocalState(text), path);
  return state;
}

absl::Status LocalCluster::SaveState() {
  LocalState state{.namenode_port = daemons_[0].port};
  for (size_t i = 1; i < daemons_.size(); ++i) state.datanode_ports.push_back(daemons_[i].port);
  return WriteFileDurably(*files_, PathOf("local.json"), FormatLocalState(state));
}

absl::Status LocalCluster::LoadDaemons(const LocalState& state) {
  daemons_.clear();
  daemons_.push_back(Daemon{.name = "namenode", .program = kNamenodeProgram, .port = state.namenode_port});
  for (size_t i = 0; i < state.datanode_ports.size(); ++i) {
    daemons_.push_back(
        Daemon{.name = absl::StrCat("datanode-", i + 1), .program = kDatanodeProgram, .port = state.datanode_ports[i]});
  }
  for (Daemon& daemon : daemons_) {
    const std::string path = RunFile(daemon, "pid");
    DOLMEN_ASSIGN_OR_RETURN(const bool exists, files_->Exists(path));
    if (!exists) continue;
    DOLMEN_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(*files_, path));
    const absl::StatusOr<ProcessRecord> record = ParseProcessRecord(text);
    // A damaged pid file names nobody: a process that still runs keeps its own locks and says so in its log.
    if (!record.ok()) continue;
    daemon.process = *record;
    // A daemon that runs has its port already, whatever is planned.
    const absl::StatusOr<uint16_t> port = ReadPort(daemon);
    if (port.ok() && Runs(daemon)) daemon.port = *port;
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::WithLog(const Daemon& daemon, const std::string& error) const {
  std::string text = absl::StrCat(error, "; see ", LogOf(daemon));
  const absl::StatusOr<std::string> tail = ReadTail(*files_, LogOf(daemon));
  if (tail.ok() && !tail->empty()) {
    absl::StrAppend(&text, ", which ends with:\n", LastLines(*tail, kLogLines, "  "));
    text.pop_back();
  }
  return MakeError(ErrorReason::kIo, text);
}

absl::Status LocalCluster::FirstDead() const {
  for (const Daemon& daemon : daemons_) {
    if (daemon.process.has_value() && !Runs(daemon)) {
      return WithLog(daemon, absl::StrCat("the ", daemon.name, " (pid ", daemon.process->pid, ") ended"));
    }
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::FormatOnFirstUse() {
  const std::string metadata = PathOf("namenode");
  const std::string marker = PathOf("namenode.formatting");
  DOLMEN_ASSIGN_OR_RETURN(const bool interrupted, files_->Exists(marker));
  std::error_code error;
  if (interrupted) {
    std::filesystem::remove_all(metadata, error);
    if (error) return MakeError(ErrorReason::kIo, absl::StrCat("cannot remove ", metadata, ": ", error.message()));
  } else if (std::filesystem::exists(metadata, error) && !std::filesystem::is_empty(metadata, error)) {
    return absl::OkStatus();
  }
  DOLMEN_RETURN_IF_ERROR(WriteFileDurably(*files_, marker, "a format of the namenode directory began\n"));
  DOLMEN_RETURN_IF_ERROR(files_->CreateDirectories(metadata));
  const std::string program = JoinPath(binaries_, kNamenodeProgram);
  DOLMEN_ASSIGN_OR_RETURN(const ProcessRecord process,
                          StartDaemon({program, "--format", "--metadata-dir", metadata}, LogOf(daemons_[0])));
  const int code = WaitForChild(process.pid);
  if (code != 0) return WithLog(daemons_[0], absl::StrCat("formatting ", metadata, " failed with exit code ", code));
  DOLMEN_RETURN_IF_ERROR(files_->RemoveFile(marker));
  return files_->SyncDirectory(directory_);
}

absl::Status LocalCluster::Launch(Daemon& daemon) {
  const std::string port_file = RunFile(daemon, "port");
  DOLMEN_ASSIGN_OR_RETURN(const bool stale, files_->Exists(port_file));
  if (stale) DOLMEN_RETURN_IF_ERROR(files_->RemoveFile(port_file));
  std::vector<std::string> command = {JoinPath(binaries_, daemon.program)};
  const auto option = [&command](std::string name, std::string value) {
    command.push_back(std::move(name));
    command.push_back(std::move(value));
  };
  if (daemon.program == kNamenodeProgram) {
    option("--metadata-dir", PathOf("namenode"));
  } else {
    option("--data-dirs", PathOf(daemon.name));
    option("--namenode", absl::StrCat(kHost, ":", daemons_[0].port));
  }
  option("--bind-host", kHost);
  option("--port", std::to_string(daemon.port));
  option("--port-file", port_file);
  DOLMEN_RETURN_IF_ERROR(files_->CreateDirectories(PathOf(daemon.name)));
  DOLMEN_ASSIGN_OR_RETURN(daemon.process, StartDaemon(command, LogOf(daemon)));
  daemon.started_here = true;
  return WriteFileDurably(*files_, RunFile(daemon, "pid"), FormatProcessRecord(*daemon.process));
}

absl::StatusOr<uint16_t> LocalCluster::ReadPort(const Daemon& daemon) {
  const std::string path = RunFile(daemon, "port");
  DOLMEN_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(*files_, path));
  return ParsePortFile(text);
}

absl::Status LocalCluster::WaitForPort(Daemon& daemon, Deadline deadline) {
  while (true) {
    const absl::StatusOr<uint16_t> port = ReadPort(daemon);
    if (port.ok()) {
      daemon.port = *port;
      return absl::OkStatus();
    }
    DOLMEN_RETURN_IF_ERROR(FirstDead());
    if (StopRequested()) return InterruptedError();
    if (steady_clock::now() >= deadline) {
      return WithLog(daemon,
                     absl::StrCat("the ", daemon.name, " did not open its port within ", kStartTimeout.count(), " s"));
    }
    Pause(kPoll);
  }
}

absl::Status LocalCluster::WaitUntilWritable(Deadline deadline) {
  ClientOptions client_options;
  client_options.connect_timeout = std::chrono::seconds(1);
  client_options.rpc_timeout = std::chrono::seconds(5);
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<FileSystemClient> client,
                          connector_(absl::StrCat("dolmen://", kHost, ":", daemons_[0].port), client_options));
  std::string last = "nothing was heard from the namenode";
  while (true) {
    const absl::StatusOr<ClusterStats> stats = client->GetStats();
    const absl::StatusOr<std::vector<DatanodeReport>> nodes = client->GetDatanodeReport();
    if (!stats.ok() || !nodes.ok()) {
      last = ShownMessage(stats.ok() ? nodes.status() : stats.status());
    } else {
      const auto live = static_cast<size_t>(std::count_if(nodes->begin(), nodes->end(), [](const DatanodeReport& node) {
        return node.liveness == NodeLiveness::kLive;
      }));
      if (!stats->safe_mode && live >= daemons_.size() - 1) return absl::OkStatus();
      last = absl::StrCat(live, " of ", daemons_.size() - 1, " datanodes are live");
      if (stats->safe_mode) absl::StrAppend(&last, " and safe mode is on: ", stats->safe_mode_tip);
    }
    DOLMEN_RETURN_IF_ERROR(FirstDead());
    if (StopRequested()) return InterruptedError();
    if (steady_clock::now() >= deadline) {
      return WithLog(daemons_[0],
                     absl::StrCat("the cluster was not writable within ", kStartTimeout.count(), " s (", last, ")"));
    }
    Pause(kPoll);
  }
}

absl::Status LocalCluster::StartMissing(Deadline deadline, bool port_moves) {
  Daemon& namenode = daemons_[0];
  if (!Runs(namenode)) {
    for (Daemon& daemon : daemons_) {
      if (!Runs(daemon)) {
        daemon.process.reset();
      } else if (port_moves) {
        return MakeError(ErrorReason::kIllegalArgument,
                         absl::StrCat("the ", daemon.name, " (pid ", daemon.process->pid,
                                      ") runs and knows the namenode by its old port; `dolmen local stop` first"));
      }
    }
    DOLMEN_RETURN_IF_ERROR(FormatOnFirstUse());
    DOLMEN_RETURN_IF_ERROR(Launch(namenode));
    DOLMEN_RETURN_IF_ERROR(WaitForPort(namenode, deadline));
  }
  std::vector<Daemon*> launched;
  for (size_t i = 1; i < daemons_.size(); ++i) {
    if (Runs(daemons_[i])) continue;
    daemons_[i].process.reset();
    launched.push_back(&daemons_[i]);
  }
  for (Daemon* daemon : launched) DOLMEN_RETURN_IF_ERROR(Launch(*daemon));
  for (Daemon* daemon : launched) DOLMEN_RETURN_IF_ERROR(WaitForPort(*daemon, deadline));
  DOLMEN_RETURN_IF_ERROR(SaveState());
  return WaitUntilWritable(deadline);
}

absl::Status LocalCluster::Start() {
  const Deadline begin = steady_clock::now();
  if (options_.foreground) {
    const sigset_t signals = StopSignals();
    sigprocmask(SIG_BLOCK, &signals, nullptr);  // they are waited for instead
  }
  {
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<FileLock> lock, Lock());
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<LocalState> remembered, ReadState());
    DOLMEN_ASSIGN_OR_RETURN(const LocalState plan, PlanPorts(options_, remembered));
    DOLMEN_RETURN_IF_ERROR(LoadDaemons(plan));
    if (std::all_of(daemons_.begin(), daemons_.end(), [this](const Daemon& daemon) { return Runs(daemon); })) {
      return MakeError(
          absl::StatusCode::kAlreadyExists, ErrorReason::kNone,
          absl::StrCat("already running: dolmen://localhost:", daemons_[0].port, " (namenode pid ",
                       daemons_[0].process->pid, ", ", daemons_.size() - 1, " datanodes) in ", directory_));
    }
    const absl::Status started =
        StartMissing(begin + kStartTimeout, remembered.has_value() && remembered->namenode_port != plan.namenode_port);
    if (!started.ok()) {
      StopDaemons(/*only_started_here=*/true);
      return started;
    }
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - begin).count();
  streams_.out << "Dolmen is up at dolmen://localhost:" << daemons_[0].port << " after " << took << " ms: namenode pid "
               << daemons_[0].process->pid << ", " << daemons_.size() - 1 << " datanodes.\n"
               << "State and logs are in " << directory_ << "; `dolmen local stop` stops it.\n";
  if (daemons_[0].port != 7020) {
    streams_.out << "Its port is not the default one: export DOLMEN_FS=dolmen://localhost:" << daemons_[0].port << "\n";
  }
  streams_.out.flush();
  return options_.foreground ? StayInForeground() : absl::OkStatus();
}

absl::Status LocalCluster::StayInForeground() {
  const sigset_t signals = StopSignals();
  const timespec wait{.tv_sec = 0, .tv_nsec = std::chrono::nanoseconds(kForegroundPoll).count()};
  absl::Status ended;
  while (ended.ok() && sigtimedwait(&signals, nullptr, &wait) < 0) ended = FirstDead();
  const absl::StatusOr<std::unique_ptr<FileLock>> lock = Lock();
  if (ReasonOf(lock.status()) == ErrorReason::kBusy) return absl::OkStatus();  // `dolmen local stop` is at work
  DOLMEN_RETURN_IF_ERROR(lock.status());
  DOLMEN_ASSIGN_OR_RETURN(const bool recorded, files_->Exists(RunFile(daemons_[0], "pid")));
  if (!recorded) return absl::OkStatus();  // ... or was
  StopDaemons(/*only_started_here=*/false);
  return ended;
}

void LocalCluster::StopDaemons(bool only_started_here) {
  std::vector<Daemon*> datanodes;
  std::vector<Daemon*> namenode;
  for (Daemon& daemon : daemons_) {
    if (!daemon.process.has_value() || (only_started_here && !daemon.started_here)) continue;
    (daemon.program == kNamenodeProgram ? namenode : datanodes).push_back(&daemon);
  }
  // Datanodes first: the namenode hears of what they still finish.
  StopGroup(datanodes);
  StopGroup(namenode);
}

void LocalCluster::StopGroup(const std::vector<Daemon*>& group) {
  const auto wait_for_all = [&](std::chrono::seconds timeout) {
    const Deadline deadline = steady_clock::now() + timeout;
    while (std::any_of(group.begin(), group.end(), [this](const Daemon* daemon) { return Runs(*daemon); })) {
      if (steady_clock::now() >= deadline) return;
      Pause(kPoll);
    }
  };
  for (const Daemon* daemon : group) SignalProcess(*daemon->process, daemon->program, SIGTERM);
  wait_for_all(kStopTimeout);
  for (const Daemon* daemon : group) {
    if (!Runs(*daemon)) continue;
    streams_.err << "dolmen local: the " << daemon->name << " (pid " << daemon->process->pid << ") did not stop within "
                 << kStopTimeout.count() << " s and was killed; its log is " << LogOf(*daemon) << "\n";
    SignalProcess(*daemon->process, daemon->program, SIGKILL);
  }
  wait_for_all(kKillTimeout);
  for (Daemon* daemon : group) {
    if (Runs(*daemon)) continue;
    LogIfError(files_->RemoveFile(RunFile(*daemon, "pid")), "a stale pid file is recognised as one");
    daemon->process.reset();
  }
}

absl::Status LocalCluster::Stop() {
  DOLMEN_ASSIGN_OR_RETURN(const bool exists, files_->Exists(directory_));
  if (!exists) {
    streams_.out << "Nothing runs in " << directory_ << ".\n";
    return absl::OkStatus();
  }
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<FileLock> lock, Lock());
  DOLMEN_ASSIGN_OR_RETURN(const std::optional<LocalState> state, ReadState());
  // Without local.json a first start was cut short; its daemons have the default names.
  if (state.has_value()) {
    DOLMEN_RETURN_IF_ERROR(LoadDaemons(*state));
  } else {
    DOLMEN_RETURN_IF_ERROR(
        LoadDaemons(LocalState{.datanode_ports = std::vector<uint16_t>(LocalOptions::kMaxDatanodes)}));
  }
  const auto running =
      std::count_if(daemons_.begin(), daemons_.end(), [this](const Daemon& daemon) { return Runs(daemon); });
  StopDaemons(/*only_started_here=*/false);
  for (const Daemon& daemon : daemons_) {
    if (Runs(daemon)) {
      return MakeError(ErrorReason::kIo,
                       absl::StrCat("the ", daemon.name, " (pid ", daemon.process->pid, ") does not end"));
    }
  }
  if (running == 0) {
    streams_.out << "Nothing runs in " << directory_ << ".\n";
  } else {
    streams_.out << "Stopped " << running << " processes of " << directory_ << ".\n";
  }
  return absl::OkStatus();
}

absl::StatusOr<LocalStatus> LocalCluster::Status() {
  LocalStatus status{.directory = directory_};
  DOLMEN_ASSIGN_OR_RETURN(const std::optional<LocalState> state, ReadState());
  if (!state.has_value()) return status;
  DOLMEN_RETURN_IF_ERROR(LoadDaemons(*state));
  for (const Daemon& daemon : daemons_) {
    DaemonStatus one{.name = daemon.name, .port = daemon.port, .log = LogOf(daemon)};
    if (Runs(daemon)) {
      one.state = DaemonState::kRunning;
      one.pid = daemon.process->pid;
    } else if (daemon.process.has_value()) {
      one.state = DaemonState::kDead;
    }
    status.daemons.push_back(std::move(one));
  }
  return status;
}

int RunLocal(const std::vector<std::string>& args, const Connector& connector, const Environment& environment,
             Streams streams) {
  if (args.size() == 1 && (args[0] == "--help" || args[0] == "-help" || args[0] == "help")) {
    streams.out << LocalUsage();
    return 0;
  }
  const auto fail = [&streams](std::string_view message) {
    streams.out.flush();
    streams.err << "dolmen local: " << message << "\n";
    return 1;
  };
  absl::StatusOr<LocalOptions> options = ParseLocalOptions(args);
  if (!options.ok()) {
    fail(MessageOf(options.status()));
    streams.err << LocalUsage();
    return 255;
  }
  if (options->directory.empty()) {
    const char* home = environment("HOME");
    if (home == nullptr || *home == '\0') return fail("HOME is not set; say where with --dir");
    options->directory = absl::StrCat(home, "/.dolmen/local");
  }
  std::error_code error;
  const std::string directory = LexicallyNormal(std::filesystem::absolute(options->directory, error).string());
  if (error) return fail(absl::StrCat("--dir ", options->directory, ": ", error.message()));
  const absl::StatusOr<std::string> binaries = OwnDirectory();
  if (!binaries.ok()) return fail(MessageOf(binaries.status()));

  LocalCluster cluster(*options, directory, *binaries, connector, streams);
  absl::Status status;
  switch (options->action) {
    case LocalOptions::Action::kStart:
      status = cluster.Start();
      break;
    case LocalOptions::Action::kStop:
      status = cluster.Stop();
      break;
    case LocalOptions::Action::kStatus: {
      const absl::StatusOr<LocalStatus> found = cluster.Status();
      if (!found.ok()) return fail(MessageOf(found.status()));
      streams.out << (options->json ? FormatStatusJson(*found) : FormatStatusText(*found));
      return found->state() == "running" ? 0 : 1;
    }
  }
  return status.ok() ? 0 : fail(MessageOf(status));
}

}  // namespace dolmen::cli
