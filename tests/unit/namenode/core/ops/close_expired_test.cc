#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class CloseExpiredTest : public NamespaceTest {
 protected:
  absl::Status CloseExpired(InodeId inode, const std::string& holder = "writer") {
    return RunOperation([&](OperationContext& context) { return ops::CloseExpired(context, inode, holder); });
  }
};

TEST_F(CloseExpiredTest, ClosesAtTheLengthOfTheFinalizedReplica) {
  const InodeId file = Create("/f")->status.inode;
  protocol::Block block = AddBlock("/f", std::nullopt)->block;
  effects.clear();
  replicas.finalized[block.id] = 300;
  ASSERT_TRUE(CloseExpired(file).ok());
  EXPECT_FALSE(Info("/f")->under_construction);
  EXPECT_EQ(Info("/f")->length, 300u);
  EXPECT_EQ(Info("/f")->modified, now);
  EXPECT_EQ(Totals("/").bytes, 300u);
  EXPECT_EQ(EffectsOf<BlockCommitted>().size(), 1u);
  EXPECT_EQ(EffectsOf<LeaseClosed>().size(), 1u);
}

TEST_F(CloseExpiredTest, RemovesALastBlockThatNobodyFinished) {
  const InodeId file = Create("/f")->status.inode;
  protocol::Block first = AddBlock("/f", std::nullopt)->block;
  first.length = kTestBlockBytes;
  ASSERT_TRUE(AddBlock("/f", first).ok());
  ASSERT_TRUE(CloseExpired(file).ok());
  EXPECT_EQ(Info("/f")->length, kTestBlockBytes);
  EXPECT_EQ(EffectsOf<BlockFreed>().size(), 1u);
  EXPECT_EQ(counters.block_count, 1u);
}

TEST_F(CloseExpiredTest, ALastBlockThatMayBeFinishedWaitsForOneOfItsDatanodes) {
  const InodeId file = Create("/f")->status.inode;
  ASSERT_TRUE(AddBlock("/f", std::nullopt).ok());
  replicas.silent = {"dn1", "dn2", "dn3"};
  const MapReader::Entries before = Dump(store);
  effects.clear();
  ASSERT_TRUE(CloseExpired(file).ok());
  EXPECT_EQ(Dump(store), before);
  ASSERT_EQ(EffectsOf<LeaseCloseDeferred>().size(), 1u);
  EXPECT_EQ(effects.size(), 1u);
  replicas.silent.erase("dn2");
  ASSERT_TRUE(CloseExpired(file).ok());
  EXPECT_FALSE(Info("/f")->under_construction);
  EXPECT_EQ(EffectsOf<BlockFreed>().size(), 1u);
}

TEST_F(CloseExpiredTest, ClosesAnEmptyFile) {
  const InodeId file = Create("/f")->status.inode;
  ASSERT_TRUE(CloseExpired(file).ok());
  EXPECT_FALSE(Info("/f")->under_construction);
}

TEST_F(CloseExpiredTest, LeavesWhatTheHolderNoLongerHas) {
  const InodeId open = Create("/open")->status.inode;
  WriteFile("/closed", {1});
  const MapReader::Entries before = Dump(store);
  EXPECT_TRUE(CloseExpired(open, "other").ok());
  EXPECT_TRUE(CloseExpired(Info("/closed")->inode).ok());
  EXPECT_TRUE(CloseExpired(InodeId(99'999)).ok());
  EXPECT_EQ(Dump(store), before);
  ASSERT_TRUE(Delete("/open").ok());
  effects.clear();
  EXPECT_TRUE(CloseExpired(open).ok());
  EXPECT_EQ(EffectsOf<LeaseClosed>().size(), 1u) << "so that nobody asks again";
}

TEST_F(CloseExpiredTest, TheOldWriterIsToldThatItsLeaseIsGone) {
  const InodeId file = Create("/f")->status.inode;
  protocol::Block block = AddBlock("/f", std::nullopt)->block;
  ASSERT_TRUE(CloseExpired(file).ok());
  EXPECT_EQ(ReasonOf(AddBlock("/f", block).status()), ErrorReason::kLeaseExpired);
  EXPECT_EQ(ReasonOf(Complete("/f", block).status()), ErrorReason::kLeaseExpired);
}

}  // namespace
}  // namespace dolmen::namenode
