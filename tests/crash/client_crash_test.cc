// Clients that end in the middle of a write (F-001 to F-003, F-012, F-013): kill -9 of `dolmen dfs -put - PATH` at
// random moments, and writers and appenders that are never heard of again. The lease expires, or somebody takes it; the
// namenode recovers the last block and closes the file; every flushed byte is there, and nothing of the client stays on
// the datanodes.
//
//   crash.client_crash_test [--rounds=3] [--seed=N]
#include <gtest/gtest.h>

#include "common/random.h"
#include "tests/crash/put_process.h"
#include "tests/crash/read_back.h"
#include "tests/crash/replica_audit.h"
#include "tests/support/arguments.h"

namespace dolmen::testing {
namespace {

constexpr int kDatanodes = 3;
constexpr uint64_t kBlock = 64 << 10;
constexpr uint64_t kSourceBytes = 8 << 20;

uint64_t rounds = 3;
uint64_t seed = 0;  // 0: drawn

class ClientCrash : public ::testing::Test {
 protected:
  void SetUp() override {
    if (seed == 0) seed = SeedFromOs() % 1'000'000;
    printf("seed %llu\n", static_cast<unsigned long long>(seed));
    random_ = std::make_unique<Random>(seed);
    ExternalCluster::Options options{.datanodes = kDatanodes};
    options.datanode_flags = {"--datanode-trash-grace-s=1"};
    cluster_ = std::make_unique<ExternalCluster>(options);
    ASSERT_TRUE(cluster_->Start());
    client_ = cluster_->Connect();
    audit_ = std::make_unique<ReplicaAudit>(cluster_.get(), kDatanodes);
    source_ = cluster_->directory() + "/source";
    WriteSource(source_, pattern_, kSourceBytes);
  }

  struct Put {
    std::string target;
    std::unique_ptr<ChildProcess> process;
    uint64_t acknowledged = 0;  // bytes in blocks that were followed by another one before the kill
  };
  Put Start() {
    const std::string target = absl::StrCat("/put", ++last_);
    return {.target = target, .process = StartPut(*cluster_, source_, target, kBlock, cluster_->Log("put"))};
  }
  // A block behind another one is allocated only after that was acknowledged by all datanodes.
  uint64_t AcknowledgedBytes(const std::string& target) {
    auto blocks = client_->GetBlockLocations(CopyingName(target), 0, UINT64_MAX);
    return blocks.ok() && !blocks->empty() ? (blocks->size() - 1) * kBlock : 0;
  }
  bool WaitForBlocks(Put* put, uint64_t count) {
    return Eventually(
        [&] {
          put->acknowledged = AcknowledgedBytes(put->target);
          return put->acknowledged >= count * kBlock || !put->process->Running();
        },
        std::chrono::seconds(60));
  }
  // Where the file is now, once it is closed; empty when neither name exists.
  absl::StatusOr<std::string> ClosedName(const std::string& target) {
    for (const std::string& name : {target, CopyingName(target)}) {
      absl::StatusOr<std::optional<FileStatus>> status = absl::UnknownError("not asked");
      const bool closed = Eventually(
          [&] {
            status = client_->GetFileInfo(name);
            return !status.ok() || !status->has_value() || !(*status)->under_construction;
          },
          std::chrono::seconds(60));
      if (!status.ok()) return status.status();
      if (!closed) return absl::DeadlineExceededError(name + " is still open");
      if (status->has_value()) return name;
    }
    return std::string();
  }
  void ExpectNothingLeaked() {
    EXPECT_TRUE(Eventually([&] { return audit_->BeingWritten() == 0; }, std::chrono::seconds(60)))
        << audit_->BeingWritten() << " replicas are still being written";
    EXPECT_TRUE(Eventually(
        [&] {
          auto report = client_->GetDatanodeReport();
          if (!report.ok()) return false;
          uint32_t streams = 0;
          for (const DatanodeReport& node : *report) streams += node.active_streams;
          return streams == 0;
        },
        std::chrono::seconds(60)))
        << "streams are still counted";
    EXPECT_TRUE(Eventually(
        [&] {
          auto stats = client_->GetStats();
          return stats.ok() &&
                 stats->under_replicated_blocks + stats->missing_blocks + stats->corrupt_blocks +
                         stats->pending_deletion_blocks ==
                     0 &&
                 audit_->Finalized() == kDatanodes * stats->blocks;
        },
        std::chrono::seconds(60)))
        << audit_->Finalized() << " replicas on disk";
  }

