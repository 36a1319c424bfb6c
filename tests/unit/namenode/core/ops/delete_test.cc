#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class DeleteTest : public NamespaceTest {
 protected:
  auto DeleteAs(const Caller& caller, const std::string& path) {
    return Run(caller, protocol::DeleteRequest{.path = path, .recursive = true});
  }
};

TEST_F(DeleteTest, RemovesATreeInOneStep) {
  WriteFile("/a/b/f", {100});
  WriteFile("/a/g", {7});
  WriteFile("/h", {1});
  effects.clear();
  EXPECT_TRUE(Delete("/a")->deleted);
  EXPECT_FALSE(Exists("/a"));
  EXPECT_EQ(List("/"), std::vector<std::string>{"h"});
  EXPECT_EQ(Info("/")->child_count, 1u);
  EXPECT_EQ(Info("/")->modified, now);
  EXPECT_EQ(Totals("/").files, 1u) << "credited at once";
  EXPECT_EQ(Totals("/").directories, 0u);
  EXPECT_EQ(Totals("/").bytes, 1u);
  EXPECT_EQ(CountOf(Family::kDetached), 1u);
  EXPECT_TRUE(effects.empty()) << "what is below is the reaper's";
}

TEST_F(DeleteTest, AMissingPathAndTheRootAreNotDeleted) {
  EXPECT_FALSE(Delete("/nothing")->deleted);
  EXPECT_FALSE(Delete("/nothing/below")->deleted);
  EXPECT_FALSE(Delete("/")->deleted);
  EXPECT_FALSE(Delete("/", false)->deleted);
  WriteFile("/f", {});
  EXPECT_FALSE(Delete("/")->deleted);
  EXPECT_REFUSED(Delete("/", false), kDirectoryNotEmpty, "`/ is non empty': Directory is not empty");
}

TEST_F(DeleteTest, WithoutRecursionOnlyEmptyDirectoriesGo) {
  ASSERT_TRUE(Mkdirs("/a/b").ok());
  EXPECT_REFUSED(Delete("/a", false), kDirectoryNotEmpty, "`/a is non empty': Directory is not empty");
  EXPECT_TRUE(Delete("/a/b", false)->deleted);
  EXPECT_TRUE(Delete("/a", false)->deleted);
  WriteFile("/f", {1});
  EXPECT_TRUE(Delete("/f", false)->deleted);
}

TEST_F(DeleteTest, AnOpenFileLosesItsLease) {
  ASSERT_TRUE(Create("/f").ok());
  ASSERT_TRUE(AddBlock("/f", std::nullopt).ok());
  EXPECT_TRUE(Delete("/f")->deleted);
  EXPECT_EQ(EffectsOf<LeaseClosed>().size(), 1u);
  EXPECT_EQ(CountOf(Family::kOpen), 0u);
}

TEST_F(DeleteTest, NeedsWriteOnTheParent) {
  WriteFile("/d/f", {});
  EXPECT_REFUSED(DeleteAs(alice, "/d/f"), kAccessControl,
                 "Permission denied: user=alice, access=WRITE, inode=\"/d\":super:supergroup:drwxr-xr-x");
}

TEST_F(DeleteTest, AStickyParentProtectsTheEntriesOfOthers) {
  ASSERT_TRUE(Mkdirs("/tmp", 01777).ok());
  protocol::CreateRequest create = CreateOf("/tmp/f");
  ASSERT_TRUE(Run(alice, create).ok());
  EXPECT_REFUSED(DeleteAs(bob, "/tmp/f"), kAccessControl,
                 "Permission denied by sticky bit: user=bob, path=\"/tmp/f\":alice:supergroup:-rw-r--r--, "
                 "parent=\"/tmp\":super:supergroup:drwxrwxrwt");
  EXPECT_TRUE(DeleteAs(alice, "/tmp/f")->deleted);
}

TEST_F(DeleteTest, NeedsEverythingOnEveryDirectoryThatIsNotEmpty) {
  ASSERT_TRUE(Mkdirs("/a/b/c/d", 0777).ok());
  for (const char* path : {"/a", "/a/b", "/a/b/c"}) ASSERT_TRUE(SetOwner(path, "alice", "staff", 0755).ok());
  ASSERT_TRUE(SetOwner("/a/b/c/d", "super", "supergroup", 0700).ok());
  ASSERT_TRUE(SetOwner("/", "super", "supergroup", 0777).ok());
  EXPECT_REFUSED(DeleteAs(bob, "/a"), kAccessControl,
                 "Permission denied: user=bob, access=ALL, inode=\"/a\":alice:staff:drwxr-xr-x");
  ASSERT_TRUE(SetOwner("/a/b/c", "super", "supergroup", 0755).ok());
  EXPECT_REFUSED(DeleteAs(alice, "/a"), kAccessControl,
                 "Permission denied: user=alice, access=ALL, inode=\"/a/b/c\":super:supergroup:drwxr-xr-x");
  ASSERT_TRUE(SetOwner("/a/b/c", "super", "supergroup", 0777).ok());
  EXPECT_TRUE(DeleteAs(alice, "/a")->deleted) << "an empty directory and files need nothing of their own";
}

TEST_F(DeleteTest, TheReservedNameIsNoPath) { EXPECT_REFUSED(Delete("/.reserved"), kInvalidPath, "/.reserved"); }

}  // namespace
}  // namespace dolmen::namenode
