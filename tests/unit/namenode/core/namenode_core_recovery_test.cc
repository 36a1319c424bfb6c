// Files whose writers are gone, and files being cut, from the lease to the closed file: the namenode's core with
// datanodes that say what the test tells them to.
#include <gmock/gmock.h>

#include "namenode/core/tables.h"
#include "tests/unit/namenode/core/namenode_core_fixture.h"

namespace dolmen::namenode {
namespace {

using protocol::ReplicaState;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

class NamenodeCoreRecoveryTest : public NamenodeCoreFixture {
 protected:
  NamenodeCoreRecoveryTest() {
    for (const char* name : {"dn1", "dn2", "dn3"}) Join(name);
    Settle();
  }

  // A file whose only block is being written by "writer" on all three datanodes.
  protocol::Block Writing(const std::string& path) {
    file_ = MustCreate(path, "writer", 3);
    return MustAddBlock(file_).block;
  }
  void Say(const std::string& name, const protocol::ReportedReplica& replica) {
    const protocol::ReportReply reply = core->OnIncrementalReport({.datanode = DatanodeUuid(name),
                                                                   .session = sessions.at(name),
                                                                   .entries = {{StorageId("disk-" + name), replica}}},
                                                                  now);
    EXPECT_FALSE(reply.must_register);
  }
  void Frozen(const std::string& name, const protocol::Block& block, ReplicaState state, GenerationStamp by) {
    Say(name, {block, state, by});
  }
  bool RecoverLease(const std::string& path) {
    return Get<protocol::RecoverLeaseReply>(Run(protocol::RecoverLeaseRequest{.path = path})).closed;
  }
  GenerationStamp Recovery() {
    const auto open = GetOpen(*core->published().meta, file_).value();
    EXPECT_TRUE(open.has_value() && open->recovery.has_value());
    return open.has_value() ? open->recovery.value_or(GenerationStamp()) : GenerationStamp();
  }
  // What the datanodes are told with their next heartbeats: "dn1 freeze", "dn2 finish 30", "dn3 cut 30", "dn1 delete".
  std::vector<std::string> Orders() {
    Tick();
    std::vector<std::string> texts;
    for (const auto& [name, session] : sessions) {
      for (const protocol::DatanodeCommand& command : Heartbeat(name)) {
        if (std::holds_alternative<protocol::FreezeReplicaCommand>(command)) texts.push_back(name + " freeze");
        if (const auto* finish = std::get_if<protocol::FinishRecoveryCommand>(&command))
          texts.push_back(absl::StrCat(name, " finish ", finish->block.length));
        if (const auto* cut = std::get_if<protocol::CopyPrefixCommand>(&command)) {
          texts.push_back(absl::StrCat(name, " cut ", cut->target.length));
          copy_ = cut->target;
        }
        if (std::holds_alternative<protocol::DeleteReplicasCommand>(command)) texts.push_back(name + " delete");
      }
    }
    return texts;
  }

