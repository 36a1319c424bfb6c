#include <utility>

#include "common/rpc/convert_client.h"
#include "common/rpc/convert_list.h"

namespace dolmen::rpc {
namespace {

constexpr size_t kClientIdBytes = 16;

// Where a file is open: path, inode and lease holder, common to the calls of a writer.
template <typename Proto, typename Plain>
absl::Status OpenFileFromProto(const Proto& from, Plain* to) {
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  DOLMEN_RETURN_IF_ERROR(CheckId("inode", from.inode()));
  DOLMEN_RETURN_IF_ERROR(CheckName("holder", from.holder()));
  to->path = from.path();
  to->inode = InodeId(from.inode());
  to->holder = from.holder();
  return absl::OkStatus();
}

template <typename Plain, typename Proto>
void OpenFileToProto(const Plain& from, Proto* to) {
  to->set_path(from.path);
  to->set_inode(from.inode.value());
  to->set_holder(from.holder);
}

template <typename Uuids>
absl::StatusOr<std::vector<DatanodeUuid>> ExcludedFromProto(const Uuids& from) {
  DOLMEN_RETURN_IF_ERROR(CheckCount("excluded", static_cast<size_t>(from.size()), kMaxExcluded));
  std::vector<DatanodeUuid> excluded;
  excluded.reserve(static_cast<size_t>(from.size()));
  for (const std::string& uuid : from) {
    DOLMEN_RETURN_IF_ERROR(CheckName("excluded", uuid));
    excluded.emplace_back(uuid);
  }
  return excluded;
}

}  // namespace

void ToProto(const CallHeader& from, v1::CallHeader* to) {
  to->set_user(from.user);
  to->set_client_id(from.id.client_id);
  to->set_call_id(from.id.call_id);
  to->set_attempt(from.id.attempt);
  to->set_first_unanswered(from.id.first_unanswered);
  to->set_age_ms(from.id.age_ms);
}

absl::StatusOr<CallHeader> FromProto(const v1::CallHeader& from) {
  DOLMEN_RETURN_IF_ERROR(CheckName("header.user", from.user()));
  const std::string& client_id = from.client_id();
  if (!client_id.empty() && client_id.size() != kClientIdBytes) {
    return ShapeError("header.client_id", absl::StrCat("has ", client_id.size(), " bytes; it must have 16"));
  }
  DOLMEN_RETURN_IF_ERROR(CheckSize("header.call_id", from.call_id()));
  if (from.first_unanswered() > from.call_id()) {
    return ShapeError("header.first_unanswered", absl::StrCat(from.first_unanswered(), " is above the call's own id ",
                                                              from.call_id(), ", which is unanswered"));
  }
  DOLMEN_RETURN_IF_ERROR(CheckNotNegative("header.age_ms", from.age_ms()));
  return CallHeader{.user = from.user(),
                    .id = {.client_id = client_id,
                           .call_id = from.call_id(),
                           .attempt = from.attempt(),
                           .first_unanswered = from.first_unanswered(),
                           .age_ms = from.age_ms()}};
}

absl::Status CheckMutating(const CallHeader& header) {
  if (header.id.client_id.empty()) {
    return ShapeError("header.client_id", "is missing; a call that changes something needs one of 16 bytes");
  }
  if (header.id.call_id == 0) {
    return ShapeError("header.call_id", "0 is missing; a call that changes something needs one from 1 on");
  }
  return absl::OkStatus();
}

v1::MkdirsRequest ToProto(const protocol::MkdirsRequest& from) {
  v1::MkdirsRequest to;
  to.set_path(from.path);
  to.set_permission(from.permission);
  to.set_create_parents(from.create_parents);
  return to;
}

absl::StatusOr<protocol::MkdirsRequest> FromProto(const v1::MkdirsRequest& from) {
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  DOLMEN_RETURN_IF_ERROR(CheckBetween("permission", from.permission(), 0, kMaxPermission));
  return protocol::MkdirsRequest{.path = from.path(),
                                 .permission = static_cast<uint16_t>(from.permission()),
                                 .create_parents = from.create_parents()};
}

v1::CreateRequest ToProto(const protocol::CreateRequest& from) {
  v1::CreateRequest to;
  to.set_path(from.path);
  to.set_permission(from.permission);
  to.set_overwrite(from.overwrite);
  to.set_create_parents(from.create_parents);
  to.set_replication(from.replication);
  to.set_block_bytes(from.block_bytes);
  to.set_holder(from.holder);
  return to;
}

absl::StatusOr<protocol::CreateRequest> FromProto(const v1::CreateRequest& from) {
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  DOLMEN_RETURN_IF_ERROR(CheckBetween("permission", from.permission(), 0, kMaxPermission));
  DOLMEN_RETURN_IF_ERROR(CheckBetween("replication", from.replication(), 0, UINT16_MAX));
  DOLMEN_RETURN_IF_ERROR(CheckSize("block_bytes", from.block_bytes()));
  DOLMEN_RETURN_IF_ERROR(CheckName("holder", from.holder()));
  return protocol::CreateRequest{.path = from.path(),
                                 .permission = static_cast<uint16_t>(from.permission()),
                                 .overwrite = from.overwrite(),
                                 .create_parents = from.create_parents(),
                                 .replication = from.replication(),
                                 .block_bytes = from.block_bytes(),
                                 .holder = from.holder()};
}

v1::AddBlockRequest ToProto(const protocol::AddBlockRequest& from) {
  v1::AddBlockRequest to;
  OpenFileToProto(from, &to);
  if (from.previous) ToProto(*from.previous, to.mutable_previous());
  for (const DatanodeUuid& uuid : from.excluded) to.add_excluded(uuid.value());
  return to;
}

absl::StatusOr<protocol::AddBlockRequest> FromProto(const v1::AddBlockRequest& from) {
  protocol::AddBlockRequest to;
  DOLMEN_RETURN_IF_ERROR(OpenFileFromProto(from, &to));
  if (from.has_previous()) {
    DOLMEN_ASSIGN_OR_RETURN(to.previous, FromProto(from.previous()), "previous");
  }
  DOLMEN_ASSIGN_OR_RETURN(to.excluded, ExcludedFromProto(from.excluded()));
  return to;
}

v1::AbandonBlockRequest ToProto(const protocol::AbandonBlockRequest& from) {
  v1::AbandonBlockRequest to;
  OpenFileToProto(from, &to);
  ToProto(from.block, to.mutable_block());
  return to;
}

absl::StatusOr<protocol::AbandonBlockRequest> FromProto(const v1::AbandonBlockRequest& from) {
  protocol::AbandonBlockRequest to;
  DOLMEN_RETURN_IF_ERROR(OpenFileFromProto(from, &to));
  DOLMEN_ASSIGN_OR_RETURN(to.block, FromProto(from.block()), "block");
  return to;
}

v1::CompleteRequest ToProto(const protocol::CompleteRequest& from) {
  v1::CompleteRequest to;
  OpenFileToProto(from, &to);
  if (from.last) ToProto(*from.last, to.mutable_last());
  return to;
}

absl::StatusOr<protocol::CompleteRequest> FromProto(const v1::CompleteRequest& from) {
  protocol::CompleteRequest to;
  DOLMEN_RETURN_IF_ERROR(OpenFileFromProto(from, &to));
  if (from.has_last()) {
    DOLMEN_ASSIGN_OR_RETURN(to.last, FromProto(from.last()), "last");
  }
  return to;
}

v1::RenameRequest ToProto(const protocol::RenameRequest& from) {
  v1::RenameRequest to;
  to.set_source(from.source);
  to.set_destination(from.destination);
  to.set_kind(static_cast<v1::RenameKind>(from.kind));
  return to;
}

absl::StatusOr<protocol::RenameRequest> FromProto(const v1::RenameRequest& from) {
  protocol::RenameRequest to;
  DOLMEN_RETURN_IF_ERROR(CheckPath("source", from.source()));
  DOLMEN_RETURN_IF_ERROR(CheckPath("destination", from.destination()));
  DOLMEN_ASSIGN_OR_RETURN(to.kind, CheckEnum("kind", from.kind(), protocol::RenameKind::kOverwrite));
  to.source = from.source();
  to.destination = from.destination();
  return to;
}

v1::DeleteRequest ToProto(const protocol::DeleteRequest& from) {
  v1::DeleteRequest to;
  to.set_path(from.path);
  to.set_recursive(from.recursive);
  return to;
}

absl::StatusOr<protocol::DeleteRequest> FromProto(const v1::DeleteRequest& from) {
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  return protocol::DeleteRequest{.path = from.path(), .recursive = from.recursive()};
}

v1::SetAttributesRequest ToProto(const protocol::SetAttributesRequest& from) {
  v1::SetAttributesRequest to;
  to.set_path(from.path);
  if (from.permission) to.set_permission(*from.permission);
  if (from.owner) to.set_owner(*from.owner);
  if (from.group) to.set_group(*from.group);
  if (from.modified) to.set_modified_ms(from.modified->ms);
  if (from.accessed) to.set_accessed_ms(from.accessed->ms);
  return to;
}

absl::StatusOr<protocol::SetAttributesRequest> FromProto(const v1::SetAttributesRequest& from) {
  protocol::SetAttributesRequest to;
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  to.path = from.path();
  if (from.has_permission()) {
    DOLMEN_RETURN_IF_ERROR(CheckBetween("permission", from.permission(), 0, kMaxPermission));
    to.permission = static_cast<uint16_t>(from.permission());
  }
  if (from.has_owner()) {
    DOLMEN_RETURN_IF_ERROR(CheckName("owner", from.owner()));
    to.owner = from.owner();
  }
  if (from.has_group()) {
    DOLMEN_RETURN_IF_ERROR(CheckName("group", from.group()));
    to.group = from.group();
  }
  if (from.has_modified_ms()) to.modified = WallTime{from.modified_ms()};
  if (from.has_accessed_ms()) to.accessed = WallTime{from.accessed_ms()};
  return to;
}

v1::FsyncRequest ToProto(const protocol::FsyncRequest& from) {
  v1::FsyncRequest to;
  OpenFileToProto(from, &to);
  return to;
}

absl::StatusOr<protocol::FsyncRequest> FromProto(const v1::FsyncRequest& from) {
  protocol::FsyncRequest to;
  DOLMEN_RETURN_IF_ERROR(OpenFileFromProto(from, &to));
  return to;
}

v1::ConcatRequest ToProto(const protocol::ConcatRequest& from) {
  v1::ConcatRequest to;
  to.set_target(from.target);
  for (const std::string& source : from.sources) to.add_sources(source);
  return to;
}

absl::StatusOr<protocol::ConcatRequest> FromProto(const v1::ConcatRequest& from) {
  protocol::ConcatRequest to;
  DOLMEN_RETURN_IF_ERROR(CheckPath("target", from.target()));
  DOLMEN_RETURN_IF_ERROR(CheckCount("sources", static_cast<size_t>(from.sources_size()), kMaxConcatSources));
  to.target = from.target();
  to.sources.reserve(static_cast<size_t>(from.sources_size()));
  for (const std::string& source : from.sources()) {
    DOLMEN_RETURN_IF_ERROR(CheckPath("sources", source));
    to.sources.push_back(source);
  }
  return to;
}

v1::SetReplicationRequest ToProto(const protocol::SetReplicationRequest& from) {
  v1::SetReplicationRequest to;
  to.set_path(from.path);
  to.set_replication(from.replication);
  return to;
}

absl::StatusOr<protocol::SetReplicationRequest> FromProto(const v1::SetReplicationRequest& from) {
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  DOLMEN_RETURN_IF_ERROR(CheckBetween("replication", from.replication(), 0, UINT16_MAX));
  return protocol::SetReplicationRequest{.path = from.path(), .replication = from.replication()};
}

v1::AppendRequest ToProto(const protocol::AppendRequest& from) {
  v1::AppendRequest to;
  to.set_path(from.path);
  to.set_holder(from.holder);
  to.set_new_block(from.new_block);
  for (const DatanodeUuid& uuid : from.excluded) to.add_excluded(uuid.value());
  return to;
}

absl::StatusOr<protocol::AppendRequest> FromProto(const v1::AppendRequest& from) {
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  DOLMEN_RETURN_IF_ERROR(CheckName("holder", from.holder()));
  protocol::AppendRequest to{.path = from.path(), .holder = from.holder(), .new_block = from.new_block()};
  DOLMEN_ASSIGN_OR_RETURN(to.excluded, ExcludedFromProto(from.excluded()));
  return to;
}

v1::TruncateRequest ToProto(const protocol::TruncateRequest& from) {
  v1::TruncateRequest to;
  to.set_path(from.path);
  to.set_length(from.length);
  return to;
}

absl::StatusOr<protocol::TruncateRequest> FromProto(const v1::TruncateRequest& from) {
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("length", from.length()));
  return protocol::TruncateRequest{.path = from.path(), .length = from.length()};
}

