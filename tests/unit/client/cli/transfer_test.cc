// -cp, -getmerge, -moveFromLocal, -moveToLocal, -appendToFile; what -put and -get share with them is in copy_test.cc.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/unit/client/cli/copy_fixture.h"

namespace dolmen::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using TransferTest = CopyFixture;

// ---- cp ----

TEST_F(TransferTest, CpFollowsTheDestinationRules) {
  fs_.PutFile("/a", "1");
  fs_.PutFile("/b", "2");
  fs_.PutFile("/old", "old");
  fs_.PutDirectory("/d");
  ExpectRun("dfs -cp /a /new", 0, "");
  ExpectRun("dfs -cp /a /d", 0, "");
  ExpectRun("dfs -cp hdfs:///b dolmen://localhost:7020/d", 0, "");
  ExpectRun("dfs -cp /a /b /d", 1, "cp: `/d/a': File exists\ncp: `/d/b': File exists\n");
  ExpectRun("dfs -cp -f /[ab] /d", 0, "");
  ExpectRun("dfs -cp /a /old", 1, "cp: `/old': File exists\n");
  ExpectRun("dfs -cp -f /a /old", 0, "");
  ExpectRun("dfs -cp /a /b /old", 1, "cp: `/old': Is not a directory\n");
  ExpectRun("dfs -cp /a /b /none", 1, "cp: `/none': No such file or directory\n");
  ExpectRun("dfs -cp /a x/y", 1, "cp: `x/y': No such file or directory: `dolmen://localhost:7020/user/ann/x/y'\n");
  ExpectRun("dfs -cp /missing /d", 1, "cp: `/missing': No such file or directory\n");
  ExpectRun("dfs -cp /a /[ab]", 1, "cp: `/[ab]': Too many matches\n");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/a", "/b", "/d/", "/d/a", "/d/b", "/new", "/old"));
  EXPECT_EQ(fs_.Content("/old"), "1");
  ExpectUsage("dfs -cp /a", "-cp: Not enough arguments: expected 2 but got 1");
  ExpectUsage("dfs -cp -r /a /b", "-cp: Illegal option -r");
  ExpectUsage("dfs -cp -t x /a /b", "-cp: For input string: \"x\"");
  ExpectUsage("dfs -cp -q x /a /b", "-cp: For input string: \"x\"");
}

TEST_F(TransferTest, CpOfTreesMergesAndGoesOn) {
  fs_.PutFile("/t/a", "1");
  fs_.PutFile("/t/b/c", "2");
  fs_.PutFile("/x/t/a", "kept");
  ExpectRun("dfs -cp -t 3 /t /x", 1, "cp: `/x/t/a': File exists\n");
  EXPECT_EQ(fs_.Content("/x/t/b/c"), "2");
  EXPECT_EQ(fs_.Content("/x/t/a"), "kept");
}

TEST_F(TransferTest, CpOfADirectoryOntoOrBelowItself) {
  fs_.PutFile("/a/f", "1");
  ExpectRun("dfs -cp /a /", 1, "cp: `/a' to `dolmen://localhost:7020/a': are identical\n");
  ExpectRun("dfs -cp /a /a/b", 1, "cp: `/a' to `/a/b': is a subdirectory of itself\n");
  ExpectRun("dfs -cp / /a/b", 1, "cp: `/' to `/a/b': is a subdirectory of itself\n");
  ExpectRun("dfs -cp /a /ab", 0, "");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/a/", "/a/f", "/ab/", "/ab/f"));
}

TEST_F(TransferTest, CpOfAFileOntoItselfKeepsItsContent) {
  fs_.PutFile("/f", "content");
  ExpectRun("dfs -cp /f /f", 1, "cp: `/f': File exists\n");
  ExpectRun("dfs -cp -f /f /f", 0, "");
  ExpectRun("dfs -cp -f -d /f /f", 1, "cp: `/f' to `/f': are identical\n");
  EXPECT_EQ(fs_.Content("/f"), "content");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/f"));
}

TEST_F(TransferTest, CpKeepsWhatTheLettersSay) {
  fs_.PutFile("/f", "1", 5000);
  fs_.Change("/f", [](FileStatus& status) {
    status.accessed_ms = 6000;
    status.owner = "bob";
    status.group = "staff";
    status.permission = 0600;
  });
  struct Case {
    const char* option;
    bool times, owner, mode;
  };
  for (const Case& c :
       {Case{"", false, false, false}, Case{"-p", true, true, true}, Case{"-pt", true, false, false},
        Case{"-pO", false, true, false}, Case{"-pp", false, false, true}, Case{"-pa", false, false, true},
        Case{"-px", false, false, false}, Case{"-ptop", true, true, true}}) {
    ExpectRun(std::string("dfs -cp -f ") + c.option + " /f /copy", 0, "");
    const FileStatus copy = fs_.Status("/copy");
    EXPECT_EQ(copy.modified_ms == 5000 && copy.accessed_ms == 6000, c.times) << c.option;
    EXPECT_EQ(copy.owner == "bob" && copy.group == "staff", c.owner) << c.option;
    EXPECT_EQ(copy.permission, c.mode ? 0600 : 0644) << c.option;
  }
  ExpectRun("dfs -cp -f /f /copy -p", 0, "");  // anywhere, as in HDFS
  EXPECT_EQ(fs_.Status("/copy").owner, "bob");
  const Printed printed = Run("dfs -cp -pz /f /copy");
  EXPECT_EQ(printed.code, 255);
  EXPECT_EQ(printed.err, "-cp: Fatal internal error\njava.util.NoSuchElementException: No attribute for 'z'\n");
}

