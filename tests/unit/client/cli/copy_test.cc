#include "client/cli/copy.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "client/cli/ordered_jobs.h"
#include "client/cli/shell_error.h"
#include "tests/support/eventually.h"
#include "tests/unit/client/cli/copy_fixture.h"

namespace dolmen::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using CopyTest = CopyFixture;

// ---- put: where things go ----

TEST_F(CopyTest, PutFollowsTheDestinationRules) {
  WriteLocal("a", "1");
  WriteLocal("b", "2");
  fs_.PutDirectory("/d");
  fs_.PutFile("/f", "old");
  ExpectRun("dfs -put %s/a /d", 0, "");
  ExpectRun("dfs -put %s/a /new", 0, "");
  ExpectRun("dfs -put %s/a %s/b /d", 1, "put: `/d/a': File exists\n");
  ExpectRun("dfs -put %s/a /f", 1, "put: `/f': File exists\n");
  ExpectRun("dfs -put -f %s/a /f", 0, "");
  ExpectRun("dfs -put %s/a %s/b /nodir", 1, "put: `/nodir': No such file or directory\n");
  ExpectRun("dfs -put %s/a %s/b /f", 1, "put: `/f': Is not a directory\n");
  ExpectRun("dfs -put %s/a x/y", 1, "put: `x/y': No such file or directory: `dolmen://localhost:7020/user/ann/x/y'\n");
  ExpectRun("dfs -put %s/a /nodir/", 1, "put: `/nodir/': No such file or directory: `dolmen://localhost:7020/nodir'\n");
  ExpectRun("dfs -put %s/missing /d", 1, "put: `%s/missing': No such file or directory\n");
  ExpectRun("dfs -put %s/a", 1, "put: `.': No such file or directory: `dolmen://localhost:7020/user/ann'\n");
  ExpectRun("dfs -copyFromLocal file://%s/a /x", 0, "");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/d/", "/d/a", "/d/b", "/f", "/new", "/x"));
  EXPECT_EQ(fs_.Content("/f"), "1");
}

TEST_F(CopyTest, PutToHome) {
  WriteLocal("a", "1");
  fs_.PutDirectory("/user/ann");
  ExpectRun("dfs -put %s/a", 0, "");
  EXPECT_EQ(fs_.Content("/user/ann/a"), "1");
}

TEST_F(CopyTest, PutDestinationMayBeAPatternOfOneMatch) {
  WriteLocal("a", "1");
  fs_.PutDirectory("/d1");
  fs_.PutDirectory("/d2");
  ExpectRun("dfs -put %s/a /*1", 0, "");
  ExpectRun("dfs -put %s/a /d*", 1, "put: `/d*': Too many matches\n");
  ExpectRun("dfs -put %s/a /e*", 1, "put: `/e*': No such file or directory\n");
  EXPECT_EQ(fs_.Content("/d1/a"), "1");
}

TEST_F(CopyTest, PutRefusesOtherSchemes) {
  const Printed printed = Run("dfs -put hdfs://nn/x /d");
  EXPECT_EQ(printed.code, 255);
  EXPECT_THAT(printed.err, ::testing::StartsWith("-put: Wrong FS: hdfs://nn/x, expected: file:///\n"));
}

TEST_F(CopyTest, PutReadsStandardInput) {
  ExpectRun("dfs -put - /in", 0, "", "hello");
  EXPECT_EQ(fs_.Content("/in"), "hello");
  ExpectRun("dfs -put - /in", 1, "put: `/in': File exists\n", "again");
  ExpectRun("dfs -put -f - /in", 0, "", "again");
  EXPECT_EQ(fs_.Content("/in"), "again");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/in"));
}

TEST_F(CopyTest, PutOptionsReachCreate) {
  WriteLocal("a", "1");
  ExpectRun("dfs -put -l %s/a /lazy", 0, "");
  ExpectRun("dfs -D dfs.replication=2 -D dfs.blocksize=1m -D fs.permissions.umask-mode=027 -put %s/a /b", 0, "");
  ASSERT_EQ(fs_.created.size(), 2u);
  EXPECT_EQ(fs_.created[0].replication, 1u);
  EXPECT_FALSE(fs_.created[0].sync_on_close);
  EXPECT_EQ(fs_.created[0].permission, 0644);
  EXPECT_EQ(fs_.created[1].replication, 2u);
  EXPECT_EQ(fs_.created[1].block_bytes, 1u << 20);
  EXPECT_TRUE(fs_.created[1].sync_on_close);
  EXPECT_EQ(fs_.created[1].permission, 0640);
}

