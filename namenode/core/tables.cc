#include "namenode/core/tables.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/key_codec.h"

namespace dolmen::namenode {

namespace {

// Longer chains of parents than any tree can have: stored ids that form a cycle.
constexpr size_t kMaxDepth = 10'000'000;

// The single place where a stored record of the namespace is overwritten or removed (no value). When snapshots come,
// this is where the record that a live snapshot still needs is first copied to kHistory under (family, key, commit):
// the old value is what the batch reads under `key` now, and its changed_at tells whether a snapshot saw it.
void Overwrite(OperationContext& context, Family family, std::string key, std::optional<std::string> value) {
  if (value.has_value()) {
    context.batch->Put(family, std::move(key), *std::move(value));
  } else {
    context.batch->Delete(family, std::move(key));
  }
}

template <typename Record>
absl::StatusOr<std::optional<Record>> Load(const MetaReader& reader, Family family, std::string_view key,
                                           absl::StatusOr<Record> (*decode)(std::string_view)) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<std::string> bytes, reader.Get(family, key));
  if (!bytes.has_value()) return std::optional<Record>();
  DOLMEN_ASSIGN_OR_RETURN(Record record, decode(*bytes));
  return std::optional<Record>(std::move(record));
}

void PutBlock(OperationContext& context, FileBlock* block) {
  block->record.changed_at = context.commit;
  Overwrite(context, Family::kBlocks, keys::Block(block->id), EncodeBlock(block->record));
}

// A new block under construction at `index` of `file`.
FileBlock AllocateBlock(OperationContext& context, InodeId file, uint64_t index, uint32_t replicas_wanted) {
  Counters& counters = *context.counters;
  FileBlock block{.id = counters.next_block,
                  .record = {.inode = file,
                             .index = index,
                             .stamp = NextStamp(context),
                             .state = BlockState::kUnderConstruction,
                             .replicas_wanted = replicas_wanted}};
  counters.next_block = BlockId(counters.next_block.value() + kBlockIdStep);
  ++counters.block_count;
  PutBlock(context, &block);
  return block;
}

// The one function that frees blocks.
void FreeBlock(OperationContext& context, const FileBlock& block) {
  Overwrite(context, Family::kBlocks, keys::Block(block.id), std::nullopt);
  --context.counters->block_count;
  if (block.record.state == BlockState::kCommitted) --context.counters->committed_block_count;
  context.effects->push_back(BlockFreed{.block = block.AsBlock()});
}

void PutFileBlock(OperationContext& context, InodeId file, uint64_t index, BlockId block) {
  Overwrite(context, Family::kFileBlocks, keys::FileBlock(file, index), keys::FileBlockValue(block));
}

}  // namespace

// ---- inodes -------------------------------------------------------------------------------------------------------

absl::StatusOr<std::optional<InodeRecord>> GetInode(const MetaReader& reader, InodeId parent, std::string_view name) {
  return Load(reader, Family::kInodes, keys::Inode(parent, name), DecodeInode);
}

absl::StatusOr<InodeRecord> GetRoot(const MetaReader& reader) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<InodeRecord> root, GetInode(reader, InodeId(), ""));
  if (!root.has_value()) return MakeError(ErrorReason::kDamaged, "the stored namespace has no root directory");
  return *std::move(root);
}

std::string InodePlace::Path() const {
  if (names.empty()) return "/";
  std::string path;
  for (const std::string& name : names) path.append("/").append(name);
  return path;
}

absl::StatusOr<std::optional<InodePlace>> FindPlace(const MetaReader& reader, InodeId inode) {
  InodePlace place;
  for (InodeId at = inode; at != kRootInode;) {
    DOLMEN_ASSIGN_OR_RETURN(std::optional<ParentLink> link, Load(reader, Family::kIds, keys::Id(at), DecodeParentLink));
    if (!link.has_value()) return std::optional<InodePlace>();
    place.ancestors.push_back(link->parent);
    place.names.push_back(std::move(link->name));
    at = link->parent;
    if (place.ancestors.size() > kMaxDepth) {
      return MakeError(ErrorReason::kDamaged, absl::StrCat("the parents of ", inode.ToString(), " form a cycle"));
    }
  }
  std::reverse(place.ancestors.begin(), place.ancestors.end());
  std::reverse(place.names.begin(), place.names.end());
  return std::optional<InodePlace>(std::move(place));
}

