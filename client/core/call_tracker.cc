#include "client/core/call_tracker.h"

#include <algorithm>
#include <utility>

#include "client/core/text.h"
#include "common/check.h"
#include "common/error.h"

namespace dolmen::client {

CallTracker::CallTracker(std::string client_id, Options options, Random random)
    : client_id_(std::move(client_id)), options_(std::move(options)), random_(random) {}

absl::StatusOr<uint64_t> CallTracker::Begin(CallKind kind, std::string what, MonotonicTime now,
                                            std::optional<Duration> timeout) {
  if (calls_.size() >= options_.max_outstanding) {
    return MakeError(ErrorReason::kBusy, absl::StrCat(what, ": ", calls_.size(), " calls to namenode ", options_.server,
                                                      " are under way already, the most one client may have"));
  }
  Call call{.kind = kind,
            .what = std::move(what),
            .begun = now,
            .deadline = now + timeout.value_or(options_.retry.call_timeout)};
  const uint64_t handle = next_handle_++;
  if (kind == CallKind::kMutation) {
    call.call_id = next_call_id_++;
    open_mutations_.emplace(call.call_id, handle);
  }
  calls_.emplace(handle, std::move(call));
  return handle;
}

uint64_t CallTracker::first_unanswered() const {
  return open_mutations_.empty() ? next_call_id_ : open_mutations_.begin()->first;
}

CallTracker::Attempt CallTracker::StartAttempt(uint64_t handle, MonotonicTime now) {
  const auto found = calls_.find(handle);
  DOLMEN_CHECK(found != calls_.end(), "an attempt of a call that is finished");
  Call& call = found->second;
  Attempt attempt;
  attempt.id.client_id = client_id_;
  attempt.id.call_id = call.call_id;
  attempt.id.attempt = call.attempts++;
  attempt.id.first_unanswered = first_unanswered();
  if (!call.first_sent.has_value()) call.first_sent = now;
  attempt.id.age_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - *call.first_sent).count();
  attempt.deadline = std::min(now + options_.retry.attempt_timeout, call.deadline);
  call.attempt_started = now;
  return attempt;
}

CallTracker::Verdict CallTracker::OnFailure(uint64_t handle, const absl::Status& status, MonotonicTime now) {
  DOLMEN_CHECK(!status.ok());
  const auto found = calls_.find(handle);
  DOLMEN_CHECK(found != calls_.end(), "a failure of a call that is finished");
  Call& call = found->second;
  const FailureClass failure = Classify(status);
  if (failure == FailureClass::kNoAnswer) call.may_have_arrived = true;
  const bool unusable = failure == FailureClass::kNotSent || failure == FailureClass::kStopped;
  if (!unusable) {
    call.unusable_since.reset();
  } else if (!call.unusable_since.has_value()) {
    call.unusable_since = call.attempt_started;
  }

  Verdict verdict;
  if (failure == FailureClass::kFinal) {
    verdict.status = NameTheServer(call, status);
    Finish(handle);
    return verdict;
  }
  const uint32_t retry = std::max<uint32_t>(call.attempts, 1);
  const MonotonicTime next = now + BackoffBeforeRetry(options_.retry, retry, &random_);
  const bool tried_enough = unusable && next - *call.unusable_since >= options_.retry.connect_timeout;
  if (tried_enough || next >= call.deadline) {
    verdict.status = GiveUp(call, status, now);
    Finish(handle);
    return verdict;
  }
  verdict.retry = true;
  verdict.retry_at = next;
  return verdict;
}

// A namenode that has served this client is in safe mode because it was restarted (or an administrator does something):
// work under way, like a copy of a tree, goes on when that is over. A client that comes to one in safe mode is told so.
FailureClass CallTracker::Classify(const absl::Status& status) const {
  const bool restarted = has_changed_something_ && ReasonOf(status) == ErrorReason::kSafeMode;
  return restarted ? FailureClass::kNotNow : ClassifyFailure(status);
}

// Without a reason the answer is not from a namenode's own code.
absl::Status CallTracker::NameTheServer(const Call& call, const absl::Status& status) const {
  if (ReasonOf(status) != ErrorReason::kNone) return status;
  const bool knows_no_such_call = status.code() == absl::StatusCode::kUnimplemented;
  return absl::Status(
      status.code(),
      absl::StrCat(call.what, ": ", options_.server, " answered ", absl::StatusCodeToString(status.code()),
                   status.message().empty() ? "" : ": ", status.message(),
                   knows_no_such_call ? "; is it a namenode, and of this version?" : ""));
}

absl::Status CallTracker::GiveUp(const Call& call, const absl::Status& last, MonotonicTime now) const {
  const std::string tried = absl::StrCat("tried for ", SecondsText(now - call.begun), ", ", call.attempts,
                                         call.attempts == 1 ? " attempt" : " attempts");
  const std::string cause(last.message());
  if (call.kind == CallKind::kMutation && call.may_have_arrived) {
    return MakeError(
        ErrorReason::kOutcomeUnknown,
        absl::StrCat(call.what, ": outcome unknown, it may or may not have been done: no answer from namenode ",
                     options_.server, " (", tried, "; last: ", cause, ")"));
  }
  switch (Classify(last)) {
    case FailureClass::kNotSent:
      return MakeError(ErrorReason::kUnreachable, absl::StrCat("Call to ", options_.server, " failed: ", cause, " (",
                                                               tried, "); is a namenode running there?"));
    case FailureClass::kNotNow:
    case FailureClass::kStopped:
      return Annotate(last, absl::StrCat(call.what, " (", tried, ")"));
    default:
      return absl::DeadlineExceededError(
          absl::StrCat(call.what, ": no answer from namenode ", options_.server, " (", tried, "; last: ", cause, ")"));
  }
}

void CallTracker::OnAnswer(uint64_t handle) {
  const auto found = calls_.find(handle);
  if (found == calls_.end()) return;
  if (found->second.kind == CallKind::kMutation) has_changed_something_ = true;
  Finish(handle);
}

void CallTracker::Finish(uint64_t handle) {
  const auto found = calls_.find(handle);
  if (found == calls_.end()) return;
  if (found->second.kind == CallKind::kMutation) open_mutations_.erase(found->second.call_id);
  calls_.erase(found);
}

}  // namespace dolmen::client
