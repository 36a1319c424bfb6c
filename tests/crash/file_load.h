// A load of writers, appends, truncations, lost writers, readers, renames and deletes of small files, and the expected
// state, which lives here, outside of every process that is killed: a file whose Close answered OK must be there with
// its bytes; a file whose write failed or whose writer was lost may be there with a front of them that has at least
// what was flushed, or closed before; nothing else may exist.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "common/mutex.h"
#include "common/random.h"
#include "tests/crash/read_back.h"
#include "tests/support/eventually.h"
#include "tests/support/external_cluster.h"

namespace dolmen::testing {

struct FileLoadOptions {
  int workers = 4;
  uint64_t block_bytes = 64 << 10;
  size_t most_files = 60;  // of each worker; then something is deleted for each new one
  bool outages = false;    // all processes may be gone at once: reads and metadata calls may be refused for now
  uint64_t seed = 1;
};

struct FileLoadCounts {
  uint64_t closed = 0;    // files whose Close answered OK
  uint64_t bytes = 0;     // in them
  uint64_t flushes = 0;   // hflush and hsync answered OK
  uint64_t appended = 0;  // files that were appended to and closed
  uint64_t truncated = 0;
  uint64_t recovered = 0;  // files of lost writers
  uint64_t renamed = 0;
  uint64_t deleted = 0;
  uint64_t read = 0;           // whole files, under load
  uint64_t failed_writes = 0;  // with a clear error
  uint64_t refused = 0;        // reads and metadata calls, during outages
};

// One client in a directory of its own. One thread at a time.
class FileWorker {
 public:
  FileWorker(int number, const FileLoadOptions& options, std::unique_ptr<FileSystemClient> client)
      : options_(options),
        directory_(absl::StrCat("/load", number)),
        client_(std::move(client)),
        random_(options.seed * 1000 + number) {}

  absl::Status Prepare() { return client_->Mkdirs(directory_); }

  // One random operation. An error is a broken promise.
  absl::Status Step() {
    if (closed_.size() >= options_.most_files) return DeleteOne();
    const uint64_t choice = random_.Uniform(100);
    if (choice < 35 || closed_.empty()) return WriteOne();
    if (choice < 47) return AppendOne();
    if (choice < 53) return TruncateOne();
    if (choice < 60) return LoseOne();
    if (choice < 68) return RenameOne();
    if (choice < 80) return DeleteOne();
    return ReadOne();
  }

  // The namespace and every byte of every closed file, as another client sees them.
  absl::Status Verify(FileSystemClient& reader) {
    std::map<std::string, FileStatus> found;
    DOLMEN_RETURN_IF_ERROR(reader.List(directory_,
                                       [&](const FileStatus& entry) {
                                         found[absl::StrCat(directory_, "/", entry.name)] = entry;
                                         return true;
                                       }),
                           "list " + directory_);
    for (const auto& [path, file] : closed_) {
      const auto entry = found.find(path);
      if (entry == found.end()) return absl::DataLossError(absl::StrCat("closed file ", path, " is lost"));
      if (entry->second.length != file.size || entry->second.under_construction) {
        return absl::DataLossError(absl::StrCat("closed file ", path, " of ", file.size, " bytes is listed with ",
                                                entry->second.length,
                                                entry->second.under_construction ? ", open" : ""));
      }
      DOLMEN_RETURN_IF_ERROR(ExpectContent(reader, path, file.pattern, file.size));
    }
    for (const auto& [path, entry] : found) {
      if (!closed_.contains(path) && !unsure_.contains(path)) {
        return absl::DataLossError(absl::StrCat(path, " should not exist"));
      }
    }
    return absl::OkStatus();
  }

  // Whether the files of failed writes were closed by the namenode. If so, each must hold a front of what was written,
  // with all that was flushed.
  absl::StatusOr<bool> UnsureFilesAreClosed(FileSystemClient& reader) {
    for (const auto& [path, file] : unsure_) {
      DOLMEN_ASSIGN_OR_RETURN(const std::optional<FileStatus> status, reader.GetFileInfo(path));
      if (!status.has_value()) continue;
      if (status->under_construction) return false;
      DOLMEN_ASSIGN_OR_RETURN(const uint64_t length, ReadBack(reader, path, file.pattern));
      DOLMEN_RETURN_IF_ERROR(CheckFront(path, file, length));
    }
    return true;
  }

  // Paths and contents of the closed files.
  template <typename Visit>
  void ForEachClosed(const Visit& visit) const {
    for (const auto& [path, file] : closed_) visit(path, file.pattern, file.size);
  }
  size_t files() const { return closed_.size(); }
  size_t unsure() const { return unsure_.size(); }
  const FileLoadCounts& counts() const { return counts_; }

