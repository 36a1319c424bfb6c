// When a failed call to the namenode is sent again, and after which pause.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/random.h"

namespace dolmen::client {

struct RetrySettings {
  Duration call_timeout = std::chrono::seconds(60);     // of one call, all attempts included
  Duration connect_timeout = std::chrono::seconds(10);  // how long a namenode that can't be reached is tried
  Duration attempt_timeout = std::chrono::seconds(20);  // of one attempt: an answer lost on the way costs this much
  Duration first_backoff = std::chrono::milliseconds(50);
  Duration max_backoff = std::chrono::seconds(2);
};

// What a failed attempt tells about the request.
enum class FailureClass {
  kNotSent,   // there was no connection: it never left
  kNoAnswer,  // it may have been executed; only the same call id may be sent again
  kNotNow,    // answered: a bounded resource is full; send it again after a pause
  kStopped,   // answered: the namenode can't change anything until it is restarted
  kFinal,     // answered: this is the outcome
};

// `status` is a failure. Refusals that a caller may overcome by asking anew (kNotReplicatedYet, kRecoveryInProgress)
// are kFinal: they are the stored answer of this call id, so that asking again takes a new call.
FailureClass ClassifyFailure(const absl::Status& status);

// The pause before retry number `retry` (1, 2, ...): doubles from first_backoff to max_backoff, the upper half random,
// so that clients that failed together do not come back together.
Duration BackoffBeforeRetry(const RetrySettings& settings, uint32_t retry, Random* random);

// As above with bounds of one's own; first <= longest.
Duration JitteredBackoff(Duration first, Duration longest, uint32_t retry, Random* random);

}  // namespace dolmen::client