  const Pattern pattern_{17};
  std::unique_ptr<Random> random_;
  std::unique_ptr<ExternalCluster> cluster_;
  std::unique_ptr<FileSystemClient> client_;
  std::unique_ptr<ReplicaAudit> audit_;
  std::string source_;
  int last_ = 0;
};

TEST_F(ClientCrash, AKilledWritersFileKeepsItsAcknowledgedBytesAndNothingLeaks) {
  constexpr int kTogether = 4;
  uint64_t killed_in_the_middle = 0;
  uint64_t kept = 0;
  for (uint64_t round = 0; round < rounds; ++round) {
    std::vector<Put> puts;
    for (int i = 0; i < kTogether; ++i) puts.push_back(Start());
    // The first one may die before its first block, even before its file exists.
    ASSERT_TRUE(WaitForBlocks(&puts[1], random_->Uniform(kSourceBytes / kBlock)));
    for (Put& put : puts) put.acknowledged = AcknowledgedBytes(put.target);
    for (Put& put : puts) put.process->Kill();
    for (const Put& put : puts) {
      auto name = ClosedName(put.target);
      ASSERT_TRUE(name.ok()) << name.status();
      if (name->empty()) {
        ASSERT_EQ(put.acknowledged, 0u) << put.target << " is gone";
        continue;
      }
      auto length = ReadBack(*client_, *name, pattern_);
      ASSERT_TRUE(length.ok()) << length.status();
      EXPECT_GE(*length, put.acknowledged) << *name;
      if (*name == put.target) {
        EXPECT_EQ(*length, kSourceBytes);
      }
      killed_in_the_middle += *length < kSourceBytes ? 1 : 0;
      kept += *length;
    }
    ASSERT_NO_FATAL_FAILURE(ExpectNothingLeaked());
    // The names are free again.
    Put again = Start();
    const std::optional<int> status = again.process->Wait(std::chrono::seconds(60));
    ASSERT_TRUE(status.has_value() && *status == 0) << ExternalCluster::ReadFile(cluster_->Log("put"));
    const absl::Status same = ExpectContent(*client_, again.target, pattern_, kSourceBytes);
    ASSERT_TRUE(same.ok()) << same;
    for (const Put& put : puts) {
      for (const std::string& name : {put.target, CopyingName(put.target)})
        ASSERT_TRUE(client_->Delete(name, false).ok());
    }
    ASSERT_TRUE(client_->Delete(again.target, false).ok());
  }
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLeaked());
  EXPECT_TRUE(Eventually([&] { return audit_->Finalized() == 0; }, std::chrono::seconds(60)))
      << audit_->Finalized() << " replicas are left of deleted files";
  EXPECT_GT(killed_in_the_middle, 0u) << "no kill hit a write";
  printf("client crashes: %llu writers killed, %llu of them in the middle of a file; %.1f MB of theirs were kept\n",
         static_cast<unsigned long long>(rounds * kTogether), static_cast<unsigned long long>(killed_in_the_middle),
         static_cast<double>(kept) / 1e6);
}

// The lease runs out while no datanode is there to say that the last block was finished: the file waits for them.
TEST_F(ClientCrash, SyncedBlocksOfADeadClientSurviveAnOutageOfAllDatanodes) {
  {
    const std::unique_ptr<FileSystemClient> writer = cluster_->Connect();
    auto synced = writer->Create("/synced", {.block_bytes = kBlock});
    ASSERT_TRUE(synced.ok()) << synced.status();
    ASSERT_TRUE((*synced)->Write(pattern_.Bytes(0, 2 * kBlock)).ok());
    const absl::Status done = (*synced)->Sync();
    ASSERT_TRUE(done.ok()) << done;
    // Of the same holder, without a block: its end shows that the lease has run out.
    ASSERT_TRUE(writer->Create("/clock", {}).ok());
  }
  for (int i = 0; i < kDatanodes; ++i) cluster_->KillDatanode(i);
  auto ended = ClosedName("/clock");
  ASSERT_TRUE(ended.ok()) << ended.status();
  ASSERT_TRUE(cluster_->Start());
  auto closed = ClosedName("/synced");
  ASSERT_TRUE(closed.ok()) << closed.status();
  auto length = ReadBack(*client_, "/synced", pattern_);
  ASSERT_TRUE(length.ok()) << length.status();
  EXPECT_EQ(*length, 2 * kBlock) << "synced bytes are lost";
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLeaked());
}

// What is in a block that nobody finished counts as well, also when datanodes were killed meanwhile.
TEST_F(ClientCrash, FlushedBytesOfADeadClientSurvive) {
  constexpr uint64_t kFlushed = 2 * kBlock + 1000;
  for (const bool kill_datanodes : {false, true}) {
    const std::string path = absl::StrCat("/flushed", kill_datanodes);
    {
      const std::unique_ptr<FileSystemClient> writer = cluster_->Connect();
      auto stream = writer->Create(path, {.block_bytes = kBlock});
      ASSERT_TRUE(stream.ok()) << stream.status();
      ASSERT_TRUE((*stream)->Write(pattern_.Bytes(0, kFlushed)).ok());
      const absl::Status flushed = (*stream)->Flush();
      ASSERT_TRUE(flushed.ok()) << flushed;
    }
    if (kill_datanodes) {
      for (int i = 0; i < kDatanodes; ++i) cluster_->KillDatanode(i);
      ASSERT_TRUE(cluster_->Start());
    }
    auto closed = ClosedName(path);
    ASSERT_TRUE(closed.ok()) << closed.status();
    auto length = ReadBack(*client_, path, pattern_);
    ASSERT_TRUE(length.ok()) << length.status();
    EXPECT_EQ(*length, kFlushed) << "flushed bytes are lost";
  }
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLeaked());
}