 private:
  struct File {
    uint64_t size = 0;
    Pattern pattern;
    uint64_t kept = 0;  // of a failed write: what was flushed, or closed before
  };
  // How long the namenode may take to recover a block or to cut one: datanodes that are killed meanwhile come back.
  static constexpr std::chrono::seconds kClosingTime{300};
  static constexpr size_t kMostUnsure = 10;

  uint64_t DrawSize() {
    const uint64_t block = options_.block_bytes;
    switch (random_.Uniform(10)) {
      case 0:
        return 0;
      case 1:
        return block * random_.Between(1, 4);
      case 2:
        return block * random_.Between(1, 4) + random_.Between(0, 2) - 1;
      case 3:
      case 4:
      case 5:
        return random_.Between(1, 2000);
      default:
        return random_.Between(1, 5 * block);
    }
  }
  std::string Fresh() { return absl::StrCat(directory_, "/f", ++last_name_); }
  std::string Pick() {
    auto at = closed_.begin();
    std::advance(at, random_.Uniform(closed_.size()));
    return at->first;
  }

  // A refusal that is no broken promise: nothing was done.
  bool MayBeRefused(const absl::Status& status) {
    const bool refused = options_.outages && ReasonOf(status) == ErrorReason::kSafeMode;
    counts_.refused += refused ? 1 : 0;
    return refused;
  }

  static absl::Status CheckFront(const std::string& path, const File& file, uint64_t length) {
    if (length >= file.kept && length <= file.size) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(path, ", whose writer failed, was closed with ", length, " bytes; ",
                                            file.kept, " were flushed, ", file.size, " written"));
  }

