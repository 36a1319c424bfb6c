#include <fstream>

#include "common/crc32c.h"
#include "common/error.h"
#include "datanode/storage/block_file_format.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/client/cli/shell_fixture.h"

namespace dolmen::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class DebugTest : public ShellFixture {
 protected:
  void Write(const std::string& name, const std::string& content) {
    std::ofstream(directory_.File(name), std::ios::binary) << content;
  }
  void WriteReplica(const std::string& bytes) {
    std::string meta = datanode::EncodeChecksumHeader(kFirstBlockId, {.stamp = GenerationStamp(1001)});
    AppendChunkChecksums(std::string_view(bytes), &meta);
    Write("meta", meta);
    Write("block", bytes);
  }
  Printed Verify(bool with_block = true) {
    std::string line = "debug verifyMeta -meta " + directory_.File("meta");
    if (with_block) line += " -block " + directory_.File("block");
    return Run(line);
  }
  const dolmen::TempDir directory_;
};

TEST_F(DebugTest, VerifyMetaTellsTheKindOfChecksums) {
  WriteReplica("hello");
  const Printed printed = Verify(/*with_block=*/false);
  EXPECT_EQ(printed.code, 0);
  EXPECT_EQ(printed.out, "Checksum type: DataChecksum(type=CRC32C, chunkSize=512)\n");
  EXPECT_TRUE(connected_.empty()) << "no cluster is needed";
}

TEST_F(DebugTest, VerifyMetaComparesEveryChunk) {
  std::string bytes(20 << 20, 'x');
  for (size_t i = 0; i < bytes.size(); i += 97) bytes[i] = static_cast<char>(i);
  bytes.resize(bytes.size() - 100);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{512}, size_t{513}, bytes.size()}) {
    WriteReplica(bytes.substr(0, size));
    const Printed printed = Verify();
    EXPECT_EQ(printed.code, 0) << size;
    EXPECT_EQ(printed.out,
              "Checksum type: DataChecksum(type=CRC32C, chunkSize=512)\n"
              "Checksum verification succeeded on block file " +
                  directory_.File("block") + "\n");
  }
  bytes[17 << 20] ^= 1;
  Write("block", bytes);
  const Printed bad = Verify();
  EXPECT_EQ(bad.code, 1);
  EXPECT_THAT(bad.out, HasSubstr("\nverifyChunkedSums error: Checksum CRC32C not matched for file " +
                                 directory_.File("block") + " at position 17825792: expected="));
}

TEST_F(DebugTest, VerifyMetaSeesAChecksumFileThatIsTooShort) {
  WriteReplica(std::string(2000, 'x'));
  Write("block", std::string(2100, 'x'));
  const Printed printed = Verify();
  EXPECT_EQ(printed.code, 1);
  EXPECT_THAT(printed.out, HasSubstr("verifyChunkedSums error: the checksum file ends before the checksum of position "
                                     "2048 of file "));
}

TEST_F(DebugTest, VerifyMetaNamesFilesItCannotRead) {
  EXPECT_EQ(Verify().code, 1);
  EXPECT_THAT(Verify().err,
              StartsWith("Failed to read HDFS metadata file header for " + directory_.File("meta") + ": "));
  WriteReplica("x");
  Write("meta", "not a checksum file");
  EXPECT_THAT(Verify().err, HasSubstr("checksum file header has 19 bytes instead of 1536"));
  const Printed no_block = [&] {
    WriteReplica("x");
    return Run("debug verifyMeta -meta " + directory_.File("meta") + " -block /none");
  }();
  EXPECT_EQ(no_block.code, 1);
  EXPECT_THAT(no_block.err, StartsWith("Failed to open HDFS block file for /none: "));
  EXPECT_EQ(Run("debug verifyMeta -block /none").err, "You must specify a meta file with -meta\n");
}

TEST_F(DebugTest, RecoverLeaseSucceeds) {
  fs_.PutFile("/f", "x");
  const Printed printed = Run("debug recoverLease -path /f");
  EXPECT_EQ(printed.code, 0);
  EXPECT_EQ(printed.out, "recoverLease SUCCEEDED on /f\n");
  EXPECT_EQ(Run("debug -recoverLease -path hdfs://localhost:7020/f -retries 3").out,
            "recoverLease SUCCEEDED on hdfs://localhost:7020/f\n");
}

TEST_F(DebugTest, RecoverLeaseTriesAgain) {
  fs_.PutFile("/f", "x");
  int calls = 0;
  fs_.fail = [&](const std::string& operation, const std::string&) {
    if (operation != "RecoverLease" || ++calls == 2) return absl::OkStatus();
    return MakeError(ErrorReason::kRecoveryInProgress, "still busy");
  };
  const Printed printed = Run("debug recoverLease -path /f -retries 2");
  EXPECT_EQ(printed.code, 0);
  EXPECT_EQ(printed.err, "recoverLease got exception: still busy\nRetrying in 1000 ms...\nRetry #1\n");
  EXPECT_EQ(printed.out, "recoverLease SUCCEEDED on /f\n");
  const Printed given_up = Run("debug recoverLease -path /f");
  EXPECT_EQ(given_up.code, 1);
  EXPECT_EQ(given_up.err, "recoverLease got exception: still busy\nGiving up on recoverLease for /f after 1 try.\n");
}

TEST_F(DebugTest, RecoverLeaseGivesUpAtOnceOnWhatIsNotThere) {
  const Printed printed = Run("debug recoverLease -path /none -retries 5");
  EXPECT_EQ(printed.code, 1);
  EXPECT_EQ(printed.err,
            "recoverLease got exception: File does not exist: /none\n"
            "Giving up on recoverLease for /none after 1 try\n");
  EXPECT_EQ(Run("debug recoverLease -retries 5").err, "You must supply a -path argument to recoverLease.\n");
  EXPECT_EQ(Run("debug recoverLease -path /f -retries x").err,
            "Failed to parse the argument to -retries: For input string: \"x\"\n");
  EXPECT_EQ(Run("debug recoverLease -path file:///f").err,
            "Invalid filesystem for path file:///f: needed scheme hdfs, but got: file\n");
}

TEST_F(DebugTest, HelpIsGiven) {
  EXPECT_EQ(Run("debug").code, 1);
  EXPECT_THAT(Run("debug").out, StartsWith("Usage: hdfs debug <command> [arguments]\n"));
  EXPECT_EQ(Run("debug help recoverLease").code, 0);
  EXPECT_THAT(Run("debug help verifyMeta").out, StartsWith("verifyMeta -meta <metadata-file> [-block <block-file>]\n"));
  EXPECT_EQ(Run("debug verifyMeta").code, 1);
  EXPECT_EQ(Run("debug recoverLease -path").code, 1);
}

}  // namespace
}  // namespace dolmen::cli
