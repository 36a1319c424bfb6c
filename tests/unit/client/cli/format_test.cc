#include "client/cli/format.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <ctime>

#include "client/cli/ls_format.h"
#include "client/cli/report_format.h"
#include "client/cli/stat_format.h"

namespace dolmen::cli {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kSomeTime = 1'619'345'472'123;  // 2021-04-25 10:11:12 UTC

class FormatTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
  }
  static FileStatus File(std::string name, uint64_t length) {
    return {.name = std::move(name),
            .length = length,
            .permission = 0644,
            .owner = "hdfs",
            .group = "supergroup",
            .modified_ms = kSomeTime,
            .accessed_ms = kSomeTime + 60'000,
            .replication = 3,
            .block_bytes = 128 << 20};
  }
  static FileStatus Directory(std::string name) {
    return {.is_directory = true,
            .name = std::move(name),
            .permission = 0755,
            .owner = "hdfs",
            .group = "supergroup",
            .modified_ms = kSomeTime};
  }
};

TEST_F(FormatTest, HumanSizesUseBinaryPrefixes) {
  EXPECT_EQ(HumanSize(0), "0");
  EXPECT_EQ(HumanSize(1023), "1023");
  EXPECT_EQ(HumanSize(1024), "1 K");
  EXPECT_EQ(HumanSize(1025), "1.0 K");
  EXPECT_EQ(HumanSize(1536), "1.5 K");
  EXPECT_EQ(HumanSize(1280), "1.3 K") << "1.25 is rounded up";
  EXPECT_EQ(HumanSize(1 << 20), "1 M");
  EXPECT_EQ(HumanSize((1 << 20) - 1), "1.0 M") << "never 1024.0 K";
  EXPECT_EQ(HumanSize(uint64_t{5} << 60), "5 E");
  EXPECT_EQ(HumanSize(UINT64_MAX), "16.0 E");
}

TEST_F(FormatTest, ByteDescriptionsHaveTwoDecimalsAndAUnit) {
  EXPECT_EQ(ByteDescription(0), "0 B");
  EXPECT_EQ(ByteDescription(512), "512 B");
  EXPECT_EQ(ByteDescription(1024), "1 KB");
  EXPECT_EQ(ByteDescription((uint64_t{3} << 30) / 2), "1.50 GB");
  EXPECT_EQ(ByteDescription(1'234'567), "1.18 MB");
}

TEST_F(FormatTest, SizesAreReadWithPrefixes) {
  EXPECT_EQ(*ParseSize("64m"), 64u << 20);
  EXPECT_EQ(*ParseSize("2G"), uint64_t{2} << 30);
  EXPECT_EQ(*ParseSize("123"), 123u);
  EXPECT_EQ(ParseSize("5x").status().message(),
            "Invalid size prefix 'x' in '5x'. Allowed prefixes are k, m, g, t, p, e(case insensitive)");
  EXPECT_FALSE(ParseSize("").ok());
  EXPECT_FALSE(ParseSize("m").ok());
  EXPECT_FALSE(ParseSize("99e").ok());
}

TEST_F(FormatTest, ModesShowTheStickyBit) {
  EXPECT_EQ(SymbolicMode(0755), "rwxr-xr-x");
  EXPECT_EQ(SymbolicMode(01777), "rwxrwxrwt");
  EXPECT_EQ(SymbolicMode(01776), "rwxrwxrwT");
  EXPECT_EQ(OctalMode(0644), "644");
  EXPECT_EQ(OctalMode(01777), "1777");
  EXPECT_EQ(OctalMode(0), "0");
}

TEST_F(FormatTest, TimesBefore1970DoNotRoundTheWrongWay) {
  EXPECT_EQ(UtcSecond(-1), "1969-12-31 23:59:59");
  EXPECT_EQ(UtcSecond(0), "1970-01-01 00:00:00");
}

TEST_F(FormatTest, LocalTimesAreReadAndCountOn) {
  EXPECT_EQ(ParseLocalSecond("20210425:101112"), 1'619'345'472'000);
  EXPECT_EQ(ParseLocalSecond("19700101:000000"), 0);
  EXPECT_EQ(ParseLocalSecond("20210431:000000"), ParseLocalSecond("20210501:000000"));
  EXPECT_EQ(ParseLocalSecond("20210101:246000"), ParseLocalSecond("20210102:010000"));
  for (const char* bad :
       {"", "x", "20210425", "20210425:10111", "20210425:1011123", "2021-425:101112", "20210425101112:"}) {
    EXPECT_EQ(ParseLocalSecond(bad), std::nullopt) << bad;
  }
  setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
  tzset();
  EXPECT_EQ(ParseLocalSecond("20210425:121112"), 1'619'345'472'000) << "summer time";
}

