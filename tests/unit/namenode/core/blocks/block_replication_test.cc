// What the block manager orders: verifications, copies and deletions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocks_fixture.h"
#include "namenode/core/block_manager.h"

namespace dolmen::namenode {
namespace {

using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class BlockReplicationTest : public BlocksFixture {};

// ---- blame (C-17) --------------------------------------------------------------------------------------------------

TEST_F(BlockReplicationTest, BlameOnlyAsksTheDatanodeToVerify) {
  Join("1");
  LeaveSafeMode();
  const Block block = Stored(100, 1, {"1"});
  manager_->ReportBad({block, DatanodeUuid("uuid-1"), StorageId("disk-1")});
  manager_->ReportBad({block, DatanodeUuid("uuid-1"), StorageId("disk-1")});
  manager_->ReportBad({block, DatanodeUuid("uuid-9"), StorageId("disk-9")});
  manager_->ReportBad({{BlockId(999), block.stamp, 1}, DatanodeUuid("uuid-1"), StorageId("disk-1")});
  EXPECT_THAT(Texts(Pass(seconds(5), {"1"})), ElementsAre("1: verify 100"));
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
}

TEST_F(BlockReplicationTest, CorruptReplicaIsKeptUntilEnoughGoodOnesExist) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 2, {"1", "2"});
  Report("2", block, ReplicaState::kCorrupt);
  EXPECT_THAT(Located(block), ElementsAre("1"));
  EXPECT_THAT(Texts(Pass(seconds(1), {"1", "2", "3"})), ElementsAre("1: copy 100 -> 3"));
  Report("3", block);
  EXPECT_THAT(Texts(Pass(seconds(2), {"1", "2", "3"})), ElementsAre("2: delete 100"));
}

TEST_F(BlockReplicationTest, NothingIsDeletedWhenAllReplicasAreCorrupt) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 2, {"1", "2"});
  for (const char* name : {"1", "2"}) Report(name, block, ReplicaState::kCorrupt);
  EXPECT_THAT(Texts(Pass(seconds(100), {"1", "2", "3"})), IsEmpty());
  EXPECT_EQ(Stats().missing_blocks, 1u);
}

TEST_F(BlockReplicationTest, CorruptReplicaMakesRoomWhenThereIsNoOtherPlace) {
  for (const char* name : {"1", "2"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 2, {"1", "2"});
  Report("2", block, ReplicaState::kCorrupt);
  EXPECT_THAT(Texts(Pass(seconds(2), {"1", "2"})), ElementsAre("2: delete 100"));
  Report("2", block, ReplicaState::kDeleted);
  EXPECT_THAT(Texts(Pass(seconds(2), {"1", "2"})), ElementsAre("1: copy 100 -> 2"));
  Report("2", block);
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 2);
}

TEST_F(BlockReplicationTest, LastGoodReplicaIsNotGivenUpForACorruptOne) {
  Join("1");
  LeaveSafeMode();
  const Block block = Stored(100, 1, {"1"});
  Report("1", block, ReplicaState::kCorrupt);
  Say("1", block, ReplicaState::kFinalized);
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 0) << "a late word does not make it good again";
  EXPECT_THAT(Texts(Pass(seconds(10), {"1"})), IsEmpty());
}

// ---- copies --------------------------------------------------------------------------------------------------------

TEST_F(BlockReplicationTest, FreshBlockGetsTimeForItsReports) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  const Block block = AddBlock(100, 3);
  manager_->Apply(BlockCommitted{block, 3});
  Report("1", block);
  EXPECT_THAT(Texts(Pass(seconds(3), {"1", "2", "3"})), IsEmpty());
  Report("2", block);
  Report("3", block);
  EXPECT_THAT(Texts(Pass(seconds(10), {"1", "2", "3"})), IsEmpty());
  EXPECT_EQ(Stats().under_replicated_blocks, 0u);
}

TEST_F(BlockReplicationTest, MissingReplicasOfAFreshBlockAreCopiedAfterwards) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  const Block block = AddBlock(100, 3);
  manager_->Apply(BlockCommitted{block, 3});
  Report("1", block);
  Report("2", block);
  const std::vector<std::string> commands = Texts(Pass(seconds(8), {"1", "2", "3"}));
  EXPECT_THAT(commands, ElementsAre(AnyOf("1: copy 100 -> 3", "2: copy 100 -> 3")));
}

