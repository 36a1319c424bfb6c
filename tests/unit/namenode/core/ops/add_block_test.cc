#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class AddBlockTest : public NamespaceTest {
 protected:
  void SetUp() override { file_ = Create("/d/f")->status.inode; }
  // Of the expected length.
  static protocol::Block Full(const protocol::LocatedBlock& located, uint64_t length = kTestBlockBytes) {
    protocol::Block block = located.block;
    block.length = length;
    return block;
  }
  InodeId file_;
};

TEST_F(AddBlockTest, GivesAFreshBlockAndAPipeline) {
  auto first = AddBlock("/d/f", std::nullopt);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->block, (protocol::Block{kFirstBlockId, kFirstGenerationStamp, 0}));
  EXPECT_EQ(first->offset, 0u);
  ASSERT_EQ(first->locations.size(), 3u);
  EXPECT_EQ(first->locations[0].datanode.uuid, DatanodeUuid("dn1"));
  EXPECT_EQ(replicas.last_request.writer_host, "client1");
  EXPECT_EQ(replicas.last_request.block_bytes, kTestBlockBytes);
  EXPECT_EQ(GetOpen(store, file_).value()->last_pipeline.size(), 3u);
}

TEST_F(AddBlockTest, CommitsThePreviousBlockAtItsLength) {
  auto first = AddBlock("/d/f", std::nullopt);
  effects.clear();
  auto second = AddBlock("/d/f", Full(*first));
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->offset, kTestBlockBytes);
  EXPECT_EQ(Info("/d/f")->length, kTestBlockBytes);
  EXPECT_EQ(Totals("/").bytes, kTestBlockBytes);
  EXPECT_EQ(Totals("/d").replicated_bytes[protocol::StorageType::kDisk], 3 * kTestBlockBytes);
  ASSERT_EQ(EffectsOf<BlockCommitted>().size(), 1u);
  EXPECT_EQ(EffectsOf<BlockCommitted>()[0].block, Full(*first));
  EXPECT_EQ(EffectsOf<BlockCommitted>()[0].replicas_wanted, 3u);
  EXPECT_EQ(GetInode(store, Info("/d")->inode, "f").value()->extensions.Find(kIrregularBlocksTag), nullptr);
}

TEST_F(AddBlockTest, ARepeatedCallGetsTheSameBlockAndPipeline) {
  auto first = AddBlock("/d/f", std::nullopt);
  EXPECT_EQ(*AddBlock("/d/f", std::nullopt), *first);
  auto second = AddBlock("/d/f", Full(*first));
  EXPECT_EQ(*AddBlock("/d/f", Full(*first)), *second);
  EXPECT_EQ(counters.block_count, 2u);
}

TEST_F(AddBlockTest, ARepeatedCallGetsANewPipelineWhenTheOldOneIsGone) {
  auto first = AddBlock("/d/f", std::nullopt);
  replicas.datanodes = {"dn9"};
  auto again = AddBlock("/d/f", std::nullopt);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->block, first->block);
  ASSERT_EQ(again->locations.size(), 1u);
  EXPECT_EQ(again->locations[0].datanode.uuid, DatanodeUuid("dn9"));
  EXPECT_EQ(GetOpen(store, file_).value()->last_pipeline[0].datanode, DatanodeUuid("dn9"));
}

TEST_F(AddBlockTest, ThePreviousBlockMustBeTheLast) {
  auto first = AddBlock("/d/f", std::nullopt);
  auto second = AddBlock("/d/f", Full(*first));
  auto third = AddBlock("/d/f", Full(*second));
  EXPECT_REFUSED(AddBlock("/d/f", Full(*first)), kIo,
                 "Cannot allocate block in /d/f: passed 'previous' block blk_1073741824_1001 does not match actual "
                 "last block in file blk_1073741856_1003");
  EXPECT_REFUSED(AddBlock("/d/f", std::nullopt), kIo,
                 "Cannot allocate block in /d/f: passed 'previous' block null does not match actual last block in "
                 "file blk_1073741856_1003");
}

TEST_F(AddBlockTest, WaitsForTheBlockBeforeTheLast) {
  auto first = AddBlock("/d/f", std::nullopt);
  replicas.unconfirmed = {first->block.id};
  auto second = AddBlock("/d/f", Full(*first));
  ASSERT_TRUE(second.ok()) << "the last one is only being committed by this call";
  EXPECT_REFUSED(AddBlock("/d/f", Full(*second)), kNotReplicatedYet, "Not replicated yet: /d/f");
  EXPECT_EQ(replicas.asked.back(), Full(*first)) << "with its length";
  replicas.unconfirmed.clear();
  EXPECT_TRUE(AddBlock("/d/f", Full(*second)).ok());
}

