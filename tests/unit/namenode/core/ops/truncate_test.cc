#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class TruncateTest : public NamespaceTest {
 protected:
  auto Truncate(const std::string& path, uint64_t length) {
    return Run(super, protocol::TruncateRequest{.path = path, .length = length});
  }
  absl::Status FinishTruncation(InodeId inode, BlockId copy) {
    return RunOperation([&](OperationContext& context) { return ops::FinishTruncation(context, inode, copy); });
  }
  OpenRecord Open(const std::string& path) { return GetOpen(store, Info(path)->inode).value().value_or(OpenRecord()); }
  FileBlock LastBlock(const std::string& path) {
    const InodeRecord file = *GetInodeById(store, Info(path)->inode).value();
    return *GetBlockFromEnd(store, file, 1).value();
  }
};

TEST_F(TruncateTest, AtABlocksEndItIsDoneAtOnce) {
  WriteFile("/f", {kTestBlockBytes, kTestBlockBytes, 300});
  effects.clear();
  EXPECT_TRUE(Truncate("/f", 2 * kTestBlockBytes)->done);
  EXPECT_EQ(Info("/f")->length, 2 * kTestBlockBytes);
  EXPECT_EQ(Info("/f")->modified, now);
  EXPECT_FALSE(Info("/f")->under_construction);
  EXPECT_EQ(Totals("/").bytes, 2 * kTestBlockBytes);
  EXPECT_EQ(effects.size(), 1u);
  EXPECT_EQ(EffectsOf<BlockFreed>().size(), 1u);
  EXPECT_TRUE(Truncate("/f", 0)->done);
  EXPECT_EQ(Info("/f")->length, 0u);
  EXPECT_EQ(counters.block_count, 0u);
  EXPECT_EQ(Totals("/").bytes, 0u);
}

TEST_F(TruncateTest, FreesABoundedNumberOfBlocks) {
  settings.max_truncate_blocks = 2;
  WriteFile("/f", {kTestBlockBytes, kTestBlockBytes, kTestBlockBytes, 300});
  EXPECT_REFUSED(Truncate("/f", 0), kIllegalArgument,
                 "truncate: more than 2 blocks of /f lie behind 0 bytes: truncate it in several steps, the next one to "
                 "2048 bytes, or delete it");
  EXPECT_EQ(Info("/f")->length, 3 * kTestBlockBytes + 300);
  EXPECT_TRUE(Truncate("/f", 2048)->done);
  EXPECT_TRUE(Truncate("/f", 0)->done);
  EXPECT_EQ(counters.block_count, 0u);
}

TEST_F(TruncateTest, ToTheLengthItHasChangesNothing) {
  WriteFile("/f", {300});
  const MapReader::Entries before = Dump(store);
  EXPECT_TRUE(Truncate("/f", 300)->done);
  for (const auto& [key, value] : Dump(store)) {
    if (key.first != Family::kMeta) {
      EXPECT_EQ(before.at(key), value);
    }
  }
}

TEST_F(TruncateTest, WithinABlockACopyTakesItsPlace) {
  WriteFile("/f", {kTestBlockBytes, kTestBlockBytes, 300});
  const InodeId file = Info("/f")->inode;
  effects.clear();
  EXPECT_FALSE(Truncate("/f", kTestBlockBytes + 100)->done);
  const OpenRecord open = Open("/f");
  EXPECT_EQ(open.holder, kNamenodeHolder);
  ASSERT_TRUE(open.truncation.has_value());
  EXPECT_EQ(open.truncation->length, 100u);
  const protocol::Block source = LastBlock("/f").AsBlock();
  EXPECT_EQ(source.length, kTestBlockBytes) << "still there to be read";
  EXPECT_EQ(Info("/f")->length, 2 * kTestBlockBytes);
  EXPECT_TRUE(Info("/f")->under_construction);
  ASSERT_EQ(EffectsOf<BlockFreed>().size(), 1u) << "the one behind";
  EXPECT_EQ(EffectsOf<LeaseOpened>().size(), 1u);
  auto located = GetBlockLocations(store, settings, super, {.path = "/f"});
  EXPECT_FALSE(located->last_is_open);
  EXPECT_EQ(located->blocks.back().block, source);

  // Nobody has it yet; an older truncation's copy means nothing.
  replicas.unconfirmed = {open.truncation->copy};
  ASSERT_TRUE(FinishTruncation(file, open.truncation->copy).ok());
  EXPECT_TRUE(Info("/f")->under_construction);
  replicas.unconfirmed.clear();
  ASSERT_TRUE(FinishTruncation(file, BlockId(16)).ok());
  EXPECT_TRUE(Info("/f")->under_construction);

  effects.clear();
  ASSERT_TRUE(FinishTruncation(file, open.truncation->copy).ok());
  EXPECT_FALSE(Info("/f")->under_construction);
  EXPECT_EQ(Info("/f")->length, kTestBlockBytes + 100);
  EXPECT_EQ(Totals("/").bytes, kTestBlockBytes + 100);
  EXPECT_EQ(LastBlock("/f").id, open.truncation->copy);
  EXPECT_EQ(LastBlock("/f").record.length, 100u);
  EXPECT_EQ(counters.block_count, 2u);
  EXPECT_EQ(counters.committed_block_count, 2u);
  ASSERT_EQ(EffectsOf<BlockFreed>().size(), 1u);
  EXPECT_EQ(EffectsOf<BlockFreed>()[0].block, source);
  EXPECT_EQ(EffectsOf<BlockCommitted>().size(), 1u);
  EXPECT_EQ(EffectsOf<LeaseClosed>().size(), 1u);
  ASSERT_TRUE(FinishTruncation(file, open.truncation->copy).ok()) << "it is closed already";
}

