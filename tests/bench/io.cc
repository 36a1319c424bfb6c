// Bytes: one large file with three replicas and many small ones, written and read through the client library, beside
// the relay, one stream, and plain files.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "tests/bench/bench_cluster.h"
#include "tests/bench/benchmarks.h"
#include "tests/bench/machine.h"
#include "tests/bench/skeleton_relay.h"
#include "tests/bench/small_files.h"

namespace dolmen::bench {
namespace {

constexpr uint64_t kBlockBytes = 128 << 20;  // the default
constexpr uint64_t kPieceBytes = 1 << 20;    // what the program writes and reads at a time
constexpr double kMB = 1e6, kGiB = 1 << 30;

class Io {
 public:
  Io(const Options& options, const std::string& directory, ResultLog* log)
      : options_(options),
        small_{.count = options.small_files, .bytes = options.small_bytes, .threads = options.threads},
        log_(log),
        pattern_(kPieceBytes, 0) {
    for (size_t i = 0; i < pattern_.size(); ++i) pattern_[i] = static_cast<char>(i * 2654435761u >> 13);
    for (int i = 0; i < kDatanodes; ++i) {
      copies_.push_back(absl::StrCat(directory, "/copies", i));
      std::filesystem::create_directories(copies_.back());
    }
  }

  absl::Status Run(const std::string& directory) {
    DOLMEN_ASSIGN_OR_RETURN(cluster_, BenchCluster::Start());
    DOLMEN_ASSIGN_OR_RETURN(cached_, RelaySkeleton::Start(directory + "/relay", /*direct=*/false));
    // Not every filesystem knows O_DIRECT: then that side stays out.
    DOLMEN_ASSIGN_OR_RETURN(direct_, RelaySkeleton::Start(directory + "/relay-direct", /*direct=*/true));
    if (absl::Status tried = direct_->Write(pattern_, kPieceBytes, kBlockBytes); !tried.ok()) {
      log_->Note(absl::StrCat("no relay with O_DIRECT here: ", ToAbsl(MessageOf(tried))));
      direct_.reset();
    }
    // Half of what limits.md measured.
    log_->AddFloor({"write, 3 replicas", "", kDirect, 850.0 / 2, "half of the reference relay, 850 MB/s"});
    log_->AddFloor({"read", "", kStream, 3500.0 / 2, "half of the reference stream, 3500 MB/s"});
    for (uint64_t repeat = 0; repeat < options_.repeats; ++repeat) {
      DOLMEN_RETURN_IF_ERROR(LargeFile(repeat % 2 == 0));
    }
    for (uint64_t repeat = 0; repeat < options_.repeats; ++repeat) DOLMEN_RETURN_IF_ERROR(Small(repeat));
    return absl::OkStatus();
  }

 private:
  static constexpr char kCached[] = "relay";
  static constexpr char kDirect[] = "relay, O_DIRECT";
  static constexpr char kStream[] = "stream";
  static constexpr char kCopy[] = "cp + fsync x3";
  static constexpr char kFiles[] = "plain files";

  struct Side {
    std::string name;
    std::vector<pid_t> processes;
    std::function<absl::Status()> run;
  };

  // Each side once, in the given order or backwards.
  absl::Status Measure(const std::string& what, const std::string& circumstance, std::vector<Side> sides, bool forwards,
                       double files) {
    if (!forwards) std::reverse(sides.begin(), sides.end());
    for (const Side& side : sides) {
      const Meter meter(side.processes);
      DOLMEN_RETURN_IF_ERROR(side.run(), absl::StrCat(what, " on ", side.name));
      const Cost cost = meter.Read();
      Sample sample{.what = what, .circumstance = circumstance, .side = side.name, .seconds = cost.seconds};
      if (files > 0) {
        sample.unit = "1/s";
        sample.value = files / cost.seconds;
        sample.cpu = cost.cpu_seconds / files * 1e6;
        sample.cpu_unit = "us/op";
      } else {
        const double bytes = static_cast<double>(options_.file_bytes);
        sample.unit = "MB/s";
        sample.value = bytes / kMB / cost.seconds;
        sample.cpu = cost.cpu_seconds / (bytes / kGiB);
        sample.cpu_unit = "s/GiB";
      }
      log_->Add(std::move(sample));
    }
    return absl::OkStatus();
  }

