#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

constexpr RecoveryOutcome kNothingThere{.kind = RecoveryOutcome::Kind::kNothingThere};
constexpr RecoveryOutcome kNothingUsable{.kind = RecoveryOutcome::Kind::kNothingUsable};

class ReleaseLeaseTest : public NamespaceTest {
 protected:
  absl::Status ReleaseExpired(InodeId inode, const std::string& holder = "writer") {
    return RunOperation([&](OperationContext& context) { return ops::ReleaseExpired(context, inode, holder); });
  }
  absl::Status ContinueRecovery(InodeId inode) {
    return RunOperation([&](OperationContext& context) { return ops::ContinueRecovery(context, inode); });
  }
  absl::Status FinishRecovery(InodeId inode, GenerationStamp recovery, const RecoveryOutcome& outcome) {
    return RunOperation(
        [&](OperationContext& context) { return ops::FinishRecovery(context, inode, recovery, outcome); });
  }
  OpenRecord Open(InodeId inode) { return GetOpen(store, inode).value().value_or(OpenRecord()); }
  BlockRecord Record(BlockId block) { return GetBlock(store, block).value().value_or(BlockRecord()); }
};

TEST_F(ReleaseLeaseTest, AnUnfinishedLastBlockIsRecoveredByTheNamenode) {
  const InodeId file = Create("/f")->status.inode;
  const protocol::Block block = AddBlock("/f", std::nullopt)->block;
  effects.clear();
  ASSERT_TRUE(ReleaseExpired(file).ok());
  EXPECT_TRUE(Info("/f")->under_construction);
  const OpenRecord open = Open(file);
  EXPECT_EQ(open.holder, kNamenodeHolder);
  ASSERT_TRUE(open.recovery.has_value());
  EXPECT_GT(*open.recovery, block.stamp);
  EXPECT_EQ(open.last_pipeline.size(), 3u);
  ASSERT_EQ(effects.size(), 3u);
  EXPECT_EQ(std::get<LeaseClosed>(effects[0]).holder, "writer");
  EXPECT_EQ(std::get<LeaseOpened>(effects[1]).holder, kNamenodeHolder);
  EXPECT_EQ(std::get<RecoveryStarted>(effects[2]).inode, file);

  // The old writer is told, and can change nothing.
  EXPECT_EQ(ReasonOf(AddBlock("/f", block).status()), ErrorReason::kLeaseExpired);
  EXPECT_EQ(ReasonOf(Complete("/f", block).status()), ErrorReason::kLeaseExpired);
  EXPECT_EQ(ReasonOf(Run(super, protocol::FsyncRequest{.path = "/f", .holder = "writer"}).status()),
            ErrorReason::kLeaseExpired);

  effects.clear();
  ASSERT_TRUE(FinishRecovery(file, *open.recovery, Recovered(300)).ok());
  EXPECT_FALSE(Info("/f")->under_construction);
  EXPECT_EQ(Info("/f")->length, 300u);
  EXPECT_EQ(Info("/f")->modified, now);
  EXPECT_EQ(Totals("/").bytes, 300u);
  EXPECT_EQ(Record(block.id).stamp, *open.recovery);
  EXPECT_EQ(Record(block.id).state, BlockState::kCommitted);
  ASSERT_EQ(EffectsOf<BlockCommitted>().size(), 1u);
  EXPECT_EQ(EffectsOf<BlockCommitted>()[0].block, (protocol::Block{block.id, *open.recovery, 300}));
  EXPECT_EQ(EffectsOf<LeaseClosed>().size(), 1u);
}

TEST_F(ReleaseLeaseTest, EveryAttemptHasANewStampAndOnlyThePresentOneCounts) {
  const InodeId file = Create("/f")->status.inode;
  ASSERT_TRUE(AddBlock("/f", std::nullopt).ok());
  ASSERT_TRUE(ReleaseExpired(file).ok());
  const GenerationStamp first = *Open(file).recovery;
  effects.clear();
  ASSERT_TRUE(ContinueRecovery(file).ok());
  const GenerationStamp second = *Open(file).recovery;
  EXPECT_GT(second, first);
  ASSERT_EQ(effects.size(), 1u);
  EXPECT_EQ(std::get<RecoveryStarted>(effects[0]).inode, file);
  const MapReader::Entries before = Dump(store);
  ASSERT_TRUE(FinishRecovery(file, first, Recovered(10)).ok());
  EXPECT_EQ(Dump(store), before);
  ASSERT_TRUE(FinishRecovery(file, second, Recovered(10)).ok());
  EXPECT_EQ(Info("/f")->length, 10u);
  ASSERT_TRUE(FinishRecovery(file, second, Recovered(10)).ok()) << "it is closed already";
  ASSERT_TRUE(ContinueRecovery(file).ok());
}