TEST_F(TransferTest, AnInterruptedCpLeavesNoTemporary) {
  fs_.PutFile("/f", "1");
  fs_.fail = [this](const std::string& operation, const std::string&) {
    if (operation == "Read") interrupted_ = true;
    return absl::OkStatus();
  };
  ExpectRun("dfs -cp /f /g", 130, "cp: Interrupted\n");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/f"));
}

// ---- getmerge ----

TEST_F(TransferTest, GetmergeJoinsFilesInOrderAndSkipsDirectoriesBelow) {
  fs_.PutFile("/d/b", "two\n");
  fs_.PutFile("/d/a", "one\n");
  fs_.PutFile("/d/empty", "");
  fs_.PutFile("/d/sub/c", "not this");
  fs_.PutFile("/z", "last");
  WriteLocal("out", "a much longer file from before");
  ExpectRun("dfs -getmerge /z /d %s/out", 0, "");
  EXPECT_EQ(ReadLocal("out"), "lastone\ntwo\n");
  ExpectRun("dfs -getmerge -nl /d file://%s/out", 0, "");
  EXPECT_EQ(ReadLocal("out"), "one\n\ntwo\n\n\n");
  ExpectRun("dfs -getmerge -nl -skip-empty-file /d/* %s/out", 0, "");
  EXPECT_EQ(ReadLocal("out"), "one\n\ntwo\n\nnot this\n") << "a directory that matches gives its files";
}

TEST_F(TransferTest, GetmergeWritesNothingWhenASourceIsMissing) {
  fs_.PutFile("/a", "1");
  WriteLocal("out", "old");
  ExpectRun("dfs -getmerge /a /missing %s/out", 1, "getmerge: `/missing': No such file or directory\n");
  ExpectRun("dfs -getmerge /a /m* %s/out", 1, "getmerge: `/m*': No such file or directory\n");
  EXPECT_EQ(ReadLocal("out"), "old");
  ExpectRun("dfs -getmerge /a %s", 1, "getmerge: `%s': Is a directory\n");
  ExpectRun("dfs -getmerge /a %s/out/x", 1, "getmerge: %s/out (Not a directory)\n");
  ExpectRun("dfs -getmerge /a %s/new/dir/out", 0, "");
  EXPECT_EQ(ReadLocal("new/dir/out"), "1");
  ExpectUsage("dfs -getmerge /a", "-getmerge: Not enough arguments: expected 2 but got 1");
}

TEST_F(TransferTest, GetmergeSaysWhatFailed) {
  fs_.PutFile("/a", "1");
  fs_.PutFile("/b", "2");
  fs_.fail = [](const std::string& operation, const std::string& path) {
    if (operation != "Read" || path != "/b") return absl::OkStatus();
    return MakeError(ErrorReason::kBlockMissing, "Could not obtain block of /b");
  };
  ExpectRun("dfs -getmerge /a /b %s/out", 1, "getmerge: Could not obtain block of /b\n");
}

// ---- moveFromLocal, moveToLocal ----

TEST_F(TransferTest, MoveFromLocalRemovesWhatWasCopied) {
  WriteLocal("a", "1");
  WriteLocal("t/b", "2");
  WriteLocal("t/u/c", "3");
  fs_.PutDirectory("/d");
  ExpectRun("dfs -moveFromLocal %s/a %s/t /d", 0, "");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/d/", "/d/a", "/d/t/", "/d/t/b", "/d/t/u/", "/d/t/u/c"));
  EXPECT_THAT(LocalNames(), IsEmpty());
}

