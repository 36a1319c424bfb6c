#include <utility>

#include "common/rpc/convert_client.h"
#include "common/rpc/convert_list.h"

namespace dolmen::rpc {

void ToProto(CommitNumber from, v1::ReplyHeader* to) { to->set_commit_number(from.value()); }

absl::StatusOr<CommitNumber> FromProto(const v1::ReplyHeader& from) {
  DOLMEN_RETURN_IF_ERROR(CheckSize("header.commit_number", from.commit_number()));
  return CommitNumber(from.commit_number());
}

// Replies that carry nothing but their header.
#define DOLMEN_EMPTY_REPLY(Op)                                     \
  v1::Op##Reply ToProto(const protocol::Op##Reply&) { return {}; } \
  absl::StatusOr<protocol::Op##Reply> FromProto(const v1::Op##Reply&) { return protocol::Op##Reply(); }
DOLMEN_EMPTY_REPLY(Mkdirs)
DOLMEN_EMPTY_REPLY(AbandonBlock)
DOLMEN_EMPTY_REPLY(SetAttributes)
DOLMEN_EMPTY_REPLY(Fsync)
DOLMEN_EMPTY_REPLY(Concat)
DOLMEN_EMPTY_REPLY(RenewLease)
DOLMEN_EMPTY_REPLY(ReportBadReplica)
#undef DOLMEN_EMPTY_REPLY

v1::CreateReply ToProto(const protocol::CreateReply& from) {
  v1::CreateReply to;
  ToProto(from.status, to.mutable_status());
  return to;
}

absl::StatusOr<protocol::CreateReply> FromProto(const v1::CreateReply& from) {
  protocol::CreateReply to;
  DOLMEN_ASSIGN_OR_RETURN(to.status, FromProto(from.status()), "status");
  return to;
}

v1::AddBlockReply ToProto(const protocol::AddBlockReply& from) {
  v1::AddBlockReply to;
  ToProto(from.block, to.mutable_block());
  return to;
}

absl::StatusOr<protocol::AddBlockReply> FromProto(const v1::AddBlockReply& from) {
  protocol::AddBlockReply to;
  DOLMEN_ASSIGN_OR_RETURN(to.block, FromProto(from.block()), "block");
  return to;
}

v1::CompleteReply ToProto(const protocol::CompleteReply& from) {
  v1::CompleteReply to;
  to.set_closed(from.closed);
  if (from.closed) ToProto(from.status, to.mutable_status());
  return to;
}

absl::StatusOr<protocol::CompleteReply> FromProto(const v1::CompleteReply& from) {
  protocol::CompleteReply to;
  to.closed = from.closed();
  if (to.closed) {
    DOLMEN_ASSIGN_OR_RETURN(to.status, FromProto(from.status()), "status");
  }
  return to;
}

v1::RenameReply ToProto(const protocol::RenameReply& from) {
  v1::RenameReply to;
  to.set_renamed(from.renamed);
  return to;
}

absl::StatusOr<protocol::RenameReply> FromProto(const v1::RenameReply& from) {
  return protocol::RenameReply{.renamed = from.renamed()};
}

v1::DeleteReply ToProto(const protocol::DeleteReply& from) {
  v1::DeleteReply to;
  to.set_deleted(from.deleted);
  return to;
}

absl::StatusOr<protocol::DeleteReply> FromProto(const v1::DeleteReply& from) {
  return protocol::DeleteReply{.deleted = from.deleted()};
}

v1::SetReplicationReply ToProto(const protocol::SetReplicationReply& from) {
  v1::SetReplicationReply to;
  to.set_done(from.done);
  return to;
}

absl::StatusOr<protocol::SetReplicationReply> FromProto(const v1::SetReplicationReply& from) {
  return protocol::SetReplicationReply{.done = from.done()};
}

v1::AppendReply ToProto(const protocol::AppendReply& from) {
  v1::AppendReply to;
  ToProto(from.status, to.mutable_status());
  if (from.last) {
    ToProto(*from.last, to.mutable_last());
    to.set_last_stamp(from.last_stamp.value());
  }
  return to;
}

absl::StatusOr<protocol::AppendReply> FromProto(const v1::AppendReply& from) {
  protocol::AppendReply to;
  DOLMEN_ASSIGN_OR_RETURN(to.status, FromProto(from.status()), "status");
  if (from.has_last()) {
    DOLMEN_ASSIGN_OR_RETURN(to.last, FromProto(from.last()), "last");
    DOLMEN_RETURN_IF_ERROR(CheckId("last_stamp", from.last_stamp()));
    to.last_stamp = GenerationStamp(from.last_stamp());
  }
  return to;
}

v1::TruncateReply ToProto(const protocol::TruncateReply& from) {
  v1::TruncateReply to;
  to.set_done(from.done);
  return to;
}

absl::StatusOr<protocol::TruncateReply> FromProto(const v1::TruncateReply& from) {
  return protocol::TruncateReply{.done = from.done()};
}

v1::RecoverLeaseReply ToProto(const protocol::RecoverLeaseReply& from) {
  v1::RecoverLeaseReply to;
  to.set_closed(from.closed);
  return to;
}

absl::StatusOr<protocol::RecoverLeaseReply> FromProto(const v1::RecoverLeaseReply& from) {
  return protocol::RecoverLeaseReply{.closed = from.closed()};
}

v1::SetSafeModeReply ToProto(const protocol::SetSafeModeReply& from) {
  v1::SetSafeModeReply to;
  to.set_on(from.on);
  return to;
}

absl::StatusOr<protocol::SetSafeModeReply> FromProto(const v1::SetSafeModeReply& from) {
  return protocol::SetSafeModeReply{.on = from.on()};
}

v1::GetFileInfoReply ToProto(const protocol::GetFileInfoReply& from) {
  v1::GetFileInfoReply to;
  if (from.status) ToProto(*from.status, to.mutable_status());
  return to;
}

absl::StatusOr<protocol::GetFileInfoReply> FromProto(const v1::GetFileInfoReply& from) {
  protocol::GetFileInfoReply to;
  if (from.has_status()) {
    DOLMEN_ASSIGN_OR_RETURN(to.status, FromProto(from.status()), "status");
  }
  return to;
}

v1::GetListingReply ToProto(const protocol::GetListingReply& from) {
  v1::GetListingReply to;
  to.set_exists(from.exists);
  ListToProto(from.entries, to.mutable_entries());
  to.set_has_more(from.has_more);
  return to;
}

absl::StatusOr<protocol::GetListingReply> FromProto(const v1::GetListingReply& from) {
  protocol::GetListingReply to;
  to.exists = from.exists();
  DOLMEN_ASSIGN_OR_RETURN(to.entries,
                          ListFromProto<protocol::FileStatus>("entries", from.entries(), kMaxListingEntries));
  to.has_more = from.has_more();
  return to;
}

v1::GetBlockLocationsReply ToProto(const protocol::GetBlockLocationsReply& from) {
  v1::GetBlockLocationsReply to;
  ToProto(from.status, to.mutable_status());
  ListToProto(from.blocks, to.mutable_blocks());
  to.set_last_is_open(from.last_is_open);
  to.set_open_offset(from.open_offset);
  return to;
}

absl::StatusOr<protocol::GetBlockLocationsReply> FromProto(const v1::GetBlockLocationsReply& from) {
  protocol::GetBlockLocationsReply to;
  DOLMEN_ASSIGN_OR_RETURN(to.status, FromProto(from.status()), "status");
  DOLMEN_ASSIGN_OR_RETURN(to.blocks, ListFromProto<protocol::LocatedBlock>("blocks", from.blocks(), kMaxLocatedBlocks));
  DOLMEN_RETURN_IF_ERROR(CheckSize("open_offset", from.open_offset()));
  to.last_is_open = from.last_is_open();
  to.open_offset = from.open_offset();
  return to;
}

v1::GetFsStatsReply ToProto(const protocol::GetFsStatsReply& from) {
  v1::GetFsStatsReply to;
  to.set_capacity_bytes(from.capacity_bytes);
  to.set_used_bytes(from.used_bytes);
  to.set_remaining_bytes(from.remaining_bytes);
  to.set_under_replicated_blocks(from.under_replicated_blocks);
  to.set_corrupt_blocks(from.corrupt_blocks);
  to.set_missing_blocks(from.missing_blocks);
  to.set_missing_blocks_replication_one(from.missing_blocks_replication_one);
  to.set_pending_deletion_blocks(from.pending_deletion_blocks);
  to.set_files(from.files);
  to.set_directories(from.directories);
  to.set_blocks(from.blocks);
  to.set_safe_mode(from.safe_mode);
  to.set_safe_mode_tip(from.safe_mode_tip);
  return to;
}

absl::StatusOr<protocol::GetFsStatsReply> FromProto(const v1::GetFsStatsReply& from) {
  DOLMEN_RETURN_IF_ERROR(CheckText("safe_mode_tip", from.safe_mode_tip(), kMaxMessageBytes));
  return protocol::GetFsStatsReply{.capacity_bytes = from.capacity_bytes(),
                                   .used_bytes = from.used_bytes(),
                                   .remaining_bytes = from.remaining_bytes(),
                                   .under_replicated_blocks = from.under_replicated_blocks(),
                                   .corrupt_blocks = from.corrupt_blocks(),
                                   .missing_blocks = from.missing_blocks(),
                                   .missing_blocks_replication_one = from.missing_blocks_replication_one(),
                                   .pending_deletion_blocks = from.pending_deletion_blocks(),
                                   .files = from.files(),
                                   .directories = from.directories(),
                                   .blocks = from.blocks(),
                                   .safe_mode = from.safe_mode(),
                                   .safe_mode_tip = from.safe_mode_tip()};
}

void ToProto(const protocol::DatanodeReportEntry& from, v1::DatanodeReportEntry* to) {
  ToProto(from.info, to->mutable_info());
  to->set_liveness(static_cast<v1::DatanodeLiveness>(from.liveness));
  ListToProto(from.storages, to->mutable_storages());
  to->set_active_streams(from.active_streams);
  to->set_last_heartbeat_age_ms(from.last_heartbeat_age_ms);
  if (from.last_full_report_age_ms) to->set_last_full_report_age_ms(*from.last_full_report_age_ms);
}

absl::StatusOr<protocol::DatanodeReportEntry> FromProto(const v1::DatanodeReportEntry& from) {
  protocol::DatanodeReportEntry to;
  DOLMEN_ASSIGN_OR_RETURN(to.info, FromProto(from.info()), "info");
  DOLMEN_ASSIGN_OR_RETURN(to.liveness, CheckEnum("liveness", from.liveness(), protocol::DatanodeLiveness::kDead));
  DOLMEN_ASSIGN_OR_RETURN(to.storages,
                          ListFromProto<protocol::StorageReport>("storages", from.storages(), kMaxStorages));
  to.active_streams = from.active_streams();
  to.last_heartbeat_age_ms = from.last_heartbeat_age_ms();
  if (from.has_last_full_report_age_ms()) to.last_full_report_age_ms = from.last_full_report_age_ms();
  return to;
}

v1::GetDatanodeReportReply ToProto(const protocol::GetDatanodeReportReply& from) {
  v1::GetDatanodeReportReply to;
  ListToProto(from.datanodes, to.mutable_datanodes());
  return to;
}

absl::StatusOr<protocol::GetDatanodeReportReply> FromProto(const v1::GetDatanodeReportReply& from) {
  protocol::GetDatanodeReportReply to;
  DOLMEN_ASSIGN_OR_RETURN(to.datanodes,
                          ListFromProto<protocol::DatanodeReportEntry>("datanodes", from.datanodes(), kMaxDatanodes));
  return to;
}

v1::GetContentSummaryReply ToProto(const protocol::GetContentSummaryReply& from) {
  v1::GetContentSummaryReply to;
  to.set_length(from.length);
  to.set_files(from.files);
  to.set_directories(from.directories);
  to.set_replicated_bytes(from.replicated_bytes);
  return to;
}

absl::StatusOr<protocol::GetContentSummaryReply> FromProto(const v1::GetContentSummaryReply& from) {
  return protocol::GetContentSummaryReply{.length = from.length(),
                                          .files = from.files(),
                                          .directories = from.directories(),
                                          .replicated_bytes = from.replicated_bytes()};
}

v1::IsFileClosedReply ToProto(const protocol::IsFileClosedReply& from) {
  v1::IsFileClosedReply to;
  to.set_closed(from.closed);
  return to;
}

absl::StatusOr<protocol::IsFileClosedReply> FromProto(const v1::IsFileClosedReply& from) {
  return protocol::IsFileClosedReply{.closed = from.closed()};
}

void ToProto(const protocol::OpenFileEntry& from, v1::OpenFileEntry* to) {
  to->set_inode(from.inode.value());
  to->set_path(from.path);
  to->set_holder(from.holder);
  to->set_client_host(from.client_host);
}

absl::StatusOr<protocol::OpenFileEntry> FromProto(const v1::OpenFileEntry& from) {
  DOLMEN_RETURN_IF_ERROR(CheckId("inode", from.inode()));
  DOLMEN_RETURN_IF_ERROR(CheckText("path", from.path(), kMaxFoundPathBytes));
  DOLMEN_RETURN_IF_ERROR(CheckName("holder", from.holder()));
  DOLMEN_RETURN_IF_ERROR(CheckText("client_host", from.client_host()));
  return protocol::OpenFileEntry{
      .inode = InodeId(from.inode()), .path = from.path(), .holder = from.holder(), .client_host = from.client_host()};
}

v1::ListOpenFilesReply ToProto(const protocol::ListOpenFilesReply& from) {
  v1::ListOpenFilesReply to;
  ListToProto(from.files, to.mutable_files());
  to.set_last(from.last.value());
  to.set_has_more(from.has_more);
  return to;
}

absl::StatusOr<protocol::ListOpenFilesReply> FromProto(const v1::ListOpenFilesReply& from) {
  protocol::ListOpenFilesReply to;
  DOLMEN_ASSIGN_OR_RETURN(to.files, ListFromProto<protocol::OpenFileEntry>("files", from.files(), kMaxListingEntries));
  DOLMEN_RETURN_IF_ERROR(CheckSize("last", from.last()));
  to.last = InodeId(from.last());
  to.has_more = from.has_more();
  return to;
}

v1::GetServerDefaultsReply ToProto(const protocol::GetServerDefaultsReply& from) {
  v1::GetServerDefaultsReply to;
  to.set_cluster(from.cluster.value());
  to.set_block_bytes(from.block_bytes);
  to.set_replication(from.replication);
  to.set_bytes_per_checksum(from.bytes_per_checksum);
  to.set_packet_bytes(from.packet_bytes);
  to.set_lease_soft_limit_ms(from.lease_soft_limit_ms);
  to.set_version(from.version);
  to.set_checksum_type(static_cast<v1::ChecksumType>(from.checksum_type));
  return to;
}

absl::StatusOr<protocol::GetServerDefaultsReply> FromProto(const v1::GetServerDefaultsReply& from) {
  DOLMEN_RETURN_IF_ERROR(CheckName("cluster", from.cluster()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("block_bytes", from.block_bytes()));
  DOLMEN_RETURN_IF_ERROR(CheckBetween("replication", from.replication(), 0, UINT16_MAX));
  DOLMEN_RETURN_IF_ERROR(CheckNotNegative("lease_soft_limit_ms", from.lease_soft_limit_ms()));
  DOLMEN_RETURN_IF_ERROR(CheckText("version", from.version()));
  protocol::GetServerDefaultsReply to;
  DOLMEN_ASSIGN_OR_RETURN(to.checksum_type,
                          CheckEnum("checksum_type", from.checksum_type(), protocol::ChecksumType::kCrc32c));
  to.cluster = ClusterId(from.cluster());
  to.block_bytes = from.block_bytes();
  to.replication = from.replication();
  to.bytes_per_checksum = from.bytes_per_checksum();
  to.packet_bytes = from.packet_bytes();
  to.lease_soft_limit_ms = from.lease_soft_limit_ms();
  to.version = from.version();
  return to;
}

}  // namespace dolmen::rpc
