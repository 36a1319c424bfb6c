// kill -9 of ALL processes at random moments under load, again and again on the same data (section "black box" of the
// fault scenarios): the namenode, every datanode and writing clients. The load's own clients, which keep the expected
// state, live on in this process and go on as soon as the cluster is back.
//
//   crash.everything_crash_test [--cycles=5] [--seed=N]
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/crash/file_load.h"
#include "tests/crash/put_process.h"
#include "tests/crash/replica_audit.h"
#include "tests/support/arguments.h"

namespace dolmen::testing {
namespace {

constexpr int kDatanodes = 4;
constexpr int kReplication = 3;
constexpr uint64_t kBlock = 64 << 10;
constexpr uint64_t kSourceBytes = 8 << 20;

uint64_t cycles = 5;
uint64_t seed = 0;  // 0: drawn

class EverythingCrash : public ::testing::Test {
 protected:
  void SetUp() override {
    if (seed == 0) seed = SeedFromOs() % 1'000'000;
    printf("seed %llu\n", static_cast<unsigned long long>(seed));
    random_ = std::make_unique<Random>(seed);
    ExternalCluster::Options options{.datanodes = kDatanodes};
    options.namenode_flags.push_back("--namenode-pending-copy-timeout-ms=3000");
    options.datanode_flags = {"--datanode-trash-grace-s=1"};
    cluster_ = std::make_unique<ExternalCluster>(options);
    ASSERT_TRUE(cluster_->Start());
    ClientOptions patient;
    patient.connect_timeout = std::chrono::seconds(60);
    client_ = cluster_->Connect(patient);
    audit_ = std::make_unique<ReplicaAudit>(cluster_.get(), kDatanodes);
    load_ = std::make_unique<FileLoad>(*cluster_, FileLoadOptions{.outages = true, .seed = seed});
    ASSERT_TRUE(load_->Prepare().ok());
    WriteSource(cluster_->directory() + "/source", pattern_, kSourceBytes);
  }

  // All of them in random order, the namenode (number kDatanodes) among them.
  std::vector<int> Shuffled() {
    std::vector<int> order(kDatanodes + 1);
    std::iota(order.begin(), order.end(), 0);
    random_->Shuffle(std::span<int>(order));
    return order;
  }
  void KillAll() {
    for (int i : Shuffled()) {
      if (i == kDatanodes) {
        cluster_->KillNamenode();
      } else {
        cluster_->KillDatanode(i);
      }
    }
    if (put_) put_->Kill();
    put_.reset();
    ++kills_;
  }
  void StartAll() {
    // Datanodes wait for a namenode that is not there yet.
    for (int i : Shuffled()) ASSERT_TRUE(i == kDatanodes ? cluster_->StartNamenode() : cluster_->StartDatanode(i));
  }
  // The file of the put that was killed is a front of its source, under one of its two names, and then removed.
  void CheckPut(const std::string& target) {
    for (const std::string& name : {target, CopyingName(target)}) {
      absl::StatusOr<std::optional<FileStatus>> status = absl::UnknownError("not asked");
      const bool closed = Eventually(
          [&] {
            status = client_->GetFileInfo(name);
            return !status.ok() || !status->has_value() || !(*status)->under_construction;
          },
          std::chrono::seconds(60));
      ASSERT_TRUE(status.ok() && closed) << name << ": " << status.status();
      if (!status->has_value()) continue;
      auto length = ReadBack(*client_, name, pattern_);
      ASSERT_TRUE(length.ok()) << length.status();
      EXPECT_TRUE(name == target ? *length == kSourceBytes : *length % kBlock == 0) << name << " has " << *length;
      ASSERT_TRUE(client_->Delete(name, false).ok());
    }
  }

  const Pattern pattern_{23};
  std::unique_ptr<Random> random_;
  std::unique_ptr<ExternalCluster> cluster_;
  std::unique_ptr<FileSystemClient> client_;
  std::unique_ptr<ReplicaAudit> audit_;
  std::unique_ptr<FileLoad> load_;
  std::unique_ptr<ChildProcess> put_;
  int kills_ = 0;
};

TEST_F(EverythingCrash, NothingClosedIsLostWhenAllProcessesAreKilled) {
  double longest_restart = 0;
  double all_restarts = 0;
  for (uint64_t cycle = 0; cycle < cycles; ++cycle) {
    const std::string target = absl::StrCat("/put", cycle);
    load_->Resume();
    put_ = StartPut(*cluster_, cluster_->directory() + "/source", target, kBlock, cluster_->Log("put"));
    ASSERT_TRUE(load_->WaitForOperations(random_->Between(1, 150))) << load_->failure();
    ASSERT_NO_FATAL_FAILURE(KillAll());
    if (cycle % 3 == 2) {  // once more while it comes up, under load
      ASSERT_NO_FATAL_FAILURE(StartAll());
      ASSERT_NO_FATAL_FAILURE(KillAll());
    }
    const auto begun = std::chrono::steady_clock::now();
    ASSERT_NO_FATAL_FAILURE(StartAll());
    ASSERT_TRUE(cluster_->WaitWritable(kDatanodes));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    longest_restart = std::max(longest_restart, seconds);
    all_restarts += seconds;
    ASSERT_TRUE(load_->WaitForOperations(5)) << "after the restart: " << load_->failure();
    load_->Pause();
    ASSERT_TRUE(load_->failure().ok()) << "cycle " << cycle << ": " << load_->failure();
    const absl::Status verified = load_->Verify(*client_);
    ASSERT_TRUE(verified.ok()) << "cycle " << cycle << ": " << verified;
    ASSERT_NO_FATAL_FAILURE(CheckPut(target)) << "cycle " << cycle;
  }

  absl::Status why;
  EXPECT_TRUE(Eventually(
      [&] {
        absl::StatusOr<bool> closed = load_->UnsureFilesAreClosed(*client_);
        why = closed.status();
        return !closed.ok() || *closed;
      },
      std::chrono::seconds(60)))
      << "files of failed writes are still open";
  ASSERT_TRUE(why.ok()) << why;
  EXPECT_TRUE(Eventually(
      [&] {
        why = audit_->CheckReplicas(*load_, *client_, kReplication);
        return why.ok();
      },
      std::chrono::seconds(90)))
      << why;
  EXPECT_TRUE(Eventually([&] { return audit_->BeingWritten() == 0; }, std::chrono::seconds(60)))
      << audit_->BeingWritten() << " replicas are still being written or copied, though nobody writes";
  load_->Print("kills of all processes", cycles);
  printf("  %d times all processes were killed; restart until writable: %.2f s on average, %.2f s at most\n", kills_,
         all_restarts / static_cast<double>(cycles), longest_restart);
}

}  // namespace
}  // namespace dolmen::testing

int main(int argc, char** argv) {
  return dolmen::testing::RunAllTestsWith(argc, argv,
                                          {{"cycles", &dolmen::testing::cycles}, {"seed", &dolmen::testing::seed}});
}
