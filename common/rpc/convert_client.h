// Plain values <-> protobuf for the client's protocol. For every operation Op of the lists below there are
//   v1::OpRequest ToProto(const protocol::OpRequest&)      header left empty
//   absl::StatusOr<protocol::OpRequest> FromProto(const v1::OpRequest&)      header not looked at
// and the same two for OpReply. FromProto checks shapes (common/rpc/shape.h).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/ids.h"
#include "common/protocol/client_namenode.h"
#include "proto/client_namenode.pb.h"

// The operations, each list in the order of protocol::Mutation and protocol::Query. Services and clients that treat all
// operations alike expand these instead of repeating the names.
#define DOLMEN_CLIENT_MUTATIONS(X) \
  X(Mkdirs)                        \
  X(Create)                        \
  X(AddBlock)                      \
  X(AbandonBlock)                  \
  X(Complete)                      \
  X(Rename)                        \
  X(Delete)                        \
  X(SetAttributes)                 \
  X(Fsync)                         \
  X(Concat)                        \
  X(SetReplication)                \
  X(Append)                        \
  X(Truncate)                      \
  X(RecoverLease)
#define DOLMEN_CLIENT_QUERIES(X) \
  X(GetFileInfo)                 \
  X(GetListing)                  \
  X(GetBlockLocations)           \
  X(GetFsStats)                  \
  X(GetDatanodeReport)           \
  X(GetServerDefaults)           \
  X(RenewLease)                  \
  X(SetSafeMode)                 \
  X(ReportBadReplica)            \
  X(GetContentSummary)           \
  X(IsFileClosed)                \
  X(ListOpenFiles)               \
  X(CheckFiles)

namespace dolmen::rpc {

// Who calls, and which call it is. The same for every operation.
struct CallHeader {
  std::string user;
  protocol::CallId id;
  friend bool operator==(const CallHeader&, const CallHeader&) = default;
};
void ToProto(const CallHeader& from, v1::CallHeader* to);
// A user; no client id or one of 16 bytes; age_ms >= 0; first_unanswered not above call_id.
absl::StatusOr<CallHeader> FromProto(const v1::CallHeader& from);
// What a mutation needs beyond that, so that it is executed at most once: a client id and a call id.
absl::Status CheckMutating(const CallHeader& header);

// The commit number of the state an answer was given from.
void ToProto(CommitNumber from, v1::ReplyHeader* to);
absl::StatusOr<CommitNumber> FromProto(const v1::ReplyHeader& from);

void ToProto(const protocol::DatanodeReportEntry& from, v1::DatanodeReportEntry* to);
absl::StatusOr<protocol::DatanodeReportEntry> FromProto(const v1::DatanodeReportEntry& from);
void ToProto(const protocol::OpenFileEntry& from, v1::OpenFileEntry* to);
absl::StatusOr<protocol::OpenFileEntry> FromProto(const v1::OpenFileEntry& from);

#define DOLMEN_DECLARE_CONVERSIONS(Op)                                          \
  v1::Op##Request ToProto(const protocol::Op##Request& from);                   \
  v1::Op##Reply ToProto(const protocol::Op##Reply& from);                       \
  absl::StatusOr<protocol::Op##Request> FromProto(const v1::Op##Request& from); \
  absl::StatusOr<protocol::Op##Reply> FromProto(const v1::Op##Reply& from);
DOLMEN_CLIENT_MUTATIONS(DOLMEN_DECLARE_CONVERSIONS)
DOLMEN_CLIENT_QUERIES(DOLMEN_DECLARE_CONVERSIONS)
#undef DOLMEN_DECLARE_CONVERSIONS

}  // namespace dolmen::rpc
