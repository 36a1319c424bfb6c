// Append and truncate through a whole cluster of real processes: every boundary, readers meanwhile, datanodes that die
// before and during an append, appenders that die.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "common/error.h"
#include "common/random.h"
#include "tests/support/external_cluster.h"
#include "tests/support/whole_file.h"

namespace dolmen::testing {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kBlock = 64 << 10;

class AppendTest : public ::testing::Test {
 protected:
  void Start(int datanodes, const std::vector<std::string>& namenode_flags = {}) {
    ExternalCluster::Options options{.datanodes = datanodes};
    options.namenode_flags.insert(options.namenode_flags.end(), namenode_flags.begin(), namenode_flags.end());
    cluster_ = std::make_unique<ExternalCluster>(std::move(options));
    ASSERT_TRUE(cluster_->Start());
    client_ = cluster_->Connect();
  }
  void Create(const std::string& path, const std::string& content, uint32_t replication = 3) {
    CreateOptions options;
    options.block_bytes = kBlock;
    options.replication = replication;
    auto out = client_->Create(path, options);
    ASSERT_TRUE(out.ok()) << out.status();
    ASSERT_TRUE((*out)->Write(content).ok());
    const absl::Status closed = (*out)->Close();
    ASSERT_TRUE(closed.ok()) << closed;
    files_[path] = content;
  }
  void Append(const std::string& path, const std::string& more, const AppendOptions& options = {}) {
    auto out = client_->Append(path, options);
    ASSERT_TRUE(out.ok()) << path << ": " << out.status();
    EXPECT_EQ((*out)->Position(), files_[path].size());
    const absl::Status written = (*out)->Write(more);
    ASSERT_TRUE(written.ok()) << path << ": " << written;
    const absl::Status closed = (*out)->Close();
    ASSERT_TRUE(closed.ok()) << path << ": " << closed;
    files_[path] += more;
    EXPECT_EQ((*out)->Position(), files_[path].size());
  }
  void ExpectContent(const std::string& path) {
    const std::string& content = files_[path];
    auto read = ReadWhole(*client_, path);
    ASSERT_TRUE(read.ok()) << path << ": " << read.status();
    ASSERT_EQ(read->size(), content.size()) << path;
    ASSERT_TRUE(*read == content) << path << " differs";
  }
  [[nodiscard]] bool WaitClosed(const std::string& path) {
    return Eventually(
        [&] {
          auto status = client_->GetFileInfo(path);
          return status.ok() && status->has_value() && !(*status)->under_construction;
        },
        std::chrono::seconds(60));
  }
  // The index of the datanode that has a replica of the last block.
  int DatanodeOfLastBlock(const std::string& path) {
    auto blocks = client_->GetBlockLocations(path, 0, UINT64_MAX);
    EXPECT_TRUE(blocks.ok() && !blocks->empty() && !blocks->back().hosts.empty());
    const std::string host = blocks->back().hosts.front();
    return cluster_->DatanodeWithPort(std::atoi(host.substr(host.rfind(':') + 1).c_str()));
  }