TEST_F(CopyTest, PutThreadsMustBeANumber) {
  const Printed printed = Run("dfs -put -t x a b");
  EXPECT_EQ(printed.code, 255);
  EXPECT_THAT(printed.err, ::testing::StartsWith("-put: For input string: \"x\"\n"));
}

// ---- put: trees ----

TEST_F(CopyTest, PutMergesTreesAndGoesOnAfterFailures) {
  for (const char* name : {"t/a", "t/b/c", "t/b/d", "t/z"}) WriteLocal(name, name);
  std::filesystem::create_directories(Local("t/empty"));
  fs_.PutFile("/x/t/old", "kept");
  fs_.PutFile("/x/t/a", "in the way");
  fs_.PutFile("/x/t/b/d/inner", "a directory in the way");
  ExpectRun("dfs -put %s/t /x", 1, "put: `/x/t/a': File exists\nput: `/x/t/b/d': File exists\n");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/x/", "/x/t/", "/x/t/a", "/x/t/b/", "/x/t/b/c", "/x/t/b/d/", "/x/t/b/d/inner",
                                       "/x/t/empty/", "/x/t/old", "/x/t/z"));
  EXPECT_EQ(fs_.Content("/x/t/a"), "in the way");
  EXPECT_EQ(fs_.Content("/x/t/b/c"), "t/b/c");
}

TEST_F(CopyTest, PutOfATreeToANewNameAndOverAFile) {
  WriteLocal("t/a", "1");
  WriteLocal("u/a/b", "2");
  fs_.PutFile("/f", "x");
  ExpectRun("dfs -put %s/t /new", 0, "");
  EXPECT_EQ(fs_.Content("/new/a"), "1");
  ExpectRun("dfs -put -f %s/t /f", 1, "put: `/f': Is not a directory\n");
  ExpectRun("dfs -put %s/u/a /new", 1, "put: `/new/a': Is not a directory\n");
}

TEST_F(CopyTest, ErrorsComeInTheOrderOfTheWalkWhateverTheThreads) {
  std::string expected;
  for (int i = 100; i < 200; ++i) {
    const std::string name = "f" + std::to_string(i);
    WriteLocal("t/" + name, "x");
    if (i % 3 == 0) expected += "put: no room for /t/" + name + "._COPYING_\n";
  }
  fs_.fail = [](const std::string& operation, const std::string& path) {
    if (operation != "Write" || path.size() < 10 || std::stoi(path.substr(4, 3)) % 3 != 0) return absl::OkStatus();
    return MakeError(ErrorReason::kNoSpace, absl::StrCat("no room for ", path));
  };
  for (const char* threads : {"", "-t 1 ", "-t 5 ", "-t 100 "}) {
    ExpectRun("dfs -put -f " + std::string(threads) + "%s/t /", 1, expected);
    EXPECT_EQ(fs_.Paths().size(), 1 + 67u) << "the temporaries of failed files are gone";
  }
}

TEST_F(CopyTest, PutFollowsLinksButNotInCircles) {
  WriteLocal("t/real", "1");
  std::filesystem::create_symlink("real", Local("t/link"));
  std::filesystem::create_symlink("nowhere", Local("t/dangling"));
  std::filesystem::create_directory_symlink(".", Local("t/loop"));
  mkfifo(Local("t/pipe").c_str(), 0600);
  ExpectRun("dfs -put %s/t /t", 1,
            "put: `%s/t/dangling': No such file or directory\n"
            "put: `%s/t/loop': Too many levels of symbolic links\n"
            "put: `%s/t/pipe': Operation not supported\n");
  EXPECT_EQ(fs_.Content("/t/link"), "1");
}

TEST_F(CopyTest, PutPreservesTimesOwnerAndMode) {
  WriteLocal("t/f", "1");
  chmod(Local("t/f").c_str(), 0600);
  chmod(Local("t").c_str(), 0700);
  const timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 0}, {.tv_sec = 2000, .tv_nsec = 5'000'000}};
  utimensat(AT_FDCWD, Local("t/f").c_str(), times, 0);
  utimensat(AT_FDCWD, Local("t").c_str(), times, 0);
  ExpectRun("dfs -put -p %s/t /t", 0, "");
  for (const char* path : {"/t", "/t/f"}) {
    EXPECT_EQ(fs_.Status(path).modified_ms, 2'000'005) << path;
    EXPECT_NE(fs_.Status(path).owner, "") << path;
  }
  EXPECT_EQ(fs_.Status("/t/f").permission, 0600);
  EXPECT_EQ(fs_.Status("/t").permission, 0700);
}

