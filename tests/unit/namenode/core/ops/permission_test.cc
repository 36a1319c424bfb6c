#include "namenode/core/permission.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

InodePath PathWith(uint16_t parent_permission, uint16_t permission) {
  InodePath path;
  path.names = {"d", "f"};
  path.inodes = {{.is_directory = true, .permission = 0755, .owner = "super", .group = "supergroup"},
                 {.is_directory = true, .permission = parent_permission, .owner = "alice", .group = "staff"},
                 {.permission = permission, .owner = "alice", .group = "staff"}};
  return path;
}

class PermissionTest : public ::testing::Test {
 protected:
  CoreSettings settings_;
  Caller alice_{.user = "alice", .groups = {"staff"}};
  Caller bob_{.user = "bob", .groups = {"staff"}};
  Caller carol_{.user = "carol", .groups = {"guests"}};
  Caller super_{.user = "super", .is_superuser = true};
};

TEST_F(PermissionTest, TheClassIsExclusive) {
  // The owner may nothing although others may everything.
  const InodePath path = PathWith(0755, 0077);
  EXPECT_FALSE(PermissionChecker(settings_, alice_).CheckTarget(path, Access::kRead).ok());
  EXPECT_TRUE(PermissionChecker(settings_, bob_).CheckTarget(path, Access::kAll).ok());
  // A group member is not helped by the bits for others.
  const InodePath other = PathWith(0755, 0707);
  EXPECT_FALSE(PermissionChecker(settings_, bob_).CheckTarget(other, Access::kRead).ok());
  EXPECT_TRUE(PermissionChecker(settings_, carol_).CheckTarget(other, Access::kAll).ok());
}

TEST_F(PermissionTest, DenialSaysWhoWantedWhatOfWhichInode) {
  EXPECT_REFUSED(PermissionChecker(settings_, bob_).CheckTarget(PathWith(0755, 0640), Access::kWrite), kAccessControl,
                 "Permission denied: user=bob, access=WRITE, inode=\"/d/f\":alice:staff:-rw-r-----");
  EXPECT_REFUSED(PermissionChecker(settings_, carol_).CheckParent(PathWith(0700, 0640), Access::kWriteExecute),
                 kAccessControl,
                 "Permission denied: user=carol, access=WRITE_EXECUTE, inode=\"/d\":alice:staff:drwx------");
}

TEST_F(PermissionTest, TheSuperuserIsNeverDenied) {
  const InodePath path = PathWith(01000, 0);
  const PermissionChecker checker(settings_, super_);
  EXPECT_TRUE(checker.CheckTarget(path, Access::kAll).ok());
  EXPECT_TRUE(checker.CheckParent(path, Access::kWrite).ok());
  EXPECT_TRUE(checker.CheckOwner(path).ok());
  EXPECT_TRUE(checker.CheckSuperuser("shutdown").ok());
}

TEST_F(PermissionTest, SwitchedOffOnlyOwnershipStays) {
  settings_.permissions_enabled = false;
  const PermissionChecker checker(settings_, bob_);
  EXPECT_TRUE(checker.CheckTarget(PathWith(01000, 0), Access::kAll).ok());
  EXPECT_TRUE(checker.CheckParent(PathWith(01000, 0), Access::kWrite).ok());
  EXPECT_REFUSED(checker.CheckOwner(PathWith(0755, 0644)), kAccessControl,
                 "Permission denied. user=bob is not the owner of inode=/d/f");
  EXPECT_REFUSED(checker.CheckSuperuser("shutdown"), kAccessControl,
                 "Access denied for user bob. Superuser privilege is required for operation shutdown");
}

TEST_F(PermissionTest, AStickyDirectoryProtectsTheEntriesOfOthers) {
  InodePath path = PathWith(01777, 0644);
  EXPECT_REFUSED(PermissionChecker(settings_, bob_).CheckParent(path, Access::kWrite), kAccessControl,
                 "Permission denied by sticky bit: user=bob, path=\"/d/f\":alice:staff:-rw-r--r--, "
                 "parent=\"/d\":alice:staff:drwxrwxrwt");
  EXPECT_TRUE(PermissionChecker(settings_, alice_).CheckParent(path, Access::kWrite).ok());
  path.Target().owner = "bob";
  EXPECT_TRUE(PermissionChecker(settings_, bob_).CheckParent(path, Access::kWrite).ok());
}

TEST_F(PermissionTest, ModesAreWrittenAsLsDoes) {
  EXPECT_EQ(PermissionText({.is_directory = true, .permission = 01776}), "drwxrwxrwT");
  EXPECT_EQ(PermissionText({.permission = 0541}), "-r-xr----x");
}

class TraverseTest : public NamespaceTest {};

TEST_F(TraverseTest, EveryDirectoryOnTheWayNeedsExecute) {
  ASSERT_TRUE(Mkdirs("/a/b/c").ok());
  ASSERT_TRUE(SetOwner("/a/b", "alice", "staff", 0600).ok());
  auto denied = GetFileInfo(store, settings, bob, {.path = "/a/b/c"});
  EXPECT_REFUSED(denied, kAccessControl,
                 "Permission denied: user=bob, access=EXECUTE, inode=\"/a/b\":alice:staff:drw-------");
  EXPECT_TRUE(GetFileInfo(store, settings, bob, {.path = "/a/b"}).ok()) << "the target itself needs nothing";
}

TEST_F(TraverseTest, AFileOnTheWayIsAnotherErrorForCreatingCalls) {
  WriteFile("/f", {});
  EXPECT_REFUSED(GetFileInfo(store, settings, super, {.path = "/f/x"}), kAccessControl, "/f (is not a directory)");
  EXPECT_REFUSED(Mkdirs("/f/x/y"), kParentNotDirectory, "/f (is not a directory)");
}

}  // namespace
}  // namespace dolmen::namenode
