// truncate. At a block's end (or at 0): the blocks behind are freed and that is all. Within a block: finalized bytes
// never change in place, so the datanodes make a shorter copy of the block under a new id (see FileRecovery); until
// enough of them have it, the file is open, held by the namenode, and the old block is its last one, to be read as
// before.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/ops/lease.h"
#include "namenode/core/ops/open_file.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"

namespace dolmen::namenode::ops {

namespace {

absl::StatusOr<WrittenFile> FindFileToTruncate(OperationContext& context, const Caller& caller,
                                               const protocol::TruncateRequest& request) {
  const PermissionChecker checker(*context.settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(InodePath path, ParseAndResolve(*context.batch, checker, *context.settings, request.path,
                                                          PathUse::kLookUp, "truncate"));
  if (!path.Exists()) {
    return MakeError(ErrorReason::kFileNotFound, absl::StrCat("File does not exist: ", request.path));
  }
  DOLMEN_RETURN_IF_ERROR(checker.CheckTarget(path, Access::kWrite));
  if (path.Target().is_directory) {
    return MakeError(ErrorReason::kFileNotFound, absl::StrCat("Path is not a file: ", request.path));
  }
  return ToWrittenFile(*context.batch, request.path, std::move(path));
}

// The file is being truncated: to the same length?
absl::StatusOr<protocol::TruncateReply> Again(OperationContext& context, const Opener& opener, const WrittenFile& file,
                                              uint64_t length) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(*context.batch, file.inode, 1));
  const uint64_t begin = file.inode.length - (last.has_value() ? last->record.length : 0);
  if (begin + file.open->truncation->length == length) return protocol::TruncateReply{.done = false};
  return opener.Refuse(ErrorReason::kAlreadyBeingCreated, absl::StrCat(file.path, " is being truncated."));
}

// Frees the blocks that lie behind `length` bytes of the file. `file` is changed, not written.
absl::Status FreeBlocksBehind(OperationContext& context, WrittenFile* file, uint64_t length) {
  const uint64_t length_before = file->inode.length;
  for (uint64_t freed = 0;; ++freed) {
    DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(*context.batch, file->inode, 1));
    if (!last.has_value() || file->inode.length - last->record.length < length) break;
    if (freed == context.settings->max_truncate_blocks) {
      return MakeError(ErrorReason::kIllegalArgument,
                       absl::StrCat("truncate: more than ", freed, " blocks of ", file->path, " lie behind ", length,
                                    " bytes: truncate it in several steps, the next one to ", file->inode.length,
                                    " bytes, or delete it"));
    }
    DOLMEN_RETURN_IF_ERROR(FreeLastBlock(context, &file->inode));
  }
  return AddToTotals(context, file->place.ancestors,
                     BytesDelta(file->inode, length_before - file->inode.length).Negated());
}

}  // namespace

absl::StatusOr<protocol::TruncateReply> Decide(OperationContext& context, const Caller& caller,
                                               const protocol::TruncateRequest& request) {
  DOLMEN_ASSIGN_OR_RETURN(WrittenFile file, FindFileToTruncate(context, caller, request));
  const Opener opener{"TRUNCATE_FILE", request.path, caller.user, caller};
  if (file.open.has_value() && file.open->truncation.has_value()) return Again(context, opener, file, request.length);
  if (file.open.has_value()) DOLMEN_RETURN_IF_ERROR(MakeWay(context, opener, &file));

  InodeRecord& inode = file.inode;
  if (request.length == inode.length) return protocol::TruncateReply{.done = true};
  if (request.length > inode.length) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat("Cannot truncate to a larger file size. Current size: ", inode.length,
                                  ", truncate size: ", request.length, "."));
  }
  DOLMEN_RETURN_IF_ERROR(FreeBlocksBehind(context, &file, request.length));
  inode.modified = context.now;
  if (inode.length == request.length) {
    PutFile(context, &file);
    return protocol::TruncateReply{.done = true};
  }
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(*context.batch, inode, 1));
  if (!last.has_value()) {
    return MakeError(ErrorReason::kDamaged,
                     absl::StrCat(request.path, " has ", inode.length, " bytes and no block that holds them"));
  }
  const uint64_t length = request.length - (inode.length - last->record.length);
  const FileBlock copy = AllocateCopy(context, *last);
  inode.under_construction = true;
  PutFile(context, &file);
  OpenLease(context, inode.id,
            {.holder = kNamenodeHolder,
             .client_host = caller.host,
             .truncation = OpenRecord::Truncation{.copy = copy.id, .length = length}});
  return protocol::TruncateReply{.done = false};
}

absl::Status FinishTruncation(OperationContext& context, InodeId inode, BlockId copy_id) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<WrittenFile> file, FindFileHeldBy(context, inode, kNamenodeHolder));
  if (!file.has_value()) return absl::OkStatus();
  const std::optional<OpenRecord::Truncation> truncation = file->open->truncation;
  if (!truncation.has_value() || truncation->copy != copy_id) return absl::OkStatus();
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(*context.batch, file->inode, 1));
  DOLMEN_ASSIGN_OR_RETURN(std::optional<BlockRecord> record, GetBlock(*context.batch, copy_id));
  if (!last.has_value() || !record.has_value()) {
    return MakeError(ErrorReason::kDamaged, absl::StrCat(inode.ToString(), " is being truncated, but its last block",
                                                         last.has_value() ? " has no copy" : " is not there"));
  }
  FileBlock copy{copy_id, *std::move(record)};
  // Nobody may have lost it since it was counted.
  const int copies = context.replicas->ConfirmedReplicas({copy.id, copy.record.stamp, truncation->length});
  const size_t enough = std::min<size_t>(context.settings->min_replication, context.replicas->LiveDatanodes());
  if (copies == 0 || copies < static_cast<int>(enough)) return absl::OkStatus();
  const uint64_t cut = last->record.length - truncation->length;
  ReplaceLastBlock(context, &file->inode, *last, std::move(copy), truncation->length);
  DOLMEN_RETURN_IF_ERROR(AddToTotals(context, file->place.ancestors, BytesDelta(file->inode, cut).Negated()));
  file->open->truncation.reset();  // the copy is a block of the file now
  return CloseFile(context, &*file);
}

}  // namespace dolmen::namenode::ops