TEST_F(BlockReplicationTest, AnotherNumberOfReplicasIsMadeSo) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 2, {"1", "2"});
  EXPECT_THAT(Texts(Pass(seconds(3), {"1", "2", "3"})), IsEmpty());
  namespace_.blocks[block.id].replicas_wanted = 3;
  manager_->Apply(BlockReplicasChanged{block.id});
  EXPECT_THAT(Texts(Pass(seconds(3), {"1", "2", "3"})), ElementsAre(AnyOf("1: copy 100 -> 3", "2: copy 100 -> 3")));
  Report("3", block);
  namespace_.blocks[block.id].replicas_wanted = 1;
  manager_->Apply(BlockReplicasChanged{block.id});
  EXPECT_THAT(Texts(Pass(seconds(3), {"1", "2", "3"})), SizeIs(2)) << "two deletions";
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
}

TEST_F(BlockReplicationTest, ReplicaLeftBeingWrittenMakesRoom) {
  for (const char* name : {"1", "2"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 2, {"1"});
  Report("2", {block.id, block.stamp, 40}, ReplicaState::kBeingWritten);
  EXPECT_THAT(Texts(Pass(seconds(3), {"1", "2"})), ElementsAre("2: delete 100"));
  Report("2", {block.id, block.stamp, 40}, ReplicaState::kDeleted);
  EXPECT_THAT(Texts(Pass(seconds(3), {"1", "2"})), ElementsAre("1: copy 100 -> 2"));
}

TEST_F(BlockReplicationTest, DeadDatanodesBlocksAreCopied) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  std::vector<Block> blocks;
  for (uint64_t id = 100; id < 104; ++id) blocks.push_back(Stored(id, 2, {"1", "2"}));
  Pass(seconds(2), {"1", "2", "3"});
  EXPECT_THAT(Texts(Pass(seconds(28), {"1", "3"})), IsEmpty()) << "stale is not dead";
  const std::vector<std::string> commands = Texts(Pass(seconds(8), {"1", "3"}));
  EXPECT_THAT(commands, ElementsAre("1: copy 100 -> 3", "1: copy 101 -> 3", "1: copy 102 -> 3", "1: copy 103 -> 3"));
  EXPECT_EQ(Stats().under_replicated_blocks, 4u);
  for (const Block& block : blocks) {
    EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
    Report("3", block);
  }
  EXPECT_EQ(Stats().under_replicated_blocks, 0u);
  EXPECT_THAT(Located(blocks[0]), ElementsAre("1", "3"));

  // The dead one returns: exactly the excess is removed, good copies confirmed first (F-141).
  Register("2");
  EXPECT_THAT(Texts(Pass(seconds(3), {"1", "2", "3"})), IsEmpty());
  FullReport("2");
  const std::vector<CommandFor> trimmed = Pass(seconds(3), {"1", "2", "3"});
  EXPECT_THAT(Texts(trimmed), SizeIs(4));
  for (const Block& block : blocks) EXPECT_EQ(manager_->ConfirmedReplicas(block), 2);
}

TEST_F(BlockReplicationTest, CopyThatDoesNotArriveIsOrderedAgain) {
  for (const char* name : {"1", "2"}) Join(name);
  LeaveSafeMode();
  Stored(100, 2, {"1"});
  EXPECT_THAT(Texts(Pass(seconds(30), {"1", "2"})), ElementsAre("1: copy 100 -> 2"));
  EXPECT_THAT(Texts(Pass(seconds(40), {"1", "2"})), ElementsAre("1: copy 100 -> 2"));
}

TEST_F(BlockReplicationTest, SourceIsGivenSoManyBlocksAndBytesAtATime) {
  settings_.copies_per_datanode = 5;
  settings_.copy_bytes_per_datanode = 250;
  for (const char* name : {"1", "2", "3", "4"}) Join(name);
  LeaveSafeMode();
  for (uint64_t id = 100; id < 120; ++id) Stored(id, 3, {"1", "2"});
  EXPECT_THAT(Texts(Pass(seconds(10), {"1", "2", "3", "4"})), SizeIs(4)) << "two sources, 200 bytes each";
  settings_.copy_bytes_per_datanode = 10'000;
  EXPECT_THAT(Texts(Pass(seconds(10), {"1", "2", "3", "4"})), SizeIs(6)) << "two sources, five each";
  const Block large = AddBlock(200, 2, 1'000'000);
  Report("3", large);
  EXPECT_THAT(Texts(Pass(seconds(2), {"1", "2", "3", "4"})), ElementsAre(HasSubstr("3: copy 200")))
      << "one in any case";
}