TEST_F(ClientCrash, ADeadAppenderLeavesTheOldBytesAndTheFlushedOnes) {
  constexpr uint64_t kOld = kBlock + 700;
  for (const uint64_t flushed : {uint64_t{0}, uint64_t{300}, kBlock}) {
    const std::string path = absl::StrCat("/appended", flushed);
    auto created = client_->Create(path, {.block_bytes = kBlock});
    ASSERT_TRUE(created.ok()) << created.status();
    ASSERT_TRUE((*created)->Write(pattern_.Bytes(0, kOld)).ok());
    ASSERT_TRUE((*created)->Close().ok());
    {
      const std::unique_ptr<FileSystemClient> appender = cluster_->Connect();
      auto stream = appender->Append(path, {});
      ASSERT_TRUE(stream.ok()) << stream.status();
      if (flushed > 0) {
        ASSERT_TRUE((*stream)->Write(pattern_.Bytes(kOld, flushed)).ok());
        const absl::Status done = (*stream)->Flush();
        ASSERT_TRUE(done.ok()) << done;
      }
      // Whoever opens it now sees all of that (C-5).
      auto reader = client_->Open(path);
      ASSERT_TRUE(reader.ok()) << reader.status();
      EXPECT_GE((*reader)->Length(), kOld + flushed);
    }
    auto info = client_->GetFileInfo(path);
    ASSERT_TRUE(info.ok() && info->has_value());
    EXPECT_GE((*info)->length, kOld) << "never shorter, not even meanwhile";
    auto closed = ClosedName(path);
    ASSERT_TRUE(closed.ok()) << closed.status();
    auto length = ReadBack(*client_, path, pattern_);
    ASSERT_TRUE(length.ok()) << length.status();
    EXPECT_EQ(*length, kOld + flushed);
  }
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLeaked());
}

// F-013: a file is taken from a writer that is alive.
TEST_F(ClientCrash, ARecoveredLeaseIsLostForItsWriter) {
  const std::unique_ptr<FileSystemClient> writer = cluster_->Connect();
  auto stream = writer->Create("/taken", {.block_bytes = kBlock});
  ASSERT_TRUE(stream.ok()) << stream.status();
  ASSERT_TRUE((*stream)->Write(pattern_.Bytes(0, 1500)).ok());
  ASSERT_TRUE((*stream)->Flush().ok());
  absl::StatusOr<bool> recovered = false;
  EXPECT_TRUE(Eventually(
      [&] {
        recovered = client_->RecoverLease("/taken");
        return !recovered.ok() || *recovered;
      },
      std::chrono::seconds(60)));
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  absl::Status lost = (*stream)->Write(pattern_.Bytes(1500, 1500));
  if (lost.ok()) lost = (*stream)->Close();
  EXPECT_FALSE(lost.ok()) << "the file is not its own any more";
  auto length = ReadBack(*client_, "/taken", pattern_);
  ASSERT_TRUE(length.ok()) << length.status();
  EXPECT_EQ(*length, 1500u);
  stream->reset();
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLeaked());
}

TEST_F(ClientCrash, AWriterThatSleptThroughItsLeaseChangesNothing) {
  Put put = Start();
  ASSERT_TRUE(WaitForBlocks(&put, 5));
  ASSERT_TRUE(put.process->Running()) << "it was over before it could be stopped";
  put.process->Signal(SIGSTOP);
  const std::string name = CopyingName(put.target);
  auto closed = ClosedName(put.target);
  ASSERT_TRUE(closed.ok()) << closed.status();
  ASSERT_EQ(*closed, name);
  auto length = ReadBack(*client_, name, pattern_);
  ASSERT_TRUE(length.ok()) << length.status();
  EXPECT_GE(*length, put.acknowledged);
  auto before = client_->GetFileInfo(name);
  ASSERT_TRUE(before.ok() && before->has_value());

  put.process->Signal(SIGCONT);
  const std::optional<int> status = put.process->Wait(std::chrono::seconds(120));
  ASSERT_TRUE(status.has_value()) << "the writer does not notice that its lease is lost";
  EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == 1) << *status;
  EXPECT_NE(ExternalCluster::ReadFile(cluster_->Log("put")).find("put: "), std::string::npos) << "it must say why";
  auto after = client_->GetFileInfo(name);
  ASSERT_TRUE(after.ok());
  // The command may have removed its temporary file; if it is there, it is as it was.
  if (after->has_value()) {
    EXPECT_EQ((*after)->length, (*before)->length);
    EXPECT_EQ((*after)->modified_ms, (*before)->modified_ms);
    auto again = ReadBack(*client_, name, pattern_);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*again, *length);
  }
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLeaked());
}

}  // namespace
}  // namespace dolmen::testing

int main(int argc, char** argv) {
  return dolmen::testing::RunAllTestsWith(argc, argv,
                                          {{"rounds", &dolmen::testing::rounds}, {"seed", &dolmen::testing::seed}});
}
