// Closing a file whose writer is gone.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/ops/open_file.h"
#include "namenode/core/ops/ops.h"

namespace dolmen::namenode::ops {

namespace {

// A block that its whole pipeline finished, and only such a block, may have been promised to somebody: then each
// datanode of the pipeline has it, so one that has said what it holds is enough to know. As long as none has (all are
// down, or this namenode has just started), it is not known.
bool MayBeFinishedSomewhere(const OperationContext& context, const OpenRecord& open) {
  if (open.last_pipeline.empty()) return false;
  return std::none_of(open.last_pipeline.begin(), open.last_pipeline.end(), [&](const OpenRecord::Target& target) {
    return context.replicas->HasReported(target.datanode, target.storage);
  });
}

}  // namespace

absl::Status CloseExpired(OperationContext& context, InodeId inode, const std::string& holder) {
  // Whatever is found: this holder's claim on the inode ends here.
  const auto nothing_to_close = [&] {
    context.effects->push_back(LeaseClosed{.holder = holder, .inode = inode});
    return absl::OkStatus();
  };
  DOLMEN_ASSIGN_OR_RETURN(std::optional<InodePlace> place, FindPlace(*context.batch, inode));
  if (!place.has_value()) return nothing_to_close();  // deleted; the reaper removes what is left
  DOLMEN_ASSIGN_OR_RETURN(std::optional<InodeRecord> record, GetInode(*context.batch, place->parent(), place->name()));
  DOLMEN_ASSIGN_OR_RETURN(std::optional<OpenRecord> open, GetOpen(*context.batch, inode));
  if (!record.has_value() || !record->under_construction || !open.has_value() || open->holder != holder) {
    return nothing_to_close();
  }

  WrittenFile file{.path = place->Path(), .place = *std::move(place), .inode = *std::move(record), .open = open};
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(*context.batch, file.inode, 1));
  if (last.has_value() && last->record.state == BlockState::kUnderConstruction) {
    const std::optional<uint64_t> length = context.replicas->FinalizedLength(last->id, last->record.stamp);
    if (length.has_value() && *length <= file.inode.block_bytes) {
      DOLMEN_RETURN_IF_ERROR(CommitLastBlock(context, &file, &*last, *length));
    } else if (MayBeFinishedSomewhere(context, *file.open)) {
      context.effects->push_back(LeaseCloseDeferred{.holder = holder, .inode = inode});
      return absl::OkStatus();
    } else {
      DOLMEN_RETURN_IF_ERROR(FreeLastBlock(context, &file.inode));
    }
  }
  CloseFile(context, &file);
  return absl::OkStatus();
}

}  // namespace dolmen::namenode::ops
