#include "client/core/call_tracker.h"

#include "client/core/retry_policy.h"
#include "common/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dolmen::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr MonotonicTime kStart{std::chrono::hours(5)};

CallTracker MakeTracker(uint32_t max_outstanding = 8) {
  return CallTracker("0123456789abcdef", {.server = "nn:7020", .max_outstanding = max_outstanding}, Random(1));
}

TEST(RetryPolicyTest, EveryReasonHasItsClass) {
  const struct {
    absl::Status status;
    FailureClass expected;
  } kTable[] = {
      {MakeError(ErrorReason::kUnreachable, "refused"), FailureClass::kNotSent},
      {absl::UnavailableError("socket closed"), FailureClass::kNoAnswer},
      {absl::DeadlineExceededError("late"), FailureClass::kNoAnswer},
      {absl::UnknownError("Stream removed"), FailureClass::kNoAnswer},
      {absl::InternalError("Received RST_STREAM"), FailureClass::kNoAnswer},
      {MakeError(ErrorReason::kBusy, "full"), FailureClass::kNotNow},
      {MakeError(ErrorReason::kStopped, "stopped"), FailureClass::kStopped},
      {MakeError(ErrorReason::kFileNotFound, "gone"), FailureClass::kFinal},
      {MakeError(ErrorReason::kNotReplicatedYet, "not yet"), FailureClass::kFinal},
      {MakeError(ErrorReason::kOutcomeUnknown, "forgotten"), FailureClass::kFinal},
      {MakeError(ErrorReason::kSafeMode, "safe mode"), FailureClass::kFinal},
      {absl::UnimplementedError("old server"), FailureClass::kFinal},
      {absl::ResourceExhaustedError("message larger than max"), FailureClass::kFinal},
      {absl::CancelledError("closed"), FailureClass::kFinal},
  };
  for (const auto& row : kTable) EXPECT_EQ(ClassifyFailure(row.status), row.expected) << row.status;
}

TEST(RetryPolicyTest, PausesDoubleWithinTheirBoundsAndDiffer) {
  RetrySettings settings;
  Random random(1);
  std::set<Duration> seen;
  for (uint32_t retry = 1; retry < 40; ++retry) {
    const Duration full =
        std::min(settings.max_backoff, settings.first_backoff * (int64_t{1} << std::min(retry - 1, 20U)));
    for (int i = 0; i < 20; ++i) {
      const Duration pause = BackoffBeforeRetry(settings, retry, &random);
      EXPECT_GE(pause, full / 2);
      EXPECT_LE(pause, full);
      seen.insert(pause);
    }
  }
  EXPECT_GT(seen.size(), 500U);
}

TEST(CallTrackerTest, OnlyMutationsTakeCallIdsAndRetriesKeepThem) {
  CallTracker tracker = MakeTracker();
  const uint64_t query = *tracker.Begin(CallKind::kQuery, "stat /", kStart);
  const uint64_t first = *tracker.Begin(CallKind::kMutation, "mkdirs /a", kStart);
  const uint64_t second = *tracker.Begin(CallKind::kMutation, "mkdirs /b", kStart);
  EXPECT_EQ(tracker.StartAttempt(query, kStart).id.call_id, 0U);
  EXPECT_EQ(tracker.StartAttempt(second, kStart).id.call_id, 2U);
  const CallTracker::Attempt attempt = tracker.StartAttempt(first, kStart);
  EXPECT_EQ(attempt.id,
            (protocol::CallId{
                .client_id = "0123456789abcdef", .call_id = 1, .attempt = 0, .first_unanswered = 1, .age_ms = 0}));
  EXPECT_EQ(attempt.deadline, kStart + seconds(20));
  const CallTracker::Verdict verdict = tracker.OnFailure(first, absl::UnavailableError("reset"), kStart + seconds(1));
  ASSERT_TRUE(verdict.retry);
  const CallTracker::Attempt again = tracker.StartAttempt(first, kStart + milliseconds(1100));
  EXPECT_EQ(again.id,
            (protocol::CallId{
                .client_id = "0123456789abcdef", .call_id = 1, .attempt = 1, .first_unanswered = 1, .age_ms = 1100}));
}