  Random random_{42};
  std::unique_ptr<ExternalCluster> cluster_;
  std::unique_ptr<FileSystemClient> client_;
  std::map<std::string, std::string> files_;  // what each must hold
};

TEST_F(AppendTest, ManySmallAndLargeAppendsGiveOneFileAlsoAfterAllProcessesWereKilled) {
  Start(3);
  Create("/log", "");
  for (int i = 0; i < 60; ++i) {
    SCOPED_TRACE(i);
    const uint64_t size = i % 10 == 9 ? kBlock + random_.Uniform(2 * kBlock) : random_.Uniform(3000);
    ASSERT_NO_FATAL_FAILURE(Append("/log", random_.Bytes(size)));
    if (i % 10 == 0) {
      ASSERT_NO_FATAL_FAILURE(ExpectContent("/log"));
    }
  }
  ASSERT_NO_FATAL_FAILURE(ExpectContent("/log"));
  auto blocks = client_->GetBlockLocations("/log", 0, UINT64_MAX);
  ASSERT_TRUE(blocks.ok());
  for (size_t i = 0; i + 1 < blocks->size(); ++i) EXPECT_EQ((*blocks)[i].length, kBlock) << "block " << i;

  cluster_->KillNamenode();
  for (int i = 0; i < 3; ++i) cluster_->KillDatanode(i);
  ASSERT_TRUE(cluster_->Start());
  ASSERT_NO_FATAL_FAILURE(ExpectContent("/log"));
  ASSERT_NO_FATAL_FAILURE(Append("/log", "and on"));
  ASSERT_NO_FATAL_FAILURE(ExpectContent("/log"));
}

TEST_F(AppendTest, EveryBoundaryOfChunkAndBlock) {
  Start(3);
  for (const uint64_t before : {uint64_t{0}, uint64_t{1}, uint64_t{511}, uint64_t{512}, uint64_t{513}, kBlock - 1,
                                kBlock, kBlock + 1, 2 * kBlock}) {
    for (const uint64_t more :
         {uint64_t{0}, uint64_t{1}, uint64_t{511}, uint64_t{512}, kBlock - 1, kBlock, 2 * kBlock + 5}) {
      const std::string path = absl::StrCat("/b/", before, "+", more);
      ASSERT_NO_FATAL_FAILURE(Create(path, random_.Bytes(before)));
      ASSERT_NO_FATAL_FAILURE(Append(path, random_.Bytes(more)));
      ASSERT_NO_FATAL_FAILURE(ExpectContent(path));
    }
  }
  cluster_->KillNamenode();
  for (int i = 0; i < 3; ++i) cluster_->KillDatanode(i);
  ASSERT_TRUE(cluster_->Start());
  for (const auto& [path, content] : files_) ASSERT_NO_FATAL_FAILURE(ExpectContent(path));
}

TEST_F(AppendTest, ANewBlockLeavesTheLastOneAsItIs) {
  Start(3);
  ASSERT_NO_FATAL_FAILURE(Create("/f", random_.Bytes(700)));
  ASSERT_NO_FATAL_FAILURE(Append("/f", random_.Bytes(kBlock + 9), {.new_block = true}));
  ASSERT_NO_FATAL_FAILURE(ExpectContent("/f"));
  auto blocks = client_->GetBlockLocations("/f", 0, UINT64_MAX);
  ASSERT_TRUE(blocks.ok());
  ASSERT_EQ(blocks->size(), 3U);
  EXPECT_EQ((*blocks)[0].length, 700U);
  EXPECT_EQ((*blocks)[1].length, kBlock);
  ASSERT_NO_FATAL_FAILURE(Append("/f", random_.Bytes(kBlock)));
  ASSERT_NO_FATAL_FAILURE(ExpectContent("/f"));
}

TEST_F(AppendTest, FlushedBytesAreSeenAtOnceAndNothingIsEverUnseen) {
  Start(3);
  ASSERT_NO_FATAL_FAILURE(Create("/f", random_.Bytes(1000)));
  // Everything that will ever be there: readers check what they see against it.
  const std::string all = files_["/f"] + random_.Bytes(4 * kBlock);
  std::atomic<uint64_t> acknowledged = files_["/f"].size();
  std::atomic<bool> stop = false;
  std::atomic<int> reads = 0;
  std::vector<std::thread> readers;
  struct JoinAtTheEnd {  // also when an assertion ends the test early
    std::atomic<bool>& stop;
    std::vector<std::thread>& threads;
    void Join() {
      stop = true;
      for (std::thread& thread : threads) thread.join();
      threads.clear();
    }
    ~JoinAtTheEnd() { Join(); }
  } join{stop, readers};
  for (int r = 0; r < 3; ++r) {
    readers.emplace_back([&] {
      std::unique_ptr<FileSystemClient> client = cluster_->Connect();
      while (!stop) {
        const uint64_t at_least = acknowledged;
        auto read = ReadWhole(*client, "/f");
        if (!read.ok()) {
          ADD_FAILURE() << "a reader while the file is appended to: " << read.status();
          return;
        }
        if (read->size() < at_least || all.compare(0, read->size(), *read) != 0) {
          ADD_FAILURE() << "a reader saw " << read->size() << " bytes, " << at_least << " were acknowledged";
          return;
        }
        ++reads;
      }
    });
  }
  auto early = client_->Open("/f");
  ASSERT_TRUE(early.ok());
  uint64_t written = acknowledged;
  for (int i = 0; i < 25 && !HasFailure(); ++i) {
    auto out = client_->Append("/f", {});
    ASSERT_TRUE(out.ok()) << out.status();
    EXPECT_EQ((*out)->Position(), written);
    for (int piece = 0; piece < 3; ++piece) {
      const uint64_t size = std::min<uint64_t>(1 + random_.Uniform(5000), all.size() - written);
      ASSERT_TRUE((*out)->Write(std::string_view(all).substr(written, size)).ok());
      const absl::Status flushed = piece % 2 == 0 ? (*out)->Flush() : (*out)->Sync();
      ASSERT_TRUE(flushed.ok()) << flushed;
      written += size;
      acknowledged = written;
    }
    const absl::Status closed = (*out)->Close();
    ASSERT_TRUE(closed.ok()) << closed;
  }
  join.Join();
  EXPECT_GT(reads, 10);
  // Who opened it before sees what was there then.
  EXPECT_EQ((*early)->Length(), 1000U);
  std::string bytes(2000, '\0');
  auto got = (*early)->ReadAt(500, bytes);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(bytes.substr(0, *got), all.substr(500, 500));
  files_["/f"] = all.substr(0, written);
  ASSERT_NO_FATAL_FAILURE(ExpectContent("/f"));
}

TEST_F(AppendTest, ADatanodeThatDiedAMomentAgoIsLeftOut) {
  Start(4);
  for (const uint64_t size : {uint64_t{512}, uint64_t{700}}) {
    const std::string path = absl::StrCat("/f", size);
    ASSERT_NO_FATAL_FAILURE(Create(path, random_.Bytes(size)));
    const int victim = DatanodeOfLastBlock(path);
    ASSERT_GE(victim, 0);
    cluster_->KillDatanode(victim);
    ASSERT_NO_FATAL_FAILURE(Append(path, random_.Bytes(2 * kBlock)));
    ASSERT_NO_FATAL_FAILURE(ExpectContent(path));
    // What it still has of the file's last block then is old, and must not be read when it is back.
    ASSERT_TRUE(cluster_->StartDatanode(victim));
    ASSERT_TRUE(cluster_->WaitWritable(4));
    ASSERT_NO_FATAL_FAILURE(ExpectContent(path));
  }
}

TEST_F(AppendTest, ADatanodeThatDiesDuringAnAppendCostsNoAcknowledgedByte) {
  Start(4);
  ASSERT_NO_FATAL_FAILURE(Create("/f", random_.Bytes(700)));
  auto out = client_->Append("/f", {});
  ASSERT_TRUE(out.ok()) << out.status();
  std::string acknowledged = files_["/f"];
  std::string piece = random_.Bytes(2000);
  ASSERT_TRUE((*out)->Write(piece).ok());
  ASSERT_TRUE((*out)->Flush().ok());
  acknowledged += piece;
  const int victim = DatanodeOfLastBlock("/f");
  ASSERT_GE(victim, 0);
  cluster_->KillDatanode(victim);
  absl::Status failed;
  for (int i = 0; i < 100 && failed.ok(); ++i) {
    piece = random_.Bytes(100);
    failed = (*out)->Write(piece);
    if (failed.ok()) failed = (*out)->Flush();
    if (failed.ok()) acknowledged += piece;
  }
  EXPECT_EQ(ReasonOf(failed), ErrorReason::kPipelineFailed) << failed;
  EXPECT_THAT(std::string(failed.message()), HasSubstr("/f"));
  EXPECT_EQ((*out)->Close(), failed);
  out->reset();

  auto closed = client_->RecoverLease("/f");
  ASSERT_TRUE(closed.ok()) << closed.status();
  ASSERT_TRUE(WaitClosed("/f"));
  auto read = ReadWhole(*client_, "/f");
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_GE(read->size(), acknowledged.size());
  EXPECT_LE(read->size(), acknowledged.size() + piece.size());
  EXPECT_EQ(read->substr(0, acknowledged.size()), acknowledged);
  files_["/f"] = *read;
  ASSERT_NO_FATAL_FAILURE(Append("/f", random_.Bytes(kBlock)));
  ASSERT_NO_FATAL_FAILURE(ExpectContent("/f"));
}

TEST_F(AppendTest, TheFileOfADeadAppenderKeepsEveryFlushedByte) {
  Start(3);
  ASSERT_NO_FATAL_FAILURE(Create("/f", random_.Bytes(kBlock + 700)));
  const std::string flushed = random_.Bytes(3000);
  {
    std::unique_ptr<FileSystemClient> other = cluster_->Connect();
    auto out = other->Append("/f", {});
    ASSERT_TRUE(out.ok()) << out.status();
    ASSERT_TRUE((*out)->Write(flushed).ok());
    ASSERT_TRUE((*out)->Flush().ok());
    files_["/f"] += flushed;
    ASSERT_NO_FATAL_FAILURE(ExpectContent("/f"));
  }  // gone without a word; its lease ends after 5 s
  ASSERT_TRUE(WaitClosed("/f"));
  ASSERT_NO_FATAL_FAILURE(ExpectContent("/f"));
  ASSERT_NO_FATAL_FAILURE(Append("/f", random_.Bytes(10)));
  ASSERT_NO_FATAL_FAILURE(ExpectContent("/f"));
}

TEST_F(AppendTest, AnAbortedAppendLosesNothingThatWasThere) {
  Start(3);
  ASSERT_NO_FATAL_FAILURE(Create("/f", random_.Bytes(700)));
  auto out = client_->Append("/f", {});
  ASSERT_TRUE(out.ok()) << out.status();
  ASSERT_TRUE((*out)->Write("never flushed").ok());
  (*out)->Abort();
  auto closed = client_->RecoverLease("/f");
  ASSERT_TRUE(closed.ok()) << closed.status();
  ASSERT_TRUE(WaitClosed("/f"));
  auto read = ReadWhole(*client_, "/f");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->substr(0, 700), files_["/f"]);
  files_["/f"] = *read;
  ASSERT_NO_FATAL_FAILURE(Append("/f", "more"));
  ASSERT_NO_FATAL_FAILURE(ExpectContent("/f"));
}

