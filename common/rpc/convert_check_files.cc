#include "common/rpc/convert_client.h"
#include "common/rpc/convert_list.h"

namespace dolmen::rpc {
namespace {

void Fill(const protocol::CheckedReplica& from, v1::CheckedReplica* to) {
  to->set_storage(from.storage);
  to->set_condition(static_cast<v1::ReplicaCondition>(from.condition));
}

absl::StatusOr<protocol::CheckedReplica> ReplicaFromProto(const v1::CheckedReplica& from, size_t storages) {
  protocol::CheckedReplica to;
  if (from.storage() >= storages) {
    return ShapeError("storage", absl::StrCat(from.storage(), " of ", storages, " storages"));
  }
  to.storage = from.storage();
  DOLMEN_ASSIGN_OR_RETURN(to.condition, CheckEnum("condition", from.condition(), protocol::ReplicaCondition::kCorrupt));
  return to;
}

void Fill(const protocol::CheckedBlock& from, v1::CheckedBlock* to) {
  ToProto(from.block, to->mutable_block());
  to->set_under_construction(from.under_construction);
  to->set_replicas_wanted(from.replicas_wanted);
  to->set_racks(from.racks);
  to->set_racks_wanted(from.racks_wanted);
  for (const protocol::CheckedReplica& replica : from.replicas) Fill(replica, to->add_replicas());
}

absl::StatusOr<protocol::CheckedBlock> BlockFromProto(const v1::CheckedBlock& from, size_t storages) {
  protocol::CheckedBlock to;
  DOLMEN_ASSIGN_OR_RETURN(to.block, FromProto(from.block()), "block");
  DOLMEN_RETURN_IF_ERROR(CheckCount("replicas", static_cast<size_t>(from.replicas_size()), kMaxReplicas));
  to.under_construction = from.under_construction();
  to.replicas_wanted = from.replicas_wanted();
  to.racks = from.racks();
  to.racks_wanted = from.racks_wanted();
  to.replicas.reserve(static_cast<size_t>(from.replicas_size()));
  for (const v1::CheckedReplica& replica : from.replicas()) {
    DOLMEN_ASSIGN_OR_RETURN(to.replicas.emplace_back(), ReplicaFromProto(replica, storages));
  }
  return to;
}

void Fill(const protocol::CheckedEntry& from, v1::CheckedEntry* to) {
  to->set_path(from.path);
  ToProto(from.status, to->mutable_status());
  to->set_first_block(from.first_block);
  for (const protocol::CheckedBlock& block : from.blocks) Fill(block, to->add_blocks());
  to->set_has_more_blocks(from.has_more_blocks);
}

absl::StatusOr<protocol::CheckedEntry> EntryFromProto(const v1::CheckedEntry& from, size_t storages) {
  protocol::CheckedEntry to;
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  DOLMEN_ASSIGN_OR_RETURN(to.status, FromProto(from.status()), "status");
  DOLMEN_RETURN_IF_ERROR(CheckSize("first_block", from.first_block()));
  DOLMEN_RETURN_IF_ERROR(CheckCount("blocks", static_cast<size_t>(from.blocks_size()), kMaxCheckedBlocks));
  to.path = from.path();
  to.first_block = from.first_block();
  to.has_more_blocks = from.has_more_blocks();
  to.blocks.reserve(static_cast<size_t>(from.blocks_size()));
  for (const v1::CheckedBlock& block : from.blocks()) {
    DOLMEN_ASSIGN_OR_RETURN(to.blocks.emplace_back(), BlockFromProto(block, storages));
  }
  return to;
}

}  // namespace

v1::CheckFilesRequest ToProto(const protocol::CheckFilesRequest& from) {
  v1::CheckFilesRequest to;
  to.set_path(from.path);
  to.set_after(from.after);
  to.set_partial_inode(from.partial_inode.value());
  to.set_first_block(from.first_block);
  to.set_entry_limit(from.entry_limit);
  to.set_block_limit(from.block_limit);
  return to;
}

absl::StatusOr<protocol::CheckFilesRequest> FromProto(const v1::CheckFilesRequest& from) {
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  if (!from.after().empty()) DOLMEN_RETURN_IF_ERROR(CheckPath("after", from.after()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("partial_inode", from.partial_inode()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("first_block", from.first_block()));
  DOLMEN_RETURN_IF_ERROR(CheckBetween("entry_limit", from.entry_limit(), 1, kMaxListingEntries));
  DOLMEN_RETURN_IF_ERROR(CheckBetween("block_limit", from.block_limit(), 1, kMaxCheckedBlocks));
  return protocol::CheckFilesRequest{.path = from.path(),
                                     .after = from.after(),
                                     .partial_inode = InodeId(from.partial_inode()),
                                     .first_block = from.first_block(),
                                     .entry_limit = from.entry_limit(),
                                     .block_limit = from.block_limit()};
}

v1::CheckFilesReply ToProto(const protocol::CheckFilesReply& from) {
  v1::CheckFilesReply to;
  to.set_exists(from.exists);
  to.set_block_pool(from.block_pool);
  ListToProto(from.storages, to.mutable_storages());
  for (const protocol::CheckedEntry& entry : from.entries) Fill(entry, to.add_entries());
  to.set_has_more(from.has_more);
  return to;
}

absl::StatusOr<protocol::CheckFilesReply> FromProto(const v1::CheckFilesReply& from) {
  protocol::CheckFilesReply to;
  DOLMEN_RETURN_IF_ERROR(CheckText("block_pool", from.block_pool()));
  DOLMEN_ASSIGN_OR_RETURN(to.storages,
                          ListFromProto<protocol::ReplicaLocation>("storages", from.storages(), kMaxDatanodes));
  DOLMEN_RETURN_IF_ERROR(CheckCount("entries", static_cast<size_t>(from.entries_size()), kMaxListingEntries));
  to.exists = from.exists();
  to.block_pool = from.block_pool();
  to.entries.reserve(static_cast<size_t>(from.entries_size()));
  for (const v1::CheckedEntry& entry : from.entries()) {
    DOLMEN_ASSIGN_OR_RETURN(to.entries.emplace_back(), EntryFromProto(entry, to.storages.size()), "entries");
  }
  to.has_more = from.has_more();
  return to;
}

}  // namespace dolmen::rpc