TEST(CallTrackerTest, TheWatermarkFollowsTheOldestUnansweredMutation) {
  CallTracker tracker = MakeTracker();
  EXPECT_EQ(tracker.first_unanswered(), 1U);
  const uint64_t one = *tracker.Begin(CallKind::kMutation, "a", kStart);
  const uint64_t two = *tracker.Begin(CallKind::kMutation, "b", kStart);
  const uint64_t three = *tracker.Begin(CallKind::kMutation, "c", kStart);
  tracker.Finish(two);
  EXPECT_EQ(tracker.first_unanswered(), 1U);
  tracker.Finish(one);
  EXPECT_EQ(tracker.first_unanswered(), 3U);
  tracker.Finish(three);
  EXPECT_EQ(tracker.first_unanswered(), 4U);
  EXPECT_EQ(tracker.outstanding(), 0U);
}

TEST(CallTrackerTest, TooManyCallsAreRefused) {
  CallTracker tracker = MakeTracker(2);
  const uint64_t one = *tracker.Begin(CallKind::kQuery, "a", kStart);
  ASSERT_TRUE(tracker.Begin(CallKind::kMutation, "b", kStart).ok());
  EXPECT_EQ(ReasonOf(tracker.Begin(CallKind::kQuery, "c", kStart).status()), ErrorReason::kBusy);
  tracker.Finish(one);
  EXPECT_TRUE(tracker.Begin(CallKind::kQuery, "c", kStart).ok());
}

// Fails every attempt alike until the tracker gives up; returns what the caller is told and when.
std::pair<absl::Status, Duration> FailUntilGivenUp(CallKind kind, const absl::Status& failure, Duration each) {
  CallTracker tracker = MakeTracker();
  const uint64_t call = *tracker.Begin(kind, "delete /a", kStart);
  MonotonicTime now = kStart;
  for (int i = 0; i < 10'000; ++i) {
    const CallTracker::Attempt attempt = tracker.StartAttempt(call, now);
    now = std::min(now + each, attempt.deadline);
    const CallTracker::Verdict verdict = tracker.OnFailure(call, failure, now);
    if (!verdict.retry) {
      EXPECT_EQ(tracker.outstanding(), 0U);
      EXPECT_EQ(tracker.first_unanswered(), kind == CallKind::kMutation ? 2U : 1U);
      return {verdict.status, now - kStart};
    }
    EXPECT_GT(verdict.retry_at, now);
    now = verdict.retry_at;
  }
  return {absl::InternalError("never gave up"), {}};
}

TEST(CallTrackerTest, AnUnreachableNamenodeIsNamedAfterTheConnectTimeout) {
  for (const CallKind kind : {CallKind::kQuery, CallKind::kMutation}) {
    const auto [status, after] =
        FailUntilGivenUp(kind, MakeError(ErrorReason::kUnreachable, "connection refused"), milliseconds(1));
    EXPECT_EQ(ReasonOf(status), ErrorReason::kUnreachable);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("Call to nn:7020 failed: connection refused"), HasSubstr("tried for"),
                      HasSubstr("is a namenode running there?")));
    EXPECT_LE(after, seconds(10));
    EXPECT_GE(after, seconds(7));
  }
}

TEST(CallTrackerTest, AMutationWithoutAnAnswerEndsAsOutcomeUnknown) {
  const auto [status, after] =
      FailUntilGivenUp(CallKind::kMutation, absl::DeadlineExceededError("no answer"), seconds(100));
  EXPECT_EQ(ReasonOf(status), ErrorReason::kOutcomeUnknown);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnknown);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("delete /a: outcome unknown"), HasSubstr("nn:7020")));
  EXPECT_LE(after, seconds(60));
}

TEST(CallTrackerTest, AQueryWithoutAnAnswerIsADeadline) {
  const auto [status, after] = FailUntilGivenUp(CallKind::kQuery, absl::UnavailableError("reset"), seconds(1));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(status), ErrorReason::kNone);
  EXPECT_LE(after, seconds(60));
}

TEST(CallTrackerTest, ABusyNamenodeIsTriedUntilTheDeadlineAndAStoppedOneAsLongAsAnUnreachableOne) {
  const auto [busy, busy_after] =
      FailUntilGivenUp(CallKind::kMutation, MakeError(ErrorReason::kBusy, "queue full"), milliseconds(1));
  EXPECT_EQ(ReasonOf(busy), ErrorReason::kBusy);
  EXPECT_GE(busy_after, seconds(55));
  const auto [stopped, stopped_after] =
      FailUntilGivenUp(CallKind::kMutation, MakeError(ErrorReason::kStopped, "stopped"), milliseconds(1));
  EXPECT_EQ(ReasonOf(stopped), ErrorReason::kStopped);
  EXPECT_LE(stopped_after, seconds(10));
}

