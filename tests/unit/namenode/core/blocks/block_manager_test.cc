#include "namenode/core/block_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocks_fixture.h"

namespace dolmen::namenode {
namespace {

using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class BlockManagerTest : public BlocksFixture {};

// ---- reports -------------------------------------------------------------------------------------------------------

TEST_F(BlockManagerTest, FinalizedReplicaIsConfirmedOnce) {
  Join("1");
  LeaveSafeMode();
  const Block block = AddBlock(100, 3);
  EXPECT_THAT(Report("1", block).newly_confirmed, ElementsAre(block.id));
  EXPECT_THAT(Report("1", block).newly_confirmed, IsEmpty()) << "said twice";
  EXPECT_THAT(FullReport("1").newly_confirmed, IsEmpty());
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
  EXPECT_EQ(manager_->ConfirmedReplicas({block.id, block.stamp, 99}), 0) << "another length";
}

TEST_F(BlockManagerTest, ReplicaOfAnOpenBlockWakesItsWriter) {
  Join("1");
  LeaveSafeMode();
  Block block = AddBlock(100, 1);
  namespace_.blocks[block.id].state = BlockState::kUnderConstruction;
  namespace_.blocks[block.id].length = 0;
  EXPECT_THAT(Report("1", {block.id, block.stamp, 30}, ReplicaState::kBeingWritten).newly_confirmed, IsEmpty());
  EXPECT_THAT(Report("1", block).newly_confirmed, ElementsAre(block.id));
  EXPECT_THAT(Pass(seconds(20), {"1"}), IsEmpty()) << "an open block is not judged";
}

TEST_F(BlockManagerTest, ConfirmedLocationsAreThoseOfGoodReplicas) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 3, {"1", "2"});
  Report("3", {block.id, block.stamp, 99});
  const auto names = [&](bool live_only) {
    std::vector<std::string> found;
    for (const protocol::ReplicaLocation& location : manager_->ConfirmedLocations(block, live_only))
      found.push_back(location.datanode.host_name);
    return found;
  };
  EXPECT_THAT(names(true), ElementsAre("1", "2"));
  EXPECT_EQ(manager_->LiveDatanodes(), 3u);
  Pass(settings_.stale_after + seconds(2), {"2", "3"});
  EXPECT_THAT(names(true), ElementsAre("2"));
  EXPECT_THAT(names(false), ElementsAre("1", "2"));
}

TEST_F(BlockManagerTest, OldSessionsHaveNoSay) {
  Join("1");
  LeaveSafeMode();
  const Block block = AddBlock(100, 1);
  const protocol::FullReportSlice old = SliceOf("1");
  const uint64_t old_session = datanodes_["1"].session;
  Report("1", block);
  Join("1");
  EXPECT_TRUE(Send(old).must_register);
  const auto late = manager_->OnIncrementalReport(
      {DatanodeUuid("uuid-1"), old_session, {{StorageId("disk-1"), {block, ReplicaState::kDeleted}}}}, namespace_,
      now_);
  ASSERT_TRUE(late.ok());
  EXPECT_TRUE(late->must_register);
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
  EXPECT_EQ(manager_->report_counters().old_sessions, 2u);
}

TEST_F(BlockManagerTest, NothingIsConfirmedAfterARestartUntilReportedAgain) {
  Join("1");
  LeaveSafeMode();
  const Block block = Stored(100, 1, {"1"});
  const FakeDatanode before = datanodes_["1"];
  Restart();
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 0);
  EXPECT_THAT(Located(block), ElementsAre("1")) << "the hint is good for reads";
  Register("1").replicas = before.replicas;
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 0);
  EXPECT_THAT(FullReport("1").newly_confirmed, ElementsAre(block.id));
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
}

TEST_F(BlockManagerTest, WhatAFullReportLacksIsGone) {
  Join("1");
  LeaveSafeMode();
  const Block block = Stored(100, 1, {"1"});
  FullReport("1");
  FullReport("1");
  datanodes_["1"].replicas.clear();
  FullReport("1");
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 0);
  EXPECT_THAT(Located(block), IsEmpty());
  EXPECT_EQ(Stats().missing_blocks, 1u);
  EXPECT_EQ(Stats().missing_blocks_replication_one, 1u);
}