TEST_F(ReleaseLeaseTest, ARecoveryWhoseReplicasAreGoneAgainDoesNotEnd) {
  const InodeId file = Create("/f")->status.inode;
  ASSERT_TRUE(AddBlock("/f", std::nullopt).ok());
  ASSERT_TRUE(ReleaseExpired(file).ok());
  replicas.confirmed = 0;
  ASSERT_TRUE(FinishRecovery(file, *Open(file).recovery, Recovered(10)).ok());
  EXPECT_TRUE(Info("/f")->under_construction);
}

TEST_F(ReleaseLeaseTest, ABlockThatNobodyHasIsDropped) {
  const InodeId file = Create("/f")->status.inode;
  protocol::Block first = AddBlock("/f", std::nullopt)->block;
  first.length = kTestBlockBytes;
  ASSERT_TRUE(AddBlock("/f", first).ok());
  ASSERT_TRUE(ReleaseExpired(file).ok());
  ASSERT_TRUE(FinishRecovery(file, *Open(file).recovery, kNothingThere).ok());
  EXPECT_FALSE(Info("/f")->under_construction);
  EXPECT_EQ(Info("/f")->length, kTestBlockBytes);
  EXPECT_EQ(EffectsOf<BlockFreed>().size(), 1u);
  EXPECT_EQ(counters.block_count, 1u);
}

TEST_F(ReleaseLeaseTest, AnAppendedBlockKeepsItsBytes) {
  WriteFile("/f", {700});
  const InodeId file = Info("/f")->inode;
  auto appended = Run(super, protocol::AppendRequest{.path = "/f", .holder = "appender"});
  ASSERT_TRUE(appended.ok()) << appended.status();
  ASSERT_TRUE(ReleaseExpired(file, "appender").ok());
  const GenerationStamp recovery = *Open(file).recovery;
  EXPECT_EQ(Info("/f")->length, 700u);
  EXPECT_EQ(ReasonOf(FinishRecovery(file, recovery, kNothingThere)), ErrorReason::kDamaged);
  EXPECT_EQ(ReasonOf(FinishRecovery(file, recovery, Recovered(699))), ErrorReason::kIo);
  EXPECT_TRUE(Info("/f")->under_construction);
  ASSERT_TRUE(FinishRecovery(file, recovery, Recovered(710)).ok());
  EXPECT_EQ(Info("/f")->length, 710u);
  EXPECT_EQ(Totals("/").bytes, 710u);
}

TEST_F(ReleaseLeaseTest, AnAppendOfWhichNothingIsLeftIsTakenBack) {
  WriteFile("/f", {700});
  const InodeId file = Info("/f")->inode;
  auto appended = Run(super, protocol::AppendRequest{.path = "/f", .holder = "appender"});
  ASSERT_TRUE(appended.ok()) << appended.status();
  ASSERT_TRUE(ReleaseExpired(file, "appender").ok());
  replicas.confirmed = 0;
  ASSERT_TRUE(FinishRecovery(file, *Open(file).recovery, kNothingUsable).ok());
  EXPECT_TRUE(Info("/f")->under_construction) << "nobody is known to have it as it was";
  replicas.confirmed = 3;
  ASSERT_TRUE(FinishRecovery(file, *Open(file).recovery, kNothingUsable).ok());
  EXPECT_FALSE(Info("/f")->under_construction);
  EXPECT_EQ(Info("/f")->length, 700u);
  EXPECT_EQ(Totals("/").bytes, 700u);
  EXPECT_EQ(Record(appended->last->block.id).stamp, appended->last_stamp);
  EXPECT_EQ(Record(appended->last->block.id).state, BlockState::kCommitted);

  const InodeId fresh = Create("/g")->status.inode;
  ASSERT_TRUE(AddBlock("/g", std::nullopt).ok());
  ASSERT_TRUE(ReleaseExpired(fresh).ok());
  EXPECT_EQ(ReasonOf(FinishRecovery(fresh, *Open(fresh).recovery, kNothingUsable)), ErrorReason::kDamaged);
}

