#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

using protocol::RenameKind;

class RenameTest : public NamespaceTest {
 protected:
  auto Strict(const std::string& from, const std::string& to) { return Rename(from, to, RenameKind::kNoOverwrite); }
  auto Overwrite(const std::string& from, const std::string& to) { return Rename(from, to, RenameKind::kOverwrite); }
};

TEST_F(RenameTest, MovesADirectoryWithAllBelowIt) {
  WriteFile("/a/b/f", {100});
  ASSERT_TRUE(Mkdirs("/x").ok());
  const protocol::FileStatus before = *Info("/a/b");
  EXPECT_TRUE(Rename("/a/b", "/x/y")->renamed);
  EXPECT_FALSE(Exists("/a/b"));
  protocol::FileStatus after = *Info("/x/y");
  EXPECT_EQ(after, before) << "owner, mode, times and id are kept";
  EXPECT_EQ(Info("/x/y/f")->length, 100u);
  EXPECT_EQ(Totals("/a").bytes, 0u);
  EXPECT_EQ(Totals("/x").bytes, 100u);
  EXPECT_EQ(Totals("/x").directories, 1u);
  EXPECT_EQ(Totals("/").directories, 3u);
  EXPECT_EQ(Info("/a")->child_count, 0u);
  EXPECT_EQ(Info("/x")->child_count, 1u);
  EXPECT_EQ(Info("/a")->modified, now);
  EXPECT_EQ(Info("/x")->modified, now);
}

TEST_F(RenameTest, WorksWithinOneDirectoryAndBetweenParentAndChild) {
  WriteFile("/a/f", {5});
  EXPECT_TRUE(Rename("/a/f", "/a/g")->renamed);
  EXPECT_EQ(List("/a"), std::vector<std::string>{"g"});
  EXPECT_TRUE(Rename("/a/g", "/g")->renamed);
  EXPECT_TRUE(Rename("/g", "/a/h")->renamed);
  EXPECT_EQ(List("/a"), std::vector<std::string>{"h"});
  EXPECT_EQ(Info("/")->child_count, 1u);
}

TEST_F(RenameTest, ClassicMovesIntoAnExistingDirectory) {
  WriteFile("/f", {5});
  ASSERT_TRUE(Mkdirs("/d").ok());
  EXPECT_TRUE(Rename("/f", "/d")->renamed);
  EXPECT_TRUE(Exists("/d/f"));
  EXPECT_TRUE(Rename("/d/f", "/")->renamed);
  EXPECT_TRUE(Exists("/f"));
}

TEST_F(RenameTest, ClassicSaysFalseWhereHdfsDoes) {
  WriteFile("/f", {});
  WriteFile("/d/f", {});
  ASSERT_TRUE(Mkdirs("/e/x").ok());
  EXPECT_FALSE(Rename("/none", "/g")->renamed) << "source missing";
  EXPECT_FALSE(Rename("/", "/g")->renamed) << "the root";
  EXPECT_FALSE(Rename("/f", "/d")->renamed) << "/d/f exists";
  EXPECT_FALSE(Rename("/f", "/d/f")->renamed) << "the destination exists";
  EXPECT_FALSE(Rename("/f", "/none/g")->renamed) << "no such parent";
  EXPECT_FALSE(Rename("/e", "/e/x/y")->renamed) << "below itself";
  EXPECT_FALSE(Rename("/d", "/d")->renamed) << "becomes /d/d";
  EXPECT_FALSE(Rename("/f", "/.reserved/x")->renamed);
  EXPECT_TRUE(Rename("/f", "/f")->renamed) << "the same";
  EXPECT_TRUE(Rename("/d/f", "/d")->renamed) << "the same";
  EXPECT_REFUSED(Rename("/e", "/f/x"), kParentNotDirectory, "/f (is not a directory)");
}

TEST_F(RenameTest, WithOptionsSaysWhatIsWrong) {
  WriteFile("/f", {});
  WriteFile("/g", {});
  WriteFile("/d/f", {});
  ASSERT_TRUE(Mkdirs("/e").ok());
  EXPECT_REFUSED(Strict("/none", "/x"), kFileNotFound, "rename source /none is not found.");
  EXPECT_REFUSED(Strict("/", "/x"), kIo, "rename source cannot be the root");
  EXPECT_REFUSED(Strict("/f", "/f"), kFileAlreadyExists, "The source /f and destination /f are the same");
  EXPECT_REFUSED(Strict("/d", "/d/x/y"), kIo, "Rename destination /d/x/y is a directory or file under source /d");
  EXPECT_REFUSED(Strict("/f", "/.reserved"), kInvalidPath, "Cannot rename to or from /.reserved");
  EXPECT_REFUSED(Strict("/f", "/"), kIo, "rename destination cannot be the root");
  EXPECT_REFUSED(Overwrite("/f", "/d"), kIo, "Source /f and destination /d must both be directories");
  EXPECT_REFUSED(Overwrite("/d", "/f"), kIo, "Source /d and destination /f must both be directories");
  EXPECT_REFUSED(Strict("/f", "/g"), kFileAlreadyExists, "rename destination /g already exists");
  EXPECT_REFUSED(Overwrite("/e", "/d"), kIo, "rename destination directory is not empty: /d");
  EXPECT_REFUSED(Strict("/f", "/none/x"), kFileNotFound, "rename destination parent /none/x not found.");
  EXPECT_REFUSED(Strict("/e", "/f/x"), kParentNotDirectory, "/f (is not a directory)");
  EXPECT_TRUE(Strict("/f", "/d/g")->renamed);
}