absl::StatusOr<std::optional<InodeRecord>> GetInodeById(const MetaReader& reader, InodeId inode) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<InodePlace> place, FindPlace(reader, inode));
  if (!place.has_value()) return std::optional<InodeRecord>();
  DOLMEN_ASSIGN_OR_RETURN(std::optional<InodeRecord> record, GetInode(reader, place->parent(), place->name()));
  if (!record.has_value() || record->id != inode) {
    return MakeError(ErrorReason::kDamaged,
                     absl::StrCat("no record of ", inode.ToString(), " where its id points, at ", place->Path()));
  }
  return record;
}

absl::StatusOr<std::string> PathOf(const MetaReader& reader, InodeId inode) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<InodePlace> place, FindPlace(reader, inode));
  if (!place.has_value()) {
    return MakeError(ErrorReason::kFileNotFound, absl::StrCat("File does not exist: inode ", inode.value()));
  }
  return place->Path();
}

void PutInode(OperationContext& context, InodeId parent, std::string_view name, InodeRecord* record) {
  record->changed_at = context.commit;
  Overwrite(context, Family::kInodes, keys::Inode(parent, name), EncodeInode(*record));
}

void LinkInode(OperationContext& context, InodeId parent, std::string_view name, InodeRecord* record) {
  PutInode(context, parent, name, record);
  Overwrite(context, Family::kIds, keys::Id(record->id),
            EncodeParentLink({.parent = parent, .name = std::string(name)}));
}

void UnlinkInode(OperationContext& context, InodeId parent, std::string_view name, InodeId inode) {
  Overwrite(context, Family::kInodes, keys::Inode(parent, name), std::nullopt);
  Overwrite(context, Family::kIds, keys::Id(inode), std::nullopt);
}

// ---- deleted roots ------------------------------------------------------------------------------------------------

void PutDetached(OperationContext& context, const DetachedRecord& record) {
  Overwrite(context, Family::kDetached, keys::Id(record.inode.id), EncodeDetached(record));
}

void RemoveDetached(OperationContext& context, InodeId inode) {
  Overwrite(context, Family::kDetached, keys::Id(inode), std::nullopt);
}

// ---- blocks -------------------------------------------------------------------------------------------------------

std::string BlockText(const protocol::Block& block) {
  return absl::StrCat(block.id.ToString(), "_", block.stamp.value());
}

std::string BlockText(const std::optional<FileBlock>& block) {
  return block.has_value() ? BlockText(block->AsBlock()) : "null";
}

absl::StatusOr<std::optional<BlockRecord>> GetBlock(const MetaReader& reader, BlockId block) {
  return Load(reader, Family::kBlocks, keys::Block(block), DecodeBlock);
}

absl::StatusOr<FileBlock> GetFileBlock(const MetaReader& reader, InodeId inode, uint64_t index) {
  const auto damaged = [&](std::string_view what) {
    return MakeError(ErrorReason::kDamaged,
                     absl::StrCat("block ", index, " of ", inode.ToString(), " has no ", ToAbsl(what)));
  };
  DOLMEN_ASSIGN_OR_RETURN(std::optional<BlockId> id,
                          Load(reader, Family::kFileBlocks, keys::FileBlock(inode, index), keys::ParseFileBlockValue));
  if (!id.has_value()) return damaged("id");
  DOLMEN_ASSIGN_OR_RETURN(std::optional<BlockRecord> record, GetBlock(reader, *id));
  if (!record.has_value()) return damaged("record");
  return FileBlock{*id, *std::move(record)};
}

absl::StatusOr<std::optional<FileBlock>> GetBlockFromEnd(const MetaReader& reader, const InodeRecord& file,
                                                         uint64_t from_end) {
  if (file.block_count < from_end) return std::optional<FileBlock>();
  DOLMEN_ASSIGN_OR_RETURN(FileBlock block, GetFileBlock(reader, file.id, file.block_count - from_end));
  return std::optional<FileBlock>(std::move(block));
}

