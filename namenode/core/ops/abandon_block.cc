// abandonBlock: the writer gives up the block it was allocated last. Repeating it, or naming a block that is not the
// last, changes nothing and succeeds.
#include <optional>

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
  DOLMEN_RETURN_IF_ERROR(FreeLastBlock(context, &file.inode));
  PutFile(context, &file);
  file.open->last_pipeline.clear();
  PutOpen(context, file.inode.id, *file.open);
  return protocol::AbandonBlockReply();
}

}  // namespace dolmen::namenode::ops
