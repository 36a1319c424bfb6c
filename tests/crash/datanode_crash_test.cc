// kill -9 of datanodes under a load of writers (F-020 to F-024, F-027 to F-031): at random moments, at every fault
// point of the datanode, during its start, and of all of them right after a close. The expected state is kept by this
// process (file_load.h); the directories of the datanodes are looked at from outside (replica_audit.h).
//
//   crash.datanode_crash_test [--rounds=1] [--seed=N]     a round visits every fault point once, beside plain kills
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>

#include "build_paths.h"
#include "common/fault_point.h"
#include "tests/crash/file_load.h"
#include "tests/crash/replica_audit.h"
#include "tests/support/arguments.h"

namespace dolmen::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kDatanodes = 4;
constexpr int kReplication = 3;

uint64_t rounds = 1;
uint64_t seed = 0;  // 0: drawn

// The names of all fault points in the datanode's sources: a new one is tested without being listed here.
std::vector<std::string> FaultPointsOfTheDatanode() {
  const std::regex point("DOLMEN_FAULT_POINT\\(\"(datanode\\.[a-z_.]+)\"\\)");
  std::vector<std::string> names;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(std::string(DOLMEN_SOURCE_DIR) + "/datanode")) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text = ExternalCluster::ReadFile(entry.path());
    for (std::sregex_iterator at(text.begin(), text.end(), point); at != std::sregex_iterator(); ++at)
      names.push_back((*at)[1]);
  }
  std::sort(names.begin(), names.end());
  return names;
}
bool IsAtStart(const std::string& point) {
  return point.starts_with("datanode.scan.") || point.starts_with("datanode.recover.");
}
// Points of appends, recoveries and truncations, which the load comes by less often than by those of every write.
bool IsRare(const std::string& point) {
  for (const char* front :
       {"datanode.stamp.", "datanode.append.", "datanode.freeze.", "datanode.finish.", "datanode.copy_prefix."})
    if (point.starts_with(front)) return true;
  return false;
}

ExternalCluster::Options ClusterOptions() {
  ExternalCluster::Options options{.datanodes = kDatanodes};
  options.namenode_flags.push_back("--namenode-pending-copy-timeout-ms=3000");
  options.datanode_flags = {"--datanode-trash-grace-s=1"};
  return options;
}

class DatanodeCrash : public ::testing::Test {
 protected:
  void SetUp() override {
    if (seed == 0) seed = SeedFromOs() % 1'000'000;
    printf("seed %llu\n", static_cast<unsigned long long>(seed));
    random_ = std::make_unique<Random>(seed);
    cluster_ = std::make_unique<ExternalCluster>(ClusterOptions());
    ASSERT_TRUE(cluster_->Start());
    client_ = cluster_->Connect();
    audit_ = std::make_unique<ReplicaAudit>(cluster_.get(), kDatanodes);
  }
  void StartLoad(bool outages) {
    load_ = std::make_unique<FileLoad>(*cluster_, FileLoadOptions{.outages = outages, .seed = seed});
    ASSERT_TRUE(load_->Prepare().ok());
  }

