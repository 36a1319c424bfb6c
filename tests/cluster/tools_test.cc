// The tools that look behind the files, on a whole cluster of real processes: checksums, fsck, namenode --check,
// debug verifyMeta.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "absl/strings/escaping.h"
#include "common/error.h"
#include "tests/support/checksum_samples.h"
#include "tests/support/external_cluster.h"

namespace dolmen::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr uint64_t kBlock = 64 << 10;

struct Printed {
  int code = -1;
  std::string text;  // both streams
};

class ToolsTest : public ::testing::Test {
 protected:
  void Start(int datanodes) {
    cluster_ = std::make_unique<ExternalCluster>(ExternalCluster::Options{.datanodes = datanodes});
    ASSERT_TRUE(cluster_->Start());
    client_ = cluster_->Connect();
  }
  absl::Status Write(const std::string& path, const std::string& content, uint32_t replication,
                     uint64_t block_bytes = kBlock) {
    CreateOptions options;
    options.block_bytes = block_bytes;
    options.replication = replication;
    auto out = client_->Create(path, options);
    if (!out.ok()) return out.status();
    DOLMEN_RETURN_IF_ERROR((*out)->Write(content));
    return (*out)->Close();
  }
  Printed Run(std::vector<std::string> words) {
    const std::string log = cluster_->Log(absl::StrCat("tool", ++tools_));
    words[0] = ExternalCluster::Binary(words[0]);
    ChildProcess process(words, log, {{"DOLMEN_FS", cluster_->uri()}});
    const std::optional<int> status = process.Wait(std::chrono::seconds(60));
    Printed printed{.text = ExternalCluster::ReadFile(log)};
    if (status.has_value() && WIFEXITED(*status)) printed.code = WEXITSTATUS(*status);
    return printed;
  }
  // Finalized replicas on a datanode, by file name: data and checksum files.
  std::map<std::string, std::string> ReplicaFiles(int datanode) {
    std::map<std::string, std::string> files;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(cluster_->DataDir(datanode) + "/current/finalized")) {
      if (entry.is_regular_file()) files[entry.path().filename().string()] = entry.path().string();
    }
    return files;
  }
  std::string OnlyReplica(int datanode, bool meta) {
    for (const auto& [name, path] : ReplicaFiles(datanode)) {
      if ((name.find(".meta") != std::string::npos) == meta) return path;
    }
    return "";
  }
  // What CheckFiles says of the file's first block: live and corrupt replicas.
  std::pair<int, int> Replicas(const std::string& path) {
    std::pair<int, int> counts{-1, -1};
    const absl::Status walked = client_->CheckFiles(path, [&](const CheckedEntry& entry) {
      counts = {0, 0};
      for (const CheckedReplica& replica : entry.blocks.at(0).replicas) {
        ++(replica.condition == ReplicaCondition::kCorrupt ? counts.second : counts.first);
      }
      return false;
    });
    EXPECT_TRUE(walked.ok()) << walked;
    return counts;
  }

  std::unique_ptr<ExternalCluster> cluster_;
  std::unique_ptr<FileSystemClient> client_;
  int tools_ = 0;
};

TEST_F(ToolsTest, FileChecksumsEqualThoseOfHdfs) {
  Start(3);
  for (const KnownFileChecksum& known : kChecksumsOfBlocks64K) {
    const std::string path = absl::StrCat("/f", known.length);
    ASSERT_TRUE(Write(path, ChecksumSample(known.length), 3).ok());
    const auto checksum = client_->GetFileChecksum(path);
    ASSERT_TRUE(checksum.ok()) << checksum.status();
    EXPECT_EQ(absl::BytesToHexString(checksum->md5), known.md5) << known.length;
    EXPECT_EQ(checksum->crc_per_block, known.crc_per_block) << known.length;
    EXPECT_EQ(checksum->bytes_per_crc, known.bytes_per_crc) << known.length;
  }
  for (const KnownFileChecksum& known : kChecksumsOfSmallBlocks) {
    const std::string path = absl::StrCat("/small", known.length);
    ASSERT_TRUE(Write(path, ChecksumSample(known.length), 2, 1024).ok());
    const auto checksum = client_->GetFileChecksum(path);
    ASSERT_TRUE(checksum.ok()) << checksum.status();
    EXPECT_EQ(absl::BytesToHexString(checksum->md5), known.md5) << known.length;
    EXPECT_EQ(checksum->crc_per_block, known.crc_per_block) << known.length;
  }
  // A prefix has the checksum of a file of just these bytes.
  ASSERT_TRUE(Write("/long", ChecksumSample(5 * kBlock + 777) + "more", 3).ok());
  for (const KnownFileChecksum& known : kChecksumsOfBlocks64K) {
    const auto checksum = client_->GetFileChecksum("/long", known.length);
    ASSERT_TRUE(checksum.ok()) << checksum.status();
    EXPECT_EQ(absl::BytesToHexString(checksum->md5), known.md5) << known.length;
    EXPECT_EQ(checksum->crc_per_block, known.crc_per_block) << known.length;
  }
  // More blocks than are located in one call.
  ASSERT_TRUE(Write("/many", ChecksumSample(200 * 1024 + 5), 1, 1024).ok());
  const auto many = client_->GetFileChecksum("/many");
  ASSERT_TRUE(many.ok()) << many.status();
  EXPECT_EQ(many->crc_per_block, 2u);
  ASSERT_TRUE(client_->Mkdirs("/d").ok());
  EXPECT_EQ(MessageOf(client_->GetFileChecksum("/d").status()), "Path is not a file: /d");
  EXPECT_EQ(ReasonOf(client_->GetFileChecksum("/none").status()), ErrorReason::kFileNotFound);
}

