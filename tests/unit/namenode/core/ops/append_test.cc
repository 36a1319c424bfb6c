#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class AppendTest : public NamespaceTest {
 protected:
  auto Append(const std::string& path, const std::string& holder = "appender", bool new_block = false) {
    return Run(super, protocol::AppendRequest{.path = path, .holder = holder, .new_block = new_block});
  }
  std::vector<std::string> Pipeline(const protocol::AppendReply& reply) {
    std::vector<std::string> names;
    for (const protocol::ReplicaLocation& location : reply.last->locations)
      names.push_back(location.datanode.uuid.value());
    return names;
  }
  OpenRecord Open(const std::string& path) { return GetOpen(store, Info(path)->inode).value().value_or(OpenRecord()); }
  FileBlock LastBlock(const std::string& path) {
    const InodeRecord file = *GetInodeById(store, Info(path)->inode).value();
    return *GetBlockFromEnd(store, file, 1).value();
  }
};

TEST_F(AppendTest, OpensAPartialLastBlockAgain) {
  WriteFile("/f", {kTestBlockBytes, 300});
  const protocol::Block before = LastBlock("/f").AsBlock();
  const uint64_t committed = counters.committed_block_count;
  effects.clear();
  auto reply = Append("/f");
  ASSERT_TRUE(reply.ok()) << reply.status();
  ASSERT_TRUE(reply->last.has_value());
  EXPECT_EQ(reply->last->block.id, before.id);
  EXPECT_GT(reply->last->block.stamp, before.stamp);
  EXPECT_EQ(reply->last->block.length, 300u);
  EXPECT_EQ(reply->last->offset, kTestBlockBytes);
  EXPECT_EQ(reply->last_stamp, before.stamp);
  EXPECT_EQ(Pipeline(*reply), (std::vector<std::string>{"dn1", "dn2", "dn3"}));
  EXPECT_TRUE(reply->status.under_construction);
  EXPECT_EQ(reply->status.length, kTestBlockBytes + 300);

  EXPECT_EQ(Open("/f").holder, "appender");
  EXPECT_EQ(Open("/f").stamp_before_append, before.stamp);
  EXPECT_EQ(Open("/f").last_pipeline.size(), 3u);
  EXPECT_EQ(LastBlock("/f").record.state, BlockState::kUnderConstruction);
  EXPECT_EQ(counters.committed_block_count, committed - 1);
  EXPECT_EQ(Totals("/").bytes, kTestBlockBytes + 300) << "nothing shrinks";
  ASSERT_EQ(EffectsOf<LeaseOpened>().size(), 1u);

  protocol::Block last = reply->last->block;
  last.length = 500;
  auto closed = Run(
      super, protocol::CompleteRequest{.path = "/f", .inode = Info("/f")->inode, .holder = "appender", .last = last});
  ASSERT_TRUE(closed.ok()) << closed.status();
  EXPECT_EQ(closed->status.length, kTestBlockBytes + 500);
  EXPECT_EQ(Totals("/").bytes, kTestBlockBytes + 500);
  EXPECT_EQ(LastBlock("/f").AsBlock(), last);
}

TEST_F(AppendTest, APipelineThatCouldNotBeCompletedIsNotBegun) {
  settings.min_replication = 2;
  WriteFile("/f", {300});
  const auto excluding = [&](std::vector<DatanodeUuid> excluded) {
    return Run(super, protocol::AppendRequest{.path = "/f", .holder = "appender", .excluded = std::move(excluded)});
  };
  EXPECT_EQ(ReasonOf(excluding({DatanodeUuid("dn1"), DatanodeUuid("dn2")}).status()), ErrorReason::kNotReplicatedYet);
  replicas.stale = {"dn2"};  // better than none
  const auto reply = excluding({DatanodeUuid("dn1")});
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(Pipeline(*reply), (std::vector<std::string>{"dn2", "dn3"}));
}

TEST_F(AppendTest, GoesOnBehindTheFilledBlock) {
  WriteFile("/f", {300});
  protocol::Block last = Append("/f")->last->block;
  last.length = kTestBlockBytes;
  auto next = AddBlock("/f", last, "appender");
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->offset, kTestBlockBytes);
  EXPECT_EQ(Info("/f")->length, kTestBlockBytes);
  EXPECT_FALSE(Open("/f").stamp_before_append.has_value()) << "that was of the block before";
  auto again = AddBlock("/f", last, "appender");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->block, next->block);
}

TEST_F(AppendTest, ABlockCannotGetShorterThanItWas) {
  WriteFile("/f", {300});
  protocol::Block last = Append("/f")->last->block;
  last.length = 299;
  EXPECT_EQ(ReasonOf(AddBlock("/f", last, "appender").status()), ErrorReason::kIo);
  const auto complete = [&](uint64_t length) {
    last.length = length;
    return Run(super, protocol::CompleteRequest{.path = "/f", .holder = "appender", .last = last});
  };
  EXPECT_EQ(ReasonOf(complete(299).status()), ErrorReason::kIo);
  EXPECT_EQ(ReasonOf(complete(kTestBlockBytes + 1).status()), ErrorReason::kIllegalArgument);
  EXPECT_TRUE(complete(300)->closed) << "nothing was appended";
  EXPECT_EQ(Info("/f")->length, 300u);
}