  // Writes the pattern from `at` to `end` with flushes here and there; `flushed`: what they cover.
  absl::Status WriteRest(OutputStream& out, const Pattern& pattern, uint64_t at, uint64_t end, uint64_t* flushed) {
    while (at < end) {
      const uint64_t piece = std::min(end - at, random_.Between(1, 100'000));
      DOLMEN_RETURN_IF_ERROR(out.Write(pattern.Bytes(at, piece)));
      at += piece;
      if (!random_.OneIn(4)) continue;
      DOLMEN_RETURN_IF_ERROR(random_.OneIn(2) ? out.Sync() : out.Flush());
      *flushed = at;
      ++counts_.flushes;
    }
    return absl::OkStatus();
  }

  absl::Status WriteOne() {
    const std::string path = Fresh();
    const Pattern pattern = Pattern::Of(path);
    const uint64_t size = DrawSize();
    auto out = client_->Create(path, {.block_bytes = options_.block_bytes});
    if (!out.ok()) return MayBeRefused(out.status()) ? absl::OkStatus() : Annotate(out.status(), "create " + path);
    uint64_t flushed = 0;
    absl::Status status = WriteRest(**out, pattern, 0, size, &flushed);
    if (status.ok()) status = (*out)->Close();
    if (!status.ok()) return WriteFailed(path, {.size = size, .pattern = pattern, .kept = flushed}, status);
    closed_.insert({path, {.size = size, .pattern = pattern}});
    ++counts_.closed;
    counts_.bytes += size;
    return absl::OkStatus();
  }

  absl::Status AppendOne() {
    const std::string path = Pick();
    File file = closed_.at(path);
    file.kept = file.size;
    file.size += random_.Between(1, 100'000);
    auto out = client_->Append(path, {.new_block = random_.OneIn(8)});
    absl::Status status = out.status();
    if (status.ok()) status = WriteRest(**out, file.pattern, file.kept, file.size, &file.kept);
    if (status.ok()) status = (*out)->Close();
    if (!status.ok()) {
      if (!out.ok() && MayBeRefused(status)) return absl::OkStatus();
      closed_.erase(path);
      return WriteFailed(path, std::move(file), status);
    }
    closed_.at(path).size = file.size;
    ++counts_.appended;
    return absl::OkStatus();
  }

  absl::Status TruncateOne() {
    const std::string path = Pick();
    File& file = closed_.at(path);
    const uint64_t length = random_.Uniform(file.size + 1);
    auto done = client_->Truncate(path, length);
    if (!done.ok()) return MayBeRefused(done.status()) ? absl::OkStatus() : Annotate(done.status(), "truncate " + path);
    file.size = length;
    ++counts_.truncated;
    return *done ? absl::OkStatus() : WaitClosed(path, [&] { return client_->IsFileClosed(path); });
  }

  // A writer that goes away, and somebody who wants its file closed.
  absl::Status LoseOne() {
    const std::string path = Fresh();
    File file{.size = random_.Between(1, options_.block_bytes * 2), .pattern = Pattern::Of(path)};
    {
      auto out = client_->Create(path, {.block_bytes = options_.block_bytes});
      if (!out.ok()) return MayBeRefused(out.status()) ? absl::OkStatus() : Annotate(out.status(), "create " + path);
      absl::Status status = WriteRest(**out, file.pattern, 0, file.size, &file.kept);
      if (status.ok()) status = (*out)->Flush();
      if (!status.ok()) return WriteFailed(path, std::move(file), status);
      file.kept = file.size;
    }
    unsure_.insert({path, file});
    DOLMEN_RETURN_IF_ERROR(WaitClosed(path, [&] { return client_->RecoverLease(path); }));
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<FileStatus> status, client_->GetFileInfo(path), path);
    if (!status.has_value()) return absl::DataLossError(absl::StrCat(path, ", whose writer is gone, is lost"));
    DOLMEN_RETURN_IF_ERROR(CheckFront(path, file, status->length));
    unsure_.erase(path);
    file.size = status->length;
    closed_.insert({path, std::move(file)});
    ++counts_.recovered;
    return absl::OkStatus();
  }

  template <typename Ask>
  absl::Status WaitClosed(const std::string& path, const Ask& ask) {
    absl::Status refused;
    const bool closed = Eventually(
        [&] {
          const absl::StatusOr<bool> answer = ask();
          refused = answer.ok() || MayBeRefused(answer.status()) ? absl::OkStatus() : answer.status();
          return !refused.ok() || (answer.ok() && *answer);
        },
        kClosingTime);
    if (!refused.ok()) return Annotate(refused, "close " + path);
    return closed ? absl::OkStatus() : absl::DeadlineExceededError(absl::StrCat(path, " is not closed"));
  }

  // A failed write is no broken promise if it says what happened to which file.
  absl::Status WriteFailed(const std::string& path, File file, const absl::Status& status) {
    static constexpr std::array kHonest = {ErrorReason::kPipelineFailed, ErrorReason::kNoDatanodes,
                                           ErrorReason::kNotReplicatedYet, ErrorReason::kRecoveryInProgress};
    const bool honest = std::find(kHonest.begin(), kHonest.end(), ReasonOf(status)) != kHonest.end() ||
                        (options_.outages && ReasonOf(status) == ErrorReason::kSafeMode);
    if (!honest || !absl::StrContains(status.message(), path)) {
      return Annotate(status, absl::StrCat("unexpected failure of the write of ", path));
    }
    ++counts_.failed_writes;
    unsure_.insert({path, std::move(file)});
    if (unsure_.size() <= kMostUnsure && random_.OneIn(2)) return absl::OkStatus();
    const std::string victim = unsure_.begin()->first;
    auto deleted = client_->Delete(victim, false);
    if (!deleted.ok())
      return MayBeRefused(deleted.status()) ? absl::OkStatus() : Annotate(deleted.status(), "delete " + victim);
    if (!*deleted) return absl::DataLossError(absl::StrCat("delete of ", victim, " answered false"));
    unsure_.erase(victim);
    ++counts_.deleted;
    return absl::OkStatus();
  }

  absl::Status RenameOne() {
    const std::string from = Pick();
    const std::string to = Fresh();
    auto renamed = client_->Rename(from, to);
    if (!renamed.ok())
      return MayBeRefused(renamed.status()) ? absl::OkStatus() : Annotate(renamed.status(), "rename " + from);
    if (!*renamed) return absl::DataLossError(absl::StrCat("rename of ", from, " answered false: done twice or lost"));
    auto file = closed_.extract(from);
    file.key() = to;
    closed_.insert(std::move(file));
    ++counts_.renamed;
    return absl::OkStatus();
  }

  absl::Status DeleteOne() {
    const std::string path = Pick();
    auto deleted = client_->Delete(path, false);
    if (!deleted.ok())
      return MayBeRefused(deleted.status()) ? absl::OkStatus() : Annotate(deleted.status(), "delete " + path);
    if (!*deleted) return absl::DataLossError(absl::StrCat("delete of ", path, " answered false: done twice or lost"));
    closed_.erase(path);
    ++counts_.deleted;
    return absl::OkStatus();
  }

  absl::Status ReadOne() {
    const std::string path = Pick();
    const File& file = closed_.at(path);
    const absl::Status read = ExpectContent(*client_, path, file.pattern, file.size);
    if (options_.outages && ReasonOf(read) == ErrorReason::kBlockMissing) {
      ++counts_.refused;  // every holder is down at the moment
      return absl::OkStatus();
    }
    DOLMEN_RETURN_IF_ERROR(read);
    ++counts_.read;
    return absl::OkStatus();
  }

  const FileLoadOptions options_;
  const std::string directory_;
  const std::unique_ptr<FileSystemClient> client_;
  Random random_;
  uint64_t last_name_ = 0;
  std::map<std::string, File> closed_;
  std::map<std::string, File> unsure_;
  FileLoadCounts counts_;
};

// Workers on threads; stopped between two operations for verification.
class FileLoad {
 public:
  FileLoad(const ExternalCluster& cluster, const FileLoadOptions& options) {
    ClientOptions client;
    client.connect_timeout = std::chrono::seconds(60);
    client.rpc_timeout = std::chrono::seconds(120);
    for (int i = 0; i < options.workers; ++i)
      workers_.push_back(std::make_unique<FileWorker>(i, options, cluster.Connect(client)));
  }
  ~FileLoad() { Pause(); }

  absl::Status Prepare() {
    for (auto& worker : workers_) DOLMEN_RETURN_IF_ERROR(worker->Prepare());
    return absl::OkStatus();
  }
  void Resume() {
    running_ = true;
    for (auto& worker : workers_) {
      threads_.emplace_back([this, &worker] {
        while (running_) {
          const uint64_t failed_before = worker->counts().failed_writes;
          if (absl::Status step = worker->Step(); !step.ok()) {
            MutexLock lock(&mutex_);
            failure_.Update(step);
            return;
          }
          if (worker->counts().failed_writes == failed_before) ++done_;
        }
      });
    }
  }
  // No further operation is begun; those under way go on. Pause waits for them.
  void Stop() { running_ = false; }
  void Pause() {
    running_ = false;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  // Under load until so many more operations have succeeded; false when a promise was broken or nothing moves.
  [[nodiscard]] bool WaitForOperations(uint64_t count) {
    const uint64_t target = done_ + count;
    return Eventually([&] { return done_ >= target || !failure().ok(); }, std::chrono::seconds(120)) && failure().ok();
  }
  absl::Status failure() {
    MutexLock lock(&mutex_);
    return failure_;
  }
  // While paused.
  absl::Status Verify(FileSystemClient& reader) {
    for (auto& worker : workers_) DOLMEN_RETURN_IF_ERROR(worker->Verify(reader));
    return absl::OkStatus();
  }
  absl::StatusOr<bool> UnsureFilesAreClosed(FileSystemClient& reader) {
    for (auto& worker : workers_) {
      DOLMEN_ASSIGN_OR_RETURN(const bool closed, worker->UnsureFilesAreClosed(reader));
      if (!closed) return false;
    }
    return true;
  }
  const std::vector<std::unique_ptr<FileWorker>>& workers() const { return workers_; }
  uint64_t done() const { return done_; }

  void Print(const char* what, uint64_t cycles) const {
    FileLoadCounts sum;
    size_t files = 0;
    size_t unsure = 0;
    for (const auto& worker : workers_) {
      const FileLoadCounts& one = worker->counts();
      sum.closed += one.closed;
      sum.bytes += one.bytes;
      sum.flushes += one.flushes;
      sum.appended += one.appended;
      sum.truncated += one.truncated;
      sum.recovered += one.recovered;
      sum.renamed += one.renamed;
      sum.deleted += one.deleted;
      sum.read += one.read;
      sum.failed_writes += one.failed_writes;
      sum.refused += one.refused;
      files += worker->files();
      unsure += worker->unsure();
    }
    const auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
    printf(
        "%s: %llu cycles; closed %llu files of %.1f MB, flushed %llu times, appended to %llu, truncated %llu, "
        "recovered %llu, renamed %llu, deleted %llu, read %llu; "
        "%llu writes failed with a clear error, %llu calls refused; at the end %zu files and %zu of failed writes\n",
        what, number(cycles), number(sum.closed), static_cast<double>(sum.bytes) / 1e6, number(sum.flushes),
        number(sum.appended), number(sum.truncated), number(sum.recovered), number(sum.renamed), number(sum.deleted),
        number(sum.read), number(sum.failed_writes), number(sum.refused), files, unsure);
  }

 private:
  std::vector<std::unique_ptr<FileWorker>> workers_;
  std::vector<std::thread> threads_;
  std::atomic<bool> running_{false};
  std::atomic<uint64_t> done_{0};
  Mutex mutex_;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dolmen::testing
