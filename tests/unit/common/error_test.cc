#include "common/error.h"

#include <gtest/gtest.h>

namespace dolmen {
namespace {

constexpr uint16_t kLastReason = static_cast<uint16_t>(ErrorReason::kCancelled);

absl::Status FailWith(const absl::Status& status) {
  DOLMEN_RETURN_IF_ERROR(status, "reading blk_17");
  return absl::OkStatus();
}

absl::StatusOr<int> Doubled(const absl::StatusOr<int>& input) {
  DOLMEN_ASSIGN_OR_RETURN(const int value, input, "doubling");
  return 2 * value;
}

TEST(Error, EveryReasonTravelsWithItsCode) {
  for (uint16_t number = 1; number <= kLastReason; ++number) {
    const auto reason = static_cast<ErrorReason>(number);
    const absl::Status status = MakeError(reason, "text");
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(status.code(), CodeFor(reason));
    EXPECT_EQ(ReasonOf(status), reason);
    EXPECT_EQ(MessageOf(status), "text");
  }
}

TEST(Error, StatusesWithoutAReasonHaveNone) {
  EXPECT_EQ(ReasonOf(absl::OkStatus()), ErrorReason::kNone);
  EXPECT_EQ(ReasonOf(absl::NotFoundError("x")), ErrorReason::kNone);
  EXPECT_EQ(ReasonOf(MakeError(ErrorReason::kNone, "x")), ErrorReason::kNone);
}

TEST(Error, AReasonOfANewerPeerIsKeptAndMeansGiveUp) {
  const auto newer = static_cast<ErrorReason>(kLastReason + 1000);
  const absl::Status status = MakeError(absl::StatusCode::kUnavailable, newer, "x");
  EXPECT_EQ(ReasonOf(status), newer);
  EXPECT_EQ(AdviceFor(status), RetryAdvice::kGiveUp);
  EXPECT_EQ(CodeFor(newer), absl::StatusCode::kUnknown);
}

TEST(Error, AnnotatingKeepsCodeAndReason) {
  const absl::Status inner = MakeError(ErrorReason::kNoSpace, "disk 3 is full");
  const absl::Status outer = Annotate(inner, "finalizing blk_17");
  EXPECT_EQ(outer.code(), inner.code());
  EXPECT_EQ(ReasonOf(outer), ErrorReason::kNoSpace);
  EXPECT_EQ(MessageOf(outer), "finalizing blk_17: disk 3 is full");
  EXPECT_TRUE(Annotate(absl::OkStatus(), "context").ok());
}

TEST(Error, MacrosReturnTheAnnotatedFailure) {
  EXPECT_TRUE(FailWith(absl::OkStatus()).ok());
  const absl::Status status = FailWith(MakeError(ErrorReason::kChecksum, "chunk 3"));
  EXPECT_EQ(MessageOf(status), "reading blk_17: chunk 3");
  EXPECT_EQ(ReasonOf(status), ErrorReason::kChecksum);
  EXPECT_EQ(*Doubled(21), 42);
  EXPECT_EQ(MessageOf(Doubled(MakeError(ErrorReason::kBusy, "full")).status()), "doubling: full");
}

TEST(Error, AdviceFollowsTheReasonAndElseTheCode) {
  EXPECT_EQ(AdviceFor(MakeError(ErrorReason::kBusy, "")), RetryAdvice::kRetry);
  EXPECT_EQ(AdviceFor(MakeError(ErrorReason::kNotReplicatedYet, "")), RetryAdvice::kRetry);
  EXPECT_EQ(AdviceFor(MakeError(ErrorReason::kChecksum, "")), RetryAdvice::kRetryElsewhere);
  EXPECT_EQ(AdviceFor(MakeError(ErrorReason::kUnreachable, "")), RetryAdvice::kRetryElsewhere);
  EXPECT_EQ(AdviceFor(MakeError(ErrorReason::kOutcomeUnknown, "")), RetryAdvice::kGiveUp);
  EXPECT_EQ(AdviceFor(MakeError(ErrorReason::kFileNotFound, "")), RetryAdvice::kGiveUp);
  // A full directory and a full queue share a code; the reason decides.
  EXPECT_EQ(AdviceFor(MakeError(ErrorReason::kDirectoryFull, "")), RetryAdvice::kGiveUp);
  EXPECT_EQ(AdviceFor(absl::UnavailableError("connection reset")), RetryAdvice::kRetry);
  EXPECT_EQ(AdviceFor(absl::InvalidArgumentError("")), RetryAdvice::kGiveUp);
}

}  // namespace
}  // namespace dolmen