TEST_F(AppendTest, WhoLosesTheLeaseCanWriteNoMore) {
  Start(3, {"--namenode-lease-soft-limit-ms=60000", "--namenode-lease-hard-limit-ms=120000"});
  ASSERT_NO_FATAL_FAILURE(Create("/f", random_.Bytes(700)));
  auto out = client_->Append("/f", {});
  ASSERT_TRUE(out.ok()) << out.status();
  ASSERT_TRUE((*out)->Write("mine").ok());
  ASSERT_TRUE((*out)->Flush().ok());
  files_["/f"] += "mine";

  std::unique_ptr<FileSystemClient> other = cluster_->Connect();
  EXPECT_EQ(ReasonOf(other->Append("/f", {}).status()), ErrorReason::kAlreadyBeingCreated);
  auto closed = other->RecoverLease("/f");
  ASSERT_TRUE(closed.ok()) << closed.status();
  ASSERT_TRUE(WaitClosed("/f"));
  ASSERT_NO_FATAL_FAILURE(ExpectContent("/f"));
  absl::Status refused = (*out)->Write("too late");
  if (refused.ok()) refused = (*out)->Close();
  EXPECT_FALSE(refused.ok());
  ASSERT_NO_FATAL_FAILURE(ExpectContent("/f"));
}