TEST_F(TruncateTest, WhileItRunsOthersAreRefused) {
  WriteFile("/f", {300});
  EXPECT_FALSE(Truncate("/f", 100)->done);
  const MapReader::Entries before = Dump(store);
  EXPECT_FALSE(Truncate("/f", 100)->done) << "the same again";
  EXPECT_REFUSED(Truncate("/f", 50), kAlreadyBeingCreated,
                 "Failed to TRUNCATE_FILE /f for super on client1 because /f is being truncated.");
  EXPECT_REFUSED(Run(super, protocol::AppendRequest{.path = "/f", .holder = "a"}), kRecoveryInProgress,
                 "Failed to APPEND_FILE /f for a on client1 because another recovery is in progress by "
                 "Dolmen_NameNode on client1");
  EXPECT_REFUSED(Run(super, protocol::RecoverLeaseRequest{.path = "/f"}), kNotReplicatedYet, "Not replicated yet: /f");
  ASSERT_TRUE(
      RunOperation([&](OperationContext& context) { return ops::ContinueRecovery(context, Info("/f")->inode); }).ok());
  EXPECT_EQ(Dump(store).size(), before.size());
  EXPECT_TRUE(Open("/f").truncation.has_value());
}

TEST_F(TruncateTest, ADeletedOrReplacedFileFreesTheCopyToo) {
  for (const bool replaced : {false, true}) {
    WriteFile("/f", {300});
    EXPECT_FALSE(Truncate("/f", 100)->done);
    const BlockId copy = Open("/f").truncation->copy;
    effects.clear();
    if (replaced) {
      WriteFile("/g", {1});
      ASSERT_TRUE(Run(super, protocol::RenameRequest{"/g", "/f", protocol::RenameKind::kOverwrite}).ok());
      ASSERT_TRUE(Delete("/f").ok());
    } else {
      ASSERT_TRUE(Delete("/f").ok());
    }
    ASSERT_GE(EffectsOf<BlockFreed>().size(), 1u);
    EXPECT_EQ(EffectsOf<BlockFreed>()[0].block.id, copy);
    Commit();
    EXPECT_TRUE(CheckConsistency(store).ok()) << CheckConsistency(store);
    ReapAll();
    EXPECT_EQ(counters.block_count, 0u);
  }
}

TEST_F(TruncateTest, ADeletedTreeFreesTheCopyToo) {
  WriteFile("/d/f", {300});
  EXPECT_FALSE(Truncate("/d/f", 100)->done);
  ASSERT_TRUE(Delete("/d").ok());
  Commit();
  EXPECT_TRUE(CheckConsistency(store).ok()) << CheckConsistency(store);
  ReapAll();
  EXPECT_EQ(counters.block_count, 0u);
  EXPECT_EQ(CountOf(Family::kOpen), 0u);
}

TEST_F(TruncateTest, RefusalsInTheWordsOfHdfs) {
  ASSERT_TRUE(Mkdirs("/d").ok());
  WriteFile("/f", {300});
  EXPECT_REFUSED(Truncate("/none", 1), kFileNotFound, "File does not exist: /none");
  EXPECT_REFUSED(Truncate("/d", 1), kFileNotFound, "Path is not a file: /d");
  EXPECT_REFUSED(Truncate("/f", 301), kIllegalArgument,
                 "Cannot truncate to a larger file size. Current size: 300, truncate size: 301.");
  EXPECT_EQ(ReasonOf(Run(alice, protocol::TruncateRequest{.path = "/f", .length = 1}).status()),
            ErrorReason::kAccessControl);
  ASSERT_TRUE(Create("/open").ok());
  EXPECT_REFUSED(Truncate("/open", 0), kAlreadyBeingCreated,
                 "Failed to TRUNCATE_FILE /open for super on client1 because this file lease is currently owned by "
                 "writer on client1");
  effects.clear();
  leases.silent = {"writer"};
  EXPECT_TRUE(Truncate("/open", 0)->done) << "it could be closed at once";
}

TEST_F(TruncateTest, AnIrregularFileIsCutWhereItsBlocksAre) {
  WriteFile("/f", {300});
  ASSERT_TRUE(Run(super, protocol::AppendRequest{.path = "/f", .holder = "a", .new_block = true}).ok());
  protocol::Block block = AddBlock("/f", std::nullopt, "a")->block;
  block.length = 50;
  ASSERT_TRUE(Run(super, protocol::CompleteRequest{.path = "/f", .holder = "a", .last = block}).ok());
  EXPECT_TRUE(Truncate("/f", 300)->done);
  EXPECT_EQ(Info("/f")->length, 300u);
  EXPECT_FALSE(Truncate("/f", 299)->done);
  EXPECT_EQ(Open("/f").truncation->length, 299u);
}

}  // namespace
}  // namespace dolmen::namenode
