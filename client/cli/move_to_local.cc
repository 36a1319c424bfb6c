#include "client/cli/command.h"
#include "common/error.h"

namespace dolmen::cli {

// HDFS has the command, and this answer.
absl::Status RunMoveToLocal(CommandContext&) {
  return MakeError(ErrorReason::kIo, "Option '-moveToLocal' is not implemented yet.");
}

}  // namespace dolmen::cli