  // Fails the test if the load has broken a promise or stands still.
  void RunOperations(uint64_t low, uint64_t high) {
    ASSERT_TRUE(load_->WaitForOperations(random_->Between(low, high)))
        << "the load stands still or failed: " << load_->failure();
  }
  void VerifyAll(const std::string& when) {
    load_->Pause();
    ASSERT_TRUE(load_->failure().ok()) << when << ": " << load_->failure();
    const absl::Status verified = load_->Verify(*client_);
    ASSERT_TRUE(verified.ok()) << when << ": " << verified;
  }
  void ExpectInjectedExit(int datanode, const std::string& point) {
    bool reached = false;
    ASSERT_NO_FATAL_FAILURE(WaitForInjectedExit(datanode, point, std::chrono::minutes(3), &reached));
    ASSERT_TRUE(reached) << "datanode " << datanode << " never reached " << point;
  }
  void WaitForInjectedExit(int datanode, const std::string& point, std::chrono::milliseconds limit, bool* reached) {
    const std::optional<int> status = cluster_->datanode(datanode).Wait(limit);
    *reached = status.has_value();
    if (!*reached) return;
    ASSERT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == kInjectedExitCode)
        << "datanode " << datanode << " was to die at " << point << ", its wait status is " << *status << "\n"
        << ExternalCluster::ReadFile(cluster_->Log(absl::StrCat("datanode", datanode)));
    ++kills_[point];
  }
  static ExternalCluster::Environment Trap(const std::string& point, uint64_t hit) {
    return {{"DOLMEN_FAULT_POINTS", absl::StrCat(point, "=exit@", hit)}};
  }

  // A kill at a random moment; all closed files can be read while the datanode is gone.
  void PlainKill(int victim) {
    load_->Resume();
    ASSERT_NO_FATAL_FAILURE(RunOperations(1, 60));
    cluster_->KillDatanode(victim);
    ++kills_["kill -9"];
    ASSERT_NO_FATAL_FAILURE(RunOperations(1, 20));
    ASSERT_NO_FATAL_FAILURE(VerifyAll("while a datanode is down"));
    load_->Resume();
    ASSERT_TRUE(cluster_->StartDatanode(victim));
    ASSERT_NO_FATAL_FAILURE(RunOperations(1, 20));
  }
  // Death at a fault point that writes and deletes come by.
  void KillAtPoint(int victim, const std::string& point) {
    load_->Resume();
    cluster_->KillDatanode(victim);
    cluster_->LaunchDatanode(victim, Trap(point, random_->Between(1, IsRare(point) ? 4 : 15)));
    ASSERT_NO_FATAL_FAILURE(ExpectInjectedExit(victim, point));
    ASSERT_TRUE(cluster_->StartDatanode(victim));
    ASSERT_NO_FATAL_FAILURE(RunOperations(1, 20));
  }
  // All datanodes die at the same point of their code, one after the other as the load comes by: no other replica makes
  // up for what one of them does wrong. Who truncates or recovers a file waits for its datanodes, also for those that
  // died here; when all workers wait, nobody comes by the rare points any more, and the last datanodes are just killed.
  void KillAllAtPoint(const std::string& point) {
    load_->Resume();
    for (int i = 0; i < kDatanodes; ++i) {
      cluster_->KillDatanode(i);
      cluster_->LaunchDatanode(i, Trap(point, random_->Between(1, IsRare(point) ? 2 : 5)));
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(90);
    int dead_there = 0;
    for (int i = 0; i < kDatanodes; ++i) {
      bool reached = false;
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
      ASSERT_NO_FATAL_FAILURE(WaitForInjectedExit(i, point, left, &reached));
      dead_there += reached ? 1 : 0;
      if (reached) continue;
      ASSERT_TRUE(IsRare(point)) << "datanode " << i << " never reached " << point;
      cluster_->KillDatanode(i);
      ++kills_["kill -9"];
    }
    ASSERT_GE(dead_there, kDatanodes / 2) << point;
    load_->Stop();  // nobody writes into the void until the restart
    ASSERT_TRUE(cluster_->Start());
  }
  // Death twice in a row at a point of the start; the third start succeeds (F-031).
  void KillDuringStart(int victim, const std::string& point) {
    load_->Resume();
    // Recovery happens only when the kill left a replica that was being written.
    for (int attempt = 0; attempt < 50; ++attempt) {
      ASSERT_NO_FATAL_FAILURE(RunOperations(1, 20));
      cluster_->KillDatanode(victim);
      if (audit_->HasUnfinishedBytes(victim)) break;
      ASSERT_TRUE(cluster_->StartDatanode(victim));
    }
    ASSERT_FALSE(cluster_->datanode(victim).Running()) << "no kill left a replica that was being written";
    for (int i = 0; i < 2; ++i) {
      cluster_->LaunchDatanode(victim, Trap(point, 1));
      ASSERT_NO_FATAL_FAILURE(ExpectInjectedExit(victim, point));
    }
    ASSERT_TRUE(cluster_->StartDatanode(victim));
    ASSERT_NO_FATAL_FAILURE(RunOperations(1, 20));
  }

  // Without load the cluster repairs itself: three good replicas of each block, nothing missing, nothing left over.
  void ExpectConvergence() {
    ASSERT_TRUE(cluster_->WaitWritable(kDatanodes));
    absl::Status why;
    const bool closed = Eventually(
        [&] {
          absl::StatusOr<bool> answer = load_->UnsureFilesAreClosed(*client_);
          why = answer.status();
          return !answer.ok() || *answer;
        },
        std::chrono::seconds(60));
    ASSERT_TRUE(why.ok()) << why;
    ASSERT_TRUE(closed) << "files of failed writes are still open";
    const bool replicated = Eventually(
        [&] {
          why = load_->Verify(*client_);
          if (why.ok()) why = audit_->CheckReplicas(*load_, *client_, kReplication);
          return why.ok();
        },
        std::chrono::seconds(90));
    ASSERT_TRUE(replicated) << why;
    ClusterStats stats;
    EXPECT_TRUE(Eventually(
        [&] {
          auto answer = client_->GetStats();
          if (!answer.ok()) return false;
          stats = *answer;
          return stats.under_replicated_blocks + stats.missing_blocks + stats.corrupt_blocks +
                     stats.pending_deletion_blocks ==
                 0;
        },
        std::chrono::seconds(60)))
        << "under-replicated " << stats.under_replicated_blocks << ", missing " << stats.missing_blocks << ", corrupt "
        << stats.corrupt_blocks << ", pending deletion " << stats.pending_deletion_blocks;
    EXPECT_TRUE(Eventually([&] { return audit_->BeingWritten() == 0; }, std::chrono::seconds(60)))
        << audit_->BeingWritten() << " replicas are still being written or copied, though nobody writes";
    EXPECT_TRUE(
        Eventually([&] { return audit_->Finalized() == kReplication * stats.blocks; }, std::chrono::seconds(60)))
        << audit_->Finalized() << " replicas on disk of " << stats.blocks << " blocks";
    EXPECT_EQ(audit_->Quarantined(), std::vector<std::string>()) << "a crash of the process explains every file";
    EXPECT_THAT(ExternalCluster::ReadFile(cluster_->Log("namenode")), Not(HasSubstr("quarantined")))
        << "a crash of a datanode was taken for the restore of an old namespace";
  }
  void PrintKills() const {
    for (const auto& [point, count] : kills_) printf("  %-45s %d\n", point.c_str(), count);
  }

  std::unique_ptr<Random> random_;
  std::unique_ptr<ExternalCluster> cluster_;
  std::unique_ptr<FileSystemClient> client_;
  std::unique_ptr<ReplicaAudit> audit_;
  std::unique_ptr<FileLoad> load_;
  std::map<std::string, int> kills_;
};

