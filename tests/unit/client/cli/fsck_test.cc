#include <regex>

#include "client/cli/fsck_report.h"
#include "common/error.h"
#include "tests/unit/client/cli/shell_fixture.h"

namespace dolmen::cli {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class FsckTest : public ShellFixture {
 protected:
  FsckTest() {
    fs_.datanodes = {{.uuid = "u1", .rack = "/r1"},
                     {.uuid = "u2", .rack = "/r1"},
                     {.uuid = "u3", .rack = "/r2", .liveness = NodeLiveness::kStale},
                     {.uuid = "u4", .rack = "/r3", .liveness = NodeLiveness::kDead}};
  }
  // A file with one block of ten bytes; `replicas` are letters: l live, s stale, c corrupt.
  void Put(const std::string& path, const std::string& replicas, uint32_t racks = 2) {
    fs_.PutFile(path, "0123456789");
    fs_.checked_blocks[path] = {Block(replicas, racks)};
  }
  CheckedBlock Block(const std::string& replicas, uint32_t racks = 2) {
    CheckedBlock block{.block_id = 1073741824 + 16 * next_++,
                       .generation_stamp = 1001,
                       .length = 10,
                       .replicas_wanted = 3,
                       .racks = racks,
                       .racks_wanted = 2};
    for (const char letter : replicas) {
      const std::string number = absl::StrCat(block.replicas.size() + 1);
      block.replicas.push_back({.datanode = "u" + number,
                                .address = "10.0.0." + number + ":7066",
                                .rack = "/r" + number,
                                .storage = "DS-" + number,
                                .condition = letter == 'l'   ? ReplicaCondition::kLive
                                             : letter == 's' ? ReplicaCondition::kStale
                                                             : ReplicaCondition::kCorrupt});
    }
    return block;
  }
  // With what differs from run to run made equal.
  static std::string Fixed(std::string text) {
    text = std::regex_replace(text, std::regex(" at \\w{3} \\w{3} \\d\\d \\d\\d:\\d\\d:\\d\\d UTC \\d{4}"), " at DATE");
    return std::regex_replace(text, std::regex("in \\d+ milliseconds"), "in N milliseconds");
  }
  uint64_t next_ = 0;
};

constexpr char kHeader[] = "FSCK started by ann (auth:SIMPLE) from /127.0.0.1 for path ";

TEST_F(FsckTest, AHealthyTreeIsReportedInHdfssWords) {
  Put("/d/f", "lls");
  fs_.PutFile("/d/empty", "");
  const Printed printed = Run("fsck /");
  EXPECT_EQ(printed.code, 0);
  EXPECT_EQ(printed.err, "Connecting to namenode via dolmen://localhost:7020/fsck?ugi=ann&path=%2F\n");
  EXPECT_EQ(Fixed(printed.out), std::string(kHeader) +
                                    "/ at DATE\n"
                                    "\n"
                                    "\n"
                                    "Status: HEALTHY\n"
                                    " Number of data-nodes:\t3\n"
                                    " Number of racks:\t\t2\n"
                                    " Total dirs:\t\t\t2\n"
                                    " Total symlinks:\t\t0\n"
                                    "\n"
                                    "Replicated Blocks:\n"
                                    " Total size:\t10 B\n"
                                    " Total files:\t2\n"
                                    " Total blocks (validated):\t1 (avg. block size 10 B)\n"
                                    " Minimally replicated blocks:\t1 (100.0 %)\n"
                                    " Over-replicated blocks:\t0 (0.0 %)\n"
                                    " Under-replicated blocks:\t0 (0.0 %)\n"
                                    " Mis-replicated blocks:\t\t0 (0.0 %)\n"
                                    " Default replication factor:\t0\n"
                                    " Average block replication:\t3.0\n"
                                    " Missing blocks:\t\t0\n"
                                    " Corrupt blocks:\t\t0\n"
                                    " Missing replicas:\t\t0 (0.0 %)\n"
                                    " Blocks queued for replication:\t0\n"
                                    "\n"
                                    "Erasure Coded Block Groups:\n"
                                    " Total size:\t0 B\n"
                                    " Total files:\t0\n"
                                    " Total block groups (validated):\t0\n"
                                    " Minimally erasure-coded block groups:\t0\n"
                                    " Over-erasure-coded block groups:\t0\n"
                                    " Under-erasure-coded block groups:\t0\n"
                                    " Unsatisfactory placement block groups:\t0\n"
                                    " Average block group size:\t0.0\n"
                                    " Missing block groups:\t\t0\n"
                                    " Corrupt block groups:\t\t0\n"
                                    " Missing internal blocks:\t0\n"
                                    " Blocks queued for replication:\t0\n"
                                    "FSCK ended at DATE in N milliseconds\n"
                                    "\n"
                                    "\n"
                                    "The filesystem under path '/' is HEALTHY\n");
}

TEST_F(FsckTest, FilesBlocksAndLocationsAreListed) {
  Put("/d/f", "ll");
  fs_.checked_blocks["/d/f"].push_back(Block("lll"));
  const std::string one = ":blk_1073741824_1001", two = ":blk_1073741840_1001";
  const std::string under = " Under replicated " + one +
                            ". Target Replicas is 3 but found 2 live replica(s), 0 decommissioned replica(s), 0 "
                            "decommissioning replica(s)";
  EXPECT_THAT(
      Run("fsck /d -files").out,
      HasSubstr("\n\n/d <dir>\n/d/f 10 bytes, replicated: replication=3, 2 block(s): " + under + ".\n\nStatus: "));
  EXPECT_THAT(Run("fsck /d -files -blocks").out,
              HasSubstr(under + ".\n0. " + one + " len=10 Live_repl=2\n1. " + two + " len=10 Live_repl=3\n\n\nStatus"));
  EXPECT_THAT(Run("fsck /d -files -blocks -locations").out,
              HasSubstr(" Live_repl=2  [DatanodeInfoWithStorage[10.0.0.1:7066,DS-1,DISK], "
                        "DatanodeInfoWithStorage[10.0.0.2:7066,DS-2,DISK]]\n"));
  EXPECT_THAT(Run("fsck /d -files -blocks -racks").out,
              HasSubstr(" Live_repl=2  [/r1/10.0.0.1:7066, /r2/10.0.0.2:7066]\n"));
  EXPECT_THAT(Run("fsck /d -files -blocks -replicaDetails").out, HasSubstr("10.0.0.1:7066,DS-1,DISK](LIVE), "));
  EXPECT_THAT(Run("fsck /d -files -maintenance").out,
              HasSubstr(under + ", 0 entering maintenance replica(s) and 0 in maintenance replica(s).\n"));
  const Printed plain = Run("fsck /d");
  EXPECT_EQ(plain.code, 0) << "under-replicated is healthy";
  EXPECT_THAT(plain.out, HasSubstr("\n\n\n/d/f: " + under + ".\n\nStatus: HEALTHY\n"));
  EXPECT_THAT(plain.out, HasSubstr(" Under-replicated blocks:\t1 (50.0 %)\n"));
  EXPECT_THAT(plain.out, HasSubstr(" Average block replication:\t2.5\n"));
  EXPECT_THAT(plain.out, HasSubstr(" Missing replicas:\t\t1 (16.666666 %)\n"));
}

TEST_F(FsckTest, MissingAndCorruptBlocksMakeItCorrupt) {
  Put("/gone", "");
  Put("/bad", "cc");
  Put("/some", "lcl");
  const Printed printed = Run("fsck /");
  EXPECT_EQ(printed.code, 1);
  EXPECT_THAT(printed.out, HasSubstr("\n/bad: CORRUPT blockpool  block blk_1073741840\n"
                                     "\n/bad: CORRUPT 1 blocks of total size 10 B."
                                     "\n/gone: MISSING 1 blocks of total size 10 B."));
  EXPECT_THAT(printed.out,
              HasSubstr("\n/some:  Under replicated :blk_1073741856_1001. Target Replicas is 3 but found 2 "));
  EXPECT_THAT(printed.out, HasSubstr("\nStatus: CORRUPT\n"));
  EXPECT_THAT(printed.out, HasSubstr(" Total blocks (validated):\t3 (avg. block size 10 B)\n"
                                     "  ********************************\n"
                                     "  UNDER MIN REPL'D BLOCKS:\t2 (66.666664 %)\n"
                                     "  MINIMAL BLOCK REPLICATION:\t1\n"
                                     "  CORRUPT FILES:\t2\n"
                                     "  MISSING BLOCKS:\t1\n"
                                     "  MISSING SIZE:\t\t10 B\n"
                                     "  CORRUPT BLOCKS: \t1\n"
                                     "  CORRUPT SIZE:\t\t10 B\n"
                                     "  ********************************\n"
                                     " Minimally replicated blocks:\t1 (33.333332 %)\n"));
  EXPECT_THAT(printed.out, EndsWith("\n\n\nThe filesystem under path '/' is CORRUPT\n"));
  const Printed files = Run("fsck /gone -files -blocks -locations");
  EXPECT_THAT(files.out, HasSubstr("/gone 10 bytes, replicated: replication=3, 1 block(s):  MISSING 1 blocks of total "
                                   "size 10 B\n0. :blk_1073741824_1001 len=10 MISSING!\n\n"));
}

TEST_F(FsckTest, BadPlacementIsReported) {
  Put("/f", "lll", /*racks=*/1);
  EXPECT_THAT(Run("fsck /").out,
              HasSubstr("\n/f:  Replica placement policy is violated for :blk_1073741824_1001. Block should be "
                        "additionally replicated on 1 more rack(s). Total number of racks in the cluster: 2\n"));
  EXPECT_THAT(Run("fsck /").out, HasSubstr(" Mis-replicated blocks:\t\t1 (100.0 %)\n"));
}

TEST_F(FsckTest, InOneRackPlacementIsNeverBad) {
  Put("/f", "", /*racks=*/0);
  fs_.checked_blocks["/f"][0].racks_wanted = 1;
  EXPECT_THAT(Run("fsck /").out, Not(HasSubstr("policy is violated")));
}

TEST_F(FsckTest, OpenFilesAreLeftOutUnlessAskedFor) {
  Put("/open", "");
  CheckedBlock writing = Block("ll");
  writing.under_construction = true;
  writing.length = 0;
  const CheckedBlock complete = Block("lll");
  fs_.checked_blocks["/open"] = {complete, writing};
  fs_.Change("/open", [](FileStatus& status) { status.under_construction = true; });
  const Printed skipped = Run("fsck / -files");
  EXPECT_EQ(skipped.code, 0);
  EXPECT_THAT(skipped.out, Not(HasSubstr("/open")));
  EXPECT_THAT(skipped.out, HasSubstr(" Total size:\t0 B (Total open files size: 10 B)\n"
                                     " Total files:\t0 (Files currently being written: 1)\n"
                                     " Total blocks (validated):\t0 (Total open file blocks (not validated): 1)\n"));
  const Printed shown = Run("fsck / -files -blocks -openforwrite");
  EXPECT_THAT(shown.out, HasSubstr("/open 10 bytes, replicated: replication=3, 1 block(s), OPENFORWRITE:  OK\n"
                                   "0. :blk_1073741856_1001 len=10 Live_repl=3\n"
                                   "\nUnder Construction Block:\n"
                                   "1. :blk_1073741840_1001 len=0 Expected_repl=2\n"));
}

TEST_F(FsckTest, ProgressIsDotsAndEmptyLines) {
  for (int i = 0; i < 2500; ++i) fs_.PutFile(absl::StrCat("/f", 10000 + i), "");
  const std::string out = Run("fsck /").out;
  const size_t begin = out.find("\n") + 1;
  const std::string progress = out.substr(begin, out.find("\nStatus") - begin);
  // The root is the first item, so that the 1000th is the 999th file.
  EXPECT_EQ(progress, "\n.........\n..........\n......");
}

TEST_F(FsckTest, AMissingPathIsNoFailure) {
  const Printed printed = Run("fsck /none");
  EXPECT_EQ(printed.code, 0);
  EXPECT_EQ(Fixed(printed.out), std::string(kHeader) + "/none at DATE\n\n\nPath '/none' does not exist\n");
}

TEST_F(FsckTest, AWalkThatBreaksOffHasFailed) {
  Put("/f", "lll");
  fs_.fail = [](const std::string& operation, const std::string&) {
    return operation == "CheckFiles" ? MakeError(ErrorReason::kAccessControl, "Permission denied: user=ann")
                                     : absl::OkStatus();
  };
  const Printed printed = Run("fsck /");
  EXPECT_EQ(printed.code, 255);
  EXPECT_EQ(Fixed(printed.out), std::string(kHeader) +
                                    "/ at DATE\nFSCK ended at DATE in N milliseconds\nPermission denied: user=ann\n"
                                    "\n\nFsck on path '/' FAILED\n");
}

TEST_F(FsckTest, AnUnreachableNamenodeIsToldAsHdfsDoes) {
  fs_.fail = [](const std::string&, const std::string&) { return MakeError(ErrorReason::kUnreachable, "refused"); };
  const Printed printed = Run("fsck /");
  EXPECT_EQ(printed.code, 0) << "as in HDFS";
  EXPECT_EQ(printed.err, "FileSystem is inaccessible due to:\nrefused\nDFSck exiting.\n");
  EXPECT_EQ(printed.out, "");
}

TEST_F(FsckTest, WrongUsageIsRefused) {
  EXPECT_EQ(Run("fsck").code, 255);
  EXPECT_THAT(Run("fsck").err, StartsWith("Usage: hdfs fsck <path> [-list-corruptfileblocks | [-move | "));
  EXPECT_THAT(Run("fsck / /d").err,
              StartsWith("fsck: can only operate on one path at a time '/d'\nUsage: hdfs fsck <path>"));
  EXPECT_THAT(Run("fsck / -x").err, StartsWith("fsck: Illegal option '-x'\nUsage: hdfs fsck <path>"));
  EXPECT_EQ(Run("fsck / -x").code, 255);
  EXPECT_EQ(Run("fsck / -move").code, 255);
  EXPECT_THAT(Run("fsck / -move").err, StartsWith("fsck: -move is not supported: "));
  EXPECT_EQ(Run("fsck -files").code, 0) << "the path is / then";
  EXPECT_EQ(Run("fsck / -includeSnapshots").code, 0);
}

TEST_F(FsckTest, CorruptFilesAreListedByBlock) {
  Put("/a", "lll");
  const Printed none = Run("fsck / -list-corruptfileblocks");
  EXPECT_EQ(none.code, 0);
  EXPECT_EQ(none.out, "The filesystem under path '/' has 0 CORRUPT blocks\n");
  Put("/b", "");
  Put("/c", "c");
  const Printed some = Run("fsck / -list-corruptfileblocks");
  EXPECT_EQ(some.code, 255);
  EXPECT_EQ(some.out,
            "The list of corrupt blocks under path '/' are:\nblk_1073741840\t/b\nblk_1073741856\t/c\n"
            "The filesystem under path '/' has 2 CORRUPT blocks\n");
}

TEST_F(FsckTest, DeleteRemovesOnlyClosedFilesThatAreStillCorrupt) {
  Put("/bad", "");
  Put("/good", "lll");
  Put("/open", "");
  fs_.Change("/open", [](FileStatus& status) { status.under_construction = true; });
  Put("/healed", "");
  int walks = 0;
  fs_.fail = [&](const std::string& operation, const std::string& path) {
    walks += operation == "CheckFiles" ? 1 : 0;
    if (operation == "CheckFiles" && path == "/healed") fs_.checked_blocks["/healed"] = {Block("l")};
    return absl::OkStatus();
  };
  EXPECT_EQ(Run("fsck / -delete -openforwrite").code, 1);
  EXPECT_EQ(fs_.Paths(), (std::vector<std::string>{"/good", "/healed", "/open"}));
  EXPECT_EQ(walks, 3);
}

TEST_F(FsckTest, ADeletionThatFailsIsAnInternalError) {
  Put("/bad", "");
  fs_.fail = [](const std::string& operation, const std::string&) {
    return operation == "Delete" ? MakeError(ErrorReason::kSafeMode, "Cannot delete /bad.") : absl::OkStatus();
  };
  const Printed printed = Run("fsck / -delete");
  EXPECT_EQ(printed.code, 255);
  EXPECT_THAT(printed.out, HasSubstr("/bad: error deleting the corrupted file: Cannot delete /bad.\n"));
  EXPECT_THAT(printed.out, EndsWith("fsck encountered internal errors!\n\n\nFsck on path '/' FAILED\n"));
}

TEST(FsckReportTest, FloatsLookAsInJava) {
  EXPECT_EQ(JavaFloat(0), "0.0");
  EXPECT_EQ(JavaFloat(3), "3.0");
  EXPECT_EQ(JavaFloat(200.0f / 3), "66.666664");
  EXPECT_EQ(JavaFloat(2.5f), "2.5");
  EXPECT_EQ(JavaFloat(0.001f), "0.001");
  EXPECT_EQ(JavaFloat(0.0001f), "1.0E-4");
  EXPECT_EQ(JavaFloat(0.00025f), "2.5E-4");
  EXPECT_EQ(JavaFloat(1e7f), "1.0E7");
}

}  // namespace
}  // namespace dolmen::cli
