#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class AbandonBlockTest : public NamespaceTest {
 protected:
  auto Abandon(const protocol::Block& block, const std::string& holder = "writer") {
    return Run(super, protocol::AbandonBlockRequest{.path = "/f", .holder = holder, .block = block});
  }
};

TEST_F(AbandonBlockTest, RemovesTheLastBlock) {
  const InodeId file = Create("/f")->status.inode;
  auto block = AddBlock("/f", std::nullopt);
  ASSERT_TRUE(Abandon(block->block).ok());
  ASSERT_EQ(EffectsOf<BlockFreed>().size(), 1u);
  EXPECT_EQ(EffectsOf<BlockFreed>()[0].block, block->block);
  EXPECT_EQ(counters.block_count, 0u);
  EXPECT_TRUE(GetOpen(store, file).value()->last_pipeline.empty());
  ASSERT_TRUE(Abandon(block->block).ok()) << "repeating is harmless";
  EXPECT_EQ(EffectsOf<BlockFreed>().size(), 1u);
  auto next = AddBlock("/f", std::nullopt);
  EXPECT_GT(next->block.id, block->block.id) << "ids are never used again";
}

TEST_F(AbandonBlockTest, LeavesEveryOtherBlock) {
  ASSERT_TRUE(Create("/f").ok());
  protocol::Block first = AddBlock("/f", std::nullopt)->block;
  first.length = kTestBlockBytes;
  protocol::Block second = AddBlock("/f", first)->block;
  ASSERT_TRUE(Abandon(first).ok());
  protocol::Block other_stamp = second;
  other_stamp.stamp = other_stamp.stamp.Next();
  ASSERT_TRUE(Abandon(other_stamp).ok());
  EXPECT_EQ(counters.block_count, 2u);
  ASSERT_TRUE(Abandon(second).ok());
  ASSERT_TRUE(Abandon(first).ok()) << "a committed block is data";
  EXPECT_EQ(counters.block_count, 1u);
  EXPECT_EQ(Info("/f")->length, kTestBlockBytes);
  EXPECT_TRUE(Complete("/f", first)->closed);
}

TEST_F(AbandonBlockTest, NeedsTheLease) {
  ASSERT_TRUE(Create("/f").ok());
  auto block = AddBlock("/f", std::nullopt);
  EXPECT_EQ(ReasonOf(Abandon(block->block, "other").status()), ErrorReason::kLeaseExpired);
}

}  // namespace
}  // namespace dolmen::namenode
