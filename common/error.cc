#include "common/error.h"

#include <charconv>
#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "common/check.h"
#include "spdlog/spdlog.h"

namespace dolmen {
namespace {

constexpr absl::string_view kReasonPayload = "dolmen/reason";

RetryAdvice AdviceForCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
      return RetryAdvice::kRetry;
    case absl::StatusCode::kDataLoss:
      return RetryAdvice::kRetryElsewhere;
    default:
      return RetryAdvice::kGiveUp;
  }
}

}  // namespace

absl::Status MakeError(absl::StatusCode code, ErrorReason reason, std::string_view message) {
  DOLMEN_CHECK(code != absl::StatusCode::kOk, message);
  absl::Status status(code, ToAbsl(message));
  if (reason != ErrorReason::kNone) {
    status.SetPayload(kReasonPayload, absl::Cord(absl::StrCat(static_cast<uint16_t>(reason))));
  }
  return status;
}

absl::Status MakeError(ErrorReason reason, std::string_view message) {
  return MakeError(CodeFor(reason), reason, message);
}

absl::StatusCode CodeFor(ErrorReason reason) {
  switch (reason) {
    case ErrorReason::kNone:
      return absl::StatusCode::kUnknown;
    case ErrorReason::kFileNotFound:
    case ErrorReason::kReplicaNotFound:
      return absl::StatusCode::kNotFound;
    case ErrorReason::kFileAlreadyExists:
      return absl::StatusCode::kAlreadyExists;
    case ErrorReason::kAccessControl:
      return absl::StatusCode::kPermissionDenied;
    case ErrorReason::kBadToken:
      return absl::StatusCode::kUnauthenticated;
    case ErrorReason::kInvalidPath:
    case ErrorReason::kNameTooLong:
    case ErrorReason::kIllegalArgument:
      return absl::StatusCode::kInvalidArgument;
    case ErrorReason::kParentNotDirectory:
    case ErrorReason::kDirectoryNotEmpty:
    case ErrorReason::kSafeMode:
    case ErrorReason::kLeaseExpired:
    case ErrorReason::kAlreadyBeingCreated:
    case ErrorReason::kStaleGenerationStamp:
    case ErrorReason::kWrongCluster:
    case ErrorReason::kStaleEpoch:
    case ErrorReason::kNotRegistered:
    case ErrorReason::kNoDatanodes:
      return absl::StatusCode::kFailedPrecondition;
    case ErrorReason::kRecoveryInProgress:
    case ErrorReason::kNotReplicatedYet:
    case ErrorReason::kStopped:
    case ErrorReason::kPipelineFailed:
    case ErrorReason::kUnreachable:
    case ErrorReason::kBlockMissing:
      return absl::StatusCode::kUnavailable;
    case ErrorReason::kDirectoryFull:
    case ErrorReason::kBusy:
    case ErrorReason::kNoSpace:
      return absl::StatusCode::kResourceExhausted;
    case ErrorReason::kOutcomeUnknown:
      return absl::StatusCode::kUnknown;
    case ErrorReason::kIo:
      return absl::StatusCode::kInternal;
    case ErrorReason::kChecksum:
    case ErrorReason::kDamaged:
      return absl::StatusCode::kDataLoss;
    case ErrorReason::kCancelled:
      return absl::StatusCode::kCancelled;
  }
  return absl::StatusCode::kUnknown;  // a number from a newer peer
}

ErrorReason ReasonOf(const absl::Status& status) {
  if (status.ok()) return ErrorReason::kNone;
  const auto payload = status.GetPayload(kReasonPayload);
  if (!payload.has_value()) return ErrorReason::kNone;
  const std::string text(*payload);
  uint16_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return ErrorReason::kNone;
  return static_cast<ErrorReason>(number);
}

RetryAdvice AdviceFor(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case ErrorReason::kRecoveryInProgress:
    case ErrorReason::kNotReplicatedYet:
    case ErrorReason::kBusy:
    case ErrorReason::kStopped:
    case ErrorReason::kNotRegistered:
      return RetryAdvice::kRetry;
    case ErrorReason::kNoSpace:
    case ErrorReason::kChecksum:
    case ErrorReason::kReplicaNotFound:
    case ErrorReason::kStaleGenerationStamp:
    case ErrorReason::kBadToken:
    case ErrorReason::kPipelineFailed:
    case ErrorReason::kUnreachable:
      return RetryAdvice::kRetryElsewhere;
    case ErrorReason::kNone:
      return AdviceForCode(status.code());
    default:
      return RetryAdvice::kGiveUp;
  }
}

absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(ToAbsl(context), ": ", status.message()));
  status.ForEachPayload(
      [&](absl::string_view type, const absl::Cord& payload) { annotated.SetPayload(type, payload); });
  return annotated;
}

void LogIfError(const absl::Status& status, std::string_view why) {
  if (!status.ok()) spdlog::warn("ignored ({}): {}", why, MessageOf(status));
}

}  // namespace dolmen
