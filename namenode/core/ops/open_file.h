// The steps that calls on a file being written have in common: finding it, checking the lease, fixing block lengths,
// closing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "namenode/core/inode_path.h"
#include "namenode/core/operation.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode::ops {

struct WrittenFile {
  std::string path;  // as the caller named it, for texts
  InodePlace place;
  InodeRecord inode;
  std::optional<OpenRecord> open;
};

// Finds the file by its id when given (so renames are transparent, and no permission but the lease counts), else by
// path. Errors: kFileNotFound "File does not exist: ..."; those of the path.
absl::StatusOr<WrittenFile> FindWrittenFile(const OperationContext& context, const Caller& caller,
                                            const std::string& path, InodeId inode, const std::string& holder,
                                            std::string_view operation);
// The file at an existing path.
absl::StatusOr<WrittenFile> ToWrittenFile(const MetaReader& reader, const std::string& path, InodePath found);
// The file with this id if `holder` has it open; nothing otherwise. For the namenode's own operations.
absl::StatusOr<std::optional<WrittenFile>> FindFileHeldBy(const OperationContext& context, InodeId inode,
                                                          const std::string& holder);
// OK when `holder` has the file open. Errors: kLeaseExpired with HDFS's texts.
absl::Status CheckLease(const WrittenFile& file, const std::string& holder);

// Fixes the length of the file's last block as its writer says; no change when it was fixed at that length before.
// `file` is changed, not written. Errors: kIllegalArgument when longer than a block may be; kIo for another length than
// was fixed, or less than the block had before it was appended to.
absl::Status CommitLastBlock(OperationContext& context, WrittenFile* file, FileBlock* last, uint64_t length);

// Whether the minimum of replicas of a committed block is confirmed.
bool HasMinimumReplicas(const OperationContext& context, const FileBlock& block);
absl::Status NotReplicatedYet(const WrittenFile& file);

// Writes the file's record at its place.
void PutFile(OperationContext& context, WrittenFile* file);
// Closes the file, all of whose blocks are committed: modification time, record, lease.
absl::Status CloseFile(OperationContext& context, WrittenFile* file);

}  // namespace dolmen::namenode::ops
