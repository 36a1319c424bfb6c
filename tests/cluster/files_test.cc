// Files through a whole cluster of real processes: every size that is special, every process killed, every byte
// compared.
#include <gtest/gtest.h>

#include <thread>

#include "common/error.h"
#include "common/random.h"
#include "tests/support/external_cluster.h"
#include "tests/support/whole_file.h"

namespace dolmen::testing {
namespace {

constexpr uint64_t kBlock = 64 << 10;

CreateOptions SmallBlocks() { return {.replication = 3, .block_bytes = kBlock}; }

absl::Status WriteFile(FileSystemClient& client, const std::string& path, std::string_view content, size_t piece) {
  return WriteWhole(client, path, content, piece, SmallBlocks());
}

class FilesTest : public ::testing::Test {
 protected:
  void Start(int datanodes) {
    cluster_ = std::make_unique<ExternalCluster>(ExternalCluster::Options{.datanodes = datanodes});
    ASSERT_TRUE(cluster_->Start());
    client_ = cluster_->Connect();
  }
  void ExpectContent(const std::string& path, const std::string& content) {
    auto read = ReadWhole(*client_, path);
    ASSERT_TRUE(read.ok()) << path << ": " << read.status();
    ASSERT_TRUE(*read == content) << path << " differs";
  }