TEST_F(AddBlockTest, AShortBlockInTheMiddleMarksTheFile) {
  auto first = AddBlock("/d/f", std::nullopt);
  auto second = AddBlock("/d/f", Full(*first, 100));
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->offset, 100u);
  EXPECT_NE(GetInodeById(store, file_).value()->extensions.Find(kIrregularBlocksTag), nullptr);
}

TEST_F(AddBlockTest, ABlockLongerThanTheBlockSizeIsRefused) {
  auto first = AddBlock("/d/f", std::nullopt);
  EXPECT_REFUSED(AddBlock("/d/f", Full(*first, kTestBlockBytes + 1)), kIllegalArgument,
                 "Block blk_1073741824_1001 of /d/f cannot have 1025 bytes: the block size of the file is 1024");
}

TEST_F(AddBlockTest, ABlockFixedBeforeKeepsItsLength) {
  auto first = AddBlock("/d/f", std::nullopt);
  auto second = AddBlock("/d/f", Full(*first));
  ASSERT_TRUE(
      Run(super, protocol::AbandonBlockRequest{.path = "/d/f", .holder = "writer", .block = second->block}).ok());
  EXPECT_EQ(ReasonOf(AddBlock("/d/f", Full(*first, 5)).status()), ErrorReason::kIo);
  EXPECT_TRUE(AddBlock("/d/f", Full(*first)).ok());
  EXPECT_EQ(Info("/d/f")->length, kTestBlockBytes);
}

TEST_F(AddBlockTest, OnlyTheLeaseHolderMayWrite) {
  const std::string file = "/d/f (inode " + std::to_string(file_.value()) + ") Holder other";
  EXPECT_REFUSED(AddBlock("/d/f", std::nullopt, "other"), kLeaseExpired,
                 "Client (=other) is not the lease owner (=writer: " + file);
  WriteFile("/closed", {});
  EXPECT_EQ(TextOf(AddBlock("/closed", std::nullopt).status()).rfind("File is not open for writing: /closed", 0), 0u);
  EXPECT_EQ(TextOf(AddBlock("/d", std::nullopt).status()).rfind("INode is not a regular file: /d", 0), 0u);
  EXPECT_REFUSED(AddBlock("/gone", std::nullopt), kFileNotFound,
                 "File does not exist: /gone (inode 0) Holder writer does not have any open files.");
}

TEST_F(AddBlockTest, TheInodeWinsOverThePath) {
  ASSERT_TRUE(Rename("/d", "/e").ok());
  WriteFile("/d/f", {});
  protocol::AddBlockRequest request{.path = "/d/f", .inode = file_, .holder = "writer"};
  ASSERT_TRUE(Run(alice, request).ok());
  EXPECT_EQ(counters.block_count, 1u);
  ASSERT_TRUE(Delete("/e").ok());
  EXPECT_REFUSED(Run(super, request), kFileNotFound,
                 "File does not exist: /d/f (inode " + std::to_string(file_.value()) +
                     ") Holder writer does not have any open files.");
}

TEST_F(AddBlockTest, WithoutTargetsSaysWhy) {
  protocol::AddBlockRequest request{.path = "/d/f", .holder = "writer"};
  request.excluded = {DatanodeUuid("dn1"), DatanodeUuid("dn2"), DatanodeUuid("dn3")};
  EXPECT_REFUSED(Run(super, request), kNoDatanodes,
                 "File /d/f could only be written to 0 of the 1 minReplication nodes. dn1: excluded by the caller.");
  EXPECT_EQ(counters.block_count, 0u);
  request.excluded.pop_back();
  EXPECT_EQ(Run(super, request)->block.locations.size(), 1u) << "a short pipeline is accepted";
}

TEST_F(AddBlockTest, AFileHasABoundedNumberOfBlocks) {
  settings.max_blocks_per_file = 1;
  auto first = AddBlock("/d/f", std::nullopt);
  EXPECT_REFUSED(AddBlock("/d/f", Full(*first)), kIo,
                 "File has reached the limit on maximum number of blocks "
                 "(dfs.namenode.fs-limits.max-blocks-per-file): 1 >= 1");
}

}  // namespace
}  // namespace dolmen::namenode
