// abandonBlock: the writer gives up the block it was allocated last. Repeating it, or naming a block that is not the
// last, changes nothing and succeeds. A block that was closed before, and opened again to append, can't be given up.
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/ops/open_file.h"
#include "namenode/core/ops/ops.h"

namespace dolmen::namenode::ops {

absl::StatusOr<protocol::AbandonBlockReply> Decide(OperationContext& context, const Caller& caller,
                                                   const protocol::AbandonBlockRequest& request) {
  DOLMEN_ASSIGN_OR_RETURN(
      WrittenFile file, FindWrittenFile(context, caller, request.path, request.inode, request.holder, "abandonBlock"));
  DOLMEN_RETURN_IF_ERROR(CheckLease(file, request.holder));
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(*context.batch, file.inode, 1));
  if (!last.has_value() || !last->Matches(request.block) || last->record.state == BlockState::kCommitted) {
    return protocol::AbandonBlockReply();
  }
  if (file.open->stamp_before_append.has_value()) {
    return MakeError(ErrorReason::kIo,
                     absl::StrCat("Cannot abandon ", BlockText(last), " of ", file.path, ": it had ",
                                  last->record.length, " bytes before it was opened again to append"));
  }
  DOLMEN_RETURN_IF_ERROR(FreeLastBlock(context, &file.inode));
  PutFile(context, &file);
  file.open->last_pipeline.clear();
  PutOpen(context, file.inode.id, *file.open);
  return protocol::AbandonBlockReply();
}

}  // namespace dolmen::namenode::ops
