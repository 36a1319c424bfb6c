// The commands about space, attributes and whole trees.
#include "common/error.h"
#include "tests/unit/client/cli/shell_fixture.h"

namespace dolmen::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class TreesTest : public ShellFixture {
 protected:
  void PutTree() {
    for (const char* path : {"/t/a/x", "/t/a/y", "/t/b", "/t/c/d/z"}) fs_.PutFile(path, "12345");
  }
  // Fails `operation` on `path`, or on every path when that is empty.
  void FailOn(std::string operation, std::string path, ErrorReason reason, std::string message) {
    fs_.fail = [=](const std::string& now, const std::string& where) {
      if (now != operation || (!path.empty() && where != path)) return absl::OkStatus();
      return MakeError(reason, message);
    };
  }
  // How often `operation` was called since.
  int& CountCalls(const std::string& operation) {
    calls_ = 0;
    fs_.fail = [this, operation](const std::string& now, const std::string&) {
      if (now == operation) ++calls_;
      return absl::OkStatus();
    };
    return calls_;
  }
  int calls_ = 0;
};

// ---- du ----

TEST_F(TreesTest, DuShowsOneLevelOfADirectory) {
  PutTree();
  fs_.PutFile("/t/big", std::string(2048, 'x'));
  fs_.Change("/t/b", [](FileStatus& status) { status.replication = 1; });
  ExpectRun("dfs -du /t", 0, "10    30    /t/a\n5     5     /t/b\n2048  6144  /t/big\n5     15    /t/c\n", "");
  ExpectRun("dfs -du -h /t/big /t/b", 0, "2 K  6 K  /t/big\n5    5    /t/b\n", "");
  ExpectRun("dfs -du -s -x /t", 0, "2068  6194  /t\n", "");
  ExpectRun("dfs -du -s -v /t", 0,
            "SIZE  DISK_SPACE_CONSUMED_WITH_ALL_REPLICAS  FULL_PATH_NAME\n"
            "2068  6194                                   /t\n",
            "");
}

TEST_F(TreesTest, DuOfNothing) {
  fs_.PutDirectory("/empty");
  ExpectRun("dfs -du -v /empty", 0, "", "");
  ExpectRun("dfs -du -s /empty", 0, "0  0  /empty\n", "");
  ExpectRun("dfs -du", 1, "", "du: `.': No such file or directory\n");
  ExpectRun("dfs -du /missing /none*", 1, "",
            "du: `/none*': No such file or directory\ndu: `/missing': No such file or directory\n");
  ExpectUsage("dfs -du -sh /", "-du: Illegal option -sh", "du");
}

TEST_F(TreesTest, DuGoesOnWhereItMayNotLook) {
  PutTree();
  FailOn("GetContentSummary", "/t/a", ErrorReason::kAccessControl, "Permission denied: user=ann");
  ExpectRun("dfs -du /t", 1, "5  15  /t/b\n5  15  /t/c\n", "du: Permission denied: user=ann\n");
}

TEST_F(TreesTest, DuAsksForASumOnlyWhereTheListingDoesNotTell) {
  PutTree();
  fs_.Change("/t/b", [](FileStatus& status) { status.under_construction = true; });
  CountCalls("GetContentSummary");
  EXPECT_EQ(Run("dfs -du /t").code, 0);
  EXPECT_EQ(calls_, 3);  // a, b, c
  CountCalls("GetContentSummary");
  EXPECT_EQ(Run("dfs -du /t/a").code, 0);
  EXPECT_EQ(calls_, 0);
}

TEST_F(TreesTest, DusIsDeprecated) {
  PutTree();
  ExpectRun("dfs -dus /t", 0, "20  60  /t\n", "dus: DEPRECATED: Please use 'du -s' instead.\n");
}

// ---- df ----