// F-148.
TEST_F(BlockManagerTest, LostPartOfAFullReportImpliesNothing) {
  Join("1");
  LeaveSafeMode();
  const Block low = Stored(100, 1, {"1"});
  const Block high = Stored(200, 1, {"1"});
  FullReport("1");
  for (int round = 0; round < 3; ++round) {
    ++datanodes_["1"].round;
    protocol::FullReportSlice part = SliceOf("1");
    part.first_id = BlockId(150);
    part.replicas = {{high, ReplicaState::kFinalized}};
    Send(part);
    Send(part);
  }
  EXPECT_EQ(manager_->ConfirmedReplicas(low), 1);
  EXPECT_EQ(manager_->ConfirmedReplicas(high), 1);
}

TEST_F(BlockManagerTest, SliceOfAnEarlierRoundIsIgnored) {
  Join("1");
  LeaveSafeMode();
  const protocol::FullReportSlice empty = SliceOf("1");
  const Block block = Stored(100, 1, {"1"});
  FullReport("1");
  FullReport("1");
  Send(empty);
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
  EXPECT_EQ(manager_->report_counters().old_rounds, 1u);
}

// The slice was built before the block was finalized, but arrives after the report that said so.
TEST_F(BlockManagerTest, SliceOlderThanAnIncrementalReportDoesNotTakeTheReplicaAway) {
  Join("1");
  LeaveSafeMode();
  ++datanodes_["1"].round;
  const protocol::FullReportSlice before = SliceOf("1");
  const Block block = Stored(100, 1, {"1"});
  Send(before);
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
  ++datanodes_["1"].round;
  Send(SliceOf("1"));
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
}

TEST_F(BlockManagerTest, FirstSliceOfASessionMayBeOlderToo) {
  Register("1");
  datanodes_["1"].round = 8;
  const protocol::FullReportSlice before = SliceOf("1");
  LeaveSafeMode();
  const Block block = Stored(100, 1, {"1"});
  Send(before);
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
}

// The mirror image: the slice still lists what was deleted meanwhile.
TEST_F(BlockManagerTest, SliceOlderThanADeletionDoesNotBringTheReplicaBack) {
  Join("1");
  LeaveSafeMode();
  const Block block = Stored(100, 1, {"1"});
  ++datanodes_["1"].round;
  const protocol::FullReportSlice before = SliceOf("1");
  Report("1", block, ReplicaState::kDeleted);
  Send(before);
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 0);
  Say("1", block, ReplicaState::kFinalized);
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 0) << "nor does a repeated report, as no copy was ordered there";
  // If it really has it, later rounds say so again.
  datanodes_["1"].replicas[block.id] = {block, ReplicaState::kFinalized};
  FullReport("1");
  FullReport("1");
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
}

// Found by the random test: the copy came after its order was forgotten, then rotted, and an older slice called it
// good.
TEST_F(BlockManagerTest, BadNewsOfADeletedReplicaIsBelieved) {
  Join("1");
  LeaveSafeMode();
  const Block block = Stored(100, 1, {"1"});
  Report("1", block, ReplicaState::kDeleted);
  datanodes_["1"].replicas[block.id] = {block, ReplicaState::kFinalized};
  FullReport("1");
  ++datanodes_["1"].round;
  const protocol::FullReportSlice before = SliceOf("1");
  Report("1", block, ReplicaState::kCorrupt);
  Send(before);
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 0);
  FullReport("1");
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 0);
}

// Found by the random test: a repeated slice that was built before the deletion called the new copy corrupt.
TEST_F(BlockManagerTest, OldSliceDoesNotMakeANewCopyCorrupt) {
  for (const char* name : {"1", "2"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 2, {"1", "2"});
  Report("2", block, ReplicaState::kCorrupt);
  ++datanodes_["2"].round;
  const protocol::FullReportSlice before = SliceOf("2");
  Send(before);
  Pass(seconds(2), {"1", "2"});
  Report("2", block, ReplicaState::kDeleted);
  EXPECT_THAT(Texts(Pass(seconds(2), {"1", "2"})), ElementsAre("1: copy 100 -> 2"));
  Report("2", block);
  Send(before);
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 2);
}