absl::StatusOr<std::vector<BlockId>> FileBlockIds(const MetaReader& reader, InodeId file, uint64_t first,
                                                  uint64_t end) {
  std::vector<BlockId> ids;
  absl::Status failed;
  DOLMEN_RETURN_IF_ERROR(reader.Scan(Family::kFileBlocks, keys::FileBlock(file, first), keys::FileBlock(file, end),
                                     [&](std::string_view, std::string_view value) {
                                       absl::StatusOr<BlockId> id = keys::ParseFileBlockValue(value);
                                       failed = id.status();
                                       if (id.ok()) ids.push_back(*id);
                                       return id.ok();
                                     }));
  DOLMEN_RETURN_IF_ERROR(failed);
  return ids;
}

GenerationStamp NextStamp(OperationContext& context) {
  const GenerationStamp stamp = context.counters->next_stamp;
  context.counters->next_stamp = stamp.Next();
  return stamp;
}

FileBlock AppendBlock(OperationContext& context, InodeRecord* file) {
  FileBlock block = AllocateBlock(context, file->id, file->block_count, file->redundancy.replicas);
  PutFileBlock(context, file->id, file->block_count, block.id);
  ++file->block_count;
  return block;
}

void CommitBlock(OperationContext& context, InodeRecord* file, FileBlock* block, uint64_t length) {
  file->length += length - block->record.length;
  block->record.length = length;
  block->record.state = BlockState::kCommitted;
  PutBlock(context, block);
  ++context.counters->committed_block_count;
  context.effects->push_back(
      BlockCommitted{.block = block->AsBlock(), .replicas_wanted = block->record.replicas_wanted});
}

void ReopenBlock(OperationContext& context, FileBlock* block) {
  block->record.stamp = NextStamp(context);
  block->record.state = BlockState::kUnderConstruction;
  PutBlock(context, block);
  --context.counters->committed_block_count;
}

absl::Status FreeLastBlock(OperationContext& context, InodeRecord* file) {
  if (file->block_count == 0) {
    return MakeError(ErrorReason::kDamaged, absl::StrCat("a block of ", file->id.ToString(), ", which has none"));
  }
  const uint64_t index = file->block_count - 1;
  DOLMEN_ASSIGN_OR_RETURN(FileBlock block, GetFileBlock(*context.batch, file->id, index));
  Overwrite(context, Family::kFileBlocks, keys::FileBlock(file->id, index), std::nullopt);
  FreeBlock(context, block);
  file->block_count = index;
  file->length -= block.record.length;
  return absl::OkStatus();
}

FileBlock AllocateCopy(OperationContext& context, const FileBlock& last) {
  return AllocateBlock(context, last.record.inode, last.record.index, last.record.replicas_wanted);
}

void ReplaceLastBlock(OperationContext& context, InodeRecord* file, const FileBlock& last, FileBlock copy,
                      uint64_t length) {
  FreeBlock(context, last);
  file->length -= last.record.length;
  copy.record.replicas_wanted = file->redundancy.replicas;  // it may have been changed since
  PutFileBlock(context, file->id, copy.record.index, copy.id);
  CommitBlock(context, file, &copy, length);
}

namespace {

// The blocks number `first` to before `end`, all of which there must be.
absl::StatusOr<std::vector<FileBlock>> GetFileBlocks(const MetaReader& reader, const InodeRecord& file, uint64_t first,
                                                     uint64_t end) {
  DOLMEN_ASSIGN_OR_RETURN(std::vector<BlockId> ids, FileBlockIds(reader, file.id, first, end));
  if (ids.size() != end - first) {
    return MakeError(ErrorReason::kDamaged,
                     absl::StrCat(file.id.ToString(), " has ", ids.size(), " blocks from ", first, " to before ", end));
  }
  std::vector<FileBlock> blocks;
  blocks.reserve(ids.size());
  for (BlockId id : ids) {
    DOLMEN_ASSIGN_OR_RETURN(std::optional<BlockRecord> record, GetBlock(reader, id));
    if (!record.has_value()) {
      return MakeError(ErrorReason::kDamaged,
                       absl::StrCat("no record of ", id.ToString(), ", a block of ", file.id.ToString()));
    }
    blocks.push_back({id, *std::move(record)});
  }
  return blocks;
}

// The record is changed, not written.
void SetReplicas(OperationContext& context, FileBlock* block, uint32_t replicas) {
  if (block->record.replicas_wanted == replicas) return;
  block->record.replicas_wanted = replicas;
  // In place: moving the variant makes g++ 12 warn of other alternatives' members.
  if (block->record.state == BlockState::kCommitted) context.effects->emplace_back(BlockReplicasChanged{block->id});
}

}  // namespace

