#include "namenode/core/safe_mode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dolmen::namenode {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class SafeModeTest : public ::testing::Test {
 protected:
  void Tick(milliseconds later = milliseconds(0)) {
    now_ += later;
    safe_mode_.Tick(now_, true);
  }
  std::string Tip() { return safe_mode_.Tip(now_); }

  CoreSettings settings_;
  SafeMode safe_mode_{&settings_};
  MonotonicTime now_{seconds(100)};
};

TEST_F(SafeModeTest, EmptyNamespaceLeavesAtOnce) {
  EXPECT_TRUE(safe_mode_.on());
  Tick();
  EXPECT_FALSE(safe_mode_.on());
  EXPECT_EQ(Tip(), "");
}

TEST_F(SafeModeTest, WaitsForTheThresholdThenForTheExtension) {
  safe_mode_.SetTotalBlocks(1000);
  safe_mode_.AddSafeBlocks(998);
  Tick();
  EXPECT_EQ(Tip(),
            "The reported blocks 998 needs additional 1 blocks to reach the threshold 0.9990 of total blocks 1000.\n"
            "The minimum number of live datanodes is not required. "
            "Safe mode will be turned off automatically once the thresholds have been reached.");
  safe_mode_.AddSafeBlocks(1);
  Tick();
  EXPECT_EQ(Tip(),
            "The reported blocks 999 has reached the threshold 0.9990 of total blocks 1000. "
            "The minimum number of live datanodes is not required. "
            "In safe mode extension. Safe mode will be turned off automatically in 3 seconds.");
  Tick(milliseconds(2999));
  EXPECT_TRUE(safe_mode_.on());
  Tick(milliseconds(1));
  EXPECT_FALSE(safe_mode_.on());
}

TEST_F(SafeModeTest, ThresholdsMustHoldAtTheEndOfTheExtension) {
  safe_mode_.SetTotalBlocks(10);
  safe_mode_.AddSafeBlocks(10);
  Tick();
  safe_mode_.AddSafeBlocks(-5);
  Tick(seconds(10));
  EXPECT_TRUE(safe_mode_.on());
  safe_mode_.AddSafeBlocks(5);
  safe_mode_.Tick(now_, /*counts_settled=*/false);
  EXPECT_TRUE(safe_mode_.on()) << "the count may still fall";
  Tick();
  EXPECT_FALSE(safe_mode_.on());
}

TEST_F(SafeModeTest, WaitsForDatanodes) {
  settings_.safe_mode_min_datanodes = 2;
  safe_mode_.SetLiveDatanodes(1);
  Tick();
  EXPECT_THAT(Tip(), ::testing::HasSubstr("The number of live datanodes 1 needs an additional 1 live datanodes to "
                                          "reach the minimum number 2.\n"));
  safe_mode_.SetLiveDatanodes(2);
  EXPECT_THAT(Tip(), ::testing::HasSubstr("The number of live datanodes 2 has reached the minimum number 2. "));
  Tick();
  EXPECT_FALSE(safe_mode_.on());
}

TEST_F(SafeModeTest, ThresholdAboveOneWaitsForTheCommand) {
  settings_.safe_mode_threshold = 1.5;
  Tick(seconds(100));
  EXPECT_TRUE(safe_mode_.on());
  safe_mode_.Leave();
  EXPECT_FALSE(safe_mode_.on());
}

TEST_F(SafeModeTest, ManualStaysUntilTheCommand) {
  safe_mode_.Enter();
  Tick(seconds(100));
  EXPECT_TRUE(safe_mode_.on());
  EXPECT_FALSE(safe_mode_.starting_up());
  EXPECT_EQ(Tip(), "It was turned on manually. Use \"hdfs dfsadmin -safemode leave\" to turn safe mode off.");
  safe_mode_.Leave();
  EXPECT_FALSE(safe_mode_.on());
}

TEST_F(SafeModeTest, LowResourcesHealByThemselvesAndIgnoreTheCommand) {
  Tick();
  safe_mode_.SetResourcesLow(true);
  EXPECT_THAT(Tip(), ::testing::StartsWith("Resources are low on NN."));
  safe_mode_.Leave();
  EXPECT_TRUE(safe_mode_.on());
  safe_mode_.SetResourcesLow(false);
  EXPECT_FALSE(safe_mode_.on());
}

}  // namespace
}  // namespace dolmen::namenode
