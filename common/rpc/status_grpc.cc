#include "common/rpc/status_grpc.h"

#include "proto/types.pb.h"

namespace dolmen::rpc {
namespace {

struct CodePair {
  absl::StatusCode ours;
  grpc::StatusCode wire;
};

constexpr CodePair kCodes[] = {
    {absl::StatusCode::kOk, grpc::StatusCode::OK},
    {absl::StatusCode::kCancelled, grpc::StatusCode::CANCELLED},
    {absl::StatusCode::kUnknown, grpc::StatusCode::UNKNOWN},
    {absl::StatusCode::kInvalidArgument, grpc::StatusCode::INVALID_ARGUMENT},
    {absl::StatusCode::kDeadlineExceeded, grpc::StatusCode::DEADLINE_EXCEEDED},
    {absl::StatusCode::kNotFound, grpc::StatusCode::NOT_FOUND},
    {absl::StatusCode::kAlreadyExists, grpc::StatusCode::ALREADY_EXISTS},
    {absl::StatusCode::kPermissionDenied, grpc::StatusCode::PERMISSION_DENIED},
    {absl::StatusCode::kResourceExhausted, grpc::StatusCode::RESOURCE_EXHAUSTED},
    {absl::StatusCode::kFailedPrecondition, grpc::StatusCode::FAILED_PRECONDITION},
    {absl::StatusCode::kAborted, grpc::StatusCode::ABORTED},
    {absl::StatusCode::kOutOfRange, grpc::StatusCode::OUT_OF_RANGE},
    {absl::StatusCode::kUnimplemented, grpc::StatusCode::UNIMPLEMENTED},
    {absl::StatusCode::kInternal, grpc::StatusCode::INTERNAL},
    {absl::StatusCode::kUnavailable, grpc::StatusCode::UNAVAILABLE},
    {absl::StatusCode::kDataLoss, grpc::StatusCode::DATA_LOSS},
    {absl::StatusCode::kUnauthenticated, grpc::StatusCode::UNAUTHENTICATED},
};

}  // namespace

grpc::StatusCode ToGrpcCode(absl::StatusCode code) {
  for (const CodePair& pair : kCodes) {
    if (pair.ours == code) return pair.wire;
  }
  return grpc::StatusCode::UNKNOWN;
}

absl::StatusCode FromGrpcCode(grpc::StatusCode code) {
  for (const CodePair& pair : kCodes) {
    if (pair.wire == code) return pair.ours;
  }
  return absl::StatusCode::kUnknown;
}

ErrorReason ReasonFromWire(uint64_t number) {
  if (number > UINT16_MAX) return ErrorReason::kNone;
  const auto reason = static_cast<ErrorReason>(number);
  switch (reason) {  // without a default, so that the compiler asks for a new reason here
    case ErrorReason::kNone:
    case ErrorReason::kFileNotFound:
    case ErrorReason::kFileAlreadyExists:
    case ErrorReason::kParentNotDirectory:
    case ErrorReason::kDirectoryNotEmpty:
    case ErrorReason::kAccessControl:
    case ErrorReason::kSafeMode:
    case ErrorReason::kLeaseExpired:
    case ErrorReason::kAlreadyBeingCreated:
    case ErrorReason::kRecoveryInProgress:
    case ErrorReason::kNotReplicatedYet:
    case ErrorReason::kInvalidPath:
    case ErrorReason::kNameTooLong:
    case ErrorReason::kDirectoryFull:
    case ErrorReason::kIllegalArgument:
    case ErrorReason::kIo:
    case ErrorReason::kOutcomeUnknown:
    case ErrorReason::kBusy:
    case ErrorReason::kStopped:
    case ErrorReason::kNoSpace:
    case ErrorReason::kChecksum:
    case ErrorReason::kReplicaNotFound:
    case ErrorReason::kStaleGenerationStamp:
    case ErrorReason::kBadToken:
    case ErrorReason::kWrongCluster:
    case ErrorReason::kStaleEpoch:
    case ErrorReason::kNotRegistered:
    case ErrorReason::kPipelineFailed:
    case ErrorReason::kUnreachable:
    case ErrorReason::kNoDatanodes:
    case ErrorReason::kBlockMissing:
    case ErrorReason::kDamaged:
    case ErrorReason::kCancelled:
      return reason;
  }
  return ErrorReason::kNone;
}

std::string Shortened(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return std::string(text);
  size_t end = max_bytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string details;
  if (const ErrorReason reason = ReasonOf(status); reason != ErrorReason::kNone) {
    v1::ErrorDetails encoded;
    encoded.set_reason(static_cast<uint32_t>(reason));
    details = encoded.SerializeAsString();
  }
  return grpc::Status(ToGrpcCode(status.code()), Shortened(MessageOf(status), kMaxStatusMessageBytes), details);
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  ErrorReason reason = ErrorReason::kNone;
  if (!status.error_details().empty()) {
    v1::ErrorDetails details;
    if (details.ParseFromString(status.error_details())) reason = ReasonFromWire(details.reason());
  }
  return MakeError(FromGrpcCode(status.error_code()), reason, status.error_message());
}

}  // namespace dolmen::rpc
