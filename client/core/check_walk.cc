#include "client/core/check_walk.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/core/public_values.h"
#include "client/core/text.h"
#include "common/error.h"

namespace dolmen::client {
namespace {

ReplicaCondition PublicCondition(protocol::ReplicaCondition condition) {
  switch (condition) {
    case protocol::ReplicaCondition::kLive:
      return ReplicaCondition::kLive;
    case protocol::ReplicaCondition::kStale:
      return ReplicaCondition::kStale;
    case protocol::ReplicaCondition::kCorrupt:
      break;
  }
  return ReplicaCondition::kCorrupt;
}

const char* TypeName(protocol::StorageType type) {
  switch (type) {
    case protocol::StorageType::kDisk:
      return "DISK";
    case protocol::StorageType::kSsd:
      return "SSD";
    case protocol::StorageType::kArchive:
      return "ARCHIVE";
    case protocol::StorageType::kRamDisk:
      break;
  }
  return "RAM_DISK";
}

}  // namespace

std::optional<protocol::CheckFilesRequest> CheckWalk::Next() const {
  if (over_) return std::nullopt;
  return request_;
}

void CheckWalk::Add(const protocol::CheckFilesReply& reply, const protocol::CheckedEntry& entry) {
  if (!gathered_.has_value()) {
    gathered_ = CheckedEntry{.path = entry.path, .status = ToPublic(entry.status), .block_pool = reply.block_pool};
  }
  gathered_->blocks.reserve(gathered_->blocks.size() + entry.blocks.size());
  for (const protocol::CheckedBlock& block : entry.blocks) {
    CheckedBlock& to = gathered_->blocks.emplace_back();
    to.block_id = block.block.id.value();
    to.generation_stamp = block.block.stamp.value();
    to.length = block.block.length;
    to.under_construction = block.under_construction;
    to.replicas_wanted = block.replicas_wanted;
    to.racks = block.racks;
    to.racks_wanted = block.racks_wanted;
    for (const protocol::CheckedReplica& replica : block.replicas) {
      const protocol::ReplicaLocation& storage = reply.storages[replica.storage];
      to.replicas.push_back({.datanode = storage.datanode.uuid.value(),
                             .address = AddressText(storage.datanode),
                             .rack = storage.datanode.rack.empty() ? "/default-rack" : storage.datanode.rack,
                             .storage = storage.storage.value(),
                             .condition = PublicCondition(replica.condition),
                             .storage_type = TypeName(storage.type)});
    }
  }
}

bool CheckWalk::Emit(const Visit& visit) {
  const CheckedEntry entry = *std::exchange(gathered_, std::nullopt);
  over_ = !visit(entry);
  return !over_;
}

absl::Status CheckWalk::Take(const protocol::CheckFilesReply& reply, const Visit& visit) {
  if (!reply.exists) {
    over_ = true;
    // Removed in the middle of the walk: what was seen of it was there.
    if (!request_.after.empty()) return absl::OkStatus();
    return MakeError(ErrorReason::kFileNotFound, absl::StrCat("File ", request_.path, " does not exist."));
  }
  if (reply.has_more && reply.entries.empty()) {
    over_ = true;
    return MakeError(ErrorReason::kIo, absl::StrCat("check ", request_.path, ": the namenode answered an empty page"));
  }
  for (const protocol::CheckedEntry& entry : reply.entries) {
    const bool continues = gathered_.has_value() && entry.status.inode.value() == gathered_->status.inode &&
                           entry.first_block == gathered_->blocks.size();
    // The file that was cut is gone, or it lost blocks: what is known of it is all there was.
    if (gathered_.has_value() && !continues && !Emit(visit)) return absl::OkStatus();
    Add(reply, entry);
    if (!entry.has_more_blocks && !Emit(visit)) return absl::OkStatus();
  }
  if (!reply.has_more) {
    if (gathered_.has_value()) Emit(visit);
    over_ = true;
    return absl::OkStatus();
  }
  const protocol::CheckedEntry& last = reply.entries.back();
  request_.after = last.path;
  request_.partial_inode = last.has_more_blocks ? last.status.inode : InodeId();
  request_.first_block = last.has_more_blocks ? last.first_block + last.blocks.size() : 0;
  return absl::OkStatus();
}

}  // namespace dolmen::client