v1::RecoverLeaseRequest ToProto(const protocol::RecoverLeaseRequest& from) {
  v1::RecoverLeaseRequest to;
  to.set_path(from.path);
  to.set_holder(from.holder);
  return to;
}

absl::StatusOr<protocol::RecoverLeaseRequest> FromProto(const v1::RecoverLeaseRequest& from) {
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  return protocol::RecoverLeaseRequest{.path = from.path(), .holder = from.holder()};
}

v1::RenewLeaseRequest ToProto(const protocol::RenewLeaseRequest& from) {
  v1::RenewLeaseRequest to;
  to.set_holder(from.holder);
  return to;
}

absl::StatusOr<protocol::RenewLeaseRequest> FromProto(const v1::RenewLeaseRequest& from) {
  DOLMEN_RETURN_IF_ERROR(CheckName("holder", from.holder()));
  return protocol::RenewLeaseRequest{.holder = from.holder()};
}

v1::SetSafeModeRequest ToProto(const protocol::SetSafeModeRequest& from) {
  v1::SetSafeModeRequest to;
  to.set_action(static_cast<v1::SafeModeAction>(from.action));
  return to;
}

absl::StatusOr<protocol::SetSafeModeRequest> FromProto(const v1::SetSafeModeRequest& from) {
  protocol::SetSafeModeRequest to;
  DOLMEN_ASSIGN_OR_RETURN(to.action, CheckEnum("action", from.action(), protocol::SafeModeAction::kLeave));
  return to;
}

