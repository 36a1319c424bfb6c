// file:///x in every command, beside the cluster's files.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "client/cli/local_file_system.h"
#include "tests/unit/client/cli/copy_fixture.h"

namespace dolmen::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

class LocalFilesTest : public CopyFixture {
 protected:
  // Nothing here needs a namenode.
  void ExpectNoConnection() { EXPECT_THAT(connected_, IsEmpty()); }
};

TEST_F(LocalFilesTest, LsShowsThemAsTyped) {
  WriteLocal("t/b", "12345");
  WriteLocal("t/a", "");
  std::filesystem::create_directory(Local("t/d"));
  std::filesystem::create_symlink("nowhere", Local("t/dangling"));
  const Printed printed = Run("dfs -ls file://" + Local("t"));
  EXPECT_THAT(printed.out, MatchesRegex("Found 3 items\n"
                                        "-rw-r--r--   1 [^ ]+ [^ ]+ +0 [-0-9]+ [:0-9]+ file:///[^\n]*/t/a\n"
                                        "-rw-r--r--   1 [^ ]+ [^ ]+ +5 [-0-9]+ [:0-9]+ file:///[^\n]*/t/b\n"
                                        "drwxr-xr-x   - [^ ]+ [^ ]+ +[0-9]+ [-0-9]+ [:0-9]+ file:///[^\n]*/t/d\n"));
  EXPECT_EQ(printed.code, 0);
  ExpectPrints("dfs -ls -C file:%s/t/*", 0, "file://%s/t/a\nfile://%s/t/b\n", "");
  ExpectRun("dfs -ls file://%s/x", 1, "ls: `file://%s/x': No such file or directory\n");
  ExpectRun("dfs -ls file://%s/x*", 1, "ls: `file://%s/x*': No such file or directory\n");
  ExpectUsage("dfs -ls file://host/tmp", "-ls: Wrong FS: file://host/tmp, expected: file:///");
  ExpectNoConnection();
}

TEST_F(LocalFilesTest, ReadingCommands) {
  WriteLocal("f", "hello\n");
  ExpectPrints("dfs -cat file://%s/f", 0, "hello\n", "");
  ExpectPrints("dfs -head file://%s/f", 0, "hello\n", "");
  ExpectPrints("dfs -tail file://%s/f", 0, "hello\n", "");
  ExpectPrints("dfs -text file://%s/f", 0, "hello\n", "");
  ExpectPrints("dfs -checksum file://%s/f", 0, "file://%s/f\tNONE\n", "");
  ExpectPrints("dfs -stat %F,%b,%r,%o,%n file://" + Local("f"), 0, "regular file,6,1,33554432,f\n", "");
  ExpectRun("dfs -test -s file://%s/f", 0, "");
  ExpectRun("dfs -test -r file://%s/f", 0, "");
  ExpectRun("dfs -test -d file://%s/f", 1, "");
  ExpectRun("dfs -cat file://%s", 1, "cat: `file://%s': Is a directory\n");
  ExpectNoConnection();
}

TEST_F(LocalFilesTest, ChangingCommands) {
  ExpectRun("dfs -mkdir file://%s/d", 0, "");
  ExpectRun("dfs -mkdir file://%s/x/y", 1, "mkdir: `file://%s/x': No such file or directory\n");
  ExpectRun("dfs -mkdir -p file://%s/p/q", 0, "");
  ExpectRun("dfs -touchz file://%s/d/a", 0, "");
  ExpectRun("dfs -touch -t 20210425:101112 file://%s/d/a file://%s/d/b", 0, "");
  ExpectPrints("dfs -stat %Y file://" + Local("d/b"), 0, "1619345472000\n", "");
  ExpectRun("dfs -mv file://%s/d/a file://%s/d/c", 0, "");
  ExpectRun("dfs -mv file://%s/d/b file://%s/d/c", 1, "mv: `file://%s/d/c': File exists\n");
  ExpectRun("dfs -mv file://%s/d/b file://%s/p", 0, "");
  ExpectRun("dfs -rm file://%s/d", 1, "rm: `file://%s/d': Is a directory\n");
  ExpectPrints("dfs -rm -r file://%s/d", 0, "Deleted file://%s/d\n", "");
  ExpectRun("dfs -rm -r -f file:///", 1, "rm: `file:///': Input/output error\n");
  EXPECT_THAT(LocalNames(), ElementsAre("p", "p/b", "p/q"));
  ExpectNoConnection();
}

