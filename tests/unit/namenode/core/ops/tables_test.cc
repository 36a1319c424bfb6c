#include "namenode/core/tables.h"

#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class TablesTest : public NamespaceTest {};

TEST_F(TablesTest, AnIdLeadsToItsPathAlsoAfterAParentMoved) {
  ASSERT_TRUE(Mkdirs("/a/b").ok());
  WriteFile("/a/b/f", {10});
  const InodeId file = Info("/a/b/f")->inode;
  EXPECT_EQ(PathOf(store, file).value(), "/a/b/f");
  ASSERT_TRUE(Rename("/a/b", "/moved").ok());
  EXPECT_EQ(PathOf(store, file).value(), "/moved/f");
  EXPECT_EQ(GetInodeById(store, file).value()->length, 10u);
  EXPECT_EQ(PathOf(store, kRootInode).value(), "/");
}

TEST_F(TablesTest, AnIdBelowADeletedDirectoryDoesNotResolve) {
  WriteFile("/a/b/f", {10});
  const InodeId file = Info("/a/b/f")->inode;
  ASSERT_TRUE(Delete("/a").ok());
  EXPECT_FALSE(GetInodeById(store, file).value().has_value());
  EXPECT_REFUSED(PathOf(store, file), kFileNotFound, "File does not exist: inode " + std::to_string(file.value()));
}

TEST_F(TablesTest, EveryWriteSaysInWhichCommitItWas) {
  ASSERT_TRUE(Mkdirs("/a").ok());
  const CommitNumber first = GetInode(store, kRootInode, "a").value()->changed_at;
  EXPECT_EQ(first, commit);
  ASSERT_TRUE(Mkdirs("/a/b").ok());
  EXPECT_EQ(GetInode(store, kRootInode, "a").value()->changed_at, first.Next());
}

TEST_F(TablesTest, TotalsOfManyOperationsAreOneWritePerDirectory) {
  ASSERT_TRUE(Mkdirs("/a").ok());
  keep_batch_open = true;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Create("/a/f" + std::to_string(i)).ok());
  size_t totals = 0;
  for (const MetaWrite& write : batch->TakeWrites()) totals += write.family == Family::kTotals ? 1 : 0;
  EXPECT_EQ(totals, 2u) << "of / and /a";
  batch.reset();  // none of it was committed
  counters = DecodeCounters(*store.Get(Family::kMeta, keys::kCounters).value()).value();
}

TEST_F(TablesTest, TotalsBelowZeroAreDamage) {
  OperationContext context = Context();
  batch->BeginOperation();
  const InodeId root[] = {kRootInode};
  EXPECT_EQ(ReasonOf(AddToTotals(context, root, {.files = -1})), ErrorReason::kDamaged);
  batch->UndoOperation();
}

TEST_F(TablesTest, BlockIdsStepOverTheReservedBitsAndStampsAreFresh) {
  WriteFile("/f", {kTestBlockBytes, 5});
  const InodeId file = Info("/f")->inode;
  const FileBlock first = GetFileBlock(store, file, 0).value();
  const FileBlock second = GetFileBlock(store, file, 1).value();
  EXPECT_EQ(first.id, kFirstBlockId);
  EXPECT_EQ(second.id.value(), first.id.value() + kBlockIdStep);
  EXPECT_EQ(second.record.stamp, first.record.stamp.Next());
  EXPECT_EQ(BlockText(second.AsBlock()), "blk_1073741840_1002");
  EXPECT_EQ(counters.block_count, 2u);
  EXPECT_EQ(counters.committed_block_count, 2u);
}

}  // namespace
}  // namespace dolmen::namenode