TEST_F(BlockManagerTest, BadlyShapedReportsAreRefused) {
  Join("1");
  protocol::FullReportSlice slice = SliceOf("1");
  slice.replicas = {{AddBlock(200, 1), {}}, {AddBlock(100, 1), {}}};
  EXPECT_FALSE(manager_->OnFullReportSlice(slice, namespace_, now_).ok()) << "not in order";
  slice = SliceOf("1");
  slice.replicas.resize(1001);
  EXPECT_FALSE(manager_->OnFullReportSlice(slice, namespace_, now_).ok());
  protocol::IncrementalReportRequest many{DatanodeUuid("uuid-1"), datanodes_["1"].session, {}};
  many.entries.resize(1001);
  EXPECT_FALSE(manager_->OnIncrementalReport(many, namespace_, now_).ok());
}

TEST_F(BlockManagerTest, FailedStoreIsReportedAndTheReportMayBeRepeated) {
  Join("1");
  LeaveSafeMode();
  const Block block = AddBlock(100, 1);
  store_.broken = true;
  const protocol::IncrementalReportRequest report{
      DatanodeUuid("uuid-1"), datanodes_["1"].session, {{StorageId("disk-1"), {block, ReplicaState::kFinalized}}}};
  EXPECT_FALSE(manager_->OnIncrementalReport(report, namespace_, now_).ok());
  store_.broken = false;
  EXPECT_THAT(manager_->OnIncrementalReport(report, namespace_, now_)->newly_confirmed, ElementsAre(block.id));
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
}

// ---- replicas that do not belong -----------------------------------------------------------------------------------

// F-141.
TEST_F(BlockManagerTest, ReplicasOfDeletedFilesAreDeleted) {
  Join("1");
  LeaveSafeMode();
  datanodes_["1"].replicas[BlockId(100)] = {{BlockId(100), GenerationStamp(1001), 7}, ReplicaState::kFinalized};
  FullReport("1");
  Report("1", {BlockId(200), GenerationStamp(1001), 7}, ReplicaState::kBeingWritten);
  EXPECT_THAT(Texts(Pass(seconds(3), {"1"})), ElementsAre("1: delete 100", "1: delete 200"));
}

TEST_F(BlockManagerTest, NothingIsDeletedOrCopiedInSafeMode) {
  const Block lonely = AddBlock(100, 2);
  const Block missing = AddBlock(200, 1);
  (void)missing;
  settings_.safe_mode_threshold = 1;
  Restart();
  Join("1");
  Join("2");
  Report("1", lonely);
  Report("1", {BlockId(300), GenerationStamp(1001), 7});
  EXPECT_THAT(Pass(seconds(30), {"1", "2"}), IsEmpty());
  EXPECT_TRUE(manager_->safe_mode().on());
  EXPECT_THAT(Stats().safe_mode_tip,
              HasSubstr("The reported blocks 1 needs additional 1 blocks to reach the threshold 1.0000"));
  manager_->safe_mode().Leave();
  const std::vector<std::string> commands = Texts(Pass(seconds(3), {"1", "2"}));
  EXPECT_THAT(commands, ElementsAre("1: copy 100 -> 2", "1: delete 300"));
}

// The scan of what the map remembers goes on seeing the older stamp, which the datanode would refuse to delete.
TEST_F(BlockManagerTest, FreedBlockIsDeletedUnderTheNewestStampThatWasReported) {
  Join("1");
  LeaveSafeMode();
  const Block block = Stored(100, 1, {"1"});
  const Block recovered{block.id, block.stamp.Next(), block.length};
  namespace_.counters.next_stamp = recovered.stamp.Next();
  namespace_.blocks.erase(block.id);
  manager_->Apply(BlockFreed{block});
  Report("1", recovered);
  std::vector<GenerationStamp> ordered;
  for (const CommandFor& command : Pass(seconds(200), {"1"})) {
    const auto& deletion = std::get<protocol::DeleteReplicasCommand>(command.second);
    for (const Block& replica : deletion.blocks) ordered.push_back(replica.stamp);
  }
  EXPECT_THAT(ordered, Not(IsEmpty()));
  EXPECT_THAT(ordered, ::testing::Each(recovered.stamp));
}