TEST_F(ReleaseLeaseTest, NobodyMayPassForTheNamenode) {
  const InodeId file = Create("/f")->status.inode;
  const protocol::Block block = AddBlock("/f", std::nullopt)->block;
  WriteFile("/cut", {700});
  const InodeId cut = Info("/cut")->inode;
  ASSERT_TRUE(ReleaseExpired(file).ok());
  ASSERT_TRUE(Run(super, protocol::TruncateRequest{.path = "/cut", .length = 300}).ok());
  const MapReader::Entries before = Dump(store);
  const std::string name = kNamenodeHolder;
  for (const InodeId inode : {file, cut}) {
    const auto add = Run(alice, protocol::AddBlockRequest{.path = "/", .inode = inode, .holder = name});
    const auto abandon =
        Run(alice, protocol::AbandonBlockRequest{.path = "/", .inode = inode, .holder = name, .block = block});
    const auto complete =
        Run(alice, protocol::CompleteRequest{.path = "/", .inode = inode, .holder = name, .last = block});
    const auto fsync = Run(alice, protocol::FsyncRequest{.path = "/", .inode = inode, .holder = name});
    for (const absl::Status& refused : {add.status(), abandon.status(), complete.status(), fsync.status()})
      EXPECT_EQ(ReasonOf(refused), ErrorReason::kLeaseExpired) << refused;
  }
  for (const auto& [key, value] : Dump(store)) {
    if (key.first != Family::kMeta) {
      EXPECT_EQ(before.at(key), value);
    }
  }
}

TEST_F(ReleaseLeaseTest, ClosesAFileWithNothingLeftToDo) {
  const InodeId empty = Create("/empty")->status.inode;
  effects.clear();
  ASSERT_TRUE(ReleaseExpired(empty).ok());
  EXPECT_FALSE(Info("/empty")->under_construction);
  ASSERT_EQ(effects.size(), 1u);
  EXPECT_EQ(std::get<LeaseClosed>(effects[0]).holder, "writer");

  // Its writer died behind a block that is committed.
  WriteFile("/f", {kTestBlockBytes});
  ASSERT_TRUE(Run(super, protocol::AppendRequest{.path = "/f", .holder = "writer"}).ok());
  replicas.confirmed = 0;
  ASSERT_TRUE(ReleaseExpired(Info("/f")->inode).ok());
  EXPECT_TRUE(Info("/f")->under_construction) << "nobody vouches for the block";
  EXPECT_FALSE(Open(Info("/f")->inode).recovery.has_value());
  const MapReader::Entries before = Dump(store);
  ASSERT_TRUE(ContinueRecovery(Info("/f")->inode).ok());
  EXPECT_EQ(Dump(store), before);
  replicas.confirmed = 1;
  ASSERT_TRUE(ContinueRecovery(Info("/f")->inode).ok());
  EXPECT_FALSE(Info("/f")->under_construction);
}

TEST_F(ReleaseLeaseTest, LeavesWhatTheHolderNoLongerHas) {
  const InodeId open = Create("/open")->status.inode;
  WriteFile("/closed", {1});
  const MapReader::Entries before = Dump(store);
  EXPECT_TRUE(ReleaseExpired(open, "other").ok());
  EXPECT_TRUE(ReleaseExpired(Info("/closed")->inode).ok());
  EXPECT_TRUE(ReleaseExpired(InodeId(99'999)).ok());
  EXPECT_TRUE(ContinueRecovery(open).ok());
  EXPECT_EQ(Dump(store), before);
  ASSERT_TRUE(Delete("/open").ok());
  effects.clear();
  EXPECT_TRUE(ReleaseExpired(open).ok());
  EXPECT_EQ(EffectsOf<LeaseClosed>().size(), 1u) << "so that nobody asks again";
}

TEST_F(ReleaseLeaseTest, AFileThatIsBeingRecoveredCanBeRenamedAndDeleted) {
  const InodeId file = Create("/f")->status.inode;
  ASSERT_TRUE(AddBlock("/f", std::nullopt).ok());
  ASSERT_TRUE(ReleaseExpired(file).ok());
  ASSERT_TRUE(Rename("/f", "/g")->renamed);
  const GenerationStamp recovery = *Open(file).recovery;
  effects.clear();
  ASSERT_TRUE(Delete("/g").ok());
  ASSERT_EQ(EffectsOf<LeaseClosed>().size(), 1u);
  EXPECT_EQ(EffectsOf<LeaseClosed>()[0].holder, kNamenodeHolder);
  ASSERT_TRUE(FinishRecovery(file, recovery, Recovered(10)).ok());
  ReapAll();
  EXPECT_EQ(counters.block_count, 0u);
}

}  // namespace
}  // namespace dolmen::namenode