TEST_F(ToolsTest, AChecksumIsTakenFromAnotherReplicaWhenOneFails) {
  Start(3);
  const KnownFileChecksum& known = kChecksumsOfBlocks64K[std::size(kChecksumsOfBlocks64K) - 1];
  ASSERT_TRUE(Write("/f", ChecksumSample(known.length), 3).ok());
  for (int survivor = 0; survivor < 3; ++survivor) {
    for (int i = 0; i < 3; ++i) {
      if (i != survivor) cluster_->KillDatanode(i);
    }
    absl::StatusOr<FileChecksum> checksum;
    ASSERT_TRUE(Eventually([&] {
      checksum = client_->GetFileChecksum("/f");
      return checksum.ok();
    })) << "the survivor may just have been started, but not so long ago: "
        << checksum.status();
    EXPECT_EQ(absl::BytesToHexString(checksum->md5), known.md5);
    ASSERT_TRUE(cluster_->Start());
  }
  // Of an open file: what a reader sees.
  CreateOptions options;
  options.block_bytes = kBlock;
  auto out = client_->Create("/open", options);
  ASSERT_TRUE(out.ok());
  ASSERT_TRUE((*out)->Write(ChecksumSample(kBlock + 1)).ok());
  ASSERT_TRUE((*out)->Flush().ok());
  const auto open = client_->GetFileChecksum("/open");
  ASSERT_TRUE(open.ok()) << open.status();
  EXPECT_EQ(absl::BytesToHexString(open->md5), "c772723774ba329fdf572dc809120c09");
  ASSERT_TRUE((*out)->Close().ok());
  for (int i = 0; i < 3; ++i) cluster_->KillDatanode(i);
  const auto none = client_->GetFileChecksum("/f");
  EXPECT_EQ(ReasonOf(none.status()), ErrorReason::kBlockMissing);
  EXPECT_THAT(std::string(MessageOf(none.status())), HasSubstr("Fail to get block MD5 for blk_"));
}