// ---- put: temporaries ----

TEST_F(CopyTest, AFailedPutLeavesNothingAndKeepsTheOldFile) {
  WriteLocal("a", "new");
  fs_.PutFile("/f", "old");
  for (const char* operation : {"Write", "Close", "RenameExact"}) {
    fs_.fail = [operation](const std::string& called, const std::string& path) {
      EXPECT_FALSE(called == "Write" && path != "/f._COPYING_") << path;
      return called == operation ? MakeError(ErrorReason::kIo, "broken") : absl::OkStatus();
    };
    ExpectRun("dfs -put -f %s/a /f", 1, "put: broken\n");
    fs_.fail = nullptr;
    EXPECT_THAT(fs_.Paths(), ElementsAre("/f")) << operation;
    EXPECT_EQ(fs_.Content("/f"), "old");
  }
}

TEST_F(CopyTest, DirectPutWritesTheFinalName) {
  WriteLocal("a", "new");
  fs_.fail = [](const std::string& operation, const std::string& path) {
    EXPECT_NE(operation, "RenameExact");
    EXPECT_EQ(path.find("._COPYING_"), std::string::npos);
    return absl::OkStatus();
  };
  ExpectRun("dfs -put -d %s/a /f", 0, "");
  EXPECT_EQ(fs_.Content("/f"), "new");
}

TEST_F(CopyTest, ATargetThatAppearsMeanwhileIsNotReplaced) {
  WriteLocal("a", "mine");
  fs_.fail = [this](const std::string& operation, const std::string&) {
    if (operation == "RenameExact") fs_.PutFile("/f", "theirs");
    return absl::OkStatus();
  };
  ExpectRun("dfs -put %s/a /f", 1, "put: rename `/f._COPYING_' to `/f': Input/output error\n");
  EXPECT_EQ(fs_.Content("/f"), "theirs");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/f"));
}

TEST_F(CopyTest, AnInterruptedPutCleansUpAndSaysSoOnce) {
  for (int i = 0; i < 20; ++i) WriteLocal("t/f" + std::to_string(i), "x");
  fs_.fail = [this](const std::string& operation, const std::string&) {
    if (operation == "Write") interrupted_ = true;
    return absl::OkStatus();
  };
  ExpectRun("dfs -put -t 1 %s/t /t", 130, "put: Interrupted\n");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/t/"));
}

TEST_F(CopyTest, ANamenodeThatIsGoneEndsTheCopyOfATreeWithOneLine) {
  for (int i = 10; i < 40; ++i) WriteLocal("t/f" + std::to_string(i), "x");
  for (int i = 10; i < 40; ++i) WriteLocal("t/later/f" + std::to_string(i), "x");
  WriteLocal("u", "x");
  for (const char* threads : {"", "-t 1 ", "-t 5 "}) {
    std::atomic<int> calls_after{0};
    std::atomic<bool> gone{false};
    fs_.fail = [&](const std::string& operation, const std::string& path) {
      if (operation == "Create" && path.ends_with("f20._COPYING_")) {
        EXPECT_TRUE(Eventually([&] { return fs_.Content("/t/f10") == "x"; })) << "it was begun before";
        gone = true;
      }
      if (!gone) return absl::OkStatus();
      ++calls_after;
      return MakeError(ErrorReason::kUnreachable, "Call to localhost:7020 failed: Connection refused (tried for 9 s)");
    };
    ExpectRun("dfs -put -f " + std::string(threads) + "%s/t %s/u /", 1,
              "put: Call to localhost:7020 failed: Connection refused (tried for 9 s); what is left was not copied\n");
    EXPECT_LE(calls_after, 8 + 1) << "one per thread at most, and one of the walk";
    EXPECT_EQ(fs_.Content("/t/f10"), "x");
    fs_.fail = nullptr;
    EXPECT_TRUE(*fs_.Delete("/t", true)) << "the next round begins anew";
  }
}

TEST_F(CopyTest, AGetThatLosesTheNamenodeLeavesNoTemporary) {
  fs_.PutFile("/t/a", "1");
  fs_.PutFile("/t/b", "2");
  fs_.fail = [this](const std::string& operation, const std::string& path) {
    if (operation != "Read" || path != "/t/b") return absl::OkStatus();
    EXPECT_TRUE(Eventually([&] { return ReadLocal("t/a") == "1"; })) << "it was begun before";
    return MakeError(ErrorReason::kUnreachable, "Call to localhost:7020 failed: Connection refused");
  };
  ExpectRun("dfs -get /t %s", 1,
            "get: Call to localhost:7020 failed: Connection refused; what is left was not copied\n");
  EXPECT_THAT(LocalNames(), ElementsAre("t", "t/a"));
}