TEST_F(TreesTest, DfHasOneRowPerPath) {
  fs_.stats = {.capacity_bytes = 10240, .used_bytes = 1280, .remaining_bytes = 8000};
  ExpectRun("dfs -df", 0,
            "Filesystem                Size  Used  Available  Use%\n"
            "dolmen://localhost:7020  10240  1280       8000   13%\n",
            "");
  ExpectRun("dfs -df -h / /", 0,
            "Filesystem               Size   Used  Available  Use%\n"
            "dolmen://localhost:7020  10 K  1.3 K      7.8 K   13%\n"
            "dolmen://localhost:7020  10 K  1.3 K      7.8 K   13%\n",
            "");
  ExpectRun("dfs -df /missing", 1, "", "df: `/missing': No such file or directory\n");
  fs_.stats = {};
  EXPECT_THAT(Run("dfs -df").out, EndsWith("  NaN%\n"));
  FailOn("GetStats", "", ErrorReason::kUnreachable, "no answer");
  ExpectRun("dfs -df", 1, "", "df: no answer\n");
}

// ---- count ----

TEST_F(TreesTest, CountCountsADirectoryItself) {
  PutTree();
  ExpectRun("dfs -count /t /t/b", 0,
            "           4            4                 20 /t\n           0            1                  5 /t/b\n", "");
  ExpectRun("dfs -count -v -q -h -x /t/b", 0,
            "q or u option is given, the -x option is ignored.\n"
            "       QUOTA       REM_QUOTA     SPACE_QUOTA REM_SPACE_QUOTA    DIR_COUNT   FILE_COUNT       CONTENT_SIZE "
            "PATHNAME\n"
            "        none             inf            none             inf            0            1                  5 "
            "/t/b\n",
            "");
  ExpectRun("dfs -count -u -t disk /t", 0, "         none               inf /t\n", "");
  ExpectRun("dfs -count -t disk /t/b", 0, "           0            1                  5 /t/b\n", "");
  ExpectRun("dfs -count /missing", 1, "", "count: `/missing': No such file or directory\n");
  ExpectUsage("dfs -count -q", "-count: Not enough arguments: expected 1 but got 0", "count");
  ExpectUsage("dfs -count -q -t floppy /t", "-count: No enum constant org.apache.hadoop.fs.StorageType.FLOPPY",
              "count");
}

// ---- checksum ----

TEST_F(TreesTest, ChecksumsHaveHdfsForm) {
  fs_.PutFile("/f", "12345678901234\n");
  fs_.PutDirectory("/d");
  fs_.checksum.md5 = "\x72\x67\xe9\x52\x80\x02\x72\x3a\x30\x93\x9a\xef\xc2\x38\xd6\x65";
  const std::string line = "/f\tMD5-of-0MD5-of-512CRC32C\t0000020000000000000000007267e9528002723a30939aefc238d665";
  ExpectRun("dfs -checksum /f", 0, line + "\n", "");
  ExpectRun("dfs -checksum -v /d /f", 1, line + "\tBlockSize=134217728\n", "checksum: `/d': Is a directory\n");
  fs_.checksum.crc_per_block = 262144;
  EXPECT_THAT(Run("dfs -checksum /f").out, StartsWith("/f\tMD5-of-262144MD5-of-512CRC32C\t000002000000000000040000"));
  // HDFS's answer for an empty file.
  fs_.checksum = {.bytes_per_crc = 0, .md5 = "\x70\xbc\x8f\x4b\x72\xa8\x69\x21\x46\x8b\xf8\xe8\x44\x1d\xce\x51"};
  ExpectRun("dfs -checksum /f", 0,
            "/f\tMD5-of-0MD5-of-0CRC32\t00000000000000000000000070bc8f4b72a86921468bf8e8441dce51\n", "");
}

// ---- rmdir ----

TEST_F(TreesTest, RmdirTakesOnlyEmptyDirectories) {
  fs_.PutDirectory("/e1");
  fs_.PutDirectory("/e2");
  fs_.PutFile("/full/f", "x");
  ExpectRun("dfs -rmdir /e1 /full /full/f /missing /e2", 1, "",
            "rmdir: `/full': Directory is not empty\n"
            "rmdir: `/full/f': Is not a directory\n"
            "rmdir: `/missing': No such file or directory\n");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/full/", "/full/f"));
  ExpectRun("dfs -rmdir --ignore-fail-on-non-empty /full", 0, "", "");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/full/", "/full/f"));
  ExpectUsage("dfs -rmdir", "-rmdir: Not enough arguments: expected 1 but got 0", "rmdir");
  ExpectUsage("dfs -rmdir -p /full", "-rmdir: Illegal option -p", "rmdir");
  fs_.Delete("/full/f", false).IgnoreError();
  fs_.Delete("/full", false).IgnoreError();
  ExpectRun("dfs -rmdir /", 1, "", "rmdir: `/': Input/output error\n");
}

