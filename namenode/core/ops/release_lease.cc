// The namenode's own operations on files that it takes, or took, from their writers.
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/ops/lease.h"
#include "namenode/core/ops/open_file.h"
#include "namenode/core/ops/ops.h"

namespace dolmen::namenode::ops {

absl::Status ReleaseExpired(OperationContext& context, InodeId inode, const std::string& holder) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<WrittenFile> file, FindFileHeldBy(context, inode, holder));
  if (!file.has_value()) {
    // Whatever became of it (deleted, closed, taken): this holder's claim on the inode ends here.
    context.effects->push_back(LeaseClosed{.holder = holder, .inode = inode});
    return absl::OkStatus();
  }
  return ReleaseLease(context, &*file).status();
}

absl::Status ContinueRecovery(OperationContext& context, InodeId inode) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<WrittenFile> file, FindFileHeldBy(context, inode, kNamenodeHolder));
  if (!file.has_value()) return absl::OkStatus();
  return ReleaseLease(context, &*file).status();
}

absl::Status FinishRecovery(OperationContext& context, InodeId inode, GenerationStamp recovery,
                            const RecoveryOutcome& outcome) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<WrittenFile> file, FindFileHeldBy(context, inode, kNamenodeHolder));
  if (!file.has_value() || file->open->recovery != recovery) return absl::OkStatus();
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(*context.batch, file->inode, 1));
  if (!last.has_value() || last->record.state != BlockState::kUnderConstruction) {
    return MakeError(ErrorReason::kDamaged, absl::StrCat(inode.ToString(), " has no block to be recovered"));
  }
  switch (outcome.kind) {
    case RecoveryOutcome::Kind::kRecovered:
      // Nobody may have lost it since it was counted.
      if (context.replicas->ConfirmedReplicas({last->id, recovery, outcome.length}) == 0) return absl::OkStatus();
      last->record.stamp = recovery;
      DOLMEN_RETURN_IF_ERROR(CommitLastBlock(context, &*file, &*last, outcome.length));
      break;
    case RecoveryOutcome::Kind::kNothingThere:
      if (last->record.length != 0) {
        return MakeError(ErrorReason::kDamaged, absl::StrCat(BlockText(last), " of ", inode.ToString(), " has ",
                                                             last->record.length, " bytes that can't be dropped"));
      }
      DOLMEN_RETURN_IF_ERROR(FreeLastBlock(context, &file->inode));
      break;
    case RecoveryOutcome::Kind::kNothingUsable:
      if (!file->open->stamp_before_append.has_value()) {
        return MakeError(ErrorReason::kDamaged,
                         absl::StrCat(BlockText(last), " of ", inode.ToString(), " was not appended to"));
      }
      last->record.stamp = *file->open->stamp_before_append;
      // Better open, and readable where it was being written, than closed with nobody who is known to have it.
      if (context.replicas->ConfirmedReplicas(last->AsBlock()) == 0) return absl::OkStatus();
      DOLMEN_RETURN_IF_ERROR(CommitLastBlock(context, &*file, &*last, last->record.length));
      break;
  }
  return CloseFile(context, &*file);
}

}  // namespace dolmen::namenode::ops