TEST_F(RenameTest, OverwritingReplacesInOneStep) {
  WriteFile("/a/new", {10});
  WriteFile("/b/old", {
                          300,
                      });
  const InodeId moved = Info("/a/new")->inode;
  EXPECT_TRUE(Overwrite("/a/new", "/b/old")->renamed);
  EXPECT_EQ(Info("/b/old")->inode, moved);
  EXPECT_EQ(Info("/b")->child_count, 1u);
  EXPECT_EQ(Totals("/b").bytes, 10u);
  EXPECT_EQ(Totals("/").files, 1u);
  EXPECT_EQ(CountOf(Family::kDetached), 1u);
  effects.clear();
  ReapAll();
  EXPECT_EQ(EffectsOf<BlockFreed>().size(), 1u);
}

TEST_F(RenameTest, OverwritingWorksWithinOneDirectoryAndOnEmptyDirectories) {
  WriteFile("/a/f", {10});
  WriteFile("/a/g", {20});
  EXPECT_TRUE(Overwrite("/a/f", "/a/g")->renamed);
  EXPECT_EQ(List("/a"), std::vector<std::string>{"g"});
  EXPECT_EQ(Info("/a")->child_count, 1u);
  ASSERT_TRUE(Mkdirs("/empty").ok());
  EXPECT_TRUE(Overwrite("/a", "/empty")->renamed);
  EXPECT_EQ(Info("/empty/g")->length, 10u);
  EXPECT_TRUE(Overwrite("/empty/g", "/free")->renamed) << "nothing there to overwrite";
}

TEST_F(RenameTest, ReplacingAnOpenFileClosesItsLease) {
  ASSERT_TRUE(Create("/open").ok());
  WriteFile("/f", {1});
  effects.clear();
  EXPECT_TRUE(Overwrite("/f", "/open")->renamed);
  EXPECT_EQ(EffectsOf<LeaseClosed>().size(), 1u);
}

TEST_F(RenameTest, ChecksTheNewName) {
  WriteFile("/f", {});
  ASSERT_TRUE(Mkdirs("/d/x").ok());
  EXPECT_REFUSED(Rename("/f", "/a:b"), kInvalidPath, "Invalid file name: /a:b");
  EXPECT_REFUSED(Rename("/f", "/d/.snapshot"), kIllegalArgument, "\".snapshot\" is a reserved name.");
  EXPECT_EQ(ReasonOf(Rename("/f", "/" + std::string(256, 'n')).status()), ErrorReason::kNameTooLong);
  EXPECT_REFUSED(Rename("/f", "/" + std::string(8000, 'n')), kNameTooLong,
                 "rename: Pathname too long.  Limit 8000 characters, 1000 levels.");
  settings.max_directory_items = 1;
  EXPECT_REFUSED(Rename("/f", "/d/g"), kDirectoryFull, "The directory item limit of /d is exceeded: limit=1 items=1");
  EXPECT_TRUE(Rename("/d/x", "/d/y")->renamed) << "moving within a full directory takes no room";
}

TEST_F(RenameTest, NeedsWriteOnBothDirectoriesAndObeysTheStickyBit) {
  ASSERT_TRUE(Mkdirs("/mine").ok());
  ASSERT_TRUE(SetOwner("/mine", "alice", "staff", 0755).ok());
  ASSERT_TRUE(Mkdirs("/tmp", 01777).ok());
  WriteFile("/tmp/f", {});
  WriteFile("/mine/g", {});
  const auto as = [&](const Caller& caller, const std::string& from, const std::string& to, RenameKind kind) {
    return Run(caller, protocol::RenameRequest{.source = from, .destination = to, .kind = kind});
  };
  EXPECT_REFUSED(as(alice, "/mine/g", "/g", RenameKind::kClassic), kAccessControl,
                 "Permission denied: user=alice, access=WRITE, inode=\"/\":super:supergroup:drwxr-xr-x");
  EXPECT_REFUSED(as(bob, "/mine/g", "/tmp/g", RenameKind::kClassic), kAccessControl,
                 "Permission denied: user=bob, access=WRITE, inode=\"/mine\":alice:staff:drwxr-xr-x");
  EXPECT_EQ(ReasonOf(as(alice, "/tmp/f", "/mine/f", RenameKind::kClassic).status()), ErrorReason::kAccessControl);
  EXPECT_EQ(ReasonOf(as(alice, "/mine/g", "/tmp/f", RenameKind::kOverwrite).status()), ErrorReason::kAccessControl);
  EXPECT_TRUE(as(alice, "/mine/g", "/tmp/g", RenameKind::kClassic)->renamed);
}

}  // namespace
}  // namespace dolmen::namenode