// ---- chmod, chown, chgrp ----

TEST_F(TreesTest, ChmodChangesModes) {
  PutTree();
  ExpectRun("dfs -chmod 600 /t/b", 0, "", "");
  EXPECT_EQ(fs_.Status("/t/b").permission, 0600);
  ExpectRun("dfs -chmod -R a+X,o-r /t", 0, "", "");
  EXPECT_EQ(fs_.Status("/t").permission, 0751);
  ExpectRun("dfs -chmod -R 1700 /t/c", 0, "", "");
  EXPECT_EQ(fs_.Status("/t/c").permission, 01700);
  EXPECT_EQ(fs_.Status("/t/c/d/z").permission, 01700);
  ExpectRun("dfs -chmod -rwx /t/b", 0, "", "");
  EXPECT_EQ(fs_.Status("/t/b").permission, 0);
  ExpectRun("dfs -chmod -x -R /t/a", 0, "", "");
  EXPECT_EQ(fs_.Status("/t/a").permission & 0111, 0) << "a mode with a dash, options behind it";
  ExpectRun("dfs -chmod 600 /missing /none*", 1, "",
            "chmod: `/none*': No such file or directory\nchmod: `/missing': No such file or directory\n");
}

TEST_F(TreesTest, ChmodArgumentErrors) {
  PutTree();
  for (const std::string mode : {"999", "rdef", "r+def", "u+s", "12345"}) {
    ExpectUsage("dfs -chmod " + mode + " /t",
                "-chmod: chmod : mode '" + mode + "' does not match the expected pattern.", "chmod");
  }
  ExpectUsage("dfs -chmod 644", "-chmod: Not enough arguments: expected 2 but got 1", "chmod");
}

TEST_F(TreesTest, NothingIsAskedOfTheServerWhenNothingChanges) {
  PutTree();
  CountCalls("SetPermission");
  ExpectRun("dfs -chmod 644 /t/b", 0, "", "");
  EXPECT_EQ(calls_, 0);
  CountCalls("SetOwner");
  ExpectRun("dfs -chown ann:supergroup /t/b", 0, "", "");
  ExpectRun("dfs -chgrp supergroup /t/b", 0, "", "");
  EXPECT_EQ(calls_, 0);
}

TEST_F(TreesTest, WhatTheServerRefusesIsSaidAndTheRestGoesOn) {
  PutTree();
  FailOn("SetPermission", "/t/a", ErrorReason::kAccessControl,
         "Permission denied. user=ann is not the owner of inode=/t/a\nmore");
  ExpectRun("dfs -chmod -R 700 /t", 1, "",
            "chmod: changing permissions of '/t/a': Permission denied. user=ann is not the owner of inode=/t/a\n");
  EXPECT_EQ(fs_.Status("/t/a/x").permission, 0644) << "not below a directory that failed";
  EXPECT_EQ(fs_.Status("/t/c/d/z").permission, 0700);
  FailOn("SetOwner", "/t", ErrorReason::kAccessControl, "User ann is not a super user");
  ExpectRun("dfs -chown bob /t", 1, "", "chown: changing ownership of '/t': User ann is not a super user\n");
  ExpectRun("dfs -chgrp staff /t", 1, "", "chgrp: changing ownership of '/t': User ann is not a super user\n");
  FailOn("List", "/t/c", ErrorReason::kAccessControl, "Permission denied: user=ann, access=READ_EXECUTE");
  ExpectRun("dfs -chmod -R 750 /t", 1, "", "chmod: Permission denied: user=ann, access=READ_EXECUTE\n");
  EXPECT_EQ(fs_.Status("/t/c").permission, 0750);
  EXPECT_EQ(fs_.Status("/t/c/d").permission, 0700);
}

