// Plain values <-> protobuf for what several services share. FromProto checks shapes (common/rpc/shape.h); ToProto
// fills `to`, which is fresh, and never fails.
#pragma once

#include "absl/status/statusor.h"
#include "common/protocol/types.h"
#include "common/rpc/shape.h"
#include "proto/types.pb.h"

namespace dolmen::rpc {

void ToProto(const protocol::Block& from, v1::Block* to);
void ToProto(const protocol::Address& from, v1::Address* to);
void ToProto(const protocol::DatanodeInfo& from, v1::DatanodeInfo* to);
void ToProto(const protocol::StorageReport& from, v1::StorageReport* to);
void ToProto(const protocol::FileStatus& from, v1::FileStatus* to);
void ToProto(const protocol::ReplicaLocation& from, v1::ReplicaLocation* to);
void ToProto(const protocol::LocatedBlock& from, v1::LocatedBlock* to);

// A block has an id and a generation stamp.
absl::StatusOr<protocol::Block> FromProto(const v1::Block& from);
absl::StatusOr<protocol::Address> FromProto(const v1::Address& from);
absl::StatusOr<protocol::DatanodeInfo> FromProto(const v1::DatanodeInfo& from);
absl::StatusOr<protocol::StorageReport> FromProto(const v1::StorageReport& from);
absl::StatusOr<protocol::FileStatus> FromProto(const v1::FileStatus& from);
absl::StatusOr<protocol::ReplicaLocation> FromProto(const v1::ReplicaLocation& from);
absl::StatusOr<protocol::LocatedBlock> FromProto(const v1::LocatedBlock& from);

}  // namespace dolmen::rpc