  Random random_{42};
  std::unique_ptr<ExternalCluster> cluster_;
  std::unique_ptr<FileSystemClient> client_;
};

TEST_F(FilesTest, EverySpecialSizeComesBackAlsoAfterAllProcessesWereKilled) {
  Start(3);
  std::map<std::string, std::string> files;
  for (uint64_t size : {uint64_t{0}, uint64_t{1}, uint64_t{511}, uint64_t{512}, uint64_t{513}, kBlock - 1, kBlock,
                        kBlock + 1, 2 * kBlock, 5 * kBlock + 777, uint64_t{3} << 20}) {
    const std::string path = absl::StrCat("/sizes/f", size);
    files[path] = random_.Bytes(size);
    const absl::Status written = WriteFile(*client_, path, files[path], 1 + random_.Uniform(100'000));
    ASSERT_TRUE(written.ok()) << path << ": " << written;
  }
  for (const auto& [path, content] : files) ExpectContent(path, content);

  // Positional reads.
  const std::string& big = files["/sizes/f3145728"];
  auto in = client_->Open("/sizes/f3145728");
  ASSERT_TRUE(in.ok());
  for (int i = 0; i < 200; ++i) {
    const uint64_t offset = random_.Uniform(big.size());
    std::string out(1 + random_.Uniform(3 * kBlock), '\0');
    size_t done = 0;
    while (done < out.size()) {
      auto got = (*in)->ReadAt(offset + done, std::span<char>(out.data() + done, out.size() - done));
      ASSERT_TRUE(got.ok()) << got.status();
      if (*got == 0) break;
      done += *got;
    }
    ASSERT_EQ(done, std::min<uint64_t>(out.size(), big.size() - offset));
    ASSERT_TRUE(big.compare(offset, done, out, 0, done) == 0) << "offset " << offset;
  }
  in->reset();

  cluster_->KillNamenode();
  for (int i = 0; i < 3; ++i) cluster_->KillDatanode(i);
  ASSERT_TRUE(cluster_->Start());
  for (const auto& [path, content] : files) ExpectContent(path, content);
}

TEST_F(FilesTest, FlushedBytesAreSeenByANewReaderWhileTheFileIsOpen) {
  Start(3);
  auto out = client_->Create("/open", SmallBlocks());
  ASSERT_TRUE(out.ok()) << out.status();
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const std::string piece = random_.Bytes(1 + random_.Uniform(20'000));
    ASSERT_TRUE((*out)->Write(piece).ok());
    expected += piece;
    const absl::Status flushed = i % 2 == 0 ? (*out)->Flush() : (*out)->Sync();
    ASSERT_TRUE(flushed.ok()) << flushed;
    auto read = ReadWhole(*client_, "/open");
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_EQ(read->size(), expected.size());
    ASSERT_TRUE(*read == expected);
  }
  ASSERT_TRUE((*out)->Close().ok());
  ExpectContent("/open", expected);
}

TEST_F(FilesTest, AReaderSurvivesADeadDatanodeAndTheLostReplicaIsRestored) {
  Start(4);
  const std::string content = random_.Bytes(10 * kBlock + 100);
  ASSERT_TRUE(WriteFile(*client_, "/f", content, 1 << 20).ok());
  auto in = client_->Open("/f");
  ASSERT_TRUE(in.ok());
  cluster_->KillDatanode(0);
  std::string read(content.size(), '\0');
  size_t done = 0;
  while (done < read.size()) {
    auto got = (*in)->Read(std::span<char>(read.data() + done, read.size() - done));
    ASSERT_TRUE(got.ok()) << got.status();
    ASSERT_GT(*got, 0u);
    done += *got;
  }
  EXPECT_TRUE(read == content);

  // Every block gets its third replica back on the three nodes that are left.
  ASSERT_TRUE(Eventually(
      [&] {
        auto blocks = client_->GetBlockLocations("/f", 0, content.size());
        auto report = client_->GetDatanodeReport();
        if (!blocks.ok() || !report.ok()) return false;
        std::set<std::string> live;
        for (const DatanodeReport& node : *report)
          if (node.liveness == NodeLiveness::kLive) live.insert(node.address);
        for (const BlockLocation& block : *blocks) {
          int good = 0;
          for (const std::string& host : block.hosts) good += live.contains(host) ? 1 : 0;
          if (good < 3) return false;
        }
        return live.size() == 3;
      },
      std::chrono::seconds(60)));
  ExpectContent("/f", content);
}

TEST_F(FilesTest, ADatanodeOfTheReportAnswersForItself) {
  Start(1);
  auto report = client_->GetDatanodeReport();
  ASSERT_TRUE(report.ok() && report->size() == 1);
  auto info = client_->GetDatanodeLocalInfo(report->front().address);
  ASSERT_TRUE(info.ok()) << info.status();
  auto defaults = client_->GetServerDefaults();
  ASSERT_TRUE(defaults.ok());
  EXPECT_EQ(info->software_version, defaults->version);
  EXPECT_LT(info->uptime_seconds, 60u);
  cluster_->KillDatanode(0);
  EXPECT_EQ(ReasonOf(client_->GetDatanodeLocalInfo(report->front().address).status()), ErrorReason::kUnreachable);
}

TEST_F(FilesTest, AWriterWhoseDatanodeDiesGetsAClearErrorAndNothingElseIsHurt) {
  Start(4);
  const std::string before = random_.Bytes(3 * kBlock);
  ASSERT_TRUE(WriteFile(*client_, "/before", before, 1 << 20).ok());
  auto out = client_->Create("/victim", SmallBlocks());
  ASSERT_TRUE(out.ok());
  ASSERT_TRUE((*out)->Write(random_.Bytes(kBlock / 2)).ok());
  ASSERT_TRUE((*out)->Flush().ok());
  auto blocks = client_->GetBlockLocations("/victim", 0, kBlock);
  ASSERT_TRUE(blocks.ok() && !blocks->empty() && !blocks->front().hosts.empty());
  auto report = client_->GetDatanodeReport();
  ASSERT_TRUE(report.ok());
  for (int i = 0; i < 3; ++i) cluster_->KillDatanode(i);  // at least two of any three
  absl::Status failed;
  for (int i = 0; i < 100 && failed.ok(); ++i) {
    failed = (*out)->Write(random_.Bytes(1000));
    if (failed.ok()) failed = (*out)->Flush();
  }
  EXPECT_FALSE(failed.ok());
  EXPECT_FALSE((*out)->Close().ok()) << "the first failure stays";
  out->reset();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(cluster_->StartDatanode(i));
  ASSERT_TRUE(cluster_->WaitWritable(4));
  ExpectContent("/before", before);
  const std::string after = random_.Bytes(2 * kBlock + 5);
  ASSERT_TRUE(WriteFile(*client_, "/after", after, 1 << 20).ok());
  ExpectContent("/after", after);
}

TEST_F(FilesTest, TheFileOfADeadClientIsClosedAtItsFinalizedBlocks) {
  Start(3);
  const std::string log = cluster_->Log("put");
  // `dolmen dfs -put - /dead` fed by an endless source; killed in the middle.
  ChildProcess put({"/bin/bash", "-c",
                    absl::StrCat("exec ", ExternalCluster::Binary("dolmen"), " dfs -fs ", cluster_->uri(),
                                 " -D dfs.blocksize=65536 -put - /dead < /dev/zero")},
                   log);
  ASSERT_TRUE(Eventually(
      [&] {
        auto blocks = client_->GetBlockLocations("/dead._COPYING_", 0, UINT64_MAX);
        return blocks.ok() && blocks->size() >= 3;
      },
      std::chrono::seconds(30)))
      << ExternalCluster::ReadFile(log);
  put.Kill();
  ASSERT_TRUE(Eventually(
      [&] {
        auto status = client_->GetFileInfo("/dead._COPYING_");
        return status.ok() && status->has_value() && !(*status)->under_construction;
      },
      std::chrono::seconds(60)));
  auto read = ReadWhole(*client_, "/dead._COPYING_");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_GE(read->size(), 2 * kBlock);
  EXPECT_EQ(read->find_first_not_of('\0'), std::string::npos);
}

TEST_F(FilesTest, AFileRemovedWhileBeingReadGivesItsBytesOrAClearError) {
  Start(3);
  const std::string content = random_.Bytes(20 * kBlock);
  ASSERT_TRUE(WriteFile(*client_, "/gone", content, 1 << 20).ok());
  auto in = client_->Open("/gone");
  ASSERT_TRUE(in.ok());
  std::string first(1000, '\0');
  ASSERT_TRUE((*in)->Read(first).ok());
  auto deleted = client_->Delete("/gone", false);
  ASSERT_TRUE(deleted.ok() && *deleted);
  EXPECT_EQ(client_->Open("/gone").status().code(), absl::StatusCode::kNotFound);
  std::string rest(content.size(), '\0');
  size_t done = 0;
  while (done < content.size()) {
    auto got = (*in)->ReadAt(done, std::span<char>(rest.data() + done, content.size() - done));
    if (!got.ok()) {
      EXPECT_FALSE(got.status().message().empty());
      return;
    }
    ASSERT_GT(*got, 0u);
    done += *got;
  }
  EXPECT_TRUE(rest == content);
}

}  // namespace
}  // namespace dolmen::testing