TEST_F(TreesTest, ChownAndChgrp) {
  PutTree();
  const auto owners = [this](const std::string& path) {
    const FileStatus status = fs_.Status(path);
    return status.owner + ":" + status.group;
  };
  ExpectRun("dfs -chown bob /t/b", 0, "", "");
  EXPECT_EQ(owners("/t/b"), "bob:supergroup");
  ExpectRun("dfs -chown :staff /t/b", 0, "", "");
  EXPECT_EQ(owners("/t/b"), "bob:staff");
  ExpectRun("dfs -chown -R eve:dev /t/a", 0, "", "");
  EXPECT_EQ(owners("/t/a"), "eve:dev");
  EXPECT_EQ(owners("/t/a/y"), "eve:dev");
  ExpectRun("dfs -chgrp -R ops /t", 0, "", "");
  EXPECT_EQ(owners("/t"), "ann:ops");
  EXPECT_EQ(owners("/t/a/x"), "eve:ops");
  ExpectUsage("dfs -chown %:newgroup /t", "-chown: '%:newgroup' does not match expected pattern for [owner][:group].",
              "chown");
  ExpectUsage("dfs -chown : /t", "-chown: ':' does not specify owner or group.", "chown");
  ExpectUsage("dfs -chgrp % /t", "-chgrp: '%' does not match expected pattern for group", "chgrp");
  ExpectUsage("dfs -chgrp -x staff /t", "-chgrp: Illegal option -x", "chgrp");
}

// ---- setrep ----

TEST_F(TreesTest, SetrepWalksDirectories) {
  PutTree();
  ExpectRun("dfs -setrep 2 /t", 0,
            "Replication 2 set: /t/a/x\nReplication 2 set: /t/a/y\n"
            "Replication 2 set: /t/b\nReplication 2 set: /t/c/d/z\n",
            "");
  EXPECT_EQ(fs_.Status("/t/c/d/z").replication, 2u);
  ExpectRun("dfs -setrep -R 1 /t/b /missing", 1, "Replication 1 set: /t/b\n",
            "setrep: `/missing': No such file or directory\n");
}

TEST_F(TreesTest, SetrepErrors) {
  PutTree();
  ExpectUsage("dfs -setrep 0 /t", "-setrep: replication must be >= 1", "setrep");
  ExpectUsage("dfs -setrep -1 /t", "-setrep: Illegal option -1", "setrep");
  const std::string warning = "setrep: Illegal replication, a positive integer expected\n";
  ExpectUsage("dfs -setrep x /t", warning + "-setrep: For input string: \"x\"", "setrep");
  ExpectUsage("dfs -setrep 32768 /t", warning + "-setrep: Value out of range. Value:\"32768\" Radix:10", "setrep");
  ExpectUsage("dfs -setrep 3000000000 /t", warning + "-setrep: For input string: \"3000000000\"", "setrep");
  ExpectUsage("dfs -setrep 2", "-setrep: Not enough arguments: expected 2 but got 1", "setrep");
  FailOn("SetReplication", "/t/a/x", ErrorReason::kIo,
         "Requested replication factor of 1025 exceeds maximum of 512 for /t/a/x");
  ExpectRun("dfs -setrep 1025 /t/a", 1, "Replication 1025 set: /t/a/y\n",
            "setrep: Requested replication factor of 1025 exceeds maximum of 512 for /t/a/x\n");
}

TEST_F(TreesTest, SetrepWaitsForEveryBlock) {
  PutTree();
  const BlockLocation two{.length = 5, .hosts = {"a:1", "b:1"}};
  const BlockLocation three{.length = 5, .hosts = {"a:1", "b:1", "c:1"}};
  fs_.locations["/t/b"] = {two, three};
  while_asleep_ = [&] { fs_.locations["/t/b"] = slept_.size() == 1 ? std::vector{two, three} : std::vector{two, two}; };
  ExpectRun("dfs -setrep -w 2 /t/a/x /t/b", 0,
            "Replication 2 set: /t/a/x\nReplication 2 set: /t/b\n"
            "Waiting for /t/a/x ... done\n"
            "Waiting for /t/b ...\n"
            "WARNING: the waiting time may be long for DECREASING the number of replications.\n"
            ".. done\n",
            "");
  EXPECT_THAT(slept_, ElementsAre(std::chrono::seconds(10), std::chrono::seconds(10)));
  while_asleep_ = [&] { fs_.locations["/t/b"] = {three, three}; };
  EXPECT_THAT(Run("dfs -setrep -w 3 /t/b").out, EndsWith("Waiting for /t/b .... done\n"));
}