  absl::Status LargeFile(bool forwards) {
    const uint64_t bytes = options_.file_bytes;
    std::vector<Side> writers = {
        {kOurs, cluster_->processes(), [this] { return WriteOurs(); }},
        {kCached, cached_->processes(), [&] { return cached_->Write(pattern_, bytes, kBlockBytes); }}};
    if (direct_ != nullptr) {
      writers.push_back({kDirect, direct_->processes(), [&] { return direct_->Write(pattern_, bytes, kBlockBytes); }});
    }
    DOLMEN_RETURN_IF_ERROR(Measure("write, 3 replicas", "", std::move(writers), forwards, 0));
    DOLMEN_RETURN_IF_ERROR(Measure("read", "",
                                   {{kOurs, cluster_->processes(), [this] { return ReadOurs(); }},
                                    {kStream, cached_->processes(), [&] { return cached_->Read(bytes, kBlockBytes); }}},
                                   forwards, 0));
    DOLMEN_RETURN_IF_ERROR(cluster_->client().Delete(kLarge, false).status());
    cached_->Clear();
    if (direct_ != nullptr) direct_->Clear();
    return cluster_->WaitUntilFreed(0);
  }

  // The files stay until the end: a filesystem may be slow to make files where many were deleted just now (ext4 without
  // a journal is), and that is not what is measured.
  absl::Status Small(uint64_t repeat) {
    const bool forwards = repeat % 2 == 0;
    FileSystemClient* const client = &cluster_->client();
    const std::string circumstance = absl::StrCat(small_.bytes, " bytes, ", small_.threads, " threads");
    const double count = static_cast<double>(small_.count);
    const std::string root = absl::StrCat("/small", repeat);
    std::vector<std::string> copies;
    for (const std::string& directory : copies_) {
      copies.push_back(absl::StrCat(directory, "/", repeat));
      std::filesystem::create_directories(copies.back());
    }
    DOLMEN_RETURN_IF_ERROR(
        Measure("write small files", circumstance,
                {{kOurs, cluster_->processes(), [&] { return WriteSmallFiles(small_, root, client); }},
                 {kCopy, {}, [&] { return CopySmallFiles(small_, copies); }}},
                forwards, count));
    return Measure("read small files", circumstance,
                   {{kOurs, cluster_->processes(), [&] { return ReadSmallFiles(small_, root, client); }},
                    {kFiles, {}, [&] { return ReadCopies(small_, copies.front()); }}},
                   forwards, count);
  }

  absl::Status WriteOurs() {
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<OutputStream> file, cluster_->client().Create(kLarge, {}));
    for (uint64_t left = options_.file_bytes; left > 0;) {
      const uint64_t size = std::min<uint64_t>(left, pattern_.size());
      DOLMEN_RETURN_IF_ERROR(file->Write(std::string_view(pattern_.data(), size)));
      left -= size;
    }
    return file->Close();
  }
  absl::Status ReadOurs() {
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<InputStream> file, cluster_->client().Open(kLarge));
    uint64_t size = 0;
    std::string piece(kPieceBytes, 0);
    for (;;) {
      DOLMEN_ASSIGN_OR_RETURN(const size_t got, file->Read(std::span(piece.data(), piece.size())));
      if (got == 0) break;
      size += got;
    }
    if (size == options_.file_bytes) return file->Close();
    return MakeError(ErrorReason::kIo, absl::StrCat("read ", size, " bytes instead of ", options_.file_bytes));
  }

  static constexpr char kLarge[] = "/large";

  const Options& options_;
  const SmallFiles small_;
  ResultLog* const log_;
  std::string pattern_;
  std::vector<std::string> copies_;
  std::unique_ptr<BenchCluster> cluster_;
  std::unique_ptr<RelaySkeleton> cached_;
  std::unique_ptr<RelaySkeleton> direct_;
};

}  // namespace

absl::Status RunIo(const Options& options, const std::string& directory, ResultLog* log) {
  log->Note(absl::StrCat("large file: ", options.file_bytes,
                         " bytes in blocks of 128 MiB; read: from the page cache, "
                         "verified; small files: ",
                         options.small_files,
                         ", each synced with its name in three places; no side batches over files but ours"));
  return Io(options, directory, log).Run(directory);
}

}  // namespace dolmen::bench
