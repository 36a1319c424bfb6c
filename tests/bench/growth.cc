// Growth: so many files in one directory, then as many in a deep tree: made, listed, checked, started again, deleted.
// Creating goes in as many slices as there are repeats, so that the spread shows a slope.
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/random.h"
#include "tests/bench/bench_cluster.h"
#include "tests/bench/benchmarks.h"
#include "tests/bench/fill.h"
#include "tests/bench/machine.h"
#include "tests/bench/skeleton_process.h"
#include "tests/bench/skeleton_rpc.h"
#include "tests/bench/start_probe.h"

namespace dolmen::bench {
namespace {

using Stub = RpcDriver::Stub;

constexpr double kStartLimitSeconds = 300;
constexpr std::chrono::minutes kCommandLimit{30};
constexpr uint32_t kPage = 1000;

// Everything below `path`, one call after the other.
struct Listed {
  uint64_t entries = 0;
  uint64_t calls = 0;
  v1::GetListingReply largest;
};
absl::Status ListAll(RpcDriver* driver, const std::string& path, Listed* listed) {
  std::vector<std::string> directories;
  v1::GetListingReply page;
  std::string after;
  do {
    DOLMEN_RETURN_IF_ERROR((driver->CallOnce<v1::GetListingRequest, v1::GetListingReply>(
        &Stub::PrepareAsyncGetListing,
        [&](auto* request) {
          request->set_path(path);
          request->set_start_after(after);
          request->set_limit(kPage);
        },
        &page)));
    ++listed->calls;
    listed->entries += static_cast<uint64_t>(page.entries_size());
    for (const v1::FileStatus& entry : page.entries())
      if (entry.is_directory()) directories.push_back(absl::StrCat(path, "/", entry.name()));
    if (page.entries_size() > 0) after = page.entries(page.entries_size() - 1).name();
    if (page.entries_size() > listed->largest.entries_size()) listed->largest = page;
  } while (page.has_more());
  for (const std::string& directory : directories) DOLMEN_RETURN_IF_ERROR(ListAll(driver, directory, listed));
  return absl::OkStatus();
}

class Growth {
 public:
  Growth(const Options& options, const std::string& directory, bool flat, ResultLog* log)
      : options_(options),
        circumstance_(absl::StrCat(options.files, flat ? " in one directory" : " in a deep tree")),
        directory_(absl::StrCat(directory, flat ? "/flat" : "/deep")),
        log_(log),
        random_(SeedFromOs()),
        tree_{.root = "/growth", .count = options.files, .flat = flat} {}

  absl::Status Run() {
    DOLMEN_ASSIGN_OR_RETURN(cluster_, BenchCluster::Start());
    Add("resident, empty", kOurs, "MiB", MemoryOf(cluster_->namenode()).resident_mib);
    DOLMEN_RETURN_IF_ERROR(Create());
    Add("resident, created", kOurs, "MiB", MemoryOf(cluster_->namenode()).resident_mib);
    DOLMEN_RETURN_IF_ERROR(List());
    DOLMEN_RETURN_IF_ERROR(Check());
    Add("resident, listed", kOurs, "MiB", MemoryOf(cluster_->namenode()).resident_mib);
    DOLMEN_RETURN_IF_ERROR(StartAgain());
    Add("resident, started again", kOurs, "MiB", MemoryOf(cluster_->namenode()).resident_mib);
    return Delete();
  }

 private:
  void Add(const std::string& what, const std::string& side, const std::string& unit, double value) {
    log_->Add({.what = what,
               .circumstance = circumstance_,
               .side = side,
               .unit = unit,
               .value = value,
               .seconds = unit == "s" ? value : 0});
  }

