#include <gmock/gmock.h>

#include "client/cli/count_format.h"
#include "client/cli/format.h"
#include "client/cli/report_format.h"
#include "client/cli/shell_error.h"
#include "client/cli/usage_table.h"

namespace dolmen::cli {
namespace {

using ::testing::ElementsAre;

TEST(UsageTableTest, ColumnsAreAsWideAsTheirWidestCell) {
  using enum UsageTable::Align;
  UsageTable left({kLeft, kLeft, kLeft});
  left.AddRow({"120", "360", "/a"});
  left.AddRow({"1", "3000", "/bb b"});
  EXPECT_EQ(left.Text(), "120  360   /a\n1    3000  /bb b\n");
  UsageTable right({kLeft, kRight}, {"Filesystem", "Size"});
  right.AddRow({"x", "123456"});
  EXPECT_EQ(right.Text(), "Filesystem    Size\nx           123456\n");
}

TEST(UsageTableTest, AHeaderAloneIsNothing) {
  EXPECT_EQ(UsageTable({UsageTable::Align::kLeft}, {"SIZE"}).Text(), "");
  EXPECT_EQ(UsageTable({UsageTable::Align::kLeft}).Text(), "");
}

TEST(PercentTest, HalvesGoUpAndNothingOfNothingIsNoNumber) {
  EXPECT_EQ(Percent(1, 8, 0), "13%");
  EXPECT_EQ(Percent(3, 8, 0), "38%");
  EXPECT_EQ(Percent(1, 3, 0), "33%");
  EXPECT_EQ(Percent(0, 5, 0), "0%");
  EXPECT_EQ(Percent(5, 5, 0), "100%");
  EXPECT_EQ(Percent(1, 3), "33.33%");
  EXPECT_EQ(Percent(0, 0, 0), "NaN%");
  EXPECT_EQ(Percent(1, 0, 0), "Infinity%");
}

const ContentSummary kSummary{.length = 1536, .file_count = 2000, .directory_count = 3, .space_consumed = 4608};

TEST(CountFormatTest, ColumnsHaveHdfsWidths) {
  EXPECT_EQ(CountHeader({}), "   DIR_COUNT   FILE_COUNT       CONTENT_SIZE PATHNAME");
  EXPECT_EQ(CountLine({}, {.length = 15, .file_count = 1}, "file1"),
            "           0            1                 15 file1");
  EXPECT_EQ(CountLine({.human_sizes = true}, kSummary, "/d"), "           3        2.0 K              1.5 K /d");
  EXPECT_EQ(CountLine({}, {.length = 1'234'567'890'123'456'789, .file_count = 1}, "x"),
            "           0            1 1234567890123456789 x");
}

TEST(CountFormatTest, QuotasAreNone) {
  EXPECT_EQ(CountHeader({.quotas = true}),
            "       QUOTA       REM_QUOTA     SPACE_QUOTA REM_SPACE_QUOTA    DIR_COUNT   FILE_COUNT       CONTENT_SIZE "
            "PATHNAME");
  EXPECT_EQ(CountLine({.quotas = true}, kSummary, "/d"),
            "        none             inf            none             inf            3         2000               1536 "
            "/d");
  EXPECT_EQ(CountHeader({.quotas_only = true}),
            "       QUOTA       REM_QUOTA     SPACE_QUOTA REM_SPACE_QUOTA PATHNAME");
  EXPECT_EQ(CountLine({.quotas = true, .quotas_only = true}, kSummary, "/d"),
            "        none             inf            none             inf /d");
}

TEST(CountFormatTest, StorageTypesReplaceTheOtherNumbers) {
  const CountStyle style{.quotas = true, .storage_types = {"DISK", "ARCHIVE"}};
  EXPECT_EQ(CountHeader(style), "   DISK_QUOTA    REM_DISK_QUOTA ARCHIVE_QUOTA REM_ARCHIVE_QUOTA PATHNAME");
  EXPECT_EQ(CountLine(style, kSummary, "/d"), "         none               inf          none               inf /d");
}

TEST(CountFormatTest, ErasureCodingAndSnapshots) {
  const CountStyle style{.erasure_coding = true, .snapshots = true};
  EXPECT_EQ(
      CountHeader(style),
      "   DIR_COUNT   FILE_COUNT       CONTENT_SIZE ERASURECODING_POLICY    SNAPSHOT_LENGTH      SNAPSHOT_FILE_COUNT "
      "      SNAPSHOT_DIR_COUNT      SNAPSHOT_SPACE_CONSUMED PATHNAME");
  EXPECT_EQ(CountLine(style, kSummary, "/d"),
            "           3         2000               1536 Replicated                  0                        0 "
            "                       0                            0 /d");
}

TEST(CountFormatTest, StorageTypesAreNamedInAnyCase) {
  EXPECT_THAT(*ParseStorageTypes(""), ElementsAre("SSD", "DISK", "ARCHIVE", "PROVIDED", "NVDIMM"));
  EXPECT_THAT(*ParseStorageTypes("ALL"), ElementsAre("SSD", "DISK", "ARCHIVE", "PROVIDED", "NVDIMM"));
  EXPECT_THAT(*ParseStorageTypes("disk,,Ram_Disk"), ElementsAre("DISK", "RAM_DISK"));
  const absl::Status status = ParseStorageTypes("disk,floppy").status();
  EXPECT_EQ(status.message(), "No enum constant org.apache.hadoop.fs.StorageType.FLOPPY");
  EXPECT_TRUE(IsUsageError(status));
}

TEST(TopologyTest, RacksAndNodesAreSorted) {
  const std::vector<DatanodeReport> nodes = {
      {.address = "10.0.0.2:7066", .host_name = "b", .rack = "/r2"},
      {.address = "10.0.0.3:7066", .host_name = "", .rack = "/r1"},
      {.address = "10.0.0.1:7066", .host_name = "a", .rack = "/r2", .liveness = NodeLiveness::kDead}};
  EXPECT_EQ(FormatTopology(nodes),
            "Rack: /r1\n   10.0.0.3:7066\n\n"
            "Rack: /r2\n   10.0.0.1:7066 (a)\n   10.0.0.2:7066 (b)\n\n");
  EXPECT_EQ(FormatTopology({}), "");
}

TEST(OpenFilesTest, ThreeColumns) {
  EXPECT_EQ(OpenFilesHeader(), "Client Host         \tClient Name         \tOpen File Path\n");
  EXPECT_EQ(FormatOpenFile({.path = "/a", .client_name = "DolmenClient_host_123456", .client_host = "10.0.0.1"}),
            "10.0.0.1            \tDolmenClient_host_123456\t                  /a\n");
}

}  // namespace
}  // namespace dolmen::cli