TEST_F(DatanodeCrash, ClosedFilesSurviveOneDatanodeKilledAnywhere) {
  ASSERT_NO_FATAL_FAILURE(StartLoad(/*outages=*/false));
  const std::vector<std::string> points = FaultPointsOfTheDatanode();
  ASSERT_GE(points.size(), 15u) << "the fault points were not found in the sources";
  uint64_t cycles = 0;
  for (uint64_t round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < points.size(); ++i) {
      const int victim = static_cast<int>(random_->Uniform(kDatanodes));
      if (i % 3 == 0) {
        ASSERT_NO_FATAL_FAILURE(PlainKill(victim));
        ASSERT_NO_FATAL_FAILURE(VerifyAll("after a kill"));
        ++cycles;
      }
      ASSERT_NO_FATAL_FAILURE(IsAtStart(points[i]) ? KillDuringStart(victim, points[i])
                                                   : KillAtPoint(victim, points[i]));
      ASSERT_NO_FATAL_FAILURE(VerifyAll("after death at " + points[i]));
      ++cycles;
    }
  }
  ExpectConvergence();
  load_->Print("datanode crashes", cycles);
  PrintKills();
  for (const std::string& point : points) EXPECT_GE(kills_[point], 1) << point << " was never hit";
}

TEST_F(DatanodeCrash, ClosedFilesSurviveAllDatanodesKilledAtOnce) {
  ASSERT_NO_FATAL_FAILURE(StartLoad(/*outages=*/true));
  const uint64_t cycles = 3 * rounds;
  uint64_t last = 0;
  for (uint64_t cycle = 0; cycle < cycles; ++cycle) {
    load_->Resume();
    ASSERT_NO_FATAL_FAILURE(RunOperations(20, 60));
    // The kill follows the answer of Close at once.
    std::map<std::string, uint64_t> sizes;
    for (int i = 0; i < 5; ++i) {
      const std::string path = absl::StrCat("/last", ++last);
      const uint64_t size = random_->Between(1, 300'000);
      auto out = client_->Create(path, {.block_bytes = 64 << 10});
      ASSERT_TRUE(out.ok()) << out.status();
      ASSERT_TRUE((*out)->Write(Pattern::Of(path).Bytes(0, size)).ok());
      const absl::Status closed = (*out)->Close();
      ASSERT_TRUE(closed.ok()) << closed;
      sizes[path] = size;
    }
    for (int i = 0; i < kDatanodes; ++i) cluster_->datanode(i).Signal(SIGKILL);
    load_->Stop();
    for (int i = 0; i < kDatanodes; ++i) cluster_->KillDatanode(i);
    kills_["kill -9"] += kDatanodes;
    ASSERT_TRUE(cluster_->Start());
    for (const auto& [path, size] : sizes) {
      const absl::Status same = ExpectContent(*client_, path, Pattern::Of(path), size);
      ASSERT_TRUE(same.ok()) << same;
      ASSERT_TRUE(client_->Delete(path, false).ok());
    }
    ASSERT_NO_FATAL_FAILURE(VerifyAll("after all datanodes were killed"));
  }
  ExpectConvergence();
  load_->Print("kills of all datanodes", cycles);
  PrintKills();
}

// The gate visits three points, drawn anew each time; every round after the first visits all.
TEST_F(DatanodeCrash, ClosedFilesSurviveAllDatanodesDyingAtTheSamePoint) {
  ASSERT_NO_FATAL_FAILURE(StartLoad(/*outages=*/true));
  std::vector<std::string> points = FaultPointsOfTheDatanode();
  std::erase_if(points, IsAtStart);
  uint64_t cycles = 0;
  for (uint64_t round = 0; round < rounds; ++round) {
    random_->Shuffle(std::span<std::string>(points));
    for (size_t i = 0; i < (round == 0 ? 3 : points.size()); ++i, ++cycles) {
      ASSERT_NO_FATAL_FAILURE(KillAllAtPoint(points[i]));
      ASSERT_NO_FATAL_FAILURE(VerifyAll("after all datanodes died at " + points[i]));
    }
  }
  ExpectConvergence();
  load_->Print("deaths of all datanodes at one point", cycles);
  PrintKills();
}

}  // namespace
}  // namespace dolmen::testing

int main(int argc, char** argv) {
  return dolmen::testing::RunAllTestsWith(argc, argv,
                                          {{"rounds", &dolmen::testing::rounds}, {"seed", &dolmen::testing::seed}});
}
