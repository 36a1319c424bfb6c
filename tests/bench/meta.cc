// Metadata calls: at 1, 16 and 64 outstanding on one connection and 256 over four, beside the echo (queries) and the
// committer (changes).
#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/random.h"
#include "tests/bench/bench_cluster.h"
#include "tests/bench/benchmarks.h"
#include "tests/bench/fill.h"
#include "tests/bench/rpc_sides.h"
#include "tests/bench/skeleton_process.h"
#include "tests/bench/skeleton_rpc.h"
#include "tests/bench/workload.h"

namespace dolmen::bench {
namespace {

using Stub = RpcDriver::Stub;

constexpr uint64_t kOpenedFiles = 64;  // closed files with one block of kOpenedBytes
constexpr uint64_t kOpenedBytes = 4096;
constexpr uint64_t kListedEntries = 100;

struct Level {
  uint32_t outstanding;
  int connections;
  uint64_t operations;
  std::string Name() const {
    return absl::StrCat(outstanding, " outstanding", connections > 1 ? absl::StrCat(" over ", connections) : "");
  }
};

class Meta {
 public:
  Meta(const Options& options, const std::string& directory, ResultLog* log)
      : options_(options), skeleton_directory_(directory + "/skeleton"), log_(log) {}

  absl::Status Run() {
    DOLMEN_ASSIGN_OR_RETURN(cluster_, BenchCluster::Start());
    DOLMEN_RETURN_IF_ERROR(MakeFiles());
    DOLMEN_RETURN_IF_ERROR(StartSkeleton());
    // Half of what doc limits.md names: a machine, or a moment, on which the bare programs are slower says nothing.
    log_->AddFloor({"stat", "64 outstanding", "echo", 57'000.0 / 2, "half of reference echo, 57k/s"});
    log_->AddFloor({"create", "64 outstanding", "committer", 41'000.0 / 2, "half of reference committer, 41k/s"});
    for (uint64_t repeat = 0; repeat < options_.repeats; ++repeat) {
      for (const Level& level : Levels()) {
        if (options_.outstanding != 0 && options_.outstanding != level.outstanding) continue;
        DOLMEN_RETURN_IF_ERROR(Round(repeat, level));
      }
    }
    return absl::OkStatus();
  }

 private:
  std::vector<Level> Levels() const {
    const uint64_t most = options_.operations;
    return {{1, 1, std::max<uint64_t>(1, most / 8)},
            {16, 1, most / 2},
            {64, 1, most},
            {256, 4, std::max<uint64_t>(256, most)}};
  }

  absl::Status MakeFiles() {
    FileSystemClient& client = cluster_->client();
    for (uint64_t i = 0; i < kOpenedFiles; ++i) {
      DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<OutputStream> file, client.Create(opened_.File(i), {}));
      DOLMEN_RETURN_IF_ERROR(file->Write(std::string(kOpenedBytes, 'x')));
      DOLMEN_RETURN_IF_ERROR(file->Close());
    }
    for (uint64_t i = 0; i < kListedEntries; ++i)
      DOLMEN_RETURN_IF_ERROR(client.Mkdirs(absl::StrCat("/listed/entry", i)));
    return absl::OkStatus();
  }

  // The skeleton answers with what the namenode answered once.
  absl::Status StartSkeleton() {
    RpcDriver driver(cluster_->namenode_port(), 1, SeedFromOs());
    CannedReplies replies;
    const auto keep = [&]<typename Request, typename Reply>(const std::string& name,
                                                            RpcDriver::Prepare<Request, Reply> prepare,
                                                            const std::function<void(Request*)>& fill) {
      Reply reply;
      absl::Status called = driver.CallOnce<Request, Reply>(prepare, fill, &reply);
      replies[name] = reply.SerializeAsString();
      return called;
    };
    const Workload names{.root = "/canned"};
    const uint64_t far = options_.operations - 1;
    DOLMEN_RETURN_IF_ERROR((keep.operator()<v1::MkdirsRequest, v1::MkdirsReply>(
        "Mkdirs", &Stub::PrepareAsyncMkdirs, [&](auto* r) { FillMkdirs(names.NewDirectory(far), r); })));
    DOLMEN_RETURN_IF_ERROR((keep.operator()<v1::CreateRequest, v1::CreateReply>(
        "Create", &Stub::PrepareAsyncCreate, [&](auto* r) { FillCreateRequest(names.File(far), r); })));
    DOLMEN_RETURN_IF_ERROR((keep.operator()<v1::GetFileInfoRequest, v1::GetFileInfoReply>(
        "GetFileInfo", &Stub::PrepareAsyncGetFileInfo, [&](auto* r) { r->set_path(names.File(far)); })));
    DOLMEN_RETURN_IF_ERROR((keep.operator()<v1::GetBlockLocationsRequest, v1::GetBlockLocationsReply>(
        "GetBlockLocations", &Stub::PrepareAsyncGetBlockLocations, [&](auto* r) { FillOpen(0, r); })));
    DOLMEN_RETURN_IF_ERROR((keep.operator()<v1::GetListingRequest, v1::GetListingReply>(
        "GetListing", &Stub::PrepareAsyncGetListing, [&](auto* r) { FillListing(r); })));
    DOLMEN_RETURN_IF_ERROR((keep.operator()<v1::RenameRequest, v1::RenameReply>(
        "Rename", &Stub::PrepareAsyncRename, [&](auto* r) { FillRename(names, far, r); })));
    DOLMEN_RETURN_IF_ERROR((keep.operator()<v1::DeleteRequest, v1::DeleteReply>(
        "Delete", &Stub::PrepareAsyncDelete, [&](auto* r) { r->set_path(names.Renamed(far)); })));
    DOLMEN_ASSIGN_OR_RETURN(const CommitModel model, MeasureCommitModel());
    std::filesystem::create_directories(skeleton_directory_);
    DOLMEN_RETURN_IF_ERROR(PrepareRpcSkeleton(skeleton_directory_, replies, model));
    DOLMEN_ASSIGN_OR_RETURN(skeleton_, SkeletonProcess::Start(kServeRpc, skeleton_directory_));
    return absl::OkStatus();
  }

  // Every operation once on each side, the side that begins in turn.
  absl::Status Round(uint64_t repeat, const Level& level) {
    RpcDriver ours(cluster_->namenode_port(), level.connections, SeedFromOs());
    RpcDriver bare(skeleton_->port(), level.connections, SeedFromOs());
    const Workload names{.root = absl::StrCat("/meta/", repeat, "-", level.outstanding)};
    for (uint64_t i = 0; i < Workload::kDirectories; ++i)
      DOLMEN_RETURN_IF_ERROR(cluster_->client().Mkdirs(names.Directory(i)));
    const std::vector<pid_t> cluster = cluster_->processes();
    bool ours_first = repeat % 2 == 0;
    const auto both = [&]<typename Request, typename Reply>(const std::string& what, const std::string& skeleton,
                                                            RpcDriver::Prepare<Request, Reply> prepare,
                                                            const std::function<void(uint64_t, Request*)>& fill) {
      std::vector<RpcSide> sides = {{kOurs, &ours, cluster}, {skeleton, &bare, {skeleton_->pid()}}};
      if (!ours_first) std::swap(sides[0], sides[1]);
      ours_first = !ours_first;
      const RpcDriver::Load load{.count = level.operations, .outstanding = level.outstanding};
      for (const RpcSide& side : sides) {
        absl::StatusOr<Sample> sample = MeasureCalls<Request, Reply>(side, what, level.Name(), prepare, load, fill);
        if (!sample.ok()) return sample.status();
        log_->Add(*std::move(sample));
      }
      return absl::OkStatus();
    };
    // A multiplier without a common factor walks over all files in no order.
    const auto any = [&](uint64_t i) { return i * 7919 % level.operations; };
    DOLMEN_RETURN_IF_ERROR((both.operator()<v1::CreateRequest, v1::CreateReply>(
        "create", "committer", &Stub::PrepareAsyncCreate,
        [&](uint64_t i, auto* r) { FillCreateRequest(names.File(i), r); })));
    DOLMEN_RETURN_IF_ERROR((both.operator()<v1::GetFileInfoRequest, v1::GetFileInfoReply>(
        "stat", "echo", &Stub::PrepareAsyncGetFileInfo,
        [&](uint64_t i, auto* r) { r->set_path(names.File(any(i))); })));
    DOLMEN_RETURN_IF_ERROR((both.operator()<v1::GetBlockLocationsRequest, v1::GetBlockLocationsReply>(
        "open", "echo", &Stub::PrepareAsyncGetBlockLocations, [&](uint64_t i, auto* r) { FillOpen(i, r); })));
    DOLMEN_RETURN_IF_ERROR((both.operator()<v1::GetListingRequest, v1::GetListingReply>(
        "ls", "echo", &Stub::PrepareAsyncGetListing, [&](uint64_t, auto* r) { FillListing(r); })));
    DOLMEN_RETURN_IF_ERROR((both.operator()<v1::MkdirsRequest, v1::MkdirsReply>(
        "mkdirs", "committer", &Stub::PrepareAsyncMkdirs,
        [&](uint64_t i, auto* r) { FillMkdirs(names.NewDirectory(i), r); })));
    DOLMEN_RETURN_IF_ERROR((both.operator()<v1::RenameRequest, v1::RenameReply>(
        "rename", "committer", &Stub::PrepareAsyncRename, [&](uint64_t i, auto* r) { FillRename(names, i, r); })));
    DOLMEN_RETURN_IF_ERROR((both.operator()<v1::DeleteRequest, v1::DeleteReply>(
        "delete", "committer", &Stub::PrepareAsyncDelete,
        [&](uint64_t i, auto* r) { r->set_path(names.Renamed(i)); })));
    return cluster_->client().Delete(names.root, /*recursive=*/true).status();
  }

  static void FillMkdirs(const std::string& path, v1::MkdirsRequest* request) {
    request->set_path(path);
    request->set_permission(0755);
    request->set_create_parents(true);
  }
  static void FillRename(const Workload& names, uint64_t i, v1::RenameRequest* request) {
    request->set_source(names.File(i));
    request->set_destination(names.Renamed(i));
    request->set_kind(v1::RENAME_KIND_CLASSIC);
  }
  void FillOpen(uint64_t i, v1::GetBlockLocationsRequest* request) const {
    request->set_path(opened_.File(i % kOpenedFiles));
    request->set_length(10 * kOpenedBytes);
  }
  static void FillListing(v1::GetListingRequest* request) {
    request->set_path("/listed");
    request->set_limit(1000);
  }

  const Options& options_;
  const std::string skeleton_directory_;
  ResultLog* const log_;
  const Workload opened_{.root = "/opened"};
  std::unique_ptr<BenchCluster> cluster_;
  std::unique_ptr<SkeletonProcess> skeleton_;
};

}  // namespace

absl::Status RunMeta(const Options& options, const std::string& directory, ResultLog* log) {
  log->Note(
      "open: files of one block; ls: a directory of 100 entries; the client is generated stubs over one "
      "completion queue, the same for both sides, and its CPU time counts");
  return Meta(options, directory, log).Run();
}

}  // namespace dolmen::bench
