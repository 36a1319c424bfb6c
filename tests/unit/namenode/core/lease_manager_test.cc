#include "namenode/core/lease_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace dolmen::namenode {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Expired = LeaseManager::Expired;

class LeaseManagerTest : public ::testing::Test {
 protected:
  LeaseManagerTest() { leases.SetNow(now); }
  // Time passes in steps that are no pause of the namenode.
  void Pass(std::chrono::milliseconds time) {
    while (time > std::chrono::milliseconds(0)) {
      const std::chrono::milliseconds step = std::min(time, std::chrono::milliseconds(1000));
      now += step;
      time -= step;
      leases.SetNow(now);
    }
  }

  CoreSettings settings;
  LeaseManager leases{settings};
  MonotonicTime now{std::chrono::hours(1)};
};

TEST_F(LeaseManagerTest, AHolderIsSilentBeyondTheSoftLimitNotAtIt) {
  leases.Open("a", InodeId(1));
  Pass(settings.lease_soft_limit);
  EXPECT_FALSE(leases.SoftLimitExpired("a"));
  Pass(std::chrono::milliseconds(1));
  EXPECT_TRUE(leases.SoftLimitExpired("a"));
}

// F-054, F-112.
TEST_F(LeaseManagerTest, APauseOfTheNamenodeIsNotHeldAgainstWriters) {
  leases.Open("a", InodeId(1));
  Pass(std::chrono::seconds(1));
  leases.Open("b", InodeId(2));
  now += std::chrono::minutes(10);
  leases.SetNow(now);
  EXPECT_FALSE(leases.SoftLimitExpired("a"));
  now += 2 * settings.lease_hard_limit;
  leases.SetNow(now);
  EXPECT_THAT(leases.HardExpired(10), IsEmpty());
  leases.Renew("b");
  Pass(std::chrono::seconds(61));
  EXPECT_TRUE(leases.SoftLimitExpired("a")) << "after the grace the usual rule holds";
  Pass(settings.lease_hard_limit);
  EXPECT_THAT(leases.HardExpired(10), ElementsAre(Expired{"a", InodeId(1)}, Expired{"b", InodeId(2)}));
}

TEST_F(LeaseManagerTest, WhoIsNotKnownDoesNotWrite) { EXPECT_TRUE(leases.SoftLimitExpired("nobody")); }

TEST_F(LeaseManagerTest, RenewalCoversAllFilesOfTheHolderAndNobodyElses) {
  leases.Open("a", InodeId(1));
  leases.Open("a", InodeId(2));
  leases.Open("b", InodeId(3));
  Pass(settings.lease_hard_limit);
  leases.Renew("a");
  Pass(std::chrono::milliseconds(1));
  EXPECT_THAT(leases.HardExpired(10), ElementsAre(Expired{"b", InodeId(3)}));
  EXPECT_FALSE(leases.SoftLimitExpired("a"));
}

TEST_F(LeaseManagerTest, OpeningAnotherFileRenews) {
  leases.Open("a", InodeId(1));
  Pass(settings.lease_hard_limit);
  leases.Open("a", InodeId(2));
  Pass(std::chrono::milliseconds(1));
  EXPECT_THAT(leases.HardExpired(10), IsEmpty());
}

TEST_F(LeaseManagerTest, RenewingAnUnknownHolderMakesNone) {
  leases.Renew("nobody");
  EXPECT_EQ(leases.holder_count(), 0u);
}

TEST_F(LeaseManagerTest, TheLastClosedFileEndsTheHolder) {
  leases.Open("a", InodeId(1));
  leases.Open("a", InodeId(2));
  leases.Close("a", InodeId(1));
  leases.Close("a", InodeId(1));
  EXPECT_EQ(leases.holder_count(), 1u);
  leases.Close("a", InodeId(2));
  leases.Close("nobody", InodeId(2));
  EXPECT_EQ(leases.holder_count(), 0u);
  Pass(settings.lease_hard_limit * 2);
  EXPECT_THAT(leases.HardExpired(10), IsEmpty());
}

TEST_F(LeaseManagerTest, TheLongestSilentComeFirstAndNoMoreThanAskedFor) {
  leases.Open("late", InodeId(1));
  Pass(std::chrono::seconds(1));
  leases.Open("b", InodeId(2));
  leases.Open("a", InodeId(4));
  leases.Open("a", InodeId(3));
  Pass(std::chrono::seconds(1));
  leases.Open("young", InodeId(5));
  leases.Renew("late");  // is the youngest now
  Pass(settings.lease_hard_limit);
  EXPECT_THAT(leases.HardExpired(10),
              ElementsAre(Expired{"a", InodeId(3)}, Expired{"a", InodeId(4)}, Expired{"b", InodeId(2)}));
  EXPECT_THAT(leases.HardExpired(2), ElementsAre(Expired{"a", InodeId(3)}, Expired{"a", InodeId(4)}));
  EXPECT_THAT(leases.HardExpired(0), IsEmpty());
}

}  // namespace
}  // namespace dolmen::namenode
