#include "client/core/retry_policy.h"

#include <algorithm>

#include "common/error.h"

namespace dolmen::client {

FailureClass ClassifyFailure(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case ErrorReason::kUnreachable:
      return FailureClass::kNotSent;
    case ErrorReason::kBusy:
      return FailureClass::kNotNow;
    case ErrorReason::kStopped:
      return FailureClass::kStopped;
    case ErrorReason::kNone:
      break;
    default:
      return FailureClass::kFinal;
  }
  // Without a reason it did not come from the namenode's own code but from the transport.
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnknown:   // gRPC: "Stream removed"
    case absl::StatusCode::kInternal:  // gRPC: "Received RST_STREAM"
      return FailureClass::kNoAnswer;
    default:
      return FailureClass::kFinal;
  }
}

Duration JitteredBackoff(Duration first, Duration longest, uint32_t retry, Random* random) {
  const uint32_t doublings = std::min<uint32_t>(retry > 0 ? retry - 1 : 0, 30);
  const Duration full = std::max(Duration(2), std::min(longest, first * (int64_t{1} << doublings)));
  return full / 2 + Duration(random->Uniform(static_cast<uint64_t>(full.count() / 2) + 1));
}

Duration BackoffBeforeRetry(const RetrySettings& settings, uint32_t retry, Random* random) {
  return JitteredBackoff(settings.first_backoff, settings.max_backoff, retry, random);
}

}  // namespace dolmen::client