TEST_F(BlockReplicationTest, SmallBlocksAreCopiedByTheDozen) {
  for (const char* name : {"1", "2", "3", "4"}) Join(name);
  LeaveSafeMode();
  for (uint64_t id = 1000; id < 1150; ++id) Stored(id, 3, {"1", "2"});
  EXPECT_THAT(Texts(Pass(seconds(1), {"1", "2", "3", "4"})), SizeIs(128)) << "two sources, 64 each";
}

TEST_F(BlockReplicationTest, CopiesOrderedInOneStepAreBounded) {
  settings_.copies_per_plan = 30;
  for (const char* name : {"1", "2", "3", "4"}) Join(name);
  LeaveSafeMode();
  for (uint64_t id = 1000; id < 1150; ++id) Stored(id, 3, {"1", "2"});
  EXPECT_THAT(Texts(Pass(seconds(1), {"1", "2", "3", "4"})), SizeIs(30));
}

TEST_F(BlockReplicationTest, MostEndangeredBlocksComeFirst) {
  for (const char* name : {"1", "2", "3", "4"}) Join(name);
  LeaveSafeMode();
  Stored(100, 3, {"1", "2"});
  Stored(200, 3, {"1"});
  const std::vector<CommandFor> commands = Tick().empty() ? Pass(seconds(1), {"1", "2", "3", "4"}) : Tick();
  ASSERT_THAT(commands, SizeIs(2));
  EXPECT_THAT(Texts({commands[0]}), ElementsAre(HasSubstr("copy 200")));
  EXPECT_EQ(std::get<protocol::CopyReplicaCommand>(commands[0].second).targets.size(), 2u);
  EXPECT_EQ(std::get<protocol::CopyReplicaCommand>(commands[0].second).token, "") << "the caller mints it";
}

TEST_F(BlockReplicationTest, DatanodeThatJustRegisteredHasItsSayFirst) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 2, {"1", "2"});
  Register("2");  // restarted; its full report is on the way
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
  EXPECT_THAT(Texts(Pass(seconds(20), {"1", "2", "3"})), IsEmpty());
  FullReport("2");
  EXPECT_THAT(Texts(Pass(seconds(20), {"1", "2", "3"})), IsEmpty());
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 2);
}

TEST_F(BlockReplicationTest, BlockOnOneRackOfTwoIsSpread) {
  for (const char* name : {"1", "2"}) Join(name, "/a");
  Join("3", "/b");
  LeaveSafeMode();
  const Block block = Stored(100, 2, {"1", "2"});
  EXPECT_THAT(Texts(Pass(seconds(2), {"1", "2", "3"})), ElementsAre(HasSubstr("copy 100 -> 3")));
  Report("3", block);
  EXPECT_THAT(Texts(Pass(seconds(2), {"1", "2", "3"})), ElementsAre(AnyOf("1: delete 100", "2: delete 100")));
}

TEST_F(BlockReplicationTest, UnderReplicationInASmallClusterIsJustCounted) {
  Join("1");
  LeaveSafeMode();
  Stored(100, 3, {"1"});
  EXPECT_THAT(Texts(Pass(seconds(10), {"1"})), IsEmpty());
  EXPECT_EQ(Stats().under_replicated_blocks, 1u);
}

// ---- excess (C-15) -------------------------------------------------------------------------------------------------

TEST_F(BlockReplicationTest, ExcessWaitsUntilTheSurvivorsReportedFully) {
  for (const char* name : {"1", "2", "3"}) Register(name);
  LeaveSafeMode();
  const Block block = Stored(100, 2, {"1", "2", "3"});
  EXPECT_THAT(Texts(Pass(seconds(5), {"1", "2", "3"})), IsEmpty());
  FullReport("1");
  EXPECT_THAT(Texts(Pass(seconds(5), {"1", "2", "3"})), IsEmpty());
  FullReport("2");
  EXPECT_THAT(Texts(Pass(seconds(2), {"1", "2", "3"})), ElementsAre("3: delete 100"))
      << "the one that has not reported fully goes";
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 2);
}