TEST(CallTrackerTest, RefusedAfterALostAnswerIsStillUnknown) {
  CallTracker tracker = MakeTracker();
  const uint64_t call = *tracker.Begin(CallKind::kMutation, "create /a", kStart);
  MonotonicTime now = kStart;
  tracker.StartAttempt(call, now);
  CallTracker::Verdict verdict = tracker.OnFailure(call, absl::UnavailableError("reset"), now += seconds(1));
  while (verdict.retry) {
    tracker.StartAttempt(call, now = verdict.retry_at);
    verdict = tracker.OnFailure(call, MakeError(ErrorReason::kUnreachable, "connection refused"), now);
  }
  EXPECT_EQ(ReasonOf(verdict.status), ErrorReason::kOutcomeUnknown);
  EXPECT_LE(now - kStart, seconds(12));
}

TEST(CallTrackerTest, SafeModeIsAnAnswerUnlessTheNamenodeHasServedThisClientBefore) {
  CallTracker tracker = MakeTracker();
  const absl::Status refusal = MakeError(ErrorReason::kSafeMode, "Cannot delete /a. Name node is in safe mode.");
  const uint64_t early = *tracker.Begin(CallKind::kMutation, "delete /a", kStart);
  tracker.StartAttempt(early, kStart);
  EXPECT_EQ(tracker.OnFailure(early, refusal, kStart).status, refusal);

  const uint64_t query = *tracker.Begin(CallKind::kQuery, "stat /a", kStart);
  tracker.StartAttempt(query, kStart);
  tracker.OnAnswer(query);  // reading works in safe mode, too
  const uint64_t still_early = *tracker.Begin(CallKind::kMutation, "delete /a", kStart);
  tracker.StartAttempt(still_early, kStart);
  EXPECT_EQ(tracker.OnFailure(still_early, refusal, kStart).status, refusal);

  const uint64_t served = *tracker.Begin(CallKind::kMutation, "mkdirs /b", kStart);
  tracker.StartAttempt(served, kStart);
  tracker.OnAnswer(served);
  EXPECT_EQ(tracker.outstanding(), 0U);

  // Now it has been restarted: the work goes on when it has seen its datanodes.
  const uint64_t late = *tracker.Begin(CallKind::kMutation, "delete /a", kStart);
  MonotonicTime now = kStart;
  tracker.StartAttempt(late, now);
  CallTracker::Verdict verdict = tracker.OnFailure(late, refusal, now);
  EXPECT_TRUE(verdict.retry);
  while (verdict.retry) {
    tracker.StartAttempt(late, now = verdict.retry_at);
    verdict = tracker.OnFailure(late, refusal, now);
  }
  EXPECT_GE(now - kStart, seconds(55));
  EXPECT_EQ(ReasonOf(verdict.status), ErrorReason::kSafeMode);
  EXPECT_THAT(verdict.status.message(), AllOf(HasSubstr("Name node is in safe mode."), HasSubstr("tried for ")));
}

TEST(CallTrackerTest, AFailureWithoutAReasonSaysWhoAnswered) {
  CallTracker tracker = MakeTracker();
  const uint64_t call = *tracker.Begin(CallKind::kQuery, "list /", kStart);
  tracker.StartAttempt(call, kStart);
  const CallTracker::Verdict verdict = tracker.OnFailure(call, absl::UnimplementedError(""), kStart);
  EXPECT_FALSE(verdict.retry);
  EXPECT_EQ(verdict.status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(verdict.status.message(),
              AllOf(HasSubstr("list /"), HasSubstr("nn:7020"), HasSubstr("UNIMPLEMENTED"), HasSubstr("namenode")));
}

TEST(CallTrackerTest, AFinalAnswerIsPassedOnUnchanged) {
  CallTracker tracker = MakeTracker();
  const uint64_t call = *tracker.Begin(CallKind::kMutation, "delete /a", kStart);
  tracker.StartAttempt(call, kStart);
  const absl::Status refusal = MakeError(ErrorReason::kAccessControl, "Permission denied");
  const CallTracker::Verdict verdict = tracker.OnFailure(call, refusal, kStart);
  EXPECT_FALSE(verdict.retry);
  EXPECT_EQ(verdict.status, refusal);
}

}  // namespace
}  // namespace dolmen::client