TEST_F(TreesTest, SetrepStopsWaitingForWhatIsGone) {
  PutTree();
  fs_.locations["/t/b"] = {BlockLocation{.hosts = {"a:1"}}};
  while_asleep_ = [this] { EXPECT_TRUE(*fs_.Delete("/t/b", false)); };
  const Printed printed = Run("dfs -setrep -w 2 /t/b");
  EXPECT_EQ(printed.code, 1);
  EXPECT_EQ(printed.err, "setrep: `/t/b': No such file or directory\n");
}

// ---- truncate ----

TEST_F(TreesTest, TruncateAtOnce) {
  PutTree();
  ExpectRun("dfs -truncate 2 /t/b /t /missing /t/a/*", 1,
            "Truncated /t/b to length: 2\nTruncated /t/a/x to length: 2\nTruncated /t/a/y to length: 2\n",
            "truncate: `/t': Is a directory\ntruncate: `/missing': No such file or directory\n");
  EXPECT_EQ(fs_.Content("/t/b"), "12");
}

TEST_F(TreesTest, TruncateThatTakesLonger) {
  PutTree();
  fs_.truncates_later = true;
  ExpectRun("dfs -truncate 3 /t/b", 0,
            "Truncating /t/b to length: 3. Wait for block recovery to complete before further updating this file.\n",
            "");
  while_asleep_ = [this] {
    if (slept_.size() == 2) fs_.Change("/t/b", [](FileStatus& status) { status.under_construction = false; });
  };
  ExpectRun("dfs -truncate -w 1 /t/b", 0, "Waiting for /t/b ...\nTruncated /t/b to length: 1\n", "");
  EXPECT_THAT(slept_, ElementsAre(std::chrono::seconds(1), std::chrono::seconds(1)));
}

TEST_F(TreesTest, TruncateErrors) {
  PutTree();
  const Printed longer = Run("dfs -truncate 6 /t/b /t/a/x");
  EXPECT_EQ(longer.code, 255);
  EXPECT_THAT(longer.err, StartsWith("-truncate: Cannot truncate to a larger file size. Current size: 5, truncate "
                                     "size: 6.\nUsage: hadoop fs [generic options]\n"));
  EXPECT_EQ(longer.out, "");
  ExpectUsage("dfs -truncate -- -1 /t/b", "-truncate: length must be >= 0", "truncate");
  ExpectUsage("dfs -truncate x /t/b",
              "truncate: Illegal length, a non-negative integer expected\n-truncate: For input string: \"x\"",
              "truncate");
  ExpectUsage("dfs -truncate 1", "-truncate: Not enough arguments: expected 2 but got 1", "truncate");
}

// ---- concat ----

TEST_F(TreesTest, ConcatJoinsFiles) {
  for (const char* name : {"a", "b", "c"}) fs_.PutFile(std::string("/d/") + name, name);
  ExpectRun("dfs -concat /d/a /d/c /d/b", 0, "", "");
  EXPECT_EQ(fs_.Content("/d/a"), "acb");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/d/", "/d/a"));
}

