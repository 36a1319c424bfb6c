#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "common/error.h"
#include "tests/bench/options.h"
#include "tests/bench/result_log.h"
#include "tests/support/temp_dir.h"

namespace dolmen::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Options, DefaultsAreThoseOfTheUsageText) {
  const auto options = ParseOptions({"io"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->repeats, 5);
  EXPECT_EQ(options->file_bytes, 1u << 30);
  EXPECT_EQ(options->small_files, 10'000);
  EXPECT_EQ(options->small_bytes, 4096);
}

TEST(Options, TakesBothSpellingsAndUnits) {
  const auto options = ParseOptions({"io", "--file-bytes=3m", "--threads", "8", "--json", "/x", "--dir=/y"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->file_bytes, 3u << 20);
  EXPECT_EQ(options->threads, 8);
  EXPECT_EQ(options->json_file, "/x");
  EXPECT_EQ(options->directory, "/y");
}

TEST(Options, RefusesNonsenseAndNamesIt) {
  const auto refusal = [](std::vector<std::string> args) {
    return std::string(MessageOf(ParseOptions(args).status()));
  };
  EXPECT_THAT(refusal({}), HasSubstr("a command is missing"));
  EXPECT_THAT(refusal({"met"}), HasSubstr("unknown command 'met'"));
  EXPECT_THAT(refusal({"meta", "--repeats=0"}), HasSubstr("--repeats '0': a number from 1 to 100"));
  EXPECT_THAT(refusal({"meta", "--repeats=-1"}), HasSubstr("'-1'"));
  EXPECT_THAT(refusal({"meta", "--repeats", "5x"}), HasSubstr("'5x'"));
  EXPECT_THAT(refusal({"meta", "--repeats", ""}), HasSubstr("''"));
  EXPECT_THAT(refusal({"meta", "--repeats"}), HasSubstr("needs a value"));
  EXPECT_THAT(refusal({"meta", "--threads=4"}), HasSubstr("means nothing to meta"));
  EXPECT_THAT(refusal({"io", "--file-bytes=99999999999t"}), HasSubstr("99999999999t"));
  EXPECT_THAT(refusal({"meta", "--outstanding=17"}), HasSubstr("--outstanding 17"));
  EXPECT_THAT(refusal({"io", "extra"}), HasSubstr("'extra' is not an option"));
  EXPECT_THAT(refusal({"io", "--what=1"}), HasSubstr("unknown option '--what=1'"));
  EXPECT_THAT(refusal({"io", "--keep-caches"}), HasSubstr("only for restart"));
}

TEST(Spread, MedianOfOddAndEvenCounts) {
  EXPECT_EQ(SpreadOf({3, 1, 2}).median, 2);
  EXPECT_EQ(SpreadOf({4, 1, 2, 3}).median, 2.5);
  EXPECT_EQ(SpreadOf({4, 1, 2, 3}).low, 1);
  EXPECT_EQ(SpreadOf({4, 1, 2, 3}).high, 4);
  EXPECT_EQ(SpreadOf({7}).median, 7);
}

TEST(JsonLine, EscapesAndRefusesWhatIsNoNumber) {
  JsonLine line;
  line.Text("a", "q\"b\\\n").Number("n", 1.5).Number("bad", std::nan("")).Flag("f", true);
  EXPECT_EQ(line.Finish(), R"({"a":"q\"b\\\u000a","n":1.5,"bad":null,"f":true})");
}

class ResultLogTest : public ::testing::Test {
 protected:
  std::string Json() {
    std::ifstream in(directory_.File("json"));
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  std::string TableOf(double bare) {
    absl::StatusOr<ResultLog> log = ResultLog::Open(directory_.File("json"));
    EXPECT_TRUE(log.ok()) << log.status();
    log->AddFloor({"create", "64", "committer", 100, "the reference"});
    for (const double value : {10.0, 30.0, 20.0}) {
      log->Add({.what = "create",
                .circumstance = "64",
                .side = kOurs,
                .unit = "1/s",
                .value = value,
                .cpu = 7.0,
                .cpu_unit = "us/op"});
      log->Add({.what = "create", .circumstance = "64", .side = "committer", .unit = "1/s", .value = bare});
    }
    auto table = log->Finish();
    EXPECT_TRUE(table.ok()) << table.status();
    return *table;
  }
  const TempDir directory_;
};

TEST_F(ResultLogTest, TableHasMedianSpreadRatioAndCpu) {
  const std::string table = TableOf(200);
  EXPECT_THAT(table,
              HasSubstr("| create | 64 | committer | 1/s | 20.0 (10.0..30.0) | 200 (200..200) | 0.10 | 7 us/op | - |"));
  EXPECT_THAT(table, Not(HasSubstr("VOID")));
  EXPECT_THAT(Json(), HasSubstr(R"("kind":"result","what":"create","circumstance":"64","side":"dolmen","unit":"1/s",)"
                                R"("median":20,"min":10,"max":30,"count":3,"cpu_median":7)"));
  EXPECT_THAT(Json(), HasSubstr(R"({"kind":"verdict","void":false})"));
}

TEST_F(ResultLogTest, ASlowSkeletonVoidsTheRun) {
  EXPECT_THAT(TableOf(99), HasSubstr("VOID: committer create: 99.0 1/s is below 100 (the reference)"));
  EXPECT_THAT(Json(), HasSubstr(R"("void":true)"));
}

TEST_F(ResultLogTest, AFileThatCannotBeWrittenIsAnError) {
  EXPECT_FALSE(ResultLog::Open(directory_.File("missing/json")).ok());
}

}  // namespace
}  // namespace dolmen::bench
