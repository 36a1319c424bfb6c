// The parts of redundancy planning that need no cluster: queues, levels, the choice of the excess.
#include "namenode/core/redundancy_planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocks_fixture.h"

namespace dolmen::namenode {
namespace {

using std::chrono::seconds;
using Why = DeletionQueue::Why;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

MonotonicTime At(int time) { return MonotonicTime(seconds(time)); }
Block Replica(uint64_t id) { return {BlockId(id), GenerationStamp(1001), 10}; }

TEST(CopyQueueTest, EveryBlockGetsItsTurn) {
  CopyQueue queue(10);
  for (uint64_t id : {1, 2, 3}) queue.Put(BlockId(id), CopyLevel::kLow, false);
  EXPECT_THAT(queue.NextOf(CopyLevel::kLow, 2), ElementsAre(BlockId(1), BlockId(2)));
  EXPECT_THAT(queue.NextOf(CopyLevel::kLow, 2), ElementsAre(BlockId(3), BlockId(1)));
  EXPECT_THAT(queue.NextOf(CopyLevel::kLow, 9), ElementsAre(BlockId(2), BlockId(3), BlockId(1)));
  EXPECT_THAT(queue.NextOf(CopyLevel::kHighest, 9), IsEmpty());
}

TEST(CopyQueueTest, BlockIsOnOneLevelOnly) {
  CopyQueue queue(10);
  queue.Put(BlockId(1), CopyLevel::kLow, false);
  queue.Put(BlockId(1), CopyLevel::kMissing, true);
  EXPECT_EQ(queue.size(), 1u);
  EXPECT_EQ(queue.size(CopyLevel::kLow), 0u);
  EXPECT_EQ(queue.missing_with_one(), 1u);
  queue.Erase(BlockId(1));
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.missing_with_one(), 0u);
}

TEST(CopyQueueTest, FullQueueKeepsTheMostEndangered) {
  CopyQueue queue(2);
  queue.Put(BlockId(1), CopyLevel::kMissing, false);
  queue.Put(BlockId(2), CopyLevel::kLow, false);
  EXPECT_FALSE(queue.TakeOverflowed());
  queue.Put(BlockId(3), CopyLevel::kHighest, false);
  EXPECT_FALSE(queue.Contains(BlockId(1)));
  queue.Put(BlockId(4), CopyLevel::kLow, false);
  EXPECT_FALSE(queue.Contains(BlockId(4)));
  EXPECT_TRUE(queue.TakeOverflowed());
  queue.Put(BlockId(5), CopyLevel::kHighest, false);
  EXPECT_THAT(queue.NextOf(CopyLevel::kHighest, 9), ElementsAre(BlockId(3), BlockId(5)));
  EXPECT_EQ(queue.size(), 2u);
}

TEST(PendingCopiesTest, OrderEndsWhenAllTargetsHaveIt) {
  PendingCopies pending;
  const DatanodeUuid source("s"), one("1"), two("2");
  pending.Add(Replica(1), source, {one, two}, At(60));
  pending.Add(Replica(2), source, {two}, At(60));
  EXPECT_EQ(pending.LoadOf(source).blocks, 2u);
  EXPECT_EQ(pending.LoadOf(source).bytes, 20u);
  pending.Arrived(BlockId(1), one);
  EXPECT_FALSE(pending.Expects(BlockId(1), one));
  EXPECT_TRUE(pending.Expects(BlockId(1), two));
  pending.Arrived(BlockId(1), two);
  EXPECT_FALSE(pending.Contains(BlockId(1)));
  EXPECT_EQ(pending.LoadOf(source).blocks, 1u);
  EXPECT_EQ(pending.LoadOf(source).bytes, 10u);
  pending.Forget(BlockId(2));
  EXPECT_EQ(pending.LoadOf(source).bytes, 0u);
}

TEST(PendingCopiesTest, OrderEndsByTimeAndWithItsDatanodes) {
  PendingCopies pending;
  const DatanodeUuid source("s"), one("1"), two("2");
  pending.Add(Replica(1), source, {one}, At(60));
  pending.Add(Replica(2), source, {two}, At(70));
  pending.Add(Replica(3), two, {one}, At(80));
  EXPECT_THAT(pending.Expire(At(60)), ElementsAre(BlockId(1)));
  EXPECT_THAT(pending.OnDatanodeLost(two), ElementsAre(BlockId(2), BlockId(3)));
  EXPECT_EQ(pending.size(), 0u);
}

TEST(DeletionQueueTest, OrderedEntriesWaitUntilWoken) {
  DeletionQueue queue(100);
  ASSERT_TRUE(queue.Add(1, Replica(5), Why::kExcess));
  ASSERT_TRUE(queue.Add(1, Replica(6), Why::kExcess));
  EXPECT_THAT(queue.Waiting(1, 1), ElementsAre(BlockId(5)));
  queue.MarkOrdered(1, BlockId(5), At(10), 1);
  EXPECT_THAT(queue.Waiting(1, 9), ElementsAre(BlockId(6)));
  EXPECT_TRUE(queue.Contains(1, BlockId(5))) << "still under sentence";
  queue.WakeBefore(At(10));
  EXPECT_THAT(queue.Waiting(1, 9), ElementsAre(BlockId(6)));
  queue.WakeBefore(At(11));
  EXPECT_THAT(queue.Waiting(1, 9), ElementsAre(BlockId(5), BlockId(6)));
  queue.Remove(1, BlockId(5));
  queue.Remove(1, BlockId(6));
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_THAT(queue.WaitingStorages(), IsEmpty());
}

TEST(DeletionQueueTest, OlderStampDoesNotTakeThePlaceOfANewerOne) {
  DeletionQueue queue(100);
  ASSERT_TRUE(queue.Add(1, {BlockId(5), GenerationStamp(1001), 10}, Why::kNoSuchBlock));
  ASSERT_TRUE(queue.Add(1, {BlockId(5), GenerationStamp(1002), 20}, Why::kNoSuchBlock));
  ASSERT_TRUE(queue.Add(1, {BlockId(5), GenerationStamp(1001), 10}, Why::kNoSuchBlock));
  EXPECT_EQ(queue.Find(1, BlockId(5))->block, (Block{BlockId(5), GenerationStamp(1002), 20}));
}

TEST(DeletionQueueTest, OneStorageCannotFillIt) {
  DeletionQueue queue(5000);
  uint64_t added = 0;
  while (queue.Add(1, Replica(added + 1), Why::kNoSuchBlock)) ++added;
  EXPECT_EQ(added, 1250u);
  EXPECT_TRUE(queue.Add(1, Replica(1), Why::kExcess)) << "a known entry only changes";
  EXPECT_TRUE(queue.Add(2, Replica(1), Why::kNoSuchBlock));
}

TEST(DeletionQueueTest, LostStorageKeepsWhatMayBeHappening) {
  DeletionQueue queue(100);
  for (uint64_t id : {1, 2}) ASSERT_TRUE(queue.Add(1, Replica(id), Why::kExcess));
  ASSERT_TRUE(queue.Add(1, Replica(3), Why::kNoSuchBlock));
  queue.MarkOrdered(1, BlockId(2), At(1), 1);
  queue.MarkOrdered(1, BlockId(3), At(1), 1);
  queue.OnStorageLost(1);
  EXPECT_FALSE(queue.Contains(1, BlockId(1)));
  EXPECT_TRUE(queue.Contains(1, BlockId(2)));
  EXPECT_FALSE(queue.Contains(1, BlockId(3)));
  EXPECT_EQ(queue.size(), 1u);
  queue.OnStorageDropped(1);
  EXPECT_EQ(queue.size(), 0u);
}

ExcessCandidate Candidate(uint32_t storage, const std::string& rack, uint64_t remaining, seconds silent = seconds(0),
                          bool solid = true) {
  return {.storage = storage, .rack = rack, .silent = silent, .remaining_bytes = remaining, .solid = solid};
}

TEST(ChooseExcessTest, FullestStorageGoesFirst) {
  EXPECT_THAT(ChooseExcess({Candidate(1, "/a", 30), Candidate(2, "/a", 10), Candidate(3, "/a", 20)}, 1, seconds(4)),
              ElementsAre(2, 3));
}

TEST(ChooseExcessTest, SilentDatanodeGoesBeforeTheFullest) {
  EXPECT_THAT(
      ChooseExcess({Candidate(1, "/a", 10), Candidate(2, "/a", 99, seconds(5)), Candidate(3, "/a", 20)}, 2, seconds(4)),
      ElementsAre(2));
}

TEST(ChooseExcessTest, SecondRackIsKept) {
  EXPECT_THAT(ChooseExcess({Candidate(1, "/a", 10), Candidate(2, "/b", 50), Candidate(3, "/b", 60)}, 2, seconds(4)),
              ElementsAre(2));
}

TEST(ChooseExcessTest, NothingGoesUnlessEnoughOthersVouch) {
  EXPECT_THAT(ChooseExcess({Candidate(1, "/a", 10), Candidate(2, "/a", 50), Candidate(3, "/a", 60, seconds(0), false)},
                           3, seconds(4)),
              IsEmpty());
  EXPECT_THAT(ChooseExcess({Candidate(1, "/a", 10), Candidate(2, "/a", 50), Candidate(3, "/a", 60, seconds(0), false)},
                           2, seconds(4)),
              ElementsAre(3))
      << "the one that can't vouch goes, although others are fuller";
  EXPECT_THAT(ChooseExcess({Candidate(1, "/a", 10, seconds(0), false), Candidate(2, "/a", 50, seconds(0), false)}, 1,
                           seconds(4)),
              IsEmpty());
}

}  // namespace
}  // namespace dolmen::namenode