TEST_F(TreesTest, ConcatErrors) {
  for (const char* name : {"a", "b", "c"}) fs_.PutFile(std::string("/d/") + name, name);
  const std::string usage = "<target path> <src path> <src path> ...\n";
  ExpectRun("dfs -concat", 1, "", "concat: Target path not specified. " + usage);
  ExpectRun("dfs -concat /d/a /d/b", 1, "", "concat: The number of source paths is less than 2. " + usage);
  ExpectRun("dfs -concat /d /d/b /d/c", 1, "",
            "concat: Target path dolmen://localhost:7020/d does not exist or is not file.\n");
  ExpectRun("dfs -concat x /d/b /d/c", 1, "",
            "concat: Target path dolmen://localhost:7020/user/ann/x does not exist or is not file.\n");
  ExpectRun("dfs -concat /d/a /d/b /d/x", 1, "",
            "concat: dolmen://localhost:7020/d/x does not exist or is not file.\n");
  ExpectUsage("dfs -concat /d/a /d/b dolmen://other:1/d/c",
              "-concat: Wrong FS: dolmen://other:1/d/c, expected: dolmen://localhost:7020", "concat");
  ExpectRun("dfs -concat /none* /d/a /d/b /d/c", 1, "", "concat: `/none*': No such file or directory\n");
  EXPECT_EQ(fs_.Content("/d/a"), "a") << "it is not the target because the target is missing";
  FailOn("Concat", "/d/a", ErrorReason::kIllegalArgument, "concat: source file /d/b is invalid");
  ExpectRun("dfs -concat /d/a /d/b /d/c", 1, "", "concat: concat: source file /d/b is invalid\n");
}

// ---- find ----

TEST_F(TreesTest, FindPrintsParentsFirst) {
  PutTree();
  ExpectRun("dfs -find /t", 0, "/t\n/t/a\n/t/a/x\n/t/a/y\n/t/b\n/t/c\n/t/c/d\n/t/c/d/z\n", "");
  ExpectRun("dfs -find /t -name [xyz]", 0, "/t/a/x\n/t/a/y\n/t/c/d/z\n", "");
  ExpectRun("dfs -find /t/a /t/b -iname X -print0", 0, std::string("/t/a/x\0", 7), "");
  ExpectRun("dfs -find -L -H /t/b -print", 0, "/t/b\n", "");
}

TEST_F(TreesTest, FindShowsPathsAsTheyWereTyped) {
  fs_.PutFile("/user/ann/d/f", "1");
  ExpectRun("dfs -find -print", 0, ".\nd\nd/f\n", "");
  ExpectRun("dfs -find d", 0, "d\nd/f\n", "");
  ExpectRun("dfs -find hdfs:///user/ann/d -name f", 0, "hdfs:///user/ann/d/f\n", "");
  ExpectRun("dfs -find /*/ann -name f", 0, "/user/ann/d/f\n", "");
}

TEST_F(TreesTest, FindErrors) {
  PutTree();
  ExpectRun("dfs -find /missing /t/b", 1, "/t/b\n", "find: `/missing': No such file or directory\n");
  ExpectRun("dfs -find /t -name x y", 1, "", "find: Unexpected argument: y\n");
  ExpectRun("dfs -find /t -type f", 1, "", "find: Unexpected argument: -type\n");
  ExpectUsage("dfs -find", "-find: Not enough arguments: expected 1 but got 0", "find");
  ExpectUsage("dfs -find /t -name [a", "-find: Illegal file pattern: Unclosed character class near index 1", "find");
  const Printed no_pattern = Run("dfs -find /t -name");
  EXPECT_EQ(no_pattern.code, 255);
  EXPECT_THAT(no_pattern.err, StartsWith("-find: Fatal internal error\njava.util.NoSuchElementException"));
  FailOn("List", "/t/a", ErrorReason::kAccessControl, "Permission denied: user=ann, access=READ_EXECUTE");
  ExpectRun("dfs -find /t -name [bxz]", 1, "/t/b\n/t/c/d/z\n",
            "find: Permission denied: user=ann, access=READ_EXECUTE\n");
}

TEST_F(TreesTest, HelpAndUsageNameEveryCommand) {
  const std::string list = Run("dfs -usage").out;
  for (const std::string name :
       {"checksum", "chgrp", "chmod", "chown", "concat", "count", "df", "du", "find", "rmdir", "setrep", "truncate"}) {
    EXPECT_THAT(list, HasSubstr("\t[-" + name + " ")) << name;
    EXPECT_THAT(Run("dfs -help " + name).out, StartsWith("-" + name + " ")) << name;
  }
  EXPECT_THAT(list, ::testing::Not(HasSubstr("[-dus")));
  EXPECT_EQ(Run("dfs -help dus").out, "-dus :\n  (DEPRECATED) Same as 'du -s'\n");
}

}  // namespace
}  // namespace dolmen::cli