v1::ReportBadReplicaRequest ToProto(const protocol::ReportBadReplicaRequest& from) {
  v1::ReportBadReplicaRequest to;
  ToProto(from.block, to.mutable_block());
  to.set_datanode(from.datanode.value());
  to.set_storage(from.storage.value());
  return to;
}

absl::StatusOr<protocol::ReportBadReplicaRequest> FromProto(const v1::ReportBadReplicaRequest& from) {
  protocol::ReportBadReplicaRequest to;
  DOLMEN_ASSIGN_OR_RETURN(to.block, FromProto(from.block()), "block");
  DOLMEN_RETURN_IF_ERROR(CheckName("datanode", from.datanode()));
  DOLMEN_RETURN_IF_ERROR(CheckName("storage", from.storage()));
  to.datanode = DatanodeUuid(from.datanode());
  to.storage = StorageId(from.storage());
  return to;
}

v1::GetFileInfoRequest ToProto(const protocol::GetFileInfoRequest& from) {
  v1::GetFileInfoRequest to;
  to.set_path(from.path);
  return to;
}

absl::StatusOr<protocol::GetFileInfoRequest> FromProto(const v1::GetFileInfoRequest& from) {
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  return protocol::GetFileInfoRequest{.path = from.path()};
}

v1::GetListingRequest ToProto(const protocol::GetListingRequest& from) {
  v1::GetListingRequest to;
  to.set_path(from.path);
  to.set_start_after(from.start_after);
  to.set_limit(from.limit);
  return to;
}

