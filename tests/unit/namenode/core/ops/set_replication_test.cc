#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class SetReplicationTest : public NamespaceTest {
 protected:
  auto Set(const std::string& path, uint32_t replication) {
    return Run(super, protocol::SetReplicationRequest{.path = path, .replication = replication});
  }
  // Of each block, in order.
  std::vector<uint32_t> Wanted(const std::string& path) {
    std::vector<uint32_t> wanted;
    const InodeRecord file = *GetInodeById(View(), Info(path)->inode).value();
    for (uint64_t i = 0; i < file.block_count; ++i)
      wanted.push_back(GetFileBlock(View(), file.id, i)->record.replicas_wanted);
    return wanted;
  }
  bool Step() {
    auto left = RunOperation([](OperationContext& context) { return ops::ContinueSetReplication(context); });
    EXPECT_TRUE(left.ok()) << left.status();
    return left.ok() && *left;
  }
  bool IsUnderWay() { return FirstReplicationChange(View()).value().has_value(); }
  uint64_t ReplicatedBytes(const std::string& path) {
    return Totals(path).replicated_bytes[protocol::StorageType::kDisk];
  }
  using Numbers = std::vector<uint32_t>;
};

TEST_F(SetReplicationTest, ChangesTheFileItsBlocksAndTheTotals) {
  WriteFile("/d/f", {kTestBlockBytes, 6});
  protocol::FileStatus expected = *Info("/d/f");
  effects.clear();
  EXPECT_TRUE(Set("/d/f", 5)->done);
  expected.replication = 5;
  EXPECT_EQ(*Info("/d/f"), expected) << "no time changes";
  EXPECT_EQ(Wanted("/d/f"), (Numbers{5, 5}));
  EXPECT_EQ(ReplicatedBytes("/d"), 5 * (kTestBlockBytes + 6));
  EXPECT_EQ(ReplicatedBytes("/"), 5 * (kTestBlockBytes + 6));
  EXPECT_EQ(EffectsOf<BlockReplicasChanged>().size(), 2u);
  EXPECT_TRUE(Set("/d/f", 1)->done);
  EXPECT_EQ(ReplicatedBytes("/"), kTestBlockBytes + 6);
  EXPECT_FALSE(IsUnderWay());
}

TEST_F(SetReplicationTest, TheSameNumberChangesNothing) {
  WriteFile("/f", {1});
  effects.clear();
  const MapReader::Entries before = Dump(store);
  EXPECT_TRUE(Set("/f", 3)->done);
  EXPECT_EQ(Dump(store), before);
  EXPECT_TRUE(effects.empty());
}

TEST_F(SetReplicationTest, IsFalseForDirectoriesAndMissingPaths) {
  ASSERT_TRUE(Mkdirs("/d").ok());
  EXPECT_FALSE(Set("/d", 2)->done);
  EXPECT_FALSE(Set("/", 2)->done);
  EXPECT_FALSE(Set("/none", 2)->done);
}

TEST_F(SetReplicationTest, KeepsToTheLimitsInTheWordsOfHdfs) {
  settings.min_replication = 2;
  WriteFile("/f", {1});
  EXPECT_REFUSED(Set("/f", 513), kIo, "Requested replication factor of 513 exceeds maximum of 512 for /f");
  EXPECT_REFUSED(Set("/f", 1), kIo, "Requested replication factor of 1 is less than the required minimum of 2 for /f");
  EXPECT_REFUSED(Set("/f", 0), kIo, "Requested replication factor of 0 is less than the required minimum of 2 for /f");
}

TEST_F(SetReplicationTest, NeedsWrite) {
  WriteFile("/f", {1});
  ASSERT_TRUE(SetOwner("/f", "alice", "staff", 0644).ok());
  EXPECT_REFUSED(Run(bob, protocol::SetReplicationRequest{.path = "/f", .replication = 2}), kAccessControl,
                 "Permission denied: user=bob, access=WRITE, inode=\"/f\":alice:staff:-rw-r--r--");
  EXPECT_TRUE(Run(alice, protocol::SetReplicationRequest{.path = "/f", .replication = 2}).ok());
}

TEST_F(SetReplicationTest, AnOpenFileGoesOnWithTheNewNumber) {
  ASSERT_TRUE(Create("/f").ok());
  protocol::Block first = AddBlock("/f", std::nullopt)->block;
  effects.clear();
  EXPECT_TRUE(Set("/f", 2)->done);
  EXPECT_TRUE(EffectsOf<BlockReplicasChanged>().empty()) << "nobody counts its replicas yet";
  first.length = kTestBlockBytes;
  protocol::Block second = AddBlock("/f", first)->block;
  EXPECT_EQ(Wanted("/f"), (Numbers{2, 2}));
  second.length = 1;
  ASSERT_TRUE(Complete("/f", second).ok());
  EXPECT_EQ(ReplicatedBytes("/"), 2 * (kTestBlockBytes + 1));
}