// C-5: whatever becomes of the appender, what was closed before stays there to be read.
TEST_F(AppendTest, ClosedBytesCanBeReadWhileALostAppendersFileWaits) {
  Start(3);
  Create("/f", random_.Bytes(3 * kBlock + 700));
  auto before = client_->Open("/f");
  ASSERT_TRUE(before.ok()) << before.status();
  const auto appender = cluster_->Connect();
  auto out = appender->Append("/f", {});
  ASSERT_TRUE(out.ok()) << out.status();
  const std::string more = random_.Bytes(1000);
  ASSERT_TRUE((*out)->Write(more).ok());
  ASSERT_TRUE((*out)->Flush().ok());
  (*out)->Abort();
  const std::string& closed = files_["/f"];
  const auto reads_closed_bytes = [&](InputStream& in) {
    std::string got(closed.size(), '\0');
    size_t done = 0;
    while (done < got.size()) {
      const auto read = in.ReadAt(done, std::span<char>(got.data() + done, got.size() - done));
      ASSERT_TRUE(read.ok()) << read.status();
      ASSERT_GT(*read, 0u);
      done += *read;
    }
    EXPECT_TRUE(got == closed);
  };
  reads_closed_bytes(**before);  // opened before the append
  auto after = ReadWhole(*client_, "/f");
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_TRUE(*after == closed + more) << "what was visible stays so";
  // Datanodes that were started anew do not know what was visible, but what was closed.
  for (int i = 0; i < 3; ++i) {
    cluster_->KillDatanode(i);
    ASSERT_TRUE(cluster_->StartDatanode(i));
  }
  ASSERT_TRUE(Eventually([&] {
    auto in = client_->Open("/f");
    return in.ok() && (*in)->Length() >= closed.size();
  }));
  auto in = client_->Open("/f");
  ASSERT_TRUE(in.ok()) << in.status();
  reads_closed_bytes(**in);
  ASSERT_TRUE(client_->RecoverLease("/f").ok());
  ASSERT_TRUE(WaitClosed("/f"));
  files_["/f"] += more;
  ExpectContent("/f");  // nobody lost power
}

