// complete: fixes the length of the last block and closes the file, once the minimum of replicas is confirmed.
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/file_status.h"
#include "namenode/core/ops/open_file.h"
#include "namenode/core/ops/ops.h"

namespace dolmen::namenode::ops {

namespace {

// Already closed with this last block: the first answer was lost.
bool LooksLikeRetry(const WrittenFile& file, const protocol::CompleteRequest& request,
                    const std::optional<FileBlock>& last) {
  if (file.inode.is_directory || file.inode.under_construction) return false;
  if (!request.last.has_value() || !last.has_value()) return request.last.has_value() == last.has_value();
  return last->Matches(*request.last);
}

}  // namespace

absl::StatusOr<protocol::CompleteReply> Decide(OperationContext& context, const Caller& caller,
                                               const protocol::CompleteRequest& request) {
  DOLMEN_ASSIGN_OR_RETURN(WrittenFile file,
                          FindWrittenFile(context, caller, request.path, request.inode, request.holder, "complete"));
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(*context.batch, file.inode, 1));
  if (absl::Status lease = CheckLease(file, request.holder); !lease.ok()) {
    if (!LooksLikeRetry(file, request, last)) return lease;
    return protocol::CompleteReply{.closed = true, .status = StatusOf(file.inode)};
  }
  const bool last_is_open = last.has_value() && last->record.state == BlockState::kUnderConstruction;
  const bool matches = request.last.has_value() ? last.has_value() && last->Matches(*request.last) : !last_is_open;
  if (!matches) {
    return MakeError(ErrorReason::kIo, absl::StrCat("Cannot complete ", file.path, ": passed 'last' block ",
                                                    request.last.has_value() ? BlockText(*request.last) : "null",
                                                    " does not match actual last block in file ", BlockText(last)));
  }
  // Earlier blocks were found safe when the ones behind them were allocated.
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> penultimate, GetBlockFromEnd(*context.batch, file.inode, 2));
  if (penultimate.has_value() && !HasMinimumReplicas(context, *penultimate)) return NotReplicatedYet(file);
  if (request.last.has_value()) {
    DOLMEN_RETURN_IF_ERROR(CommitLastBlock(context, &file, &*last, request.last->length));
  }
  if (last.has_value() && !HasMinimumReplicas(context, *last)) return NotReplicatedYet(file);
  DOLMEN_RETURN_IF_ERROR(CloseFile(context, &file));
  return protocol::CompleteReply{.closed = true, .status = StatusOf(file.inode)};
}

}  // namespace dolmen::namenode::ops
