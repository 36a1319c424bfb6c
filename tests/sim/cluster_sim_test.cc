// The whole cluster under many seeds.
//
//   sim.cluster_sim_test --seeds=2000 [--first-seed=1]     that many seeds
//   sim.cluster_sim_test --seed=48213                      one, with its last events
//
// Every run does at least 200 operations over 10 virtual minutes with 5 faults that fired. Every hundredth seed runs
// twice, and the traces must be equal.
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <string>

#include "tests/sim/sim_cluster.h"

namespace dolmen::sim {
namespace {

uint64_t first_seed = 1;
uint64_t seed_count = 25;
bool one_seed = false;

std::string Describe(const RunReport& report, bool with_events) {
  std::string text = "seed " + std::to_string(report.seed) +
                     " (replay: sim.cluster_sim_test --seed=" + std::to_string(report.seed) +
                     "): " + (report.violation.empty() ? "no violation" : report.violation) + "\n";
  if (with_events)
    for (const std::string& line : report.last_events) text += "  " + line + "\n";
  return text;
}

class Sums {
 public:
  void Add(const RunReport& report) {
    ++runs_;
    operations_ += report.operations;
    seconds_ += report.virtual_time / std::chrono::seconds(1);
    events_ += report.events;
    for (const auto& [kind, count] : report.faults) faults_[kind] += count;
    for (const auto& [kind, count] : report.operations_by_outcome) outcomes_[kind] += count;
    for (const auto& [kind, count] : report.probes) probes_[kind] += count;
  }
  void Print() const {
    printf("%llu runs, %llu operations, %llu virtual minutes, %llu events\n", runs_, operations_, seconds_ / 60,
           events_);
    for (const auto& [title, map] :
         {std::pair("faults fired", &faults_), std::pair("operations", &outcomes_), std::pair("probes", &probes_)}) {
      printf("%s:\n", title);
      for (const auto& [kind, count] : *map) printf("  %-45s %llu\n", kind.c_str(), count);
    }
  }
  unsigned long long Fault(const std::string& kind) const { return faults_.contains(kind) ? faults_.at(kind) : 0; }
  unsigned long long Outcome(const std::string& kind) const {
    return outcomes_.contains(kind) ? outcomes_.at(kind) : 0;
  }
  unsigned long long Probe(const std::string& kind) const { return probes_.contains(kind) ? probes_.at(kind) : 0; }

 private:
  unsigned long long runs_ = 0, operations_ = 0, seconds_ = 0, events_ = 0;
  std::map<std::string, unsigned long long> faults_, outcomes_, probes_;
};

TEST(ClusterSim, KeepsEveryPromiseUnderFaults) {
  const RunGoals goals;
  Sums sums;
  for (uint64_t seed = first_seed; seed < first_seed + seed_count; ++seed) {
    const RunReport report = RunSeed(seed, goals);
    ASSERT_TRUE(report.violation.empty()) << Describe(report, true);
    ASSERT_GE(report.operations, goals.operations) << Describe(report, false);
    ASSERT_GE(report.virtual_time, goals.virtual_time) << Describe(report, false);
    ASSERT_GE(report.fault_count(), goals.faults) << Describe(report, false);
    if (seed % 100 == 0 || one_seed) {
      const RunReport again = RunSeed(seed, goals);
      ASSERT_EQ(report.trace_hash, again.trace_hash) << "seed " << seed << " does not replay";
      ASSERT_EQ(report.events, again.events) << "seed " << seed << " does not replay";
    }
    if (one_seed) printf("%s", Describe(report, true).c_str());
    sums.Add(report);
  }
  sums.Print();
  if (seed_count >= 200) {
    // A night in which an interesting branch was never taken is a failed night.
    for (const char* kind : {"namenode kill -9", "namenode power loss", "namenode commit failure", "datanode kill -9",
                             "datanode power loss", "power loss of all servers", "client kill -9", "link cut",
                             "link cut one way", "lossy network"})
      EXPECT_GT(sums.Fault(kind), 0u) << kind;
    for (const char* outcome : {"concat ok", "concat failed", "set replication ok", "count ok", "open files ok",
                                "append opened ok", "truncate ok", "recoverLease ok"})
      EXPECT_GT(sums.Outcome(outcome), 0u) << outcome;
    for (const char* probe : {"crash with a batch not on disk", "crash with a batch on disk, nobody answered",
                              "failed commits", "retries answered from the record", "replicas copied", "messages lost",
                              "messages repeated", "messages delayed", "replicas frozen", "replica recoveries finished",
                              "prefixes copied", "flushed files recovered"})
      EXPECT_GT(sums.Probe(probe), 0u) << probe;
  }
}

}  // namespace

int RunTests(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  spdlog::set_level(spdlog::level::off);  // dying processes complain about their disks
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg.starts_with("--seeds=")) {
      seed_count = std::stoull(arg.substr(8));
    } else if (arg.starts_with("--first-seed=")) {
      first_seed = std::stoull(arg.substr(13));
    } else if (arg.starts_with("--seed=")) {
      first_seed = std::stoull(arg.substr(7));
      seed_count = 1;
      one_seed = true;
    } else {
      fprintf(stderr, "unknown argument %s; see the head of tests/sim/cluster_sim_test.cc\n", argv[i]);
      return 2;
    }
  }
  return RUN_ALL_TESTS();
}

}  // namespace dolmen::sim

int main(int argc, char** argv) { return dolmen::sim::RunTests(argc, argv); }
