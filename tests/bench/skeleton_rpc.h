// The bare server that a namenode is measured against: it speaks the namenode's protocol, knows nothing, and answers
// every call of a kind with the same canned reply. A query is answered at once (the echo); a change after one thread
// has written what the namenode would write, many changes in one synced RocksDB batch (the committer).
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/commit_model.h"

namespace dolmen::bench {

// By the name of the call: the serialised reply.
using CannedReplies = std::map<std::string, std::string>;

// Writes what the server needs into `directory`, which must exist; the database will be there, too.
absl::Status PrepareRpcSkeleton(const std::string& directory, const CannedReplies& replies, const CommitModel& model);

// The server's process: serves until it is killed. Returns only an error.
absl::Status ServeRpcSkeleton(const std::string& directory, const std::string& port_file);

}  // namespace dolmen::bench