  InodeId file_;
  protocol::Block copy_;
};

TEST_F(NamenodeCoreRecoveryTest, AFlushedBlockOfALostWriterIsKept) {
  protocol::Block block = Writing("/f");
  EXPECT_FALSE(RecoverLease("/f"));
  EXPECT_EQ(core->recovery().held(), 1u);
  EXPECT_EQ(core->leases().holder_count(), 0u);
  EXPECT_THAT(Orders(), ElementsAre("dn1 freeze", "dn2 freeze", "dn3 freeze"));
  const GenerationStamp recovery = Recovery();
  block.length = 300;
  Frozen("dn1", block, ReplicaState::kBeingWritten, recovery);
  Frozen("dn2", {block.id, block.stamp, 200}, ReplicaState::kBeingWritten, recovery);
  EXPECT_THAT(Orders(), IsEmpty());
  Frozen("dn3", {block.id, recovery, 0}, ReplicaState::kDeleted, recovery);
  EXPECT_THAT(Orders(), ElementsAre("dn1 finish 200", "dn2 finish 200"));
  const protocol::Block recovered{block.id, recovery, 200};
  Report("dn1", recovered);
  Report("dn2", recovered);
  Tick();
  EXPECT_FALSE(Info("/f")->under_construction);
  EXPECT_EQ(Info("/f")->length, 200u);
  EXPECT_EQ(core->recovery().held(), 0u);
  EXPECT_TRUE(RecoverLease("/f"));
  // The third replica is made from the others.
  std::vector<std::string> later;
  for (int i = 0; i < 20; ++i) {
    Live(seconds(1));
    for (std::string& text : Orders()) later.push_back(std::move(text));
  }
  EXPECT_EQ(Stats().missing_blocks, 0u);
}

TEST_F(NamenodeCoreRecoveryTest, TheHardLimitBeginsIt) {
  Writing("/f");
  Live(settings.lease_hard_limit + seconds(1));
  EXPECT_TRUE(Info("/f")->under_construction);
  EXPECT_EQ(GetOpen(*core->published().meta, file_).value()->holder, kNamenodeHolder);
  EXPECT_EQ(core->recovery().under_way(), 1u);
}

TEST_F(NamenodeCoreRecoveryTest, SomebodyElseWhoWantsTheFileGetsItAfterwards) {
  protocol::Block block = Writing("/f");
  Live(settings.lease_soft_limit + seconds(1));
  const protocol::AppendRequest append{.path = "/f", .holder = "second"};
  EXPECT_EQ(ReasonOf(Run(append).status()), ErrorReason::kRecoveryInProgress);
  RunBatches();
  Orders();
  const GenerationStamp recovery = Recovery();
  block.length = 100;
  for (const char* name : {"dn1", "dn2", "dn3"}) Frozen(name, block, ReplicaState::kBeingWritten, recovery);
  Orders();
  for (const char* name : {"dn1", "dn2", "dn3"}) Report(name, {block.id, recovery, 100});
  Tick();
  const auto reply = Get<protocol::AppendReply>(Run(append));
  ASSERT_TRUE(reply.last.has_value());
  EXPECT_EQ(reply.last->block.length, 100u);
  EXPECT_EQ(reply.last_stamp, recovery);
  EXPECT_EQ(reply.last->locations.size(), 3u);
}

TEST_F(NamenodeCoreRecoveryTest, ANewAttemptFollowsOneThatCameToNothing) {
  Writing("/f");
  EXPECT_FALSE(RecoverLease("/f"));
  const GenerationStamp first = Recovery();
  Live(BlockRecovery::kNoProgress + seconds(2));
  EXPECT_GT(Recovery(), first);
  EXPECT_EQ(core->recovery().under_way(), 1u);
}

TEST_F(NamenodeCoreRecoveryTest, ARestartInTheMiddleBeginsAnew) {
  protocol::Block block = Writing("/f");
  EXPECT_FALSE(RecoverLease("/f"));
  Orders();
  const GenerationStamp first = Recovery();
  block.length = 300;
  for (const char* name : {"dn1", "dn2", "dn3"}) Frozen(name, block, ReplicaState::kBeingWritten, first);
  EXPECT_THAT(Orders(), ElementsAre("dn1 finish 300", "dn2 finish 300", "dn3 finish 300"));
  Restart();
  EXPECT_EQ(core->recovery().held(), 1u);
  for (const char* name : {"dn1", "dn2", "dn3"}) Join(name);
  Settle();
  Tick();
  const GenerationStamp second = Recovery();
  EXPECT_GT(second, first);
  EXPECT_THAT(Orders(), ElementsAre("dn1 freeze", "dn2 freeze", "dn3 freeze"));
  // One of them had carried out the order of before.
  Frozen("dn1", {block.id, first, 300}, ReplicaState::kFinalized, second);
  Frozen("dn2", block, ReplicaState::kBeingWritten, second);
  Frozen("dn3", block, ReplicaState::kBeingWritten, second);
  EXPECT_THAT(Orders(), ElementsAre("dn1 finish 300", "dn2 finish 300", "dn3 finish 300"));
  for (const char* name : {"dn1", "dn2", "dn3"}) Report(name, {block.id, second, 300});
  Tick();
  EXPECT_EQ(Info("/f")->length, 300u);
  EXPECT_FALSE(Info("/f")->under_construction);
}

TEST_F(NamenodeCoreRecoveryTest, ARestartAfterTheDecisionOnDiskHasNothingLeftToDo) {
  protocol::Block block = Writing("/f");
  EXPECT_FALSE(RecoverLease("/f"));
  Orders();
  const GenerationStamp recovery = Recovery();
  block.length = 300;
  for (const char* name : {"dn1", "dn2", "dn3"}) Frozen(name, block, ReplicaState::kBeingWritten, recovery);
  Orders();
  for (const char* name : {"dn1", "dn2", "dn3"}) Report(name, {block.id, recovery, 300});
  Tick();
  Restart();
  EXPECT_EQ(core->recovery().held(), 0u);
  EXPECT_EQ(Info("/f")->length, 300u);
}

TEST_F(NamenodeCoreRecoveryTest, NothingHappensInSafeMode) {
  Writing("/f");
  EXPECT_FALSE(RecoverLease("/f"));
  ASSERT_TRUE(core->SetSafeMode(super, {protocol::SafeModeAction::kEnter}, now).ok());
  EXPECT_THAT(Orders(), IsEmpty());
  ASSERT_TRUE(core->SetSafeMode(super, {protocol::SafeModeAction::kLeave}, now).ok());
  EXPECT_EQ(Orders().size(), 3u);
}

TEST_F(NamenodeCoreRecoveryTest, WhoAsksAgainIsAnsweredWhenTheFileIsClosed) {
  protocol::Block block = Writing("/f");
  EXPECT_FALSE(RecoverLease("/f"));
  const uint64_t ticket = Submit(protocol::RecoverLeaseRequest{.path = "/f"});
  RunBatches();
  EXPECT_FALSE(answers.contains(ticket)) << "it waits";
  Orders();
  const GenerationStamp recovery = Recovery();
  block.length = 10;
  for (const char* name : {"dn1", "dn2", "dn3"}) Frozen(name, block, ReplicaState::kBeingWritten, recovery);
  Orders();
  for (const char* name : {"dn1", "dn2", "dn3"}) Report(name, {block.id, recovery, 10});
  Tick();
  RunBatches();
  ASSERT_TRUE(answers.contains(ticket));
  EXPECT_TRUE(Get<protocol::RecoverLeaseReply>(answers.at(ticket)).closed);

  // In vain: "not yet".
  Writing("/g");
  EXPECT_FALSE(RecoverLease("/g"));
  const uint64_t other = Submit(protocol::RecoverLeaseRequest{.path = "/g"});
  RunBatches();
  Live(settings.replica_wait + seconds(1));
  ASSERT_TRUE(answers.contains(other));
  EXPECT_FALSE(Get<protocol::RecoverLeaseReply>(answers.at(other)).closed);
}

TEST_F(NamenodeCoreRecoveryTest, AnAppendThatNobodyHeardOfEndsAsTheFileWas) {
  const protocol::Block block = MustWrite("/f", {"dn1", "dn2", "dn3"});
  file_ = Info("/f")->inode;
  const auto reply = Get<protocol::AppendReply>(Run(protocol::AppendRequest{.path = "/f", .holder = "appender"}));
  ASSERT_TRUE(reply.last.has_value());
  EXPECT_FALSE(RecoverLease("/f"));
  // Nobody's replica counts as stale meanwhile, however long it takes.
  Live(seconds(20));
  EXPECT_THAT(Orders(), Not(Contains("dn1 delete")));
  const GenerationStamp recovery = Recovery();
  for (const char* name : {"dn1", "dn2", "dn3"}) Frozen(name, block, ReplicaState::kFinalized, recovery);
  EXPECT_THAT(Orders(), ElementsAre("dn1 finish 700", "dn2 finish 700", "dn3 finish 700"));
  for (const char* name : {"dn1", "dn2", "dn3"}) Report(name, {block.id, recovery, 700});
  Tick();
  EXPECT_EQ(Info("/f")->length, 700u);
  EXPECT_FALSE(Info("/f")->under_construction);
}

TEST_F(NamenodeCoreRecoveryTest, AnAppendWaitsForReplicasAndThenSaysSo) {
  MustWrite("/f", {"dn1", "dn2", "dn3"});
  Restart();
  for (const char* name : {"dn1", "dn2", "dn3"}) {
    ASSERT_TRUE(Register(Registering(name)).ok());  // what they have is not known yet
  }
  ASSERT_TRUE(core->SetSafeMode(super, {protocol::SafeModeAction::kLeave}, now).ok());
  const uint64_t ticket = Submit(protocol::AppendRequest{.path = "/f", .holder = "appender"});
  RunBatches();
  EXPECT_FALSE(answers.contains(ticket));
  Live(settings.replica_wait + seconds(1));
  ASSERT_TRUE(answers.contains(ticket));
  EXPECT_EQ(ReasonOf(answers.at(ticket).status()), ErrorReason::kNotReplicatedYet);
  EXPECT_NE(std::string(MessageOf(answers.at(ticket).status())).find("is not sufficiently replicated yet."),
            std::string::npos);
}

TEST_F(NamenodeCoreRecoveryTest, ATruncatedBlockIsCopiedAndReplaced) {
  const protocol::Block block = MustWrite("/f", {"dn1", "dn2", "dn3"});
  file_ = Info("/f")->inode;
  EXPECT_FALSE(Get<protocol::TruncateReply>(Run(protocol::TruncateRequest{.path = "/f", .length = 300})).done);
  EXPECT_THAT(Orders(), ElementsAre("dn1 cut 300", "dn2 cut 300", "dn3 cut 300"));
  EXPECT_EQ(Info("/f")->length, 700u);
  Report("dn1", copy_);
  Live(BlockRecovery::kRepeat);
  EXPECT_THAT(Orders(), Not(Contains("dn1 cut 300")));
  EXPECT_EQ(Info("/f")->length, 700u) << "the others get a little time";
  Report("dn2", copy_);
  Report("dn3", copy_);
  Tick();
  EXPECT_FALSE(Info("/f")->under_construction);
  EXPECT_EQ(Info("/f")->length, 300u);
  // The replicas of the old block are of no use any more.
  std::vector<std::string> later;
  for (int i = 0; i < 5; ++i) {
    Pass(seconds(1));
    for (std::string& text : Orders()) later.push_back(std::move(text));
  }
  EXPECT_THAT(later, Contains("dn1 delete"));
  EXPECT_FALSE(GetBlock(*core->published().meta, block.id).value().has_value());
}

TEST_F(NamenodeCoreRecoveryTest, ATruncationGoesOnAfterARestart) {
  const protocol::Block block = MustWrite("/f", {"dn1", "dn2"});
  EXPECT_FALSE(Get<protocol::TruncateReply>(Run(protocol::TruncateRequest{.path = "/f", .length = 300})).done);
  Orders();
  Restart();
  Join("dn1", {block, copy_});
  Join("dn2", {block});
  ASSERT_TRUE(core->SetSafeMode(super, {protocol::SafeModeAction::kLeave}, now).ok());
  EXPECT_THAT(Orders(), ElementsAre("dn2 cut 300"));
  Live(BlockRecovery::kFinishPatience + seconds(1));
  EXPECT_TRUE(Info("/f")->under_construction) << "the other one is there, and may do it yet";
  Live(BlockRecovery::kPatience);
  EXPECT_FALSE(Info("/f")->under_construction) << "one is enough after a while";
  EXPECT_EQ(Info("/f")->length, 300u);
}

TEST_F(NamenodeCoreRecoveryTest, AnAppendWhoseReplicasAreAllGoneIsTakenBack) {
  const protocol::Block block = MustWrite("/f", {"dn1", "dn2", "dn3"});
  file_ = Info("/f")->inode;
  ASSERT_TRUE(Run(protocol::AppendRequest{
                      .path = "/f", .holder = "appender", .excluded = {DatanodeUuid("dn2"), DatanodeUuid("dn3")}})
                  .ok());
  EXPECT_FALSE(RecoverLease("/f"));
  EXPECT_THAT(Orders(), ElementsAre("dn1 freeze"));
  Frozen("dn1", {block.id, Recovery(), 0}, ReplicaState::kDeleted, Recovery());
  Tick();
  Tick();
  EXPECT_FALSE(Info("/f")->under_construction);
  EXPECT_EQ(Info("/f")->length, 700u);
  EXPECT_EQ(Stats().missing_blocks, 0u) << "the others have it";
}

TEST_F(NamenodeCoreRecoveryTest, ReadersAskForCommittedBytesByTheirOwnStamp) {
  const protocol::Block block = MustWrite("/f", {"dn1", "dn2", "dn3"});
  const auto appended = Get<protocol::AppendReply>(
      Run(protocol::AppendRequest{.path = "/f", .holder = "appender", .excluded = {DatanodeUuid("dn3")}}));
  ASSERT_GT(appended.last->block.stamp, block.stamp);
  auto reply = GetBlockLocations(*core->published().meta, settings, super, {.path = "/f", .offset = 0, .length = 1});
  ASSERT_TRUE(reply.ok()) << reply.status();
  AddLocations(*core->published().meta, *replicas, *core->published().cluster, core->token_key(), super, wall, &*reply);
  ASSERT_EQ(reply->blocks.size(), 1u);
  EXPECT_TRUE(reply->last_is_open);
  EXPECT_EQ(reply->blocks[0].block, block);
  EXPECT_EQ(reply->blocks[0].locations.size(), 3u) << "who is not written to has them too";
}

TEST_F(NamenodeCoreRecoveryTest, WithoutADatanodeThatCouldAnswerNoFurtherAttemptIsMade) {
  Writing("/f");
  EXPECT_FALSE(RecoverLease("/f"));
  const GenerationStamp first = Recovery();
  Live(std::chrono::minutes(30), /*with_heartbeats=*/false);
  const GenerationStamp last = Recovery();
  Live(std::chrono::minutes(30), /*with_heartbeats=*/false);
  EXPECT_EQ(Recovery(), last);
  EXPECT_EQ(core->recovery().under_way(), 0u);
  for (const char* name : {"dn1", "dn2", "dn3"}) Join(name);
  Live(FileRecovery::kNobodyThere + seconds(2));
  EXPECT_GT(Recovery(), first);
  EXPECT_EQ(core->recovery().under_way(), 1u);
}

TEST_F(NamenodeCoreRecoveryTest, APauseOfTheNamenodeIsNobodysSilence) {
  protocol::Block block = Writing("/f");
  EXPECT_FALSE(RecoverLease("/f"));
  Orders();
  block.length = 100;
  Say("dn1", {block, ReplicaState::kBeingWritten, Recovery(), /*after_restart=*/true});
  Tick();
  ASSERT_TRUE(core->SetSafeMode(super, {protocol::SafeModeAction::kEnter}, now).ok());
  Live(BlockRecovery::kLongPatience + seconds(10));
  ASSERT_TRUE(core->SetSafeMode(super, {protocol::SafeModeAction::kLeave}, now).ok());
  EXPECT_THAT(Orders(), Not(Contains("dn1 finish 100"))) << "the others were not asked";
  EXPECT_THAT(Orders(), Not(Contains("dn1 finish 100")));
  EXPECT_TRUE(Info("/f")->under_construction);
}

TEST_F(NamenodeCoreRecoveryTest, ADeletedFileIsNotRecoveredAnyFurther) {
  Writing("/f");
  EXPECT_FALSE(RecoverLease("/f"));
  Orders();
  MustRun(protocol::DeleteRequest{.path = "/f"});
  EXPECT_EQ(core->recovery().held(), 0u);
  Live(seconds(5));
  EXPECT_THAT(Orders(), IsEmpty());
}

TEST_F(NamenodeCoreRecoveryTest, ManyFilesTakeTurns) {
  std::vector<InodeId> files;
  for (int i = 0; i < 100; ++i) {
    files.push_back(MustCreate(absl::StrCat("/f", i), "writer", 3));
    MustAddBlock(files.back());
  }
  Live(settings.lease_hard_limit + seconds(1));
  EXPECT_EQ(core->recovery().held(), 100u);
  EXPECT_EQ(core->recovery().under_way(), FileRecovery::kMaxUnderWay);
  // Nobody answers: each gets its turn, with a stamp of its own.
  const auto stamp = [&](InodeId file) { return *GetOpen(*core->published().meta, file).value()->recovery; };
  std::map<InodeId, GenerationStamp> first;
  for (InodeId file : files) first[file] = stamp(file);
  Live(3 * (BlockRecovery::kNoProgress + seconds(5)));
  for (InodeId file : files) EXPECT_GT(stamp(file), first[file]);
  EXPECT_EQ(core->recovery().under_way(), FileRecovery::kMaxUnderWay);
}

}  // namespace
}  // namespace dolmen::namenode