TEST_F(AppendTest, TruncationWithinABlockLeavesReadersAloneAndCanBeAppendedTo) {
  Start(3);
  Create("/f", random_.Bytes(2 * kBlock + 5000));
  const std::string before = files_["/f"];
  auto reader = client_->Open("/f");
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::string first(100, '\0');
  ASSERT_TRUE((*reader)->ReadAt(2 * kBlock, std::span<char>(first)).ok());  // it has the last block open
  for (const uint64_t length : {2 * kBlock + 1234, 2 * kBlock, kBlock + 512, kBlock + 1, uint64_t{0}}) {
    SCOPED_TRACE(length);
    const auto cut = client_->Truncate("/f", length);
    ASSERT_TRUE(cut.ok()) << cut.status();
    EXPECT_EQ(*cut, length % kBlock == 0);
    ASSERT_TRUE(WaitClosed("/f"));
    files_["/f"].resize(length);
    ASSERT_NO_FATAL_FAILURE(ExpectContent("/f"));
    EXPECT_TRUE(*client_->Truncate("/f", length)) << "it has that length";
    if (length > kBlock) {
      ASSERT_NO_FATAL_FAILURE(Append("/f", random_.Bytes(3000)));
      ASSERT_NO_FATAL_FAILURE(ExpectContent("/f"));
      ASSERT_GT(files_["/f"].size(), length);
    }
  }
  EXPECT_EQ(ReasonOf(client_->Truncate("/f", 1).status()), ErrorReason::kIllegalArgument);
  EXPECT_EQ(ReasonOf(client_->Truncate("/none", 1).status()), ErrorReason::kFileNotFound);
  cluster_->KillNamenode();
  ASSERT_TRUE(cluster_->Start());
  ExpectContent("/f");
}

TEST_F(AppendTest, WhatCannotBeAppendedToIsRefused) {
  Start(1);
  ASSERT_TRUE(client_->Mkdirs("/dir", 0755, true).ok());
  EXPECT_EQ(ReasonOf(client_->Append("/missing", {}).status()), ErrorReason::kFileNotFound);
  EXPECT_FALSE(client_->Append("/dir", {}).ok());
  ASSERT_NO_FATAL_FAILURE(Create("/f", "hello", 1));
  ClientOptions stranger;
  stranger.user = "stranger";
  EXPECT_EQ(ReasonOf(cluster_->Connect(stranger)->Append("/f", {}).status()), ErrorReason::kAccessControl);
  ASSERT_NO_FATAL_FAILURE(ExpectContent("/f"));
}

}  // namespace
}  // namespace dolmen::testing
