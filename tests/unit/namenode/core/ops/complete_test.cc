#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class CompleteTest : public NamespaceTest {};

TEST_F(CompleteTest, ClosesAnEmptyFile) {
  const InodeId file = Create("/f")->status.inode;
  auto completed = Complete("/f", std::nullopt);
  ASSERT_TRUE(completed.ok()) << completed.status();
  EXPECT_TRUE(completed->closed);
  EXPECT_EQ(completed->status, *Info("/f"));
  EXPECT_FALSE(completed->status.under_construction);
  EXPECT_EQ(completed->status.modified, now) << "set again at close";
  EXPECT_FALSE(GetOpen(store, file).value().has_value());
  ASSERT_EQ(EffectsOf<LeaseClosed>().size(), 1u);
  EXPECT_EQ(EffectsOf<LeaseClosed>()[0].holder, "writer");
}

TEST_F(CompleteTest, CommitsTheLastBlockAtItsLength) {
  ASSERT_TRUE(Create("/d/f").ok());
  protocol::Block last = AddBlock("/d/f", std::nullopt)->block;
  last.length = 10;
  auto completed = Complete("/d/f", last);
  ASSERT_TRUE(completed.ok()) << completed.status();
  EXPECT_EQ(completed->status.length, 10u);
  EXPECT_EQ(Totals("/d").bytes, 10u);
  ASSERT_EQ(EffectsOf<BlockCommitted>().size(), 1u);
  EXPECT_EQ(EffectsOf<BlockCommitted>()[0].block, last);
  EXPECT_EQ(counters.committed_block_count, 1u);
}

TEST_F(CompleteTest, WaitsForTheLastTwoBlocks) {
  ASSERT_TRUE(Create("/f").ok());
  protocol::Block first = AddBlock("/f", std::nullopt)->block;
  first.length = kTestBlockBytes;
  protocol::Block second = AddBlock("/f", first)->block;
  second.length = 1;
  replicas.unconfirmed = {first.id, second.id};
  EXPECT_REFUSED(Complete("/f", second), kNotReplicatedYet, "Not replicated yet: /f");
  replicas.unconfirmed = {second.id};
  EXPECT_REFUSED(Complete("/f", second), kNotReplicatedYet, "Not replicated yet: /f");
  EXPECT_EQ(replicas.asked.back(), second) << "replicas of exactly this length";
  EXPECT_TRUE(Info("/f")->under_construction);
  EXPECT_EQ(Info("/f")->length, kTestBlockBytes) << "a refusal leaves no trace";
  replicas.unconfirmed.clear();
  EXPECT_TRUE(Complete("/f", second)->closed);
}

TEST_F(CompleteTest, RepeatingItIsHarmless) {
  ASSERT_TRUE(Create("/f").ok());
  protocol::Block last = AddBlock("/f", std::nullopt)->block;
  last.length = 10;
  auto first = Complete("/f", last);
  auto again = Complete("/f", last);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, *first);
  last.stamp = last.stamp.Next();
  EXPECT_EQ(ReasonOf(Complete("/f", last).status()), ErrorReason::kLeaseExpired);
  EXPECT_EQ(ReasonOf(Complete("/f", std::nullopt).status()), ErrorReason::kLeaseExpired);
}

TEST_F(CompleteTest, TheLastBlockMustBeTheLast) {
  ASSERT_TRUE(Create("/f").ok());
  const protocol::Block last = AddBlock("/f", std::nullopt)->block;
  EXPECT_REFUSED(Complete("/f", std::nullopt), kIo,
                 "Cannot complete /f: passed 'last' block null does not match actual last block in file "
                 "blk_1073741824_1001");
  protocol::Block other = last;
  other.stamp = other.stamp.Next();
  EXPECT_EQ(ReasonOf(Complete("/f", other).status()), ErrorReason::kIo);
}

TEST_F(CompleteTest, AFileRenamedWhileOpenIsClosedWhereItIs) {
  const InodeId file = Create("/a/f")->status.inode;
  protocol::Block last = AddBlock("/a/f", std::nullopt)->block;
  last.length = 4;
  ASSERT_TRUE(Rename("/a", "/b").ok());
  auto completed =
      Run(super, protocol::CompleteRequest{.path = "/a/f", .inode = file, .holder = "writer", .last = last});
  ASSERT_TRUE(completed.ok()) << completed.status();
  EXPECT_EQ(Info("/b/f")->length, 4u);
  EXPECT_EQ(Totals("/b").bytes, 4u);
}

TEST_F(CompleteTest, ADeletedFileIsNotFound) {
  const InodeId file = Create("/a/f")->status.inode;
  ASSERT_TRUE(Delete("/a").ok());
  EXPECT_EQ(ReasonOf(Run(super, protocol::CompleteRequest{.path = "/a/f", .inode = file, .holder = "writer"}).status()),
            ErrorReason::kFileNotFound);
}

}  // namespace
}  // namespace dolmen::namenode
