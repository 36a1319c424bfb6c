// Typed access to the stored namespace. Reading takes any MetaReader; every change goes through an OperationContext
// and, inside tables.cc, through ONE function that overwrites or removes stored records.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/protocol/types.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/operation.h"
#include "namenode/core/records.h"

namespace dolmen::namenode {

// ---- inodes -------------------------------------------------------------------------------------------------------

// The entry `name` of a directory, or nothing. Errors of all reading functions: kDamaged or kIo from the store.
absl::StatusOr<std::optional<InodeRecord>> GetInode(const MetaReader& reader, InodeId parent, std::string_view name);
// kDamaged when there is none: the namespace was never formatted.
absl::StatusOr<InodeRecord> GetRoot(const MetaReader& reader);

// Where an inode is.
struct InodePlace {
  std::vector<InodeId> ancestors;  // the root first, the parent last; none for the root itself
  std::vector<std::string> names;  // the path's components

  InodeId parent() const { return ancestors.empty() ? InodeId() : ancestors.back(); }
  std::string_view name() const { return names.empty() ? std::string_view() : std::string_view(names.back()); }
  std::string Path() const;
};
// Nothing for an unknown id and for one whose parents do not reach the root (it was deleted and awaits the reaper).
absl::StatusOr<std::optional<InodePlace>> FindPlace(const MetaReader& reader, InodeId inode);
absl::StatusOr<std::optional<InodeRecord>> GetInodeById(const MetaReader& reader, InodeId inode);
// kFileNotFound when the id does not resolve.
absl::StatusOr<std::string> PathOf(const MetaReader& reader, InodeId inode);

// Writes the record of an entry and sets its changed_at.
void PutInode(OperationContext& context, InodeId parent, std::string_view name, InodeRecord* record);
// The same for an entry that is new at this place: also says where the id is.
void LinkInode(OperationContext& context, InodeId parent, std::string_view name, InodeRecord* record);
// Removes the entry and forgets where its id is. What hangs on the id (blocks, children, totals) stays.
void UnlinkInode(OperationContext& context, InodeId parent, std::string_view name, InodeId inode);

// ---- deleted roots ------------------------------------------------------------------------------------------------

void PutDetached(OperationContext& context, const DetachedRecord& record);
void RemoveDetached(OperationContext& context, InodeId inode);

// ---- blocks -------------------------------------------------------------------------------------------------------

// In an inode's extensions: a block that is not the last is shorter than block_bytes, so offsets are sums of lengths
// and not multiples of block_bytes. Empty value.
inline constexpr uint64_t kIrregularBlocksTag = 1;

struct FileBlock {
  BlockId id;
  BlockRecord record;

