// Taking a file from its writer, and what HDFS tells those who want to open a file that is open already.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/error.h"
#include "namenode/core/operation.h"
#include "namenode/core/ops/open_file.h"

namespace dolmen::namenode::ops {

// kIllegalArgument unless a client may use this name.
absl::Status CheckHolder(const std::string& holder);

// Somebody who wants to open `path` for himself.
struct Opener {
  std::string_view operation;  // "CREATE_FILE", "APPEND_FILE", "TRUNCATE_FILE"
  const std::string& path;
  const std::string& holder;
  const Caller& caller;

  // "Failed to <operation> <path> for <holder> on <host> because <why>".
  absl::Status Refuse(ErrorReason reason, std::string_view why) const;
};

// `file` is open. OK when its holder is beyond the soft limit and it could be closed at once: that was done. Otherwise
// the refusal. A file whose holder is beyond the soft limit is put on the list of those to be taken
// (OperationContext::overdue), so that it is also when the operation is refused.
absl::Status MakeWay(OperationContext& context, const Opener& opener, WrittenFile* file);

// Closes an open file if nothing is left to do for it: its last block is committed, that and the one before have the
// minimum of replicas. Returns whether it was.
absl::StatusOr<bool> CloseIfDone(OperationContext& context, WrittenFile* file);

// Takes an open file from whoever holds it: it is closed if that can be done at once, otherwise the namenode holds it
// from now on; a new attempt to recover its last block begins if that is under construction. Returns whether the file
// was closed.
absl::StatusOr<bool> ReleaseLease(OperationContext& context, WrittenFile* file);

}  // namespace dolmen::namenode::ops