absl::StatusOr<protocol::GetListingRequest> FromProto(const v1::GetListingRequest& from) {
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  DOLMEN_RETURN_IF_ERROR(CheckComponent("start_after", from.start_after()));
  DOLMEN_RETURN_IF_ERROR(CheckBetween("limit", from.limit(), 1, kMaxListingEntries));
  return protocol::GetListingRequest{.path = from.path(), .start_after = from.start_after(), .limit = from.limit()};
}

v1::GetBlockLocationsRequest ToProto(const protocol::GetBlockLocationsRequest& from) {
  v1::GetBlockLocationsRequest to;
  to.set_path(from.path);
  to.set_offset(from.offset);
  to.set_length(from.length);
  if (from.inode) to.set_inode(from.inode->value());
  return to;
}

absl::StatusOr<protocol::GetBlockLocationsRequest> FromProto(const v1::GetBlockLocationsRequest& from) {
  protocol::GetBlockLocationsRequest to;
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("offset", from.offset()));
  to.path = from.path();
  to.offset = from.offset();
  to.length = from.length();  // 2^64-1 means: to the end
  if (from.has_inode()) {
    DOLMEN_RETURN_IF_ERROR(CheckId("inode", from.inode()));
    to.inode = InodeId(from.inode());
  }
  return to;
}