TEST_F(BlockReplicationTest, SurvivorsMustBeLive) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  Stored(100, 2, {"1", "2"});
  Pass(seconds(6), {"1", "3"});  // 2 is stale now
  Report("3", {BlockId(100), GenerationStamp(1001), 100});
  EXPECT_THAT(Texts(Pass(seconds(2), {"1", "3"})), ElementsAre("2: delete 100"));
}

// F-154.
TEST_F(BlockReplicationTest, RaisedTargetCallsADeletionOff) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 3, {"1", "2", "3"});
  namespace_.blocks[block.id].replicas_wanted = 2;
  Report("1", block);  // judged with the lower target
  EXPECT_EQ(Stats().pending_deletion_blocks, 1u);
  namespace_.blocks[block.id].replicas_wanted = 3;
  EXPECT_THAT(Texts(Pass(seconds(5), {"1", "2", "3"})), IsEmpty());
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 3);
  EXPECT_EQ(Stats().pending_deletion_blocks, 0u);
}

TEST_F(BlockReplicationTest, SentencedReplicaNeverCountsAgainByItself) {
  for (const char* name : {"1", "2"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 1, {"1", "2"});
  const std::vector<std::string> first = Texts(Pass(seconds(2), {"1", "2"}));
  ASSERT_THAT(first, SizeIs(1));
  const std::string victim = first[0].substr(0, 1);
  const std::string survivor = victim == "1" ? "2" : "1";
  // The command is lost; then the survivor dies. The victim may or may not be gone.
  Pass(seconds(31), {victim});
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 0);
  // It is asked, and two rounds that can't be older than the order settle it.
  FullReport(victim);
  FullReport(victim);
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 0) << "the command may still be on its way";
  EXPECT_THAT(Texts(Pass(seconds(40), {victim})), Contains(victim + ": report"));
  FullReport(victim);
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 0);
  FullReport(victim);
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
  (void)survivor;
}

TEST_F(BlockReplicationTest, SecondReplicaOnTheSameDatanodeIsDeletedAndCountsOnce) {
  protocol::RegisterRequest two_disks = Registering("1");
  two_disks.storages.push_back(Disk("disk-b"));
  const auto registration = manager_->Register(two_disks, namespace_.counters, now_);
  ASSERT_TRUE(registration.ok());
  datanodes_["1"].session = registration->reply.session;
  const Block block = AddBlock(100, 1);
  for (const char* disk : {"disk-1", "disk-b"}) {
    protocol::FullReportSlice slice = SliceOf("1");
    slice.storage = StorageId(disk);
    slice.replicas = {{block, ReplicaState::kFinalized}};
    Send(slice);
  }
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
  manager_->safe_mode().Leave();
  const std::vector<CommandFor> commands = Pass(seconds(3), {"1"});
  ASSERT_THAT(commands, SizeIs(1));
  EXPECT_EQ(std::get<protocol::DeleteReplicasCommand>(commands[0].second).blocks, std::vector<Block>{block});
}

// F-146.
TEST_F(BlockReplicationTest, WipedDatanodesReplicasAreDroppedWhenItIsSilent) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 2, {"1", "2"});
  Pass(seconds(2), {"1", "2", "3"});
  protocol::RegisterRequest wiped = Registering("2");
  wiped.info.uuid = DatanodeUuid("uuid-new");
  wiped.storages[0].id = StorageId("disk-new");
  EXPECT_FALSE(manager_->Register(wiped, namespace_.counters, now_).ok());
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 2);
  Pass(seconds(5), {"1", "3"});
  ASSERT_TRUE(manager_->Register(wiped, namespace_.counters, now_).ok());
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
  EXPECT_THAT(Located(block), ElementsAre("1"));
  EXPECT_THAT(Texts(Pass(seconds(3), {"1", "3"})), ElementsAre(HasSubstr("1: copy 100 ->")));
  EXPECT_EQ(store_.families[1].size(), 1u) << "its records are erased";
}

TEST_F(BlockReplicationTest, FailedDiskIsLikeADeadDatanode) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 2, {"1", "2"});
  protocol::StorageReport failed = Disk("disk-2");
  failed.failed = true;
  manager_->OnHeartbeat(
      {.datanode = DatanodeUuid("uuid-2"), .session = datanodes_["2"].session, .at = now_, .storages = {failed}});
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
  now_ += seconds(1);
  EXPECT_THAT(Texts(Tick()), ElementsAre("1: copy 100 -> 3"));
}

}  // namespace
}  // namespace dolmen::namenode