TEST_F(LocalFilesTest, CopiesBetweenBothAndWithinOne) {
  WriteLocal("t/a", "1");
  fs_.PutFile("/f", "2");
  ExpectRun("dfs -cp file://%s/t /t", 0, "");
  EXPECT_EQ(fs_.Content("/t/a"), "1");
  ExpectRun("dfs -cp /f file:%s/t/a file://%s", 0, "");
  ExpectRun("dfs -cp -p file://%s/t/a file://%s/copy", 0, "");
  ExpectRun("dfs -put %s/t/a file://%s/put", 0, "");
  ExpectRun("dfs -get file://%s/t/a %s/got", 0, "");
  EXPECT_THAT(LocalNames(), ElementsAre("a", "copy", "f", "got", "put", "t", "t/a"));
  EXPECT_EQ(ReadLocal("f"), "2");
  ExpectRun("dfs -cp file://%s/t file://%s/t/b", 1,
            "cp: `file://%s/t' to `file://%s/t/b': is a subdirectory of itself\n");
  ExpectRun("dfs -mv /f file://%s/g", 1, "mv: `/f': Does not match target filesystem\n");
  ExpectRun("dfs -mv file://%s/f /g", 1, "mv: `file://%s/f': Does not match target filesystem\n");
  ExpectRun("dfs -getmerge /f file://%s/t %s/merged", 0, "");
  EXPECT_EQ(ReadLocal("merged"), "21");
  ExpectRun("dfs -appendToFile %s/f file://%s/merged", 0, "");
  EXPECT_EQ(ReadLocal("merged"), "212");
}

TEST_F(LocalFilesTest, TheyCanBeTheDefaultFileSystem) {
  WriteLocal("f", "x");
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(dir_.path());
  ExpectPrints("dfs -fs file:/// -ls -C .", 0, "f\n", "");
  ExpectPrints("dfs -fs file:/// -cat f %s/f", 0, "xx", "");
  std::filesystem::current_path(before);
  ExpectNoConnection();
  EXPECT_THAT(Run("-fs file:/// dfsadmin -report").err, HasSubstr("FileSystem file:/// is not an HDFS file system"));
}

TEST_F(LocalFilesTest, ErrorsOfTheSystemAreShown) {
  WriteLocal("f", "x");
  ExpectRun("dfs -touchz file://%s/f/x", 1, "touchz: %s/f (Not a directory)\n");
  ExpectRun("dfs -cp file://%s/f file://%s/no/x", 1, "cp: `file://%s/no/x': No such file or directory\n");
  ExpectRun("dfs -moveFromLocal %s/f file:///proc/x", 1,
            "moveFromLocal: /proc/x._COPYING_ (No such file or directory)\n");
  EXPECT_EQ(ReadLocal("f"), "x");
}

TEST_F(LocalFilesTest, TheClientsInterfaceHoldsForThem) {
  const std::unique_ptr<FileSystemClient> fs = MakeLocalFileSystem();
  WriteLocal("t/a", "12345");
  WriteLocal("t/u/b", "678");
  std::filesystem::create_directory_symlink("..", Local("t/u/loop"));
  const absl::StatusOr<ContentSummary> summary = fs->GetContentSummary(Local("t"));
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->length, 8u);
  EXPECT_EQ(summary->directory_count, 2u);
  EXPECT_EQ(summary->file_count, 3u) << "a link to a directory is not entered";

  EXPECT_EQ(*fs->Truncate(Local("t/a"), 2), true);
  EXPECT_EQ(ReadLocal("t/a"), "12");
  EXPECT_EQ(MessageOf(fs->Truncate(Local("t/a"), 3).status()),
            "Cannot truncate to a larger file size. Current size: 2, truncate size: 3.");
  EXPECT_EQ(ReasonOf(fs->Delete(Local("t"), /*recursive=*/false).status()), ErrorReason::kDirectoryNotEmpty);
  EXPECT_EQ(*fs->Delete(Local("t/u/loop"), /*recursive=*/true), true);
  EXPECT_EQ(ReadLocal("t/a"), "12") << "only the link went";
  EXPECT_EQ(*fs->Delete(Local("none"), true), false);
  EXPECT_EQ(ReasonOf(fs->List(Local("none"), [](const FileStatus&) { return true; })), ErrorReason::kFileNotFound);
  EXPECT_EQ(ReasonOf(fs->Open(Local("none")).status()), ErrorReason::kFileNotFound);
  EXPECT_EQ(*fs->Rename(Local("none"), Local("x")), false);

  absl::StatusOr<std::unique_ptr<OutputStream>> out = fs->Create(Local("new/f"), {.permission = 0600});
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_TRUE((*out)->Write("hello").ok());
  EXPECT_TRUE((*out)->Sync().ok());
  EXPECT_EQ((*out)->Position(), 5u);
  EXPECT_TRUE((*out)->Close().ok());
  EXPECT_TRUE((*out)->Close().ok()) << "again";
  EXPECT_FALSE(fs->Create(Local("new/f"), {}).ok()) << "it is there";
  absl::StatusOr<std::unique_ptr<InputStream>> in = fs->Open(Local("new/f"));
  ASSERT_TRUE(in.ok());
  char buffer[8];
  EXPECT_EQ(*(*in)->ReadAt(3, buffer), 2u);
  EXPECT_EQ((*in)->Position(), 0u);
  EXPECT_EQ(MessageOf((*in)->Seek(6)), "Cannot seek after EOF");
  EXPECT_TRUE((*in)->Seek(1).ok());
  EXPECT_EQ(*(*in)->Read(buffer), 4u);
  EXPECT_EQ((*in)->Length(), 5u);
  EXPECT_GT(fs->GetStats()->capacity_bytes, 0u);
}

}  // namespace
}  // namespace dolmen::cli