v1::GetContentSummaryRequest ToProto(const protocol::GetContentSummaryRequest& from) {
  v1::GetContentSummaryRequest to;
  to.set_path(from.path);
  return to;
}

absl::StatusOr<protocol::GetContentSummaryRequest> FromProto(const v1::GetContentSummaryRequest& from) {
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  return protocol::GetContentSummaryRequest{.path = from.path()};
}

v1::IsFileClosedRequest ToProto(const protocol::IsFileClosedRequest& from) {
  v1::IsFileClosedRequest to;
  to.set_path(from.path);
  return to;
}

absl::StatusOr<protocol::IsFileClosedRequest> FromProto(const v1::IsFileClosedRequest& from) {
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  return protocol::IsFileClosedRequest{.path = from.path()};
}

v1::ListOpenFilesRequest ToProto(const protocol::ListOpenFilesRequest& from) {
  v1::ListOpenFilesRequest to;
  to.set_path(from.path);
  to.set_after(from.after.value());
  to.set_limit(from.limit);
  return to;
}

absl::StatusOr<protocol::ListOpenFilesRequest> FromProto(const v1::ListOpenFilesRequest& from) {
  DOLMEN_RETURN_IF_ERROR(CheckPath("path", from.path()));
  DOLMEN_RETURN_IF_ERROR(CheckSize("after", from.after()));
  DOLMEN_RETURN_IF_ERROR(CheckBetween("limit", from.limit(), 1, kMaxListingEntries));
  return protocol::ListOpenFilesRequest{.path = from.path(), .after = InodeId(from.after()), .limit = from.limit()};
}

v1::GetFsStatsRequest ToProto(const protocol::GetFsStatsRequest&) { return {}; }
absl::StatusOr<protocol::GetFsStatsRequest> FromProto(const v1::GetFsStatsRequest&) {
  return protocol::GetFsStatsRequest();
}
v1::GetDatanodeReportRequest ToProto(const protocol::GetDatanodeReportRequest&) { return {}; }
absl::StatusOr<protocol::GetDatanodeReportRequest> FromProto(const v1::GetDatanodeReportRequest&) {
  return protocol::GetDatanodeReportRequest();
}
v1::GetServerDefaultsRequest ToProto(const protocol::GetServerDefaultsRequest&) { return {}; }
absl::StatusOr<protocol::GetServerDefaultsRequest> FromProto(const v1::GetServerDefaultsRequest&) {
  return protocol::GetServerDefaultsRequest();
}

}  // namespace dolmen::rpc
