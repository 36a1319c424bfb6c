#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class MkdirsTest : public NamespaceTest {};

TEST_F(MkdirsTest, CreatesAllMissingParents) {
  ASSERT_TRUE(Mkdirs("/a/b/c", 0750).ok());
  EXPECT_EQ(Info("/a/b/c")->permission, 0750);
  EXPECT_EQ(Info("/a")->permission, 0750) << "the leaf's mode";
  EXPECT_EQ(Info("/a")->child_count, 1u);
  EXPECT_EQ(Totals("/").directories, 3u);
  EXPECT_EQ(Totals("/a").directories, 2u);
}

TEST_F(MkdirsTest, ParentsMadeOnTheWayLetTheirMakerGoOn) {
  ASSERT_TRUE(Mkdirs("/a/b", 01455).ok());
  EXPECT_EQ(Info("/a")->permission, 0755);
  EXPECT_EQ(Info("/a/b")->permission, 01455);
}

TEST_F(MkdirsTest, OwnerIsTheCallerAndTheGroupIsInherited) {
  ASSERT_TRUE(Mkdirs("/home", 0777).ok());
  ASSERT_TRUE(SetOwner("/home", "super", "everyone", 0777).ok());
  ASSERT_TRUE(Run(alice, protocol::MkdirsRequest{.path = "/home/alice"}).ok());
  EXPECT_EQ(Info("/home/alice")->owner, "alice");
  EXPECT_EQ(Info("/home/alice")->group, "everyone");
}

TEST_F(MkdirsTest, AnExistingDirectoryStaysAsItIs) {
  ASSERT_TRUE(Mkdirs("/a", 0700).ok());
  const InodeId before = Info("/a")->inode;
  ASSERT_TRUE(Mkdirs("/a", 0777).ok());
  ASSERT_TRUE(Mkdirs("/").ok());
  EXPECT_EQ(Info("/a")->inode, before);
  EXPECT_EQ(Info("/a")->permission, 0700);
}

TEST_F(MkdirsTest, RefusesFilesInTheWay) {
  WriteFile("/f", {});
  EXPECT_REFUSED(Mkdirs("/f"), kFileAlreadyExists, "Path is not a directory: /f");
  EXPECT_REFUSED(Mkdirs("/f/d"), kParentNotDirectory, "/f (is not a directory)");
}

TEST_F(MkdirsTest, WithoutParentsTheParentMustExist) {
  EXPECT_REFUSED(Run(super, protocol::MkdirsRequest{.path = "/a/b", .create_parents = false}), kFileNotFound,
                 "Parent directory doesn't exist: /a");
  EXPECT_TRUE(Run(super, protocol::MkdirsRequest{.path = "/a", .create_parents = false}).ok());
  EXPECT_TRUE(Run(super, protocol::MkdirsRequest{.path = "/a/b", .create_parents = false}).ok());
}

TEST_F(MkdirsTest, NeedsWriteOnTheNearestExistingDirectory) {
  EXPECT_REFUSED(Run(alice, protocol::MkdirsRequest{.path = "/a/b"}), kAccessControl,
                 "Permission denied: user=alice, access=WRITE, inode=\"/\":super:supergroup:drwxr-xr-x");
  ASSERT_TRUE(Mkdirs("/a").ok());
  EXPECT_TRUE(Run(alice, protocol::MkdirsRequest{.path = "/a"}).ok()) << "it exists";
}

TEST_F(MkdirsTest, RefusesReservedAndLongNames) {
  EXPECT_REFUSED(Mkdirs("/a/.snapshot"), kIllegalArgument, "\".snapshot\" is a reserved name.");
  EXPECT_REFUSED(Mkdirs("/.reserved"), kIllegalArgument, "File name \".reserved\" is reserved and cannot be created.");
  EXPECT_EQ(ReasonOf(Mkdirs("/a/" + std::string(256, 'n')).status()), ErrorReason::kNameTooLong);
  EXPECT_EQ(ReasonOf(Mkdirs("/a/../b").status()), ErrorReason::kInvalidPath);
  EXPECT_FALSE(Exists("/a"));
}

TEST_F(MkdirsTest, RefusesMoreEntriesThanADirectoryMayHave) {
  settings.max_directory_items = 2;
  ASSERT_TRUE(Mkdirs("/d/1").ok());
  ASSERT_TRUE(Mkdirs("/d/2").ok());
  EXPECT_REFUSED(Mkdirs("/d/3"), kDirectoryFull, "The directory item limit of /d is exceeded: limit=2 items=2");
  EXPECT_TRUE(Mkdirs("/d/2/3/4").ok());
}

TEST_F(MkdirsTest, SetsTheParentsModificationTimeAndNeverBack) {
  ASSERT_TRUE(Mkdirs("/a").ok());
  ASSERT_TRUE(Mkdirs("/a/b").ok());
  EXPECT_EQ(Info("/a")->modified, now);
  const WallTime last = now;
  now.ms -= 1000;
  ASSERT_TRUE(Mkdirs("/a/c").ok());
  EXPECT_EQ(Info("/a")->modified, last);
  EXPECT_EQ(Info("/a/c")->modified, now);
}

}  // namespace
}  // namespace dolmen::namenode
