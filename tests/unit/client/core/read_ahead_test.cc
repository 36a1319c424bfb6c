#include "client/core/read_ahead.h"

#include "gtest/gtest.h"

namespace dolmen::client {
namespace {

TEST(ReadAheadPlannerTest, ASequentialReaderSoonStreamsToTheEnd) {
  ReadAheadPlanner planner(true);
  uint64_t position = 0;
  uint64_t bytes = planner.NextFetch(position, 4096);
  EXPECT_EQ(bytes, 256U << 10);
  int fetches = 1;
  while (bytes != UINT64_MAX) {
    position += bytes;
    bytes = planner.NextFetch(position, 4096);
    ASSERT_LT(++fetches, 6);
  }
}

TEST(ReadAheadPlannerTest, AJumpBeginsSmallAgain) {
  ReadAheadPlanner planner(true);
  EXPECT_EQ(planner.NextFetch(0, 1), 256U << 10);
  EXPECT_EQ(planner.NextFetch(256 << 10, 1), 1U << 20);
  EXPECT_EQ(planner.NextFetch(1 << 30, 1), 256U << 10);
  EXPECT_EQ(planner.NextFetch(5, 3 << 20), 3U << 20) << "never less than what is wanted";
}

TEST(ReadAheadPlannerTest, OffMeansExactlyWhatIsAsked) {
  ReadAheadPlanner planner(false);
  EXPECT_EQ(planner.NextFetch(0, 7), 7U);
  EXPECT_EQ(planner.NextFetch(7, 7), 7U);
}

}  // namespace
}  // namespace dolmen::client
