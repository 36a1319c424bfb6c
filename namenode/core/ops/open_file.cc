#include "namenode/core/ops/open_file.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/utf8.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"

namespace dolmen::namenode::ops {

namespace {

std::string Describe(const WrittenFile& file, const std::string& holder) {
  return absl::StrCat(file.path, " (inode ", file.inode.id.value(), ") Holder ", holder);
}

absl::Status NotFound(std::string_view path, InodeId inode, const std::string& holder) {
  return MakeError(ErrorReason::kFileNotFound,
                   absl::StrCat("File does not exist: ", Printable(path), " (inode ", inode.value(), ") Holder ",
                                holder, " does not have any open files."));
}

absl::Status LoadOpen(const MetaReader& reader, WrittenFile* file) {
  if (!file->inode.under_construction) return absl::OkStatus();
  DOLMEN_ASSIGN_OR_RETURN(file->open, GetOpen(reader, file->inode.id));
  if (file->open.has_value()) return absl::OkStatus();
  return MakeError(ErrorReason::kDamaged, absl::StrCat(file->inode.id.ToString(), " is open but has no lease"));
}

}  // namespace

absl::StatusOr<WrittenFile> FindWrittenFile(const OperationContext& context, const Caller& caller,
                                            const std::string& path, InodeId inode, const std::string& holder,
                                            std::string_view operation) {
  const MetaReader& reader = *context.batch;
  if (!inode.is_none()) {
    WrittenFile file{.path = path};
    DOLMEN_ASSIGN_OR_RETURN(std::optional<InodePlace> place, FindPlace(reader, inode));
    if (!place.has_value()) return NotFound(path, inode, holder);
    file.place = *std::move(place);
    DOLMEN_ASSIGN_OR_RETURN(std::optional<InodeRecord> record,
                            GetInode(reader, file.place.parent(), file.place.name()));
    if (!record.has_value()) {
      return MakeError(ErrorReason::kDamaged, absl::StrCat("no record of ", inode.ToString()));
    }
    file.inode = *std::move(record);
    DOLMEN_RETURN_IF_ERROR(LoadOpen(reader, &file));
    return file;
  }
  const PermissionChecker checker(*context.settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(InodePath found,
                          ParseAndResolve(reader, checker, *context.settings, path, PathUse::kLookUp, operation));
  if (!found.Exists()) return NotFound(path, inode, holder);
  return ToWrittenFile(reader, path, std::move(found));
}

absl::StatusOr<WrittenFile> ToWrittenFile(const MetaReader& reader, const std::string& path, InodePath found) {
  WrittenFile file{.path = path};
  file.place.ancestors = found.Ids(found.names.size());
  file.inode = std::move(found.Target());
  file.place.names = std::move(found.names);
  DOLMEN_RETURN_IF_ERROR(LoadOpen(reader, &file));
  return file;
}

absl::StatusOr<std::optional<WrittenFile>> FindFileHeldBy(const OperationContext& context, InodeId inode,
                                                          const std::string& holder) {
  const MetaReader& reader = *context.batch;
  const std::optional<WrittenFile> none;
  DOLMEN_ASSIGN_OR_RETURN(std::optional<InodePlace> place, FindPlace(reader, inode));
  if (!place.has_value()) return none;  // deleted; the reaper removes what is left
  DOLMEN_ASSIGN_OR_RETURN(std::optional<InodeRecord> record, GetInode(reader, place->parent(), place->name()));
  DOLMEN_ASSIGN_OR_RETURN(std::optional<OpenRecord> open, GetOpen(reader, inode));
  if (!record.has_value() || !record->under_construction || !open.has_value() || open->holder != holder) return none;
  std::string path = place->Path();
  return WrittenFile{
      .path = std::move(path), .place = *std::move(place), .inode = *std::move(record), .open = std::move(open)};
}

absl::Status CheckLease(const WrittenFile& file, const std::string& holder) {
  if (file.inode.is_directory) {
    return MakeError(ErrorReason::kLeaseExpired, absl::StrCat("INode is not a regular file: ", Describe(file, holder)));
  }
  if (!file.open.has_value()) {
    return MakeError(ErrorReason::kLeaseExpired,
                     absl::StrCat("File is not open for writing: ", Describe(file, holder)));
  }
  // The namenode's own name is no secret, and nobody else's.
  if (file.open->holder != holder || holder == kNamenodeHolder) {
    return MakeError(ErrorReason::kLeaseExpired, absl::StrCat("Client (=", holder, ") is not the lease owner (=",
                                                              file.open->holder, ": ", Describe(file, holder)));
  }
  return absl::OkStatus();
}

absl::Status CommitLastBlock(OperationContext& context, WrittenFile* file, FileBlock* last, uint64_t length) {
  const uint64_t before = last->record.length;
  const bool is_committed = last->record.state == BlockState::kCommitted;
  if (is_committed && length == before) return absl::OkStatus();
  if (is_committed || length < before) {
    return MakeError(ErrorReason::kIo,
                     absl::StrCat("Commit block with mismatching length. NN has ", BlockText(last->AsBlock()), " with ",
                                  before, " bytes, client submits ", length, " for ", file->path));
  }
  if (length > file->inode.block_bytes) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat("Block ", BlockText(last->AsBlock()), " of ", file->path, " cannot have ", length,
                                  " bytes: the block size of the file is ", file->inode.block_bytes));
  }
  CommitBlock(context, &file->inode, last, length);
  return AddToTotals(context, file->place.ancestors, BytesDelta(file->inode, length - before));
}

bool HasMinimumReplicas(const OperationContext& context, const FileBlock& block) {
  return context.replicas->ConfirmedReplicas(block.AsBlock()) >= static_cast<int>(context.settings->min_replication);
}

absl::Status NotReplicatedYet(const WrittenFile& file) {
  return MakeError(ErrorReason::kNotReplicatedYet, absl::StrCat("Not replicated yet: ", file.path));
}

void PutFile(OperationContext& context, WrittenFile* file) {
  PutInode(context, file->place.parent(), file->place.name(), &file->inode);
}

absl::Status CloseFile(OperationContext& context, WrittenFile* file) {
  file->inode.under_construction = false;
  file->inode.modified = context.now;
  PutFile(context, file);
  return CloseLease(context, file->inode.id, *file->open);
}

}  // namespace dolmen::namenode::ops
