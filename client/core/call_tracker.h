// All calls of one client object to the namenode: their ids, how often and until when each is tried, and what is said
// when it is given up. A mutation is executed at most once however often it was sent (contract C-9): every attempt
// carries the same call id, and `first_unanswered` tells the namenode which records it may forget.
//
// A state machine without clocks: the shell (or the simulation) sends what it is told and reports what came back.
// One thread only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/core/retry_policy.h"
#include "common/clock.h"
#include "common/protocol/client_namenode.h"
#include "common/random.h"

namespace dolmen::client {

enum class CallKind { kQuery, kMutation };

class CallTracker {
 public:
  struct Options {
    std::string server;              // "host:port", for error texts
    uint32_t max_outstanding = 256;  // calls begun and not finished; well below the namenode's records per session
    RetrySettings retry;
  };
  // `client_id`: 16 random bytes, unique per client object.
  CallTracker(std::string client_id, Options options, Random random);

  // Begins a call. `what` names the operation in error texts, e.g. "delete /a/b". `timeout`: instead of the settings'
  // call_timeout. Returns a handle, never used twice. Error: kBusy when max_outstanding calls are under way.
  absl::StatusOr<uint64_t> Begin(CallKind kind, std::string what, MonotonicTime now,
                                 std::optional<Duration> timeout = std::nullopt);

  struct Attempt {
    protocol::CallId id;     // for mutations; queries are sent without
    MonotonicTime deadline;  // no answer by then is a failure (kDeadlineExceeded)
  };
  // The call is about to be sent, for the first time or again.
  Attempt StartAttempt(uint64_t call, MonotonicTime now);

  struct Verdict {
    bool retry = false;
    MonotonicTime retry_at;  // when `retry`: call StartAttempt then
    absl::Status status;     // otherwise: what the caller is told; the call is finished
  };
  // An attempt failed; `status` is what the transport or the namenode said. When it gives up on a mutation of which
  // some attempt may have arrived, the status is kOutcomeUnknown.
  Verdict OnFailure(uint64_t call, const absl::Status& status, MonotonicTime now);

  // The call succeeded and is finished.
  void OnAnswer(uint64_t call);
  // Nobody waits for the call any more.
  void Finish(uint64_t call);

  size_t outstanding() const { return calls_.size(); }
  // Every mutation with a smaller call id was answered to its caller.
  uint64_t first_unanswered() const;
  const std::string& client_id() const { return client_id_; }
  const Options& options() const { return options_; }

 private:
  struct Call {
    CallKind kind;
    std::string what;
    uint64_t call_id = 0;  // mutations
    MonotonicTime begun;
    MonotonicTime deadline;
    std::optional<MonotonicTime> first_sent;
    MonotonicTime attempt_started;
    uint32_t attempts = 0;
    bool may_have_arrived = false;
    std::optional<MonotonicTime> unusable_since;  // no connection, or stopped, without a break since then
  };
  FailureClass Classify(const absl::Status& status) const;
  absl::Status GiveUp(const Call& call, const absl::Status& last, MonotonicTime now) const;
  absl::Status NameTheServer(const Call& call, const absl::Status& status) const;

  const std::string client_id_;
  const Options options_;
  Random random_;
  uint64_t next_handle_ = 1;
  uint64_t next_call_id_ = 1;
  bool has_changed_something_ = false;
  std::map<uint64_t, Call> calls_;               // by handle
  std::map<uint64_t, uint64_t> open_mutations_;  // call id -> handle
};

}  // namespace dolmen::client