TEST_F(BlockManagerTest, FreedBlockIsDeletedWhereverItIs) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 3, {"1", "2"});
  Report("3", block, ReplicaState::kBeingWritten);
  namespace_.blocks.clear();
  manager_->Apply(BlockFreed{block});
  EXPECT_EQ(Stats().pending_deletion_blocks, 3u);
  EXPECT_THAT(Texts(Pass(seconds(1), {"1", "2", "3"})), ElementsAre("1: delete 100", "2: delete 100", "3: delete 100"));
  for (const char* name : {"1", "2", "3"}) Report(name, block, ReplicaState::kDeleted);
  EXPECT_EQ(Stats().pending_deletion_blocks, 0u);
  EXPECT_THAT(Located(block), IsEmpty());
  EXPECT_THAT(store_.families[1], IsEmpty());
  EXPECT_THAT(store_.families[2], IsEmpty());
}

TEST_F(BlockManagerTest, LostDeleteCommandIsRepeated) {
  Join("1");
  LeaveSafeMode();
  Report("1", {BlockId(100), GenerationStamp(1001), 7});
  EXPECT_THAT(Texts(Pass(seconds(2), {"1"})), ElementsAre("1: delete 100"));
  EXPECT_THAT(Texts(Pass(seconds(70), {"1"})), ElementsAre("1: delete 100"));
}

TEST_F(BlockManagerTest, DeleteCommandLostWithItsDatanodeIsRepeatedWhenThatIsBack) {
  Join("1");
  LeaveSafeMode();
  Report("1", {BlockId(100), GenerationStamp(1001), 7});
  EXPECT_THAT(Texts(Pass(seconds(2), {"1"})), ElementsAre("1: delete 100"));
  EXPECT_THAT(Texts(Pass(seconds(2), {"1"})), IsEmpty());
  Join("1");  // crashed and came back; its full report still has the replica
  EXPECT_THAT(Texts(Pass(seconds(2), {"1"})), ElementsAre("1: delete 100"));
}

TEST_F(BlockManagerTest, OrphansThatNoEventToldOfAreFoundByTheScan) {
  Join("1");
  LeaveSafeMode();
  const Block block = Stored(100, 1, {"1"});
  namespace_.blocks.clear();  // freed, but the effect was lost in a crash
  EXPECT_THAT(Texts(Pass(seconds(3), {"1"})), ElementsAre("1: delete 100"));
  (void)block;
}

