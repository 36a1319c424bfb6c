// Daemons as processes: started in their own session, told apart from strangers, stopped.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/local_state.h"

namespace dolmen::cli {

// Starts a program in a session of its own (it outlives the caller and its terminal), standard input empty, output and
// errors appended to `log`, default signal handling, working directory "/" (so paths must be absolute). Error: it can't
// be run.
absl::StatusOr<ProcessRecord> StartDaemon(const std::vector<std::string>& command, const std::string& log);

// Nothing: no such process.
std::optional<ObservedProcess> ObserveProcess(int pid);

// Whether the recorded `program` runs. A child of ours that has ended is collected.
bool IsRunning(const ProcessRecord& record, std::string_view program);

// Signals the process if it is still the recorded one.
void SignalProcess(const ProcessRecord& record, std::string_view program, int signal);

// Waits for a child to end; its exit code, 128 + signal when it was killed.
int WaitForChild(int pid);

// Directory of the running executable.
absl::StatusOr<std::string> OwnDirectory();

}  // namespace dolmen::cli