  absl::StatusOr<std::unique_ptr<SkeletonProcess>> StartSkeleton(const std::string& name,
                                                                 const CannedReplies& replies) {
    const std::string own = absl::StrCat(directory_, "/", name);
    std::filesystem::create_directories(own);
    DOLMEN_ASSIGN_OR_RETURN(const CommitModel model, MeasureCommitModel());
    DOLMEN_RETURN_IF_ERROR(PrepareRpcSkeleton(own, replies, model));
    return SkeletonProcess::Start(kServeRpc, own);
  }

  absl::Status Create() {
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<SkeletonProcess> committer, StartSkeleton("committer", {}));
    RpcDriver ours(cluster_->namenode_port(), 1, SeedFromOs());
    RpcDriver bare(committer->port(), 1, SeedFromOs());
    const std::vector<RpcSide> sides = {{kOurs, &ours, cluster_->processes()},
                                        {"committer", &bare, {committer->pid()}}};
    for (uint64_t slice = 0; slice < options_.repeats; ++slice) {
      const uint64_t from = options_.files * slice / options_.repeats;
      const uint64_t to = options_.files * (slice + 1) / options_.repeats;
      for (size_t i = 0; i < sides.size(); ++i) {
        const RpcSide& side = sides[(slice + i) % sides.size()];
        DOLMEN_ASSIGN_OR_RETURN(Sample created, CreateFiles(side, "create", circumstance_, tree_, from, to));
        log_->Add(std::move(created));
      }
    }
    return absl::OkStatus();
  }

  absl::Status List() {
    RpcDriver ours(cluster_->namenode_port(), 1, SeedFromOs());
    Listed first;
    DOLMEN_RETURN_IF_ERROR(ListAll(&ours, tree_.root, &first));
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<SkeletonProcess> echo,
                            StartSkeleton("echo", {{"GetListing", first.largest.SerializeAsString()}}));
    RpcDriver bare(echo->port(), 1, SeedFromOs());
    for (uint64_t repeat = 0; repeat < options_.repeats; ++repeat) {
      for (const bool is_ours : {repeat % 2 == 0, repeat % 2 != 0}) {
        const Meter meter(is_ours ? cluster_->processes() : std::vector<pid_t>{echo->pid()});
        Listed listed;
        if (is_ours) {
          DOLMEN_RETURN_IF_ERROR(ListAll(&ours, tree_.root, &listed));
          if (listed.entries < options_.files) return MakeError(ErrorReason::kIo, "a listing is not complete");
        } else {
          for (uint64_t call = 0; call < first.calls; ++call)
            DOLMEN_RETURN_IF_ERROR((bare.CallOnce<v1::GetListingRequest, v1::GetListingReply>(
                &Stub::PrepareAsyncGetListing, [](auto* request) { request->set_path("/growth"); }, &listed.largest)));
        }
        const Cost cost = meter.Read();
        const double entries = static_cast<double>(first.entries);
        log_->Add({.what = "list all",
                   .circumstance = circumstance_,
                   .side = is_ours ? kOurs : "echo",
                   .unit = "1/s",
                   .value = entries / cost.seconds,
                   .cpu = cost.cpu_seconds / entries * 1e6,
                   .cpu_unit = "us/op",
                   .seconds = cost.seconds});
      }
    }
    return absl::OkStatus();
  }

  // Exit code of a `dolmen` command; its output is in `log`.
  absl::StatusOr<int> RunCommand(const std::vector<std::string>& words, const std::string& log) {
    std::vector<std::string> argv = {testing::ExternalCluster::Binary("dolmen")};
    argv.insert(argv.end(), words.begin(), words.end());
    testing::ChildProcess command(argv, log, {{"DOLMEN_FS", cluster_->daemons().uri()}});
    const std::optional<int> status = command.Wait(kCommandLimit);
    if (!status.has_value() || !WIFEXITED(*status)) return MakeError(ErrorReason::kIo, "dolmen did not end");
    return WEXITSTATUS(*status);
  }

