#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class FsyncTest : public NamespaceTest {};

TEST_F(FsyncTest, TellsTheWriterWhetherTheFileIsStillItsOwn) {
  const InodeId file = Create("/f")->status.inode;
  const MapReader::Entries before = Dump(store);
  protocol::FsyncRequest request{.path = "/f", .inode = file, .holder = "writer"};
  EXPECT_TRUE(Run(super, request).ok());
  EXPECT_EQ(Dump(store), before) << "nothing to write";
  request.holder = "other";
  EXPECT_EQ(ReasonOf(Run(super, request).status()), ErrorReason::kLeaseExpired);
  ASSERT_TRUE(Delete("/f").ok());
  EXPECT_EQ(ReasonOf(Run(super, request).status()), ErrorReason::kFileNotFound);
}

}  // namespace
}  // namespace dolmen::namenode
