// Restart: the namenode is killed with kill -9 in the middle of a write load, the page cache is dropped, and the first
// answers after the new start are timed. Beside it the committer with as many creates in its database.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/random.h"
#include "tests/bench/bench_cluster.h"
#include "tests/bench/benchmarks.h"
#include "tests/bench/fill.h"
#include "tests/bench/machine.h"
#include "tests/bench/skeleton_process.h"
#include "tests/bench/skeleton_rpc.h"
#include "tests/bench/small_files.h"
#include "tests/bench/start_probe.h"

namespace dolmen::bench {
namespace {

constexpr double kStartLimitSeconds = 300;
constexpr SmallFiles kDataFiles{.count = 64, .bytes = 4096, .threads = 4};  // for the first read
constexpr char kCommitter[] = "committer";

class Restart {
 public:
  Restart(const Options& options, const std::string& directory, ResultLog* log)
      : options_(options),
        circumstance_(absl::StrCat(options.files, " files")),
        skeleton_directory_(directory + "/skeleton"),
        log_(log),
        random_(SeedFromOs()) {}

  absl::Status Run() {
    DOLMEN_RETURN_IF_ERROR(Prepare());
    for (uint64_t repeat = 0; repeat < options_.repeats; ++repeat) {
      DOLMEN_RETURN_IF_ERROR(Ours(repeat));
      DOLMEN_RETURN_IF_ERROR(Bare(repeat));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Prepare() {
    DOLMEN_ASSIGN_OR_RETURN(cluster_, BenchCluster::Start());
    DOLMEN_RETURN_IF_ERROR(WriteSmallFiles(kDataFiles, "/data", &cluster_->client()));
    DOLMEN_ASSIGN_OR_RETURN(const CommitModel model, MeasureCommitModel());
    std::filesystem::create_directories(skeleton_directory_);
    DOLMEN_RETURN_IF_ERROR(PrepareRpcSkeleton(skeleton_directory_, AlwaysThere(), model));
    DOLMEN_ASSIGN_OR_RETURN(skeleton_, SkeletonProcess::Start(kServeRpc, skeleton_directory_));
    RpcDriver ours(cluster_->namenode_port(), 1, SeedFromOs());
    RpcDriver bare(skeleton_->port(), 1, SeedFromOs());
    for (const RpcSide& side :
         {RpcSide{kOurs, &ours, cluster_->processes()}, RpcSide{kCommitter, &bare, {skeleton_->pid()}}}) {
      DOLMEN_ASSIGN_OR_RETURN(Sample filled,
                              CreateFiles(side, "fill with creates", circumstance_, tree_, 0, options_.files));
      log_->Add(std::move(filled));
    }
    return absl::OkStatus();
  }

  // A stat of the skeleton finds something.
  static CannedReplies AlwaysThere() {
    v1::GetFileInfoReply reply;
    reply.mutable_status()->set_inode(1);
    return {{"GetFileInfo", reply.SerializeAsString()}};
  }

  // Starts a load, and calls `kill` in the middle of it.
  template <typename Kill>
  void KillUnderLoad(uint16_t port, const std::string& root, Kill kill) {
    std::atomic<bool> stop{false};
    std::thread load([&] { CreateUntilStopped(port, root, [&] { return stop.load(); }); });
    std::this_thread::sleep_for(std::chrono::milliseconds(random_.Between(500, 1500)));
    kill();
    stop = true;
    load.join();
  }

  absl::Status ColdCache() {
    if (!options_.drop_caches || cannot_drop_) return absl::OkStatus();
    const absl::Status dropped = DropCaches();
    if (dropped.ok()) return absl::OkStatus();
    cannot_drop_ = true;
    log_->Note(absl::StrCat("WARM CACHE: ", ToAbsl(MessageOf(dropped))));
    return absl::OkStatus();
  }

  void Add(const std::string& what, const std::string& side, const std::string& unit, double value) {
    log_->Add({.what = what,
               .circumstance = circumstance_,
               .side = side,
               .unit = unit,
               .value = value,
               .seconds = unit == "s" ? value : 0});
  }

  absl::Status Ours(uint64_t repeat) {
    const std::string load = absl::StrCat("/load", repeat);
    Add("resident before the kill", kOurs, "MiB", MemoryOf(cluster_->namenode()).resident_mib);
    KillUnderLoad(cluster_->namenode_port(), load, [&] { cluster_->daemons().KillNamenode(); });
    DOLMEN_RETURN_IF_ERROR(ColdCache());
    const std::string deep = tree_.File(random_.Uniform(options_.files));
    const std::string data = absl::StrCat("/data/small", random_.Uniform(kDataFiles.count));
    cluster_->daemons().LaunchNamenode({});
    DOLMEN_ASSIGN_OR_RETURN(
        const StartTimes times,
        ProbeStart(cluster_->daemons().uri(), deep, absl::StrCat("/after", repeat), data, kStartLimitSeconds));
    Add("first stat", kOurs, "s", times.first_stat);
    Add("first durable create", kOurs, "s", times.first_create);
    Add("first read", kOurs, "s", times.first_read);
    Add("resident after the first answers", kOurs, "MiB", MemoryOf(cluster_->namenode()).resident_mib);
    if (!cluster_->daemons().WaitWritable(kDatanodes))
      return MakeError(ErrorReason::kIo, "the cluster did not come back");
    return cluster_->client().Delete(load, true).status();
  }

  absl::Status Bare(uint64_t repeat) {
    Add("resident before the kill", kCommitter, "MiB", MemoryOf(skeleton_->pid()).resident_mib);
    KillUnderLoad(skeleton_->port(), absl::StrCat("/load", repeat), [&] { skeleton_->Kill(); });
    DOLMEN_RETURN_IF_ERROR(ColdCache());
    const Stopwatch watch;
    DOLMEN_ASSIGN_OR_RETURN(skeleton_, SkeletonProcess::Start(kServeRpc, skeleton_directory_));
    const double listening = watch.Elapsed();
    DOLMEN_ASSIGN_OR_RETURN(const StartTimes times, ProbeStart(absl::StrCat("dolmen://127.0.0.1:", skeleton_->port()),
                                                               "/any", "/any", "", kStartLimitSeconds));
    Add("first stat", kCommitter, "s", listening + times.first_stat);
    Add("first durable create", kCommitter, "s", listening + times.first_create);
    Add("resident after the first answers", kCommitter, "MiB", MemoryOf(skeleton_->pid()).resident_mib);
    return absl::OkStatus();
  }

  const Options& options_;
  const std::string circumstance_;
  const std::string skeleton_directory_;
  ResultLog* const log_;
  Random random_;
  const Tree tree_{.root = "/tree", .count = options_.files};
  bool cannot_drop_ = false;
  std::unique_ptr<BenchCluster> cluster_;
  std::unique_ptr<SkeletonProcess> skeleton_;
};

}  // namespace

absl::Status RunRestart(const Options& options, const std::string& directory, ResultLog* log) {
  log->Note(
      "the namenode is killed with 64 creates outstanding and started with its default settings, safe mode "
      "included; datanodes stay up; the committer's stat is an echo");
  if (!options.drop_caches) log->Note("WARM CACHE: as asked for");
  return Restart(options, directory, log).Run();
}

}  // namespace dolmen::bench
