#include "client/core/lease_renewal.h"

#include "common/error.h"
#include "gtest/gtest.h"

namespace dolmen::client {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
constexpr MonotonicTime kStart{std::chrono::hours(5)};

TEST(LeaseRenewalTest, NoOpenFileNeedsNoRenewal) {
  LeaseRenewal renewal({});
  EXPECT_FALSE(renewal.NextRenewal().has_value());
  renewal.FileOpened(kStart);
  EXPECT_EQ(renewal.NextRenewal(), kStart + seconds(30));
  renewal.FileClosed();
  EXPECT_FALSE(renewal.NextRenewal().has_value());
}

TEST(LeaseRenewalTest, RenewsAtHalfTheSoftLimitAfterTheLastSending) {
  LeaseRenewal renewal({.soft_limit = seconds(10)});
  renewal.FileOpened(kStart);
  EXPECT_EQ(renewal.NextRenewal(), kStart + seconds(5));
  renewal.OnSent(kStart + seconds(5));
  EXPECT_FALSE(renewal.NextRenewal().has_value()) << "one at a time";
  renewal.OnAnswer(absl::OkStatus(), kStart + seconds(7));
  EXPECT_EQ(renewal.NextRenewal(), kStart + seconds(10)) << "what counts is when the namenode may have seen it";
}

TEST(LeaseRenewalTest, AFailedRenewalIsRepeatedEverySecondUntilTheHardLimit) {
  LeaseRenewal renewal({});
  renewal.FileOpened(kStart);
  MonotonicTime now = *renewal.NextRenewal();
  int tries = 0;
  while (renewal.Verdict(now).ok()) {
    renewal.OnSent(now);
    renewal.OnAnswer(absl::UnavailableError("down"), now);
    ASSERT_EQ(renewal.NextRenewal(), now + seconds(1));
    now = *renewal.NextRenewal();
    ++tries;
  }
  EXPECT_EQ(now, kStart + minutes(20));
  EXPECT_EQ(tries, 20 * 60 - 30);
  EXPECT_EQ(ReasonOf(renewal.Verdict(now)), ErrorReason::kLeaseExpired);
  EXPECT_EQ(renewal.Verdict(now).message(), "Lease timeout of 1200 seconds expired.");
}

TEST(LeaseRenewalTest, OneSuccessEndsTheWorry) {
  LeaseRenewal renewal({});
  renewal.FileOpened(kStart);
  renewal.OnSent(kStart + seconds(30));
  renewal.OnAnswer(absl::UnavailableError("down"), kStart + seconds(30));
  renewal.OnSent(kStart + minutes(19));
  renewal.OnAnswer(absl::OkStatus(), kStart + minutes(19));
  EXPECT_TRUE(renewal.Verdict(kStart + minutes(30)).ok());
  EXPECT_EQ(renewal.NextRenewal(), kStart + minutes(19) + seconds(30));
}

TEST(LeaseRenewalTest, AFileOpenedAfterAllWereClosedBeginsAnew) {
  LeaseRenewal renewal({});
  renewal.FileOpened(kStart);
  renewal.FileClosed();
  renewal.FileOpened(kStart + minutes(60));
  EXPECT_TRUE(renewal.Verdict(kStart + minutes(61)).ok());
  EXPECT_EQ(renewal.NextRenewal(), kStart + minutes(60) + seconds(30));
}

}  // namespace
}  // namespace dolmen::client