// F-150.
TEST_F(BlockManagerTest, IdsAndStampsOfTheFutureAreQuarantined) {
  Join("1");
  LeaveSafeMode();
  const Block known = Stored(100, 1, {"1"});
  Report("1", {BlockId(50'000), GenerationStamp(1001), 7});
  Report("1", {BlockId(200), GenerationStamp(9'999), 7});
  Say("1", {known.id, GenerationStamp(9'999), 7}, ReplicaState::kFinalized);
  EXPECT_THAT(Texts(Pass(seconds(10), {"1"})), IsEmpty());
  EXPECT_EQ(manager_->quarantine_sightings(), 3u);
  EXPECT_EQ(manager_->ConfirmedReplicas(known), 1) << "the rumour does not harm the good replica";
  EXPECT_THAT(manager_->TakeNotices(), Contains(Field(&Notice::text, HasSubstr("blk_50000"))));
}

// F-055.
TEST_F(BlockManagerTest, RestoredNamespaceRaisesItsCountersAndQuarantines) {
  protocol::RegisterRequest request = Registering("1");
  request.seen = {BlockId(20'001), GenerationStamp(7'000)};
  const auto registration = manager_->Register(request, namespace_.counters, now_);
  ASSERT_TRUE(registration.ok());
  EXPECT_EQ(registration->raise_next_block, BlockId(20'016));
  EXPECT_EQ(registration->raise_next_stamp, GenerationStamp(7'001));
  datanodes_["1"].session = registration->reply.session;
  namespace_.Raise(*registration);
  LeaveSafeMode();
  Report("1", {BlockId(15'000), GenerationStamp(6'000), 7});
  Report("1", {BlockId(9'000), GenerationStamp(1'001), 7});
  EXPECT_THAT(Texts(Pass(seconds(3), {"1"})), ElementsAre("1: delete 9000"));
  store_ = {};  // the replica store was lost
  Restart();
  Join("1");
  LeaveSafeMode();
  Report("1", {BlockId(15'000), GenerationStamp(6'000), 7});
  EXPECT_THAT(Texts(Pass(seconds(3), {"1"})), IsEmpty()) << "still quarantined";
  EXPECT_EQ(manager_->quarantine_sightings(), 1u);
}

// A namenode that dies before the commit starts without the range and with the old counters.
TEST_F(BlockManagerTest, ARangeThatWasNotCommittedIsMadeAgainByTheNextRegistration) {
  protocol::RegisterRequest request = Registering("1");
  request.seen = {BlockId(20'001), GenerationStamp(7'000)};
  ASSERT_TRUE(manager_->Register(request, namespace_.counters, now_).ok());
  Restart();
  const auto again = manager_->Register(request, namespace_.counters, now_);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->raise_next_block, BlockId(20'016));
  EXPECT_THAT(again->quarantined, SizeIs(1));
}

TEST_F(BlockManagerTest, ADamagedQuarantinedRangeStopsTheStart) {
  namespace_.meta["q"] = "nonsense";
  const absl::Status refused =
      BlockManager(&settings_, ClusterId("CID-test"), Epoch(9), &store_, 17).Recover(namespace_, now_);
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kDamaged);
  EXPECT_THAT(std::string(MessageOf(refused)), HasSubstr("quarantined range"));
}

// Ids that a datanode reserved before it crashed say nothing about the namespace.
TEST_F(BlockManagerTest, ACrashOfADatanodeRaisesAndQuarantinesNothing) {
  namespace_.counters.next_block = BlockId(10'000);
  namespace_.counters.next_stamp = GenerationStamp(2'000);
  protocol::RegisterRequest request = Registering("1");
  request.seen = {BlockId(9'984), GenerationStamp(1'999)};
  request.bound = {BlockId(1'058'560), GenerationStamp(67'535)};
  const auto registration = manager_->Register(request, namespace_.counters, now_);
  ASSERT_TRUE(registration.ok()) << registration.status();
  EXPECT_FALSE(registration->raise_next_block.has_value());
  EXPECT_FALSE(registration->raise_next_stamp.has_value());
  EXPECT_THAT(manager_->TakeNotices(), IsEmpty());
}

// When it has seen one id too many, what it may have seen beyond that counts as well.
TEST_F(BlockManagerTest, RestoredNamespaceJumpsOverAllThatADatanodeMayHaveSeen) {
  protocol::RegisterRequest request = Registering("1");
  request.seen = {BlockId(20'000), GenerationStamp(7'000)};
  request.bound = {BlockId(1'068'560), GenerationStamp(72'536)};
  const auto registration = manager_->Register(request, namespace_.counters, now_);
  ASSERT_TRUE(registration.ok()) << registration.status();
  EXPECT_EQ(registration->raise_next_block, BlockId(1'068'576));
  EXPECT_EQ(registration->raise_next_stamp, GenerationStamp(72'537));
}

TEST_F(BlockManagerTest, ANamespaceMayBeRestoredAnyNumberOfTimes) {
  protocol::RegisterRequest request = Registering("1");
  for (size_t restore = 0; restore < 2 * Quarantine::kMaxRanges; ++restore) {
    request.seen.block = BlockId(namespace_.counters.next_block.value() + 1600);
    const auto registration = manager_->Register(request, namespace_.counters, now_);
    ASSERT_TRUE(registration.ok()) << "restore " << restore << ": " << registration.status();
    namespace_.Raise(*registration);
    // Then some blocks are handed out.
    namespace_.counters.next_block = BlockId(registration->raise_next_block->value() + 16 * (1 + restore % 7));
    manager_->TakeNotices();
  }
  LeaveSafeMode();
  datanodes_["1"].session = manager_->Register(Registering("1"), namespace_.counters, now_)->reply.session;
  const BlockId skipped(namespace_.counters.next_block.value() - 16 * 10);
  Report("1", {skipped, GenerationStamp(1001), 7});
  EXPECT_EQ(manager_->quarantine_sightings(), 1u);
  EXPECT_THAT(namespace_.meta, SizeIs(Quarantine::kMaxRanges)) << "what is stored is what counts";
  Restart();
  LeaveSafeMode();
  Register("1");
  Report("1", {skipped, GenerationStamp(1001), 7});
  EXPECT_EQ(manager_->quarantine_sightings(), 1u);
}

// A writer that goes on right after a restart is told to wait for them, not that there are none.
TEST_F(BlockManagerTest, DatanodesOfBeforeTheStartHaveTimeToComeBack) {
  Random random(1);
  const TargetRequest request{.wanted = 1};
  EXPECT_EQ(ReasonOf(manager_->ChooseTargets(request, random).status()), ErrorReason::kNoDatanodes);
  Join("1");
  EXPECT_TRUE(manager_->ChooseTargets(request, random).ok());
  Restart();
  EXPECT_EQ(ReasonOf(manager_->ChooseTargets(request, random).status()), ErrorReason::kBusy);
  Pass(DatanodeRegistry::kReturnTime - seconds(1), {});
  EXPECT_EQ(ReasonOf(manager_->ChooseTargets(request, random).status()), ErrorReason::kBusy);
  Pass(seconds(2), {});
  EXPECT_EQ(ReasonOf(manager_->ChooseTargets(request, random).status()), ErrorReason::kNoDatanodes);
  Restart();
  Register("1");
  EXPECT_TRUE(manager_->ChooseTargets(request, random).ok());
}

// F-140.
TEST_F(BlockManagerTest, ReplicaOfAnOlderStampGoesOnlyWhenEnoughGoodOnesExist) {
  for (const char* name : {"1", "2", "3", "4"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 2, {"1"});
  const Block older{block.id, GenerationStamp(1000), 100};
  Report("3", older);
  EXPECT_THAT(Texts(Tick()), Not(Contains(HasSubstr("delete"))));
  Report("2", block);
  const std::vector<std::string> commands = Texts(Pass(seconds(3), {"1", "2", "3", "4"}));
  EXPECT_THAT(commands, Contains("3: delete 100"));
  EXPECT_THAT(commands, Not(AnyOf(Contains("1: delete 100"), Contains("2: delete 100"))));
}

TEST_F(BlockManagerTest, WrongLengthCountsAsCorrupt) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 2, {"1"});
  Report("2", {block.id, block.stamp, 99});
  EXPECT_EQ(manager_->ConfirmedReplicas(block), 1);
  EXPECT_EQ(Stats().corrupt_blocks, 1u);
  EXPECT_EQ(Stats().under_replicated_blocks, 1u);
  EXPECT_THAT(Located(block), ElementsAre("1"));
  EXPECT_THAT(Texts(Pass(seconds(1), {"1", "2", "3"})), ElementsAre("1: copy 100 -> 3"));
  Report("3", block);
  EXPECT_THAT(Texts(Pass(seconds(2), {"1", "2", "3"})), ElementsAre("2: delete 100"));
  Report("2", block, ReplicaState::kDeleted);
  EXPECT_EQ(Stats().corrupt_blocks, 0u);
  EXPECT_EQ(Stats().under_replicated_blocks, 0u);
}

// ---- safe mode's count ---------------------------------------------------------------------------------------------

TEST_F(BlockManagerTest, SafeBlocksAreCountedOnceAndFallWhenDatanodesDie) {
  for (uint64_t id = 100; id < 110; ++id) AddBlock(id, 2);
  AddBlock(500, 1);
  settings_.safe_mode_threshold = 1;
  Restart();
  const auto has_all = [&](const std::string& name) {
    for (uint64_t id = 100; id < 110; ++id) {
      const Block block{BlockId(id), GenerationStamp(1001), 100};
      datanodes_[name].replicas[block.id] = {block, ReplicaState::kFinalized};
    }
  };
  for (const char* name : {"1", "2"}) {
    Register(name);
    has_all(name);
    FullReport(name);
    FullReport(name);
  }
  EXPECT_EQ(manager_->safe_mode().safe_blocks(), 10u);
  EXPECT_EQ(manager_->safe_mode().total_blocks(), 11u);
  // One dies: the other still has them all. Then it registers anew, and may have lost some.
  settings_.scan_blocks_per_tick = 3;
  Pass(seconds(40), {"1"});
  EXPECT_EQ(manager_->safe_mode().safe_blocks(), 10u);
  Register("1");
  Tick();
  EXPECT_EQ(manager_->safe_mode().safe_blocks(), 10u);
  datanodes_["1"].replicas.erase(BlockId(105));
  FullReport("1");
  EXPECT_EQ(manager_->safe_mode().safe_blocks(), 9u);
  Pass(seconds(60), {});
  EXPECT_EQ(manager_->safe_mode().safe_blocks(), 0u);
}

TEST_F(BlockManagerTest, BothDatanodesDyingTogetherCountOnce) {
  for (uint64_t id = 100; id < 110; ++id) AddBlock(id, 2);
  AddBlock(500, 1);
  settings_.safe_mode_threshold = 1;
  Restart();
  settings_.scan_blocks_per_tick = 3;
  for (const char* name : {"1", "2"}) {
    Register(name);
    for (uint64_t id = 100; id < 110; ++id) Report(name, {BlockId(id), GenerationStamp(1001), 100});
  }
  EXPECT_EQ(manager_->safe_mode().safe_blocks(), 10u);
  Pass(seconds(33), {});
  // Half swept: the first returns and confirms some again.
  Register("1");
  for (uint64_t id = 100; id < 104; ++id) Report("1", {BlockId(id), GenerationStamp(1001), 100});
  Pass(seconds(20), {"1"});
  EXPECT_EQ(manager_->safe_mode().safe_blocks(), 4u);
}

TEST_F(BlockManagerTest, DatanodesMissingWhenSafeModeEndsAreMissed) {
  for (const char* name : {"1", "2", "3"}) Join(name);
  LeaveSafeMode();
  const Block block = Stored(100, 2, {"1", "2"});
  const auto disk = datanodes_["1"].replicas;
  Restart();
  Join("3");
  Register("1").replicas = disk;
  FullReport("1");
  const std::vector<std::string> commands = Texts(Pass(seconds(10), {"1", "3"}));
  EXPECT_FALSE(manager_->safe_mode().on());
  EXPECT_THAT(commands, ElementsAre("1: copy 100 -> 3"));
  (void)block;
}

// ---- looking in ----------------------------------------------------------------------------------------------------

TEST_F(BlockManagerTest, DatanodeReportTellsLivenessAndAges) {
  Join("1");
  Join("2");
  Pass(seconds(40), {"2"});
  const protocol::GetDatanodeReportReply report = manager_->DatanodeReport(now_);
  ASSERT_THAT(report.datanodes, SizeIs(2));
  EXPECT_EQ(report.datanodes[0].liveness, DatanodeLiveness::kDead);
  EXPECT_EQ(report.datanodes[0].last_heartbeat_age_ms, 40'000);
  EXPECT_EQ(report.datanodes[1].liveness, DatanodeLiveness::kLive);
  EXPECT_EQ(report.datanodes[1].last_heartbeat_age_ms, 0);
  EXPECT_EQ(report.datanodes[1].last_full_report_age_ms, 40'000);
  EXPECT_EQ(Stats().capacity_bytes, 200 * kGiB) << "of the usable ones";
}

TEST_F(BlockManagerTest, PlacesAreLocatedWhileRegistered) {
  Join("1");
  EXPECT_EQ(manager_->Locate(DatanodeUuid("uuid-1"), StorageId("disk-1"))->datanode, Info("1"));
  EXPECT_EQ(manager_->Locate(DatanodeUuid("uuid-1"), StorageId("disk-9")), std::nullopt);
  Pass(seconds(40), {});
  EXPECT_EQ(manager_->Locate(DatanodeUuid("uuid-1"), StorageId("disk-1")), std::nullopt);
}

}  // namespace
}  // namespace dolmen::namenode