TEST_F(ToolsTest, FsckTellsWhatIsMissingCorruptAndUnderReplicated) {
  Start(2);
  ASSERT_TRUE(Write("/d/good", ChecksumSample(3 * kBlock + 7), 2).ok());
  ASSERT_TRUE(Write("/d/more", ChecksumSample(100), 3).ok());
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(client_->Mkdirs(absl::StrCat("/tree/", i % 5, "/", i)).ok());
  ASSERT_TRUE(Eventually([&] { return Replicas("/d/more").first == 2; }, std::chrono::seconds(30)));

  const Printed fine = Run({"dolmen", "fsck", "/", "-files", "-blocks", "-locations"});
  EXPECT_EQ(fine.code, 0) << fine.text;
  EXPECT_THAT(fine.text, HasSubstr("/d/good 196615 bytes, replicated: replication=2, 4 block(s):  OK\n0. BP-"));
  EXPECT_THAT(fine.text, HasSubstr(" len=65536 Live_repl=2  [DatanodeInfoWithStorage[127.0.0.1:"));
  EXPECT_THAT(fine.text, HasSubstr(". Target Replicas is 3 but found 2 live replica(s), 0 decommissioned replica(s), 0 "
                                   "decommissioning replica(s).\n"));
  EXPECT_THAT(fine.text, HasSubstr(" Total dirs:\t\t\t38\n"));
  EXPECT_THAT(fine.text, HasSubstr(" Under-replicated blocks:\t1 (20.0 %)\n"));
  EXPECT_THAT(fine.text, HasSubstr(" Number of data-nodes:\t2\n"));
  EXPECT_THAT(fine.text, EndsWith("\n\n\nThe filesystem under path '/' is HEALTHY\n"));

  // Only one datanode left, then a file with one replica on it, whose bytes go bad.
  cluster_->KillDatanode(1);
  ASSERT_TRUE(Eventually([&] { return Replicas("/d/good").first == 1; }, std::chrono::seconds(30)));
  ASSERT_TRUE(Write("/bad", ChecksumSample(1000), 1).ok());
  std::string block_id;
  ASSERT_TRUE(client_
                  ->CheckFiles("/bad",
                               [&](const CheckedEntry& entry) {
                                 block_id = absl::StrCat("blk_", entry.blocks.at(0).block_id);
                                 return true;
                               })
                  .ok());
  const std::string data = ReplicaFiles(0).at(block_id);
  {
    std::fstream file(data, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(600);
    file.put('?');
  }
  EXPECT_THAT(Run({"dolmen", "dfs", "-cat", "/bad"}).code, 1) << "a reader finds out";
  ASSERT_TRUE(Eventually([&] { return Replicas("/bad") == std::pair(0, 1); }, std::chrono::seconds(30)));
  const Printed corrupt = Run({"dolmen", "fsck", "/bad"});
  EXPECT_EQ(corrupt.code, 1) << corrupt.text;
  EXPECT_THAT(corrupt.text,
              HasSubstr(absl::StrCat(" block ", block_id, "\n\n/bad: CORRUPT 1 blocks of total size 1000 B.")));
  EXPECT_THAT(corrupt.text, EndsWith("The filesystem under path '/bad' is CORRUPT\n"));

  cluster_->KillDatanode(0);
  ASSERT_TRUE(Eventually([&] { return Replicas("/d/good") == std::pair(0, 0); }, std::chrono::seconds(30)));
  const Printed missing = Run({"dolmen", "fsck", "/d", "-list-corruptfileblocks"});
  EXPECT_EQ(missing.code, 255);
  EXPECT_THAT(missing.text, HasSubstr("The filesystem under path '/d' has 5 CORRUPT blocks\n"));
  EXPECT_THAT(Run({"dolmen", "fsck", "/d"}).text, HasSubstr("\n/d/good: MISSING 4 blocks of total size 196615 B."));
  const Printed gone = Run({"dolmen", "fsck", "/none"});
  EXPECT_EQ(gone.code, 0);
  EXPECT_THAT(gone.text, EndsWith("\n\n\nPath '/none' does not exist\n"));
  // Not for everybody's eyes.
  ASSERT_TRUE(client_->SetPermission("/d", 0700).ok());
  ClientOptions other;
  other.user = "somebody";
  EXPECT_EQ(ReasonOf(cluster_->Connect(other)->CheckFiles("/", [](const CheckedEntry&) { return true; })),
            ErrorReason::kAccessControl);
}

TEST_F(ToolsTest, NamenodeCheckLooksAtTheStoreWithoutChangingIt) {
  Start(1);
  const std::vector<std::string> check = {"dolmen", "namenode", "--check", "--metadata-dir", cluster_->MetadataDir()};
  ASSERT_TRUE(Write("/d/f", ChecksumSample(3 * kBlock), 1).ok());
  ASSERT_TRUE(Write("/d/g", "", 1).ok());
  const Printed in_use = Run(check);
  EXPECT_EQ(in_use.code, 1);
  EXPECT_THAT(in_use.text, HasSubstr("is in use by a running namenode; stop that one first"));

  cluster_->KillNamenode();  // its last commits are in the log
  for (int i = 0; i < 2; ++i) {
    const Printed sound = Run(check);
    EXPECT_EQ(sound.code, 0) << sound.text;
    EXPECT_THAT(sound.text, HasSubstr(": 2 directories, 2 files (0 open), 3 blocks, 0 deletions to be finished\n"));
    EXPECT_THAT(sound.text, EndsWith("the stored namespace is consistent\n"));
  }
  ASSERT_TRUE(cluster_->Start());
  EXPECT_TRUE(client_->GetFileChecksum("/d/f").ok()) << "it serves again";

  const Printed unformatted = Run({"dolmen-namenode", "--check", "--metadata-dir", cluster_->directory() + "/none"});
  EXPECT_EQ(unformatted.code, 1);
  EXPECT_THAT(unformatted.text, HasSubstr("does not exist: not formatted"));
  EXPECT_FALSE(std::filesystem::exists(cluster_->directory() + "/none"));
  EXPECT_EQ(Run({"dolmen-namenode", "--check", "--format", "--metadata-dir", "/none"}).code, 2);
}

TEST_F(ToolsTest, VerifyMetaReadsWhatDatanodesWrite) {
  Start(1);
  ASSERT_TRUE(Write("/f", ChecksumSample(10'000), 1).ok());
  const std::string meta = OnlyReplica(0, true), data = OnlyReplica(0, false);
  const Printed good = Run({"dolmen", "debug", "verifyMeta", "-meta", meta, "-block", data});
  EXPECT_EQ(good.code, 0) << good.text;
  EXPECT_THAT(good.text, EndsWith("Checksum verification succeeded on block file " + data + "\n"));
}

}  // namespace
}  // namespace dolmen::testing