TEST_F(FormatTest, LsLinesHaveHdfsColumns) {
  LsColumns columns{LsStyle{}};
  columns.Include(Directory("dir1"));
  columns.Include(File("file1", 15));
  EXPECT_EQ(columns.Line(Directory("dir1"), "/dir1"),
            "drwxr-xr-x   - hdfs supergroup          0 2021-04-25 10:11 /dir1");
  EXPECT_EQ(columns.Line(File("file1", 15), "/file1"),
            "-rw-r--r--   3 hdfs supergroup         15 2021-04-25 10:11 /file1");
}

TEST_F(FormatTest, LsColumnsGrowAndNeverShrink) {
  LsColumns columns{LsStyle{}};
  FileStatus wide = File("big", 123'456'789'012);
  wide.owner = "a-long-owner";
  wide.replication = 1000;
  columns.Include(wide);
  columns.Include(File("small", 1));
  EXPECT_EQ(columns.Line(File("small", 1), "small"),
            "-rw-r--r--    3 hdfs         supergroup            1 2021-04-25 10:11 small");
}

TEST_F(FormatTest, LsHumanSizesKeepTheWidthOfTheBytes) {
  LsColumns columns{LsStyle{.human_sizes = true, .access_times = true}};
  const FileStatus file = File("f", uint64_t{10} << 30);
  columns.Include(file);
  EXPECT_EQ(columns.Line(file, "f"), "-rw-r--r--   3 hdfs supergroup        10 G 2021-04-25 10:12 f");
}

TEST_F(FormatTest, LsPathOnlyAndHiddenCharacters) {
  const LsColumns columns{LsStyle{.hide_non_printable = true, .path_only = true}};
  EXPECT_EQ(columns.Line(File("f", 1), "a\nb\x7F\xC2\x80ü\xFF\xE2\x80\x8B.txt"), "a?b??ü??.txt");
}

TEST_F(FormatTest, EntriesSortByTimeSizeAndReverse) {
  std::vector<FileStatus> entries = {File("a", 1), File("b", 3), File("c", 2), File("d", 3)};
  entries[2].modified_ms += 5;
  const auto names = [&](LsOrder order) {
    std::vector<FileStatus> sorted = entries;
    SortEntries(order, sorted);
    std::string text;
    for (const FileStatus& entry : sorted) text += entry.name;
    return text;
  };
  EXPECT_EQ(names({}), "abcd");
  EXPECT_EQ(names({.reverse = true}), "dcba");
  EXPECT_EQ(names({.by_time = true}), "cabd");
  EXPECT_EQ(names({.by_size = true}), "bdca");
  EXPECT_EQ(names({.by_time = true, .by_size = true}), "cabd");
  EXPECT_EQ(names({.by_size = true, .reverse = true}), "acbd");
}

TEST_F(FormatTest, StatKnowsEveryLetter) {
  EXPECT_EQ(FormatStat("%a %A %b %F %g %n %o %r %u", File("f", 15), "f"),
            "644 rw-r--r-- 15 regular file supergroup f 134217728 3 hdfs");
  EXPECT_EQ(FormatStat("%x|%y|%X|%Y", File("f", 15), "f"),
            "2021-04-25 10:12:12|2021-04-25 10:11:12|1619345532123|1619345472123");
  EXPECT_EQ(FormatStat("%F %b %o %r", Directory("d"), "d"), "directory 0 0 0");
  EXPECT_EQ(FormatStat("%% %q tail%", File("f", 15), "f"), "% q tail");
}

TEST_F(FormatTest, ReportOfAnEmptyCluster) {
  EXPECT_EQ(FormatReport(ClusterStats{.safe_mode = true}, {}, {}),
            "Safe mode is ON\n"
            "Configured Capacity: 0 (0 B)\n"
            "Present Capacity: 0 (0 B)\n"
            "DFS Remaining: 0 (0 B)\n"
            "DFS Used: 0 (0 B)\n"
            "DFS Used%: 0.00%\n"
            "Replicated Blocks:\n"
            "\tUnder replicated blocks: 0\n"
            "\tBlocks with corrupt replicas: 0\n"
            "\tMissing blocks: 0\n"
            "\tMissing blocks (with replication factor 1): 0\n"
            "\tPending deletion blocks: 0\n"
            "Erasure Coded Block Groups: \n"
            "\tLow redundancy block groups: 0\n"
            "\tBlock groups with corrupt internal blocks: 0\n"
            "\tMissing block groups: 0\n"
            "\tPending deletion blocks: 0\n"
            "\n"
            "-------------------------------------------------\n");
}

TEST_F(FormatTest, ReportShowsNodesBySection) {
  const ClusterStats stats{.capacity_bytes = 2048, .used_bytes = 512, .remaining_bytes = 1536};
  const DatanodeReport live{.address = "127.0.0.1:7066",
                            .host_name = "dn5.example",
                            .rack = "/default-rack",
                            .liveness = NodeLiveness::kStale,
                            .capacity_bytes = 2048,
                            .used_bytes = 512,
                            .non_dfs_used_bytes = 0,
                            .remaining_bytes = 1536,
                            .block_count = 7,
                            .active_streams = 2,
                            .last_contact_ms = kSomeTime};
  DatanodeReport dead{.address = "127.0.0.1:7067",
                      .host_name = "dn6.example",
                      .rack = "/rack1",
                      .liveness = NodeLiveness::kDead,
                      .last_contact_ms = kSomeTime,
                      .last_full_report_ms = kSomeTime};
  const std::string report = FormatReport(stats, {live, dead}, {});
  EXPECT_THAT(report, ::testing::HasSubstr("DFS Used%: 25.00%\nReplicated Blocks:"));
  EXPECT_THAT(report, ::testing::EndsWith("-------------------------------------------------\n"
                                          "Live datanodes (1):\n"
                                          "\n"
                                          "Name: 127.0.0.1:7066 (dn5.example)\n"
                                          "Hostname: dn5.example\n"
                                          "Decommission Status : Normal\n"
                                          "Configured Capacity: 2048 (2 KB)\n"
                                          "DFS Used: 512 (512 B)\n"
                                          "Non DFS Used: 0 (0 B)\n"
                                          "DFS Remaining: 1536 (1.50 KB)\n"
                                          "DFS Used%: 25.00%\n"
                                          "DFS Remaining%: 75.00%\n"
                                          "Configured Cache Capacity: 0 (0 B)\n"
                                          "Cache Used: 0 (0 B)\n"
                                          "Cache Remaining: 0 (0 B)\n"
                                          "Cache Used%: 100.00%\n"
                                          "Cache Remaining%: 0.00%\n"
                                          "Xceivers: 2\n"
                                          "Last contact: Sun Apr 25 10:11:12 UTC 2021\n"
                                          "Last Block Report: Never\n"
                                          "Num of Blocks: 7\n"
                                          "\n"
                                          "\n"
                                          "Dead datanodes (1):\n"
                                          "\n"
                                          "Name: 127.0.0.1:7067 (dn6.example)\n"
                                          "Hostname: dn6.example\n"
                                          "Rack: /rack1\n"
                                          "Decommission Status : Normal\n"
                                          "Configured Capacity: 0 (0 B)\n"
                                          "DFS Used: 0 (0 B)\n"
                                          "Non DFS Used: 0 (0 B)\n"
                                          "DFS Remaining: 0 (0 B)\n"
                                          "DFS Used%: 100.00%\n"
                                          "DFS Remaining%: 0.00%\n"
                                          "Configured Cache Capacity: 0 (0 B)\n"
                                          "Cache Used: 0 (0 B)\n"
                                          "Cache Remaining: 0 (0 B)\n"
                                          "Cache Used%: 100.00%\n"
                                          "Cache Remaining%: 0.00%\n"
                                          "Xceivers: 0\n"
                                          "Last contact: Sun Apr 25 10:11:12 UTC 2021\n"
                                          "Last Block Report: Sun Apr 25 10:11:12 UTC 2021\n"
                                          "Num of Blocks: 0\n"
                                          "\n"
                                          "\n"));
}

TEST_F(FormatTest, ReportSectionsAskedForShowEvenWhenEmpty) {
  const std::string report = FormatReport({}, {DatanodeReport{.address = "h:1", .last_contact_ms = 0}},
                                          {.dead = true, .in_maintenance = true});
  EXPECT_THAT(report, ::testing::EndsWith("-\nDead datanodes (0):\n\nIn maintenance datanodes (0):\n\n"));
}

}  // namespace
}  // namespace dolmen::cli
