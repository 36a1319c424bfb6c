// -head, -tail, -text, -touch, -touchz.
#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "tests/unit/client/cli/copy_fixture.h"

namespace dolmen::cli {
namespace {

using ::testing::ElementsAre;

using PrintTest = CopyFixture;

std::string Numbers(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += std::to_string(i) + "\n";
  return text;
}

// ---- head, tail ----

TEST_F(PrintTest, HeadAndTailPrintOneKibibyte) {
  const std::string large = Numbers(1000);
  fs_.PutFile("/large", large);
  fs_.PutFile("/small", "x\n");
  fs_.PutFile("/empty", "");
  ExpectPrints("dfs -head /large", 0, large.substr(0, 1024), "");
  ExpectPrints("dfs -tail /large", 0, large.substr(large.size() - 1024), "");
  for (const char* command : {"head", "tail"}) {
    ExpectPrints(std::string("dfs -") + command + " /small", 0, "x\n", "");
    ExpectPrints(std::string("dfs -") + command + " hdfs:///empty", 0, "", "");
  }
}

TEST_F(PrintTest, HeadAndTailTakeOnePathWithoutPatterns) {
  fs_.PutFile("/d/f", "x");
  for (const std::string name : {"head", "tail"}) {
    ExpectRun("dfs -" + name + " /d", 1, name + ": `/d': Is a directory\n");
    ExpectRun("dfs -" + name + " file*", 1, name + ": `file*': No such file or directory\n");
    ExpectUsage("dfs -" + name, "-" + name + ": Not enough arguments: expected 1 but got 0");
    ExpectUsage("dfs -" + name + " /d/f /d/f", "-" + name + ": Too many arguments: expected 1 but got 2");
  }
  fs_.PutFile("/a*b", "star");
  ExpectPrints("dfs -head /a*b", 0, "star", "");
  ExpectUsage("dfs -tail -f -s x /d/f", "-tail: For input string: \"x\"");
  ExpectPrints("dfs -tail -s x /d/f", 0, "x", "");  // not looked at without -f
}

TEST_F(PrintTest, TailFollowsWhatIsAppendedUntilTheFileIsGone) {
  fs_.PutFile("/log", "one ");
  int looks = 0;
  fs_.fail = [&](const std::string& operation, const std::string&) {
    if (operation != "GetFileInfo") return absl::OkStatus();
    switch (looks++) {
      case 1:
        fs_.PutFile("/log", "one two ");
        break;
      case 2:  // shorter: nothing is said, and it is followed from its new end on
        fs_.PutFile("/log", "on");
        break;
      case 3:
        fs_.PutFile("/log", "on again");
        break;
      case 4:
        EXPECT_TRUE(fs_.RenameExact("/log", "/old", false).ok());
        break;
      default:
        break;
    }
    return absl::OkStatus();
  };
  ExpectPrints("dfs -tail -f -s 1 /log", 1, "one two  again", "tail: File does not exist: /log\n");
}

TEST_F(PrintTest, TailEndsWhenNobodyReadsItsOutput) {
  fs_.PutFile("/log", "x");
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  close(fds[0]);
  output_fd_ = fds[1];
  const auto begin = std::chrono::steady_clock::now();
  ExpectPrints("dfs -tail -f -s 60000 /log", 0, "x", "");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  close(fds[1]);
}

// ---- text ----

// printf 'hello\n' | gzip -n
const std::string kHelloGz("\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9\xe7\x02\0\x20\x30\x3a\x36\x06\0\0\0", 26);

TEST_F(PrintTest, TextUnpacksGzipByItsFirstBytesAndPrintsTheRestAsItIs) {
  fs_.PutFile("/packed", kHelloGz);
  fs_.PutFile("/plain", "plain\n");
  fs_.PutFile("/one", "1");
  fs_.PutFile("/empty.gz", "");
  ExpectPrints("dfs -text /packed /plain /one /empty.gz", 0, "hello\nplain\n1", "");
  ExpectPrints("dfs -text -ignoreCrc /p*", 0, "hello\nplain\n", "");
}

TEST_F(PrintTest, TextGoesOnAfterFailures) {
  fs_.PutFile("/d/f", "x");
  fs_.PutFile("/cut", kHelloGz.substr(0, 15));
  fs_.PutFile("/named.gz", "not gzip");
  fs_.PutFile("/seq", std::string("SEQ\x06...", 7));
  fs_.PutFile("/avro", "Obj\x01");
  fs_.PutFile("/x.snappy", "abcd");
  fs_.PutFile("/last", "y");
  ExpectPrints("dfs -text /d /missing /cut /named.gz /seq /avro /x.snappy /last", 1, "helly",
               "text: `/d': Is a directory\n"
               "text: `/missing': No such file or directory\n"
               "text: Unexpected end of ZLIB input stream\n"
               "text: incorrect header check\n"
               "text: `/seq': a SequenceFile is not understood; -cat prints the bytes as they are\n"
               "text: `/avro': an Avro file is not understood; -cat prints the bytes as they are\n"
               "text: `/x.snappy': Hadoop's snappy format is not understood; -cat prints the bytes as they are\n");
}

// ---- touch, touchz ----

TEST_F(PrintTest, TouchzMakesEmptyFiles) {
  fs_.PutFile("/full", "x");
  fs_.PutDirectory("/d");
  ExpectRun("dfs -touchz /a /d/b", 0, "");
  ExpectRun("dfs -touchz /a", 0, "");
  ExpectRun("dfs -touchz /full /d /e/f g /c", 1,
            "touchz: `/full': Not a zero-length file\n"
            "touchz: `/d': Is a directory\n"
            "touchz: `/e/f': No such file or directory: `dolmen://localhost:7020/e/f'\n"
            "touchz: `g': No such file or directory: `dolmen://localhost:7020/user/ann/g'\n");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/a", "/c", "/d/", "/d/b", "/full"));
  ExpectUsage("dfs -touchz", "-touchz: Not enough arguments: expected 1 but got 0");
}

TEST_F(PrintTest, TouchSetsTheTimesAskedFor) {
  const auto now_ms = [] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  };
  const auto times = [this] { return std::pair(fs_.Status("/f").modified_ms, fs_.Status("/f").accessed_ms); };
  fs_.PutFile("/f", "x", 1);
  const int64_t before = now_ms();
  ExpectRun("dfs -touch /f", 0, "");
  EXPECT_GE(times().first, before);
  EXPECT_EQ(times().first, times().second);
  ExpectRun("dfs -touch -t 20210425:101112 /f", 0, "");
  EXPECT_EQ(times(), std::pair(int64_t{1'619'345'472'000}, int64_t{1'619'345'472'000}));
  ExpectRun("dfs -touch -m -t 19700101:000001 /f", 0, "");
  ExpectRun("dfs -touch -t 19700101:000002 -a /f", 0, "");
  EXPECT_EQ(times(), std::pair(int64_t{1000}, int64_t{2000}));
  ExpectRun("dfs -touch -a -m -t 19700101:000003 /f", 0, "");
  EXPECT_EQ(times(), std::pair(int64_t{3000}, int64_t{3000}));
  EXPECT_EQ(fs_.Content("/f"), "x");
}

TEST_F(PrintTest, TouchMakesFilesUnlessToldNotTo) {
  fs_.PutDirectory("/d");
  ExpectRun("dfs -touch -c /a", 0, "");
  ExpectRun("dfs -touch /b", 0, "");
  ExpectRun("dfs -touch -t 19700101:000001 /c", 0, "");
  EXPECT_EQ(fs_.Status("/b").modified_ms, 1'619'345'472'000) << "the file's own time: nothing was set";
  EXPECT_EQ(fs_.Status("/c").modified_ms, 1000);
  ExpectRun("dfs -touch /d /e/f", 1,
            "touch: `/d': Is a directory\ntouch: `/e/f': No such file or directory: `dolmen://localhost:7020/e/f'\n");
  EXPECT_THAT(fs_.Paths(), ElementsAre("/b", "/c", "/d/"));
  const std::string form = ". The expected format is yyyyMMdd:HHmmss";
  for (const char* time : {"x", "20210425", "20210425-101112", "2021042510:1112", "20210425:1011123"}) {
    ExpectUsage(std::string("dfs -touch -t ") + time + " /g",
                std::string("-touch: Unable to parse the specified timestamp ") + time + form);
  }
  ExpectUsage("dfs -touch /g -t", "-touch: option -t requires 1 argument.");
  ExpectUsage("dfs -touch -t 20210425:101112", "-touch: Not enough arguments: expected 1 but got 0");
  EXPECT_EQ(fs_.Content("/g"), "(missing)");
}

}  // namespace
}  // namespace dolmen::cli