  absl::Status Check() {
    const std::string log = directory_ + "/command.log";
    DOLMEN_RETURN_IF_ERROR(RunCommand({"help"}, log).status());
    if (!absl::StrContains(testing::ExternalCluster::ReadFile(log), "fsck")) {
      log_->Note("this dolmen has no fsck: not measured");
      return absl::OkStatus();
    }
    for (uint64_t repeat = 0; repeat < options_.repeats; ++repeat) {
      std::filesystem::remove(log);
      const Stopwatch watch;
      DOLMEN_ASSIGN_OR_RETURN(const int code, RunCommand({"fsck", "/"}, log));
      const std::string output = testing::ExternalCluster::ReadFile(log);
      if (code != 0 || !absl::StrContains(output, "HEALTHY")) {
        return MakeError(ErrorReason::kIo,
                         absl::StrCat("fsck / ended with ", code, ": ",
                                      output.substr(output.size() - std::min<size_t>(output.size(), 500))));
      }
      Add("fsck /", kOurs, "s", watch.Elapsed());
    }
    return absl::OkStatus();
  }

  absl::Status StartAgain() {
    for (uint64_t repeat = 0; repeat < options_.repeats; ++repeat) {
      cluster_->daemons().KillNamenode();
      cluster_->daemons().LaunchNamenode({});
      DOLMEN_ASSIGN_OR_RETURN(const StartTimes times,
                              ProbeStart(cluster_->daemons().uri(), tree_.File(random_.Uniform(options_.files)),
                                         absl::StrCat("/after", repeat), "", kStartLimitSeconds));
      Add("kill -9, first stat", kOurs, "s", times.first_stat);
      Add("kill -9, first create", kOurs, "s", times.first_create);
    }
    return cluster_->daemons().WaitWritable(kDatanodes) ? absl::OkStatus()
                                                        : MakeError(ErrorReason::kIo, "the cluster did not come back");
  }

  absl::Status Delete() {
    const Stopwatch watch;
    DOLMEN_ASSIGN_OR_RETURN(const bool deleted, cluster_->client().Delete(tree_.root, true));
    if (!deleted) return MakeError(ErrorReason::kIo, "nothing was deleted");
    Add("delete -r, answered", kOurs, "s", watch.Elapsed());
    DOLMEN_RETURN_IF_ERROR(WaitUntilIdle());
    Add("delete -r, all freed", kOurs, "s", watch.Elapsed() - kIdle.count());
    Add("resident, deleted", kOurs, "MiB", MemoryOf(cluster_->namenode()).resident_mib);
    return absl::OkStatus();
  }

  // The reaper says nothing when it is done; the namenode then needs (almost) no CPU for kIdle.
  static constexpr Seconds kIdle{1};
  absl::Status WaitUntilIdle() {
    constexpr double kIdleShare = 0.05;
    const Stopwatch watch;
    const std::vector<pid_t> namenode = {cluster_->namenode()};
    while (watch.Elapsed() < Seconds(kCommandLimit).count()) {
      const double before = CpuSeconds(namenode);
      std::this_thread::sleep_for(kIdle);
      if (CpuSeconds(namenode) - before < kIdleShare * kIdle.count()) return absl::OkStatus();
    }
    return MakeError(ErrorReason::kIo, "the namenode was still busy long after a delete");
  }

  const Options& options_;
  const std::string circumstance_;
  const std::string directory_;
  ResultLog* const log_;
  Random random_;
  const Tree tree_;
  std::unique_ptr<BenchCluster> cluster_;
};

}  // namespace

absl::Status RunGrowth(const Options& options, const std::string& directory, ResultLog* log) {
  log->Note(
      "create: 64 outstanding, files are closed outside of what is measured; list: one call after the other; "
      "all freed: the namenode needs no CPU any more, to a second");
  for (const bool flat : {true, false})
    DOLMEN_RETURN_IF_ERROR(Growth(options, directory, flat, log).Run(), flat ? "one directory" : "deep tree");
  return absl::OkStatus();
}

}  // namespace dolmen::bench