TEST_F(TransferTest, MoveFromLocalKeepsWhatWasNotCopied) {
  WriteLocal("a", "1");
  WriteLocal("t/b", "2");
  WriteLocal("t/c", "3");
  fs_.PutFile("/d/a", "in the way");
  fs_.PutDirectory("/e/t");
  ExpectRun("dfs -moveFromLocal %s/a /d", 1, "moveFromLocal: `/d/a': File exists\n");
  ExpectRun("dfs -moveFromLocal %s/t /e", 1, "moveFromLocal: `/e/t': File exists\n");
  ExpectRun("dfs -moveFromLocal %s/missing /d", 1, "moveFromLocal: `%s/missing': No such file or directory\n");
  EXPECT_THAT(LocalNames(), ElementsAre("a", "t", "t/b", "t/c"));
  fs_.fail = [](const std::string& operation, const std::string& path) {
    return operation == "Close" && path == "/d/t/c._COPYING_" ? MakeError(ErrorReason::kIo, "broken")
                                                              : absl::OkStatus();
  };
  ExpectRun("dfs -moveFromLocal %s/t /d", 1,
            "moveFromLocal: broken\nmoveFromLocal: Directory file:%s/t is not empty\n");
  EXPECT_THAT(LocalNames(), ElementsAre("a", "t", "t/c"));
}

TEST_F(TransferTest, MoveFromLocalTakesPutsOptionsButNotThreads) {
  WriteLocal("a", "new");
  fs_.PutFile("/f", "old");
  ExpectRun("dfs -moveFromLocal -f -p -d %s/a /f", 0, "");
  EXPECT_EQ(fs_.Content("/f"), "new");
  ExpectUsage("dfs -moveFromLocal -t 2 a /f", "-moveFromLocal: Illegal option -t");
  ExpectRun("dfs -moveFromLocal - /in", 0, "", "input");
  EXPECT_EQ(fs_.Content("/in"), "input");
}

TEST_F(TransferTest, MoveToLocalIsNotImplementedInHdfsEither) {
  for (const char* words : {"", " /a", " /a b"}) {
    ExpectRun(std::string("dfs -moveToLocal") + words, 1,
              "moveToLocal: Option '-moveToLocal' is not implemented yet.\n");
  }
}

// ---- appendToFile ----

TEST_F(TransferTest, AppendToFileMakesTheFileAndAppendsInOrder) {
  WriteLocal("a", "1");
  WriteLocal("b", "2");
  ExpectRun("dfs -appendToFile %s/b %s/a /f", 0, "");
  ExpectRun("dfs -appendToFile -n file://%s/a /f", 0, "");
  EXPECT_EQ(fs_.Content("/f"), "211");
  ASSERT_EQ(fs_.appended.size(), 2u);
  EXPECT_FALSE(fs_.appended[0].new_block);
  EXPECT_TRUE(fs_.appended[1].new_block);
  ASSERT_EQ(fs_.created.size(), 1u);
  EXPECT_FALSE(fs_.created[0].overwrite);
  EXPECT_EQ(fs_.created[0].permission, 0644);
}

TEST_F(TransferTest, AppendToFileReadsStandardInputAlone) {
  WriteLocal("a", "1");
  fs_.PutFile("/f", "old ");
  ExpectRun("dfs -appendToFile - /f", 0, "", "input");
  EXPECT_EQ(fs_.Content("/f"), "old input");
  ExpectRun("dfs -appendToFile - %s/a /f", 1, "appendToFile: stdin (-) must be the sole input argument when present\n",
            "more");
  EXPECT_EQ(fs_.Content("/f"), "old input");
}

TEST_F(TransferTest, AppendToFileFailsInHdfsWords) {
  WriteLocal("a", "1");
  fs_.PutDirectory("/d");
  ExpectRun("dfs -appendToFile %s/a", 1, "appendToFile: missing destination argument\n");
  ExpectRun("dfs -appendToFile", 1, "appendToFile: missing destination argument\n");
  ExpectUsage("dfs -appendToFile -n /f", "-appendToFile: Not enough arguments: expected 2 but got 1");
  ExpectRun("dfs -appendToFile %s/missing /f", 1, "appendToFile: %s/missing (No such file or directory)\n");
  EXPECT_EQ(fs_.Content("/f"), "") << "made before the source is looked at";
  ExpectRun("dfs -appendToFile %s/a %s/missing %s/a /f", 1, "appendToFile: %s/missing (No such file or directory)\n");
  EXPECT_EQ(fs_.Content("/f"), "1") << "what came before a failure stays";
  ExpectRun("dfs -appendToFile %s /f", 1, "appendToFile: %s (Is a directory)\n");
  ExpectRun("dfs -appendToFile %s/a /d", 1, "appendToFile: Path is not a file: /d\n");
}

TEST_F(TransferTest, AnAppendThatTheServerRefusesSaysWhy) {
  WriteLocal("a", "1");
  fs_.PutFile("/f", "old");
  for (const char* operation : {"Append", "Write", "Close"}) {
    fs_.fail = [operation](const std::string& called, const std::string&) {
      return called == operation ? MakeError(ErrorReason::kIo, "broken") : absl::OkStatus();
    };
    ExpectRun("dfs -appendToFile %s/a /f", 1, "appendToFile: broken\n");
    fs_.fail = nullptr;
    EXPECT_EQ(fs_.Content("/f"), "old");
  }
}

}  // namespace
}  // namespace dolmen::cli
