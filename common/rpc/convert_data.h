// Plain values <-> protobuf for what flows between clients and datanodes, except the messages with payload (those are
// coded without copying in common/rpc/frames.h). FromProto checks shapes (common/rpc/shape.h).
#pragma once

#include "absl/status/statusor.h"
#include "common/protocol/data_transfer.h"
#include "proto/data_transfer.pb.h"

namespace dolmen::rpc {

void ToProto(const protocol::HopStatus& from, v1::HopStatus* to);
absl::StatusOr<protocol::HopStatus> FromProto(const v1::HopStatus& from);

v1::WriteSetup ToProto(const protocol::WriteSetup& from);
// Messages of hops are cut to kMaxMessageBytes.
v1::AckFrame ToProto(const protocol::Ack& from);
v1::ReadBlockRequest ToProto(const protocol::ReadRequest& from);
v1::VisibleLengthRequest ToProto(const protocol::VisibleLengthRequest& from);
v1::VisibleLengthReply ToProto(const protocol::VisibleLengthReply& from);
v1::BlockChecksumRequest ToProto(const protocol::BlockChecksumRequest& from);
v1::BlockChecksumReply ToProto(const protocol::BlockChecksumReply& from);

absl::StatusOr<protocol::WriteSetup> FromProto(const v1::WriteSetup& from);
absl::StatusOr<protocol::Ack> FromProto(const v1::AckFrame& from);
absl::StatusOr<protocol::ReadRequest> FromProto(const v1::ReadBlockRequest& from);
absl::StatusOr<protocol::VisibleLengthRequest> FromProto(const v1::VisibleLengthRequest& from);
absl::StatusOr<protocol::VisibleLengthReply> FromProto(const v1::VisibleLengthReply& from);
absl::StatusOr<protocol::BlockChecksumRequest> FromProto(const v1::BlockChecksumRequest& from);
absl::StatusOr<protocol::BlockChecksumReply> FromProto(const v1::BlockChecksumReply& from);

}  // namespace dolmen::rpc