  protocol::Block AsBlock() const { return {id, record.stamp, record.length}; }
  bool Matches(const protocol::Block& block) const { return block.id == id && block.stamp == record.stamp; }
};
// "blk_1073741824_1001", or "null".
std::string BlockText(const protocol::Block& block);
std::string BlockText(const std::optional<FileBlock>& block);

absl::StatusOr<std::optional<BlockRecord>> GetBlock(const MetaReader& reader, BlockId block);
// kDamaged when the file has no block with that index.
absl::StatusOr<FileBlock> GetFileBlock(const MetaReader& reader, InodeId inode, uint64_t index);
// The file's block number block_count - `from_end` (1: the last); nothing when it has fewer.
absl::StatusOr<std::optional<FileBlock>> GetBlockFromEnd(const MetaReader& reader, const InodeRecord& file,
                                                         uint64_t from_end);

// Ids of the blocks number `first` to before `end`, in order; fewer when the file ends before.
absl::StatusOr<std::vector<BlockId>> FileBlockIds(const MetaReader& reader, InodeId file, uint64_t first, uint64_t end);

// Allocates id and stamp and appends a block under construction. `file` is changed, not written.
FileBlock AppendBlock(OperationContext& context, InodeRecord* file);
// Fixes the length of a block under construction, which has not less than its record says already. `file` is changed,
// not written; totals are the caller's.
void CommitBlock(OperationContext& context, InodeRecord* file, FileBlock* block, uint64_t length);
// Opens a committed block again, to append to it, with a new stamp. What it has stays part of the file.
void ReopenBlock(OperationContext& context, FileBlock* block);
// Removes the file's last block and frees it. `file` is changed, not written; totals are the caller's. kDamaged when it
// has none.
absl::Status FreeLastBlock(OperationContext& context, InodeRecord* file);
// Moves all blocks of the closed file `from`, which is going away, to the end of the closed file `to`, which gives them
// its number of replicas. `to` is changed, not written; `from` is left as it was, and so are totals.
absl::Status MoveBlocks(OperationContext& context, const InodeRecord& from, InodeRecord* to);
// Gives the file's blocks number `first` to before `end` the number of replicas its record says.
absl::Status SetReplicasOfBlocks(OperationContext& context, const InodeRecord& file, uint64_t first, uint64_t end);

// ---- changes of replication under way -----------------------------------------------------------------------------

// A file with more blocks than one operation may change: its record has the new number of replicas, its blocks from
// `next_index` on may still have the number before. The namenode goes on by itself (ops::ContinueSetReplication).
struct ReplicationChange {
  InodeId inode;
  uint64_t next_index = 0;
};
absl::StatusOr<std::optional<ReplicationChange>> FirstReplicationChange(const MetaReader& reader);
void PutReplicationChange(OperationContext& context, const ReplicationChange& change);
// Nothing is written when there is none.
absl::Status RemoveReplicationChange(OperationContext& context, InodeId inode);

// A shorter copy of a file's last block that is being made (OpenRecord::truncation): allocates its id and stamp. It is
// no block of the file until ReplaceLastBlock.
FileBlock AllocateCopy(OperationContext& context, const FileBlock& last);
// The copy of `length` bytes takes the place of the file's last block, committed; that is freed. `file` is changed, not
// written; totals are the caller's.
void ReplaceLastBlock(OperationContext& context, InodeRecord* file, const FileBlock& last, FileBlock copy,
                      uint64_t length);
// Takes a new generation stamp.
GenerationStamp NextStamp(OperationContext& context);

// ---- open files ---------------------------------------------------------------------------------------------------

absl::StatusOr<std::optional<OpenRecord>> GetOpen(const MetaReader& reader, InodeId inode);
void PutOpen(OperationContext& context, InodeId inode, const OpenRecord& record);
// PutOpen for a file opened just now.
void OpenLease(OperationContext& context, InodeId inode, const OpenRecord& record);
// The file is no longer open: it was closed, or deleted. A copy that was being made of its last block is freed.
absl::Status CloseLease(OperationContext& context, InodeId inode, const OpenRecord& record);

// ---- totals -------------------------------------------------------------------------------------------------------

struct TotalsDelta {
  int64_t files = 0;
  int64_t directories = 0;
  int64_t bytes = 0;
  std::map<protocol::StorageType, int64_t> replicated_bytes;

  TotalsDelta Negated() const;
  bool IsZero() const;
};
// Sums below a directory; zeros are not stored.
absl::StatusOr<TotalsRecord> GetTotals(const MetaReader& reader, InodeId directory);
// What `length` more committed bytes of a file change.
TotalsDelta BytesDelta(const InodeRecord& file, uint64_t length);
// What an entry with all below it contributes to the directories above.
absl::StatusOr<TotalsDelta> ContributionOf(const MetaReader& reader, const InodeRecord& inode);
// Adds to each of `directories`; one write per directory and batch, however many operations add. kDamaged below zero.
absl::Status AddToTotals(OperationContext& context, std::span<const InodeId> directories, const TotalsDelta& delta);
void RemoveTotals(OperationContext& context, InodeId directory);

}  // namespace dolmen::namenode