TEST_F(AppendTest, TheBlockCannotBeAbandoned) {
  WriteFile("/f", {300});
  const protocol::Block last = Append("/f")->last->block;
  const auto abandoned = Run(super, protocol::AbandonBlockRequest{.path = "/f", .holder = "appender", .block = last});
  EXPECT_EQ(ReasonOf(abandoned.status()), ErrorReason::kIo);
  EXPECT_EQ(Info("/f")->length, 300u);
}

TEST_F(AppendTest, FullLastBlocksEmptyFilesAndNewBlocksJustTakeTheLease) {
  WriteFile("/full", {kTestBlockBytes});
  WriteFile("/short", {300});
  ASSERT_TRUE(Create("/empty").ok());
  ASSERT_TRUE(Complete("/empty", std::nullopt).ok());
  for (const char* path : {"/full", "/short", "/empty"}) {
    auto reply = Append(path, "appender", /*new_block=*/true);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_FALSE(reply->last.has_value()) << path;
    const uint64_t length = Info(path)->length;
    auto next = AddBlock(path, std::nullopt, "appender");
    ASSERT_TRUE(next.ok()) << path << ": " << next.status();
    EXPECT_EQ(next->offset, length);
    // The pipeline failed: another one.
    ASSERT_TRUE(
        Run(super, protocol::AbandonBlockRequest{.path = path, .holder = "appender", .block = next->block}).ok());
    next = AddBlock(path, std::nullopt, "appender");
    ASSERT_TRUE(next.ok()) << path << ": " << next.status();
    protocol::Block block = next->block;
    block.length = 10;
    ASSERT_TRUE(Run(super, protocol::CompleteRequest{.path = path, .holder = "appender", .last = block})->closed);
    EXPECT_EQ(Info(path)->length, length + 10);
  }
  EXPECT_NE(GetInodeById(store, Info("/short")->inode).value()->extensions.Find(kIrregularBlocksTag), nullptr);
  EXPECT_EQ(GetInodeById(store, Info("/full")->inode).value()->extensions.Find(kIrregularBlocksTag), nullptr);
  // Readers find every block of the irregular one.
  auto located = GetBlockLocations(store, settings, super, {.path = "/short", .offset = 305, .length = 1});
  ASSERT_TRUE(located.ok());
  ASSERT_EQ(located->blocks.size(), 1u);
  EXPECT_EQ(located->blocks[0].offset, 300u);
}

TEST_F(AppendTest, TheLeaseAloneCanBeGivenBack) {
  WriteFile("/f", {kTestBlockBytes});
  ASSERT_TRUE(Append("/f").ok());
  EXPECT_TRUE(Run(super, protocol::CompleteRequest{.path = "/f", .holder = "appender"})->closed);
  EXPECT_EQ(Info("/f")->length, kTestBlockBytes);
}

TEST_F(AppendTest, ThePipelineAvoidsSilentAndExcludedDatanodesAndBeginsAtHome) {
  WriteFile("/f", {300});
  replicas.stale = {"dn1"};
  EXPECT_EQ(Pipeline(*Append("/f", "a")), (std::vector<std::string>{"dn2", "dn3"}));
  WriteFile("/g", {300});
  replicas.stale = {"dn1", "dn2", "dn3"};
  settings.min_replication = 0;
  EXPECT_EQ(Pipeline(*Append("/g", "a")).size(), 3u) << "better than none";
  WriteFile("/h", {300});
  replicas.stale.clear();
  auto reply = Run(super, protocol::AppendRequest{.path = "/h", .holder = "a", .excluded = {DatanodeUuid("dn2")}});
  EXPECT_EQ(Pipeline(*reply), (std::vector<std::string>{"dn1", "dn3"}));
  WriteFile("/i", {300});
  super.host = "dn3";
  EXPECT_EQ(Pipeline(*Append("/i", "a")), (std::vector<std::string>{"dn3", "dn1", "dn2"}));
}

TEST_F(AppendTest, WaitsForReplicasOfTheLastBlock) {
  WriteFile("/f", {300});
  const std::string block = BlockText(LastBlock("/f").AsBlock());
  const std::string text = "append: lastBlock=" + block + " of src=/f is not sufficiently replicated yet.";
  replicas.confirmed = 0;
  EXPECT_REFUSED(Append("/f"), kNotReplicatedYet, text);
  EXPECT_FALSE(Info("/f")->under_construction);
  replicas.confirmed = 3;
  const protocol::AppendRequest without{
      .path = "/f", .holder = "a", .excluded = {DatanodeUuid("dn1"), DatanodeUuid("dn2"), DatanodeUuid("dn3")}};
  EXPECT_REFUSED(Run(super, without), kNotReplicatedYet, text);
  // No more than there are datanodes.
  settings.min_replication = 3;
  replicas.confirmed = 2;
  EXPECT_REFUSED(Append("/f"), kNotReplicatedYet, text);
  replicas.stale = {"dn3"};
  EXPECT_TRUE(Append("/f").ok());
}