// ---- get ----

TEST_F(CopyTest, GetFollowsTheDestinationRules) {
  fs_.PutFile("/a", "1");
  fs_.PutFile("/b", "2");
  std::filesystem::create_directory(Local("d"));
  WriteLocal("f", "old");
  ExpectRun("dfs -get /a %s/d", 0, "");
  ExpectRun("dfs -get /a /b %s/d", 1, "get: `%s/d/a': File exists\n");
  ExpectRun("dfs -copyToLocal -ignoreCrc /a file://%s/new", 0, "");
  ExpectRun("dfs -get /a %s/f", 1, "get: `%s/f': File exists\n");
  ExpectRun("dfs -get -f /a %s/f", 0, "");
  ExpectRun("dfs -get /a /b %s/f", 1, "get: `%s/f': Is not a directory\n");
  ExpectRun("dfs -get /a %s/no/x", 1, "get: `%s/no/x': No such file or directory: `file://%s/no/x'\n");
  ExpectRun("dfs -get /missing %s/d", 1, "get: `/missing': No such file or directory\n");
  ExpectRun("dfs -get /m* %s/d", 1, "get: `/m*': No such file or directory\n");
  EXPECT_THAT(LocalNames(), ElementsAre("d", "d/a", "d/b", "f", "new"));
  EXPECT_EQ(ReadLocal("f"), "1");
}

TEST_F(CopyTest, GetOfTreesMergesAndGoesOn) {
  fs_.PutFile("/t/a", "1");
  fs_.PutFile("/t/b/c", "2");
  fs_.PutFile("/t/z", "3");
  fs_.PutDirectory("/t/empty");
  WriteLocal("t/a", "kept");
  fs_.fail = [](const std::string& operation, const std::string& path) {
    if (operation != "Read" || path != "/t/b/c") return absl::OkStatus();
    return MakeError(ErrorReason::kBlockMissing, "Could not obtain block of /t/b/c");
  };
  ExpectRun("dfs -get /t %s", 1, "get: `%s/t/a': File exists\nget: Could not obtain block of /t/b/c\n");
  EXPECT_THAT(LocalNames(), ElementsAre("t", "t/a", "t/b", "t/empty", "t/z"));
  fs_.fail = nullptr;
  ExpectRun("dfs -get -f / %s/all", 0, "");
  EXPECT_EQ(ReadLocal("all/t/b/c"), "2");
}

