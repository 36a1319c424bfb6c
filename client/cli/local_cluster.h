// `dolmen local`: a namenode and its datanodes as processes of this machine, all state below one directory:
//
//   <dir>/local.json           ports, so that a restart keeps them
//   <dir>/lock                 held while starting or stopping
//   <dir>/namenode/            the namenode's metadata
//   <dir>/namenode.formatting  there while the above is being formatted; a leftover is formatted again (nothing was
//                              ever stored in it, for the namenode starts only after it is gone)
//   <dir>/datanode-N/          a datanode's replicas
//   <dir>/run/<name>.pid, .port   who runs, and the port it bound
//   <dir>/logs/<name>.log
#pragma once

#include <chrono>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cli/local_state.h"
#include "client/cli/session.h"
#include "common/file_system.h"

namespace dolmen::cli {

// One thread only.
class LocalCluster {
 public:
  // `binaries`: the directory of dolmen-namenode and dolmen-datanode.
  LocalCluster(LocalOptions options, std::string directory, std::string binaries, Connector connector, Streams streams);

  // Returns when the cluster is writable. Daemons that run already are left alone and missing ones are started; when
  // none is missing, that is an error. After a failure the daemons that this call started are stopped again. With
  // options.foreground it stays until SIGINT, SIGTERM or the end of a daemon, and stops the cluster.
  absl::Status Start();
  // SIGTERM, datanodes first; SIGKILL after 20 s. OK when nothing runs.
  absl::Status Stop();
  absl::StatusOr<LocalStatus> Status();

 private:
  struct Daemon {
    std::string name;     // "namenode", "datanode-1"
    std::string program;  // "dolmen-namenode"
    uint16_t port = 0;    // planned; 0 until the daemon picked one
    std::optional<ProcessRecord> process;
    bool started_here = false;
  };
  using Deadline = std::chrono::steady_clock::time_point;

  std::string PathOf(std::string_view name) const { return JoinPath(directory_, name); }
  std::string LogOf(const Daemon& daemon) const;
  std::string RunFile(const Daemon& daemon, std::string_view suffix) const;
  bool Runs(const Daemon& daemon) const;
  bool StopRequested() const;

  absl::StatusOr<std::unique_ptr<FileLock>> Lock();
  absl::StatusOr<std::optional<LocalState>> ReadState();
  // The daemons of `state`, with the processes their pid files name.
  absl::Status LoadDaemons(const LocalState& state);
  // `port_moves`: the namenode gets another port than the datanodes were told.
  absl::Status StartMissing(Deadline deadline, bool port_moves);
  absl::Status FormatOnFirstUse();
  absl::Status Launch(Daemon& daemon);
  absl::StatusOr<uint16_t> ReadPort(const Daemon& daemon);
  absl::Status WaitForPort(Daemon& daemon, Deadline deadline);
  absl::Status WaitUntilWritable(Deadline deadline);
  absl::Status SaveState();
  // `error` and the end of the daemon's log.
  absl::Status WithLog(const Daemon& daemon, const std::string& error) const;
  absl::Status FirstDead() const;
  void StopDaemons(bool only_started_here);
  void StopGroup(const std::vector<Daemon*>& group);
  absl::Status StayInForeground();

  const LocalOptions options_;
  const std::string directory_;
  const std::string binaries_;
  const Connector connector_;
  const Streams streams_;
  const std::unique_ptr<FileSystem> files_;
  std::vector<Daemon> daemons_;  // the namenode first
};

// `dolmen local ...`: the process's exit code.
int RunLocal(const std::vector<std::string>& args, const Connector& connector, const Environment& environment,
             Streams streams);

}  // namespace dolmen::cli