// A file with more blocks than one commit may change.
class LongSetReplicationTest : public SetReplicationTest {
 protected:
  void SetUp() override {
    settings.replication_blocks_per_step = 2;
    const uint64_t full = kTestBlockBytes;
    WriteFile("/d/f", {full, full, full, full, 5});
  }
};

TEST_F(LongSetReplicationTest, IsDoneInStepsThatEachLeaveASoundStore) {
  EXPECT_TRUE(Set("/d/f", 1)->done);
  EXPECT_EQ(Info("/d/f")->replication, 1);
  EXPECT_EQ(Wanted("/d/f"), (Numbers{1, 1, 3, 3, 3}));
  EXPECT_EQ(ReplicatedBytes("/d"), 4 * kTestBlockBytes + 5);
  EXPECT_TRUE(CheckConsistency(store).ok());
  EXPECT_TRUE(Step());
  EXPECT_EQ(Wanted("/d/f"), (Numbers{1, 1, 1, 1, 3}));
  EXPECT_TRUE(CheckConsistency(store).ok());
  EXPECT_FALSE(Step());
  EXPECT_EQ(Wanted("/d/f"), (Numbers{1, 1, 1, 1, 1}));
  EXPECT_FALSE(IsUnderWay());
  EXPECT_FALSE(Step());
}

TEST_F(LongSetReplicationTest, TheLastNumberWins) {
  EXPECT_TRUE(Set("/d/f", 1)->done);
  EXPECT_TRUE(Step());
  EXPECT_TRUE(Set("/d/f", 4)->done);
  while (Step()) {
  }
  EXPECT_EQ(Wanted("/d/f"), (Numbers{4, 4, 4, 4, 4}));
  EXPECT_TRUE(Set("/d/f", 2)->done);
  EXPECT_TRUE(Set("/d/f", 4)->done);
  while (Step()) {
  }
  EXPECT_EQ(Wanted("/d/f"), (Numbers{4, 4, 4, 4, 4}));
}

TEST_F(LongSetReplicationTest, FollowsTheFileThroughARename) {
  EXPECT_TRUE(Set("/d/f", 1)->done);
  ASSERT_TRUE(Rename("/d/f", "/g").ok());
  while (Step()) {
  }
  EXPECT_EQ(Wanted("/g"), (Numbers{1, 1, 1, 1, 1}));
}

TEST_F(LongSetReplicationTest, EndsWithTheFile) {
  EXPECT_TRUE(Set("/d/f", 1)->done);
  ASSERT_TRUE(Delete("/d").ok());
  EXPECT_FALSE(Step());
  EXPECT_FALSE(IsUnderWay());
  EXPECT_TRUE(CheckConsistency(store).ok()) << "blocks of deleted files may want what they like";
  ReapAll();
  EXPECT_EQ(counters.block_count, 0u);
}

TEST_F(LongSetReplicationTest, EndsWhenConcatMovesTheBlocks) {
  WriteFile("/d/t", {7});
  EXPECT_TRUE(Set("/d/f", 1)->done);
  ASSERT_TRUE(Run(super, protocol::ConcatRequest{.target = "/d/t", .sources = {"/d/f"}}).ok());
  EXPECT_EQ(Wanted("/d/t"), (Numbers{3, 3, 3, 3, 3, 3}));
  EXPECT_TRUE(CheckConsistency(store).ok());
  EXPECT_FALSE(Step());
  EXPECT_FALSE(IsUnderWay());
}

TEST_F(LongSetReplicationTest, GoesOnWhenConcatAddsBlocks) {
  WriteFile("/d/a", {kTestBlockBytes});
  EXPECT_TRUE(Set("/d/f", 1)->done);
  ASSERT_TRUE(Run(super, protocol::ConcatRequest{.target = "/d/f", .sources = {"/d/a"}}).ok());
  EXPECT_EQ(Wanted("/d/f"), (Numbers{1, 1, 3, 3, 3, 1}));
  while (Step()) {
  }
  EXPECT_EQ(Wanted("/d/f"), (Numbers{1, 1, 1, 1, 1, 1}));
}

TEST_F(LongSetReplicationTest, SeveralFilesFollowEachOther) {
  const uint64_t full = kTestBlockBytes;
  WriteFile("/g", {full, full, full});
  EXPECT_TRUE(Set("/d/f", 1)->done);
  EXPECT_TRUE(Set("/g", 2)->done);
  int steps = 1;
  for (; Step(); ++steps) {
  }
  EXPECT_EQ(steps, 3);
  EXPECT_EQ(Wanted("/d/f"), (Numbers{1, 1, 1, 1, 1}));
  EXPECT_EQ(Wanted("/g"), (Numbers{2, 2, 2}));
}

}  // namespace
}  // namespace dolmen::namenode