TEST_F(CopyTest, GetPreservesTimesAndMode) {
  fs_.PutFile("/f", "1");
  // Who we are, as put sees it: giving files to others needs root.
  WriteLocal("probe", "");
  ExpectRun("dfs -put -p %s/probe /probe", 0, "");
  const FileStatus probe = fs_.Status("/probe");
  fs_.Change("/f", [&](FileStatus& status) {
    status.owner = probe.owner;
    status.group = probe.group;
    status.permission = 0640;
    status.modified_ms = 5000;
  });
  ExpectRun("dfs -get -p /f %s/f", 0, "");
  struct stat st {};
  ASSERT_EQ(stat(Local("f").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0640u);
  EXPECT_EQ(st.st_mtim.tv_sec, 5);
}

TEST_F(CopyTest, GetWritesHadoopsChecksumFiles) {
  fs_.PutFile("/f", "123456789");
  ExpectRun("dfs -get -crc /f %s/f", 0, "");
  EXPECT_THAT(LocalNames(), ElementsAre(".f.crc", "f"));
  // "crc", a zero, 512 big-endian, and the well-known CRC-32 of "123456789".
  EXPECT_EQ(ReadLocal(".f.crc"), std::string("crc\0\0\0\2\0\xCB\xF4\x39\x26", 12));
}

TEST_F(CopyTest, GetIntoAFileThatCannotBeMade) {
  fs_.PutFile("/f", "1");
  std::filesystem::create_directory(Local("f._COPYING_"));
  ExpectRun("dfs -get /f %s/f", 1, "get: %s/f._COPYING_ (Is a directory)\n");
}

// ---- names in flight ----

// A put that was killed leaves x._COPYING_, the name of the temporary of a copy of x.
TEST_F(CopyTest, ALeftoverTemporaryIsCopiedAfterItsFileNotMeanwhile) {
  const std::string large(3 << 20, 'L');
  fs_.PutFile("/t/x", large);
  fs_.PutFile("/t/x._COPYING_", "small");
  fs_.fail = [this](const std::string& operation, const std::string& path) {
    // x has made its temporary; the leftover has every chance to take that name.
    if (operation == "Read" && path == "/t/x") WaitOnceForLocal("out/x._COPYING_", "small");
    return absl::OkStatus();
  };
  ExpectRun("dfs -get /t %s/out", 0, "");
  EXPECT_THAT(LocalNames(), ElementsAre("out", "out/x", "out/x._COPYING_"));
  EXPECT_TRUE(ReadLocal("out/x") == large);
  EXPECT_EQ(ReadLocal("out/x._COPYING_"), "small");
}

TEST_F(CopyTest, APutOverLeftoversKeepsTheirContentsApart) {
  WriteLocal("t/x", "large");
  WriteLocal("t/x._COPYING_", "small");
  fs_.PutFile("/t/x", "old");
  fs_.PutFile("/t/x._COPYING_", "old leftover");
  fs_.fail = [this](const std::string& operation, const std::string& path) {
    if (operation != "Write" || path != "/t/x._COPYING_" || waited_.exchange(true)) return absl::OkStatus();
    for (int i = 0; i < 100 && fs_.Content("/t/x._COPYING_") != "small"; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return absl::OkStatus();
  };
  ExpectRun("dfs -put -f %s/t /", 0, "");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/t/", "/t/x", "/t/x._COPYING_"));
  EXPECT_EQ(fs_.Content("/t/x"), "large");
  EXPECT_EQ(fs_.Content("/t/x._COPYING_"), "small");
}

TEST_F(CopyTest, TwoSourcesOfOneNameDoNotReplaceEachOther) {
  fs_.PutFile("/a/x", "first");
  fs_.PutFile("/b/x", "second");
  std::filesystem::create_directory(Local("d"));
  fs_.fail = [this](const std::string& operation, const std::string& path) {
    if (operation == "Read" && path == "/a/x") WaitOnceForLocal("d/x", "second");
    return absl::OkStatus();
  };
  ExpectRun("dfs -get -t 2 /a/x /b/x %s/d", 1, "get: `%s/d/x': File exists\n");
  EXPECT_THAT(LocalNames(), ElementsAre("d", "d/x"));
  EXPECT_EQ(ReadLocal("d/x"), "first");
  ExpectRun("dfs -get -f -t 2 /a/x /b/x %s/d", 0, "");
  EXPECT_EQ(ReadLocal("d/x"), "second") << "with -f the later one wins";
}

TEST_F(CopyTest, ALocalFileThatAppearsMeanwhileIsReplacedOnlyWithForce) {
  fs_.PutFile("/x", "mine");
  fs_.fail = [this](const std::string& operation, const std::string&) {
    if (operation == "Read") WriteLocal("x", "theirs");
    return absl::OkStatus();
  };
  ExpectRun("dfs -get /x %s", 1, "get: `%s/x': File exists\n");
  EXPECT_EQ(ReadLocal("x"), "theirs");
  EXPECT_THAT(LocalNames(), ElementsAre("x")) << "no temporary is left";
  std::filesystem::remove(Local("x"));
  ExpectRun("dfs -get -f /x %s", 0, "");
  EXPECT_EQ(ReadLocal("x"), "mine");
}

// ---- jobs ----

TEST(OrderedJobsTest, ResultsComeInOrderFromAnyNumberOfThreads) {
  for (const size_t threads : {1, 2, 7}) {
    std::vector<std::string> reported;
    std::atomic<int> ran{0};
    {
      OrderedJobs jobs(threads, [&](const absl::Status& status) { reported.emplace_back(status.message()); });
      for (int i = 0; i < 3000; ++i) {
        if (i % 10 == 0) {
          jobs.AddResult(absl::InternalError(std::to_string(i)));
        } else {
          jobs.Add([i, &ran] {
            ++ran;
            return absl::InternalError(std::to_string(i));
          });
        }
      }
    }
    EXPECT_EQ(ran, 2700);
    ASSERT_EQ(reported.size(), 3000u);
    for (int i = 0; i < 3000; ++i) ASSERT_EQ(reported[static_cast<size_t>(i)], std::to_string(i));
  }
}

}  // namespace
}  // namespace dolmen::cli
