// Plain values <-> protobuf for what datanodes and the namenode tell each other. FromProto checks shapes
// (common/rpc/shape.h).
#pragma once

#include "absl/status/statusor.h"
#include "common/protocol/datanode_namenode.h"
#include "proto/datanode_namenode.pb.h"

namespace dolmen::rpc {

void ToProto(const protocol::NamenodeIdentity& from, v1::NamenodeIdentity* to);
void ToProto(const protocol::DatanodeCommand& from, v1::DatanodeCommand* to);
void ToProto(const protocol::ReportedReplica& from, v1::ReportedReplica* to);
void ToProto(const protocol::IncrementalReportRequest::Entry& from, v1::IncrementalReportRequest_Entry* to);

absl::StatusOr<protocol::NamenodeIdentity> FromProto(const v1::NamenodeIdentity& from);
// A command of a kind this build does not know is refused.
absl::StatusOr<protocol::DatanodeCommand> FromProto(const v1::DatanodeCommand& from);
absl::StatusOr<protocol::ReportedReplica> FromProto(const v1::ReportedReplica& from);
absl::StatusOr<protocol::IncrementalReportRequest::Entry> FromProto(const v1::IncrementalReportRequest_Entry& from);

v1::RegisterRequest ToProto(const protocol::RegisterRequest& from);
v1::RegisterReply ToProto(const protocol::RegisterReply& from);
v1::HeartbeatRequest ToProto(const protocol::HeartbeatRequest& from);
v1::HeartbeatReply ToProto(const protocol::HeartbeatReply& from);
v1::IncrementalReportRequest ToProto(const protocol::IncrementalReportRequest& from);
v1::FullReportSlice ToProto(const protocol::FullReportSlice& from);
v1::ReportReply ToProto(const protocol::ReportReply& from);

absl::StatusOr<protocol::RegisterRequest> FromProto(const v1::RegisterRequest& from);
absl::StatusOr<protocol::RegisterReply> FromProto(const v1::RegisterReply& from);
absl::StatusOr<protocol::HeartbeatRequest> FromProto(const v1::HeartbeatRequest& from);
absl::StatusOr<protocol::HeartbeatReply> FromProto(const v1::HeartbeatReply& from);
absl::StatusOr<protocol::IncrementalReportRequest> FromProto(const v1::IncrementalReportRequest& from);
// Replicas must come by rising id, all within [first_id, last_id].
absl::StatusOr<protocol::FullReportSlice> FromProto(const v1::FullReportSlice& from);
absl::StatusOr<protocol::ReportReply> FromProto(const v1::ReportReply& from);

}  // namespace dolmen::rpc