TEST_F(AppendTest, RefusalsInTheWordsOfHdfs) {
  ASSERT_TRUE(Mkdirs("/d").ok());
  EXPECT_REFUSED(Append("/none"), kFileNotFound, "Failed to append to non-existent file /none for client client1");
  EXPECT_REFUSED(Append("/d"), kFileAlreadyExists, "Cannot append to directory /d; already exists as a directory.");
  WriteFile("/f", {300});
  EXPECT_EQ(ReasonOf(Run(alice, protocol::AppendRequest{.path = "/f", .holder = "a"}).status()),
            ErrorReason::kAccessControl);
  EXPECT_EQ(ReasonOf(Append("/f", "").status()), ErrorReason::kIllegalArgument);
  EXPECT_EQ(ReasonOf(Append("/f", kNamenodeHolder).status()), ErrorReason::kIllegalArgument);
  ASSERT_TRUE(Append("/f", "first").ok());
  EXPECT_REFUSED(Append("/f", "first"), kAlreadyBeingCreated,
                 "Failed to APPEND_FILE /f for first on client1 because first is already the current lease holder.");
  EXPECT_REFUSED(Append("/f", "second"), kAlreadyBeingCreated,
                 "Failed to APPEND_FILE /f for second on client1 because this file lease is currently owned by first "
                 "on client1");
}

TEST_F(AppendTest, ASilentHolderLosesTheFile) {
  WriteFile("/f", {300});
  ASSERT_TRUE(Append("/f", "first").ok());
  effects.clear();
  leases.silent = {"first"};
  EXPECT_REFUSED(Append("/f", "second"), kRecoveryInProgress,
                 "Failed to APPEND_FILE /f for second on client1 because lease recovery is in progress. Try again "
                 "later.");
  ASSERT_EQ(overdue.size(), 1u);
  EXPECT_EQ(overdue[0].holder, "first");
  const InodeId file = Info("/f")->inode;
  ASSERT_TRUE(
      RunOperation([&](OperationContext& context) { return ops::ReleaseExpired(context, file, "first"); }).ok());
  EXPECT_REFUSED(Append("/f", "second"), kRecoveryInProgress,
                 "Failed to APPEND_FILE /f for second on client1 because another recovery is in progress by "
                 "Dolmen_NameNode on client1");
  ASSERT_TRUE(RunOperation([&](OperationContext& context) {
                return ops::FinishRecovery(context, file, *Open("/f").recovery, Recovered(310));
              }).ok());
  auto reply = Append("/f", "second");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->last->block.length, 310u);
}

TEST_F(AppendTest, AFileThatCanBeClosedAtOnceIsTakenOver) {
  ASSERT_TRUE(Create("/f").ok());
  effects.clear();
  leases.silent = {"writer"};
  auto reply = Append("/f", "second");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(Open("/f").holder, "second");
  EXPECT_EQ(EffectsOf<LeaseClosed>().size(), 1u);
}

TEST_F(AppendTest, ReadersSeeNoLessThanBefore) {
  WriteFile("/f", {kTestBlockBytes, 300});
  const protocol::Block last = Append("/f")->last->block;
  auto located = GetBlockLocations(store, settings, super, {.path = "/f"});
  ASSERT_TRUE(located.ok());
  EXPECT_EQ(located->status.length, kTestBlockBytes + 300);
  EXPECT_TRUE(located->last_is_open);
  EXPECT_EQ(located->open_offset, kTestBlockBytes);
  ASSERT_EQ(located->blocks.size(), 2u);
  EXPECT_EQ(located->blocks[1].block, last);
  EXPECT_EQ(located->blocks[1].offset, kTestBlockBytes);
  located = GetBlockLocations(store, settings, super, {.path = "/f", .length = 1});
  EXPECT_EQ(located->blocks.size(), 1u);
  EXPECT_EQ(located->open_offset, kTestBlockBytes);
}

TEST_F(AppendTest, ADeletedFileGivesBackAllItHas) {
  WriteFile("/f", {kTestBlockBytes, 300});
  ASSERT_TRUE(Append("/f").ok());
  ASSERT_TRUE(Delete("/f").ok());
  EXPECT_EQ(Totals("/").bytes, 0u);
  Commit();
  EXPECT_TRUE(CheckConsistency(store).ok()) << CheckConsistency(store);
  ReapAll();
  EXPECT_EQ(counters.block_count, 0u);
  EXPECT_EQ(counters.committed_block_count, 0u);
}

}  // namespace
}  // namespace dolmen::namenode