absl::Status MoveBlocks(OperationContext& context, const InodeRecord& from, InodeRecord* to) {
  DOLMEN_ASSIGN_OR_RETURN(std::vector<FileBlock> blocks, GetFileBlocks(*context.batch, from, 0, from.block_count));
  for (FileBlock& block : blocks) {
    Overwrite(context, Family::kFileBlocks, keys::FileBlock(from.id, block.record.index), std::nullopt);
    block.record.inode = to->id;
    block.record.index = to->block_count++;
    SetReplicas(context, &block, to->redundancy.replicas);
    PutBlock(context, &block);
    Overwrite(context, Family::kFileBlocks, keys::FileBlock(to->id, block.record.index),
              keys::FileBlockValue(block.id));
    to->length += block.record.length;
  }
  return absl::OkStatus();
}

absl::Status SetReplicasOfBlocks(OperationContext& context, const InodeRecord& file, uint64_t first, uint64_t end) {
  DOLMEN_ASSIGN_OR_RETURN(std::vector<FileBlock> blocks, GetFileBlocks(*context.batch, file, first, end));
  for (FileBlock& block : blocks) {
    if (block.record.replicas_wanted == file.redundancy.replicas) continue;
    SetReplicas(context, &block, file.redundancy.replicas);
    PutBlock(context, &block);
  }
  return absl::OkStatus();
}

// ---- changes of replication under way -----------------------------------------------------------------------------

absl::StatusOr<std::optional<ReplicationChange>> FirstReplicationChange(const MetaReader& reader) {
  std::optional<ReplicationChange> first;
  absl::Status failed;
  DOLMEN_RETURN_IF_ERROR(reader.Scan(Family::kMeta, keys::kReplicationStart, keys::kReplicationEnd,
                                     [&](std::string_view key, std::string_view value) {
                                       absl::StatusOr<InodeId> inode = keys::ParseReplication(key);
                                       absl::StatusOr<uint64_t> next = keys::ParseReplicationValue(value);
                                       failed = inode.ok() ? next.status() : inode.status();
                                       if (failed.ok()) first = ReplicationChange{*inode, *next};
                                       return false;
                                     }));
  DOLMEN_RETURN_IF_ERROR(failed);
  return first;
}

void PutReplicationChange(OperationContext& context, const ReplicationChange& change) {
  Overwrite(context, Family::kMeta, keys::Replication(change.inode), keys::ReplicationValue(change.next_index));
}

absl::Status RemoveReplicationChange(OperationContext& context, InodeId inode) {
  std::string key = keys::Replication(inode);
  DOLMEN_ASSIGN_OR_RETURN(const std::optional<std::string> stored, context.batch->Get(Family::kMeta, key));
  if (stored.has_value()) Overwrite(context, Family::kMeta, std::move(key), std::nullopt);
  return absl::OkStatus();
}

// ---- open files ---------------------------------------------------------------------------------------------------

absl::StatusOr<std::optional<OpenRecord>> GetOpen(const MetaReader& reader, InodeId inode) {
  return Load(reader, Family::kOpen, keys::Id(inode), DecodeOpen);
}

void PutOpen(OperationContext& context, InodeId inode, const OpenRecord& record) {
  Overwrite(context, Family::kOpen, keys::Id(inode), EncodeOpen(record));
}

void OpenLease(OperationContext& context, InodeId inode, const OpenRecord& record) {
  PutOpen(context, inode, record);
  context.effects->push_back(LeaseOpened{.holder = record.holder, .inode = inode});
}

