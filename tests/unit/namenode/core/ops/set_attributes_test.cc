#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class SetAttributesTest : public NamespaceTest {
 protected:
  void SetUp() override {
    WriteFile("/f", {1});
    ASSERT_TRUE(SetOwner("/f", "alice", "staff", 0644).ok());
  }
};

TEST_F(SetAttributesTest, ChangesWhatIsGivenAndNothingElse) {
  protocol::FileStatus expected = *Info("/f");
  ASSERT_TRUE(Run(alice, protocol::SetAttributesRequest{.path = "/f", .permission = 01600}).ok());
  expected.permission = 01600;
  EXPECT_EQ(*Info("/f"), expected);
  ASSERT_TRUE(
      Run(alice, protocol::SetAttributesRequest{.path = "/f", .modified = WallTime{5}, .accessed = WallTime{6}}).ok());
  expected.modified = WallTime{5};
  expected.accessed = WallTime{6};
  EXPECT_EQ(*Info("/f"), expected);
}

TEST_F(SetAttributesTest, WorksOnTheRoot) {
  ASSERT_TRUE(SetOwner("/", "alice", "staff", 0700).ok());
  EXPECT_EQ(Info("/")->owner, "alice");
}

TEST_F(SetAttributesTest, AChangeOfNothingWritesNothing) {
  const MapReader::Entries before = Dump(store);
  ASSERT_TRUE(Run(alice, protocol::SetAttributesRequest{.path = "/f", .permission = 0644}).ok());
  EXPECT_EQ(Dump(store), before);
}

TEST_F(SetAttributesTest, ModeAndOwnerAreTheOwnersToChange) {
  EXPECT_REFUSED(Run(bob, protocol::SetAttributesRequest{.path = "/f", .permission = 0777}), kAccessControl,
                 "Permission denied. user=bob is not the owner of inode=/f");
  EXPECT_REFUSED(Run(alice, protocol::SetAttributesRequest{.path = "/f", .owner = "bob"}), kAccessControl,
                 "User alice is not a super user (non-super user cannot change owner).");
  EXPECT_REFUSED(Run(alice, protocol::SetAttributesRequest{.path = "/f", .group = "guests"}), kAccessControl,
                 "User alice does not belong to guests");
  EXPECT_TRUE(Run(alice, protocol::SetAttributesRequest{.path = "/f", .owner = "alice", .group = "staff"}).ok());
  EXPECT_TRUE(Run(super, protocol::SetAttributesRequest{.path = "/f", .owner = "bob", .group = "guests"}).ok());
}

TEST_F(SetAttributesTest, TimesNeedWrite) {
  EXPECT_REFUSED(Run(bob, protocol::SetAttributesRequest{.path = "/f", .modified = WallTime{5}}), kAccessControl,
                 "Permission denied: user=bob, access=WRITE, inode=\"/f\":alice:staff:-rw-r--r--");
  ASSERT_TRUE(SetOwner("/f", "alice", "staff", 0664).ok());
  EXPECT_TRUE(Run(bob, protocol::SetAttributesRequest{.path = "/f", .modified = WallTime{5}}).ok());
}

TEST_F(SetAttributesTest, AMissingPathIsSaidToBeSo) {
  EXPECT_REFUSED(Run(super, protocol::SetAttributesRequest{.path = "/x", .permission = 0777}), kFileNotFound,
                 "Directory/File does not exist /x");
  EXPECT_REFUSED(Run(super, protocol::SetAttributesRequest{.path = "/x", .modified = WallTime{5}}), kFileNotFound,
                 "File/Directory /x does not exist.");
}

TEST_F(SetAttributesTest, RefusesNamesThatAreNone) {
  EXPECT_EQ(ReasonOf(Run(super, protocol::SetAttributesRequest{.path = "/f", .owner = ""}).status()),
            ErrorReason::kIllegalArgument);
  EXPECT_EQ(ReasonOf(Run(super, protocol::SetAttributesRequest{.path = "/f", .group = "\xff"}).status()),
            ErrorReason::kIllegalArgument);
}

}  // namespace
}  // namespace dolmen::namenode