absl::Status CloseLease(OperationContext& context, InodeId inode, const OpenRecord& record) {
  if (record.truncation.has_value()) {
    DOLMEN_ASSIGN_OR_RETURN(std::optional<BlockRecord> copy, GetBlock(*context.batch, record.truncation->copy));
    if (copy.has_value()) FreeBlock(context, {record.truncation->copy, *std::move(copy)});
  }
  Overwrite(context, Family::kOpen, keys::Id(inode), std::nullopt);
  context.effects->push_back(LeaseClosed{.holder = record.holder, .inode = inode});
  return absl::OkStatus();
}

// ---- totals -------------------------------------------------------------------------------------------------------

namespace {

// False when the sum would be below zero.
bool Add(int64_t delta, uint64_t* value) {
  const uint64_t sum = *value + static_cast<uint64_t>(delta);
  if (delta < 0 ? sum > *value : sum < *value) return false;
  *value = sum;
  return true;
}

bool Add(const TotalsDelta& delta, TotalsRecord* totals) {
  if (!Add(delta.files, &totals->files) || !Add(delta.directories, &totals->directories) ||
      !Add(delta.bytes, &totals->bytes)) {
    return false;
  }
  for (const auto& [type, bytes] : delta.replicated_bytes) {
    uint64_t& value = totals->replicated_bytes[type];
    if (!Add(bytes, &value)) return false;
    if (value == 0) totals->replicated_bytes.erase(type);
  }
  return true;
}

TotalsDelta Of(const TotalsRecord& totals) {
  TotalsDelta delta{.files = static_cast<int64_t>(totals.files),
                    .directories = static_cast<int64_t>(totals.directories),
                    .bytes = static_cast<int64_t>(totals.bytes)};
  for (const auto& [type, bytes] : totals.replicated_bytes) delta.replicated_bytes[type] = static_cast<int64_t>(bytes);
  return delta;
}

}  // namespace

TotalsDelta TotalsDelta::Negated() const {
  TotalsDelta negated{.files = -files, .directories = -directories, .bytes = -bytes};
  for (const auto& [type, sum] : replicated_bytes) negated.replicated_bytes[type] = -sum;
  return negated;
}

bool TotalsDelta::IsZero() const {
  return files == 0 && directories == 0 && bytes == 0 &&
         std::all_of(replicated_bytes.begin(), replicated_bytes.end(), [](const auto& e) { return e.second == 0; });
}

absl::StatusOr<TotalsRecord> GetTotals(const MetaReader& reader, InodeId directory) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<TotalsRecord> totals,
                          Load(reader, Family::kTotals, keys::Id(directory), DecodeTotals));
  return std::move(totals).value_or(TotalsRecord());
}

TotalsDelta BytesDelta(const InodeRecord& file, uint64_t length) {
  TotalsDelta delta{.bytes = static_cast<int64_t>(length)};
  if (length != 0) {
    delta.replicated_bytes[protocol::StorageType::kDisk] = static_cast<int64_t>(length * file.redundancy.replicas);
  }
  return delta;
}

absl::StatusOr<TotalsDelta> ContributionOf(const MetaReader& reader, const InodeRecord& inode) {
  if (!inode.is_directory) {
    TotalsDelta delta = BytesDelta(inode, inode.length);
    delta.files = 1;
    return delta;
  }
  DOLMEN_ASSIGN_OR_RETURN(TotalsRecord totals, GetTotals(reader, inode.id));
  TotalsDelta delta = Of(totals);
  ++delta.directories;
  return delta;
}

absl::Status AddToTotals(OperationContext& context, std::span<const InodeId> directories, const TotalsDelta& delta) {
  if (delta.IsZero()) return absl::OkStatus();
  for (InodeId directory : directories) {
    DOLMEN_ASSIGN_OR_RETURN(TotalsRecord totals, GetTotals(*context.batch, directory));
    if (!Add(delta, &totals)) {
      return MakeError(ErrorReason::kDamaged,
                       absl::StrCat("the totals of ", directory.ToString(), " would fall below zero"));
    }
    if (totals == TotalsRecord()) {
      RemoveTotals(context, directory);
    } else {
      Overwrite(context, Family::kTotals, keys::Id(directory), EncodeTotals(totals));
    }
  }
  return absl::OkStatus();
}

void RemoveTotals(OperationContext& context, InodeId directory) {
  Overwrite(context, Family::kTotals, keys::Id(directory), std::nullopt);
}

}  // namespace dolmen::namenode
