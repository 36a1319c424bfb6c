#include "namenode/storage/rocksdb_meta_store.h"

#include <charconv>
#include <optional>
#include <utility>

#include "common/error.h"
#include "common/fault_point.h"
#include "namenode/core/key_codec.h"
#include "rocksdb/file_system.h"
#include "rocksdb/transaction_log.h"
#include "rocksdb/write_batch.h"
#include "spdlog/spdlog.h"

namespace dolmen::namenode {
namespace {

// Stored names, in the order of Family.
const std::vector<std::string>& FamilyNames() {
  static const std::vector<std::string> names = {"meta", "inodes",   "ids",    "file_blocks", "blocks",
                                                 "open", "detached", "totals", "retries",     "history"};
  return names;
}

// Names a log file that existed, as a decimal number and a line end. Never newer than the newest log.
constexpr std::string_view kLiveLogNote = "live-log";

absl::Status Damaged(std::string_view what) {
  return MakeError(ErrorReason::kDamaged, absl::StrCat(ToAbsl(what), "; restore a checkpoint"));
}

// A log was lost as a whole when none is as new as the note says. No note: the store was being formatted.
absl::Status CheckLiveLog(FileSystem& fs, const std::string& path, const LogScan& scan) {
  const std::string note_path = JoinPath(path, kLiveLogNote);
  DOLMEN_ASSIGN_OR_RETURN(const bool exists, fs.Exists(note_path));
  if (!exists) return absl::OkStatus();
  DOLMEN_ASSIGN_OR_RETURN(const std::string note, ReadWholeFile(fs, note_path));
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(note.data(), note.data() + note.size(), number);
  if (error != std::errc() || std::string_view(end, note.data() + note.size()) != "\n") {
    return Damaged(note_path + " does not hold the number of a log file");
  }
  if (!scan.files.empty() && scan.files.back().number >= number) return absl::OkStatus();
  return Damaged(absl::StrCat(
      path, " had log file number ", number, ", but ",
      scan.files.empty() ? "no log file is there" : absl::StrCat("the newest is ", scan.files.back().path)));
}

class RocksDbMetaView final : public MetaView {
 public:
  RocksDbMetaView(std::shared_ptr<RocksDbDatabase> database, CommitNumber number)
      : database_(std::move(database)), snapshot_(database_->db()->GetSnapshot()), number_(number) {}
  ~RocksDbMetaView() override { database_->db()->ReleaseSnapshot(snapshot_); }

  CommitNumber commit_number() const override { return number_; }
  absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) const override {
    return database_->Get(static_cast<size_t>(family), snapshot_, key);
  }
  absl::Status Scan(Family family, std::string_view start, std::string_view end,
                    absl::FunctionRef<bool(std::string_view key, std::string_view value)> visit) const override {
    return database_->Scan(static_cast<size_t>(family), snapshot_, start, end, visit);
  }

 private:
  const std::shared_ptr<RocksDbDatabase> database_;
  const rocksdb::Snapshot* const snapshot_;
  const CommitNumber number_;
};

}  // namespace

RocksDbMetaStore::RocksDbMetaStore(std::string path, Options options, std::shared_ptr<RocksDbDatabase> database)
    : path_(std::move(path)),
      options_(std::move(options)),
      env_(options_.env == nullptr ? rocksdb::Env::Default() : options_.env),
      database_(std::move(database)) {}

absl::StatusOr<std::unique_ptr<RocksDbMetaStore>> RocksDbMetaStore::Create(const std::string& path, Options options) {
  DOLMEN_ASSIGN_OR_RETURN(std::shared_ptr<RocksDbDatabase> database,
                          RocksDbDatabase::Open(path, FamilyNames(), options.sizes,
                                                RocksDbDatabase::Durability::kSynced, /*create=*/true, options.env));
  std::unique_ptr<RocksDbMetaStore> store(new RocksDbMetaStore(path, std::move(options), std::move(database)));
  DOLMEN_RETURN_IF_ERROR(store->Begin());
  return store;
}

// Before RocksDB reads anything.
absl::StatusOr<LogScan> RocksDbMetaStore::LookAtLogs(FileSystem& fs, const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(const bool has_current, fs.Exists(JoinPath(path, "CURRENT")));
  if (!has_current) return Damaged("file " + JoinPath(path, "CURRENT") + " is missing");
  DOLMEN_ASSIGN_OR_RETURN(LogScan scan, ScanLogs(fs, path));
  DOLMEN_RETURN_IF_ERROR(CheckLiveLog(fs, path, scan));
  return scan;
}

absl::StatusOr<std::unique_ptr<RocksDbMetaStore>> RocksDbMetaStore::Open(FileSystem& fs, const std::string& path,
                                                                         Options options) {
  DOLMEN_ASSIGN_OR_RETURN(const LogScan scan, LookAtLogs(fs, path));
  DOLMEN_RETURN_IF_ERROR(CutTornTails(fs, scan));
  DOLMEN_ASSIGN_OR_RETURN(std::shared_ptr<RocksDbDatabase> database,
                          RocksDbDatabase::Open(path, FamilyNames(), options.sizes,
                                                RocksDbDatabase::Durability::kSynced, /*create=*/false, options.env));
  return Opened(path, std::move(options), std::move(database), scan);
}

absl::StatusOr<std::unique_ptr<RocksDbMetaStore>> RocksDbMetaStore::OpenReadOnly(FileSystem& fs,
                                                                                 const std::string& path,
                                                                                 Options options, LogScan* scan) {
  DOLMEN_ASSIGN_OR_RETURN(const LogScan scanned, LookAtLogs(fs, path));
  if (scan != nullptr) *scan = scanned;
  DOLMEN_ASSIGN_OR_RETURN(std::shared_ptr<RocksDbDatabase> database,
                          RocksDbDatabase::OpenReadOnly(path, FamilyNames(), options.sizes, options.env));
  DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<RocksDbMetaStore> store,
                          Opened(path, std::move(options), std::move(database), scanned));
  store->failed_ = MakeError(ErrorReason::kIllegalArgument, absl::StrCat(path, " was opened to be read only"));
  return store;
}

absl::StatusOr<std::unique_ptr<RocksDbMetaStore>> RocksDbMetaStore::Opened(const std::string& path, Options options,
                                                                           std::shared_ptr<RocksDbDatabase> database,
                                                                           const LogScan& scan) {
  std::unique_ptr<RocksDbMetaStore> store(new RocksDbMetaStore(path, std::move(options), std::move(database)));
  DOLMEN_RETURN_IF_ERROR(store->Begin());
  if (store->last_.number < scan.last_commit) {
    return Damaged(absl::StrCat("the logs of ", path, " end with ", scan.last_commit.ToString(),
                                ", but what was recovered with ", store->last_.number.ToString()));
  }
  return store;
}

// Reads where the store stands and publishes it.
absl::Status RocksDbMetaStore::Begin() {
  MutexLock lock(&mutex_);
  PublishLocked(CommitNumber());
  DOLMEN_ASSIGN_OR_RETURN(last_, ReadCommitHeader(*published_));
  PublishLocked(last_.number);
  return absl::OkStatus();
}

void RocksDbMetaStore::PublishLocked(CommitNumber number) {
  published_ = std::make_shared<RocksDbMetaView>(database_, number);
}

absl::Status RocksDbMetaStore::Commit(const CommitBatch& batch) {
  if (!failed_.ok()) return Annotate(failed_, "an earlier commit failed; restart to learn what is on disk");
  failed_ = CheckFollows(last_, batch);
  if (!failed_.ok()) return failed_;
  const CommitHeader header = HeaderOf(batch);
  failed_ = WriteSynced(batch, header);
  if (!failed_.ok()) return failed_;
  last_ = header;
  for (const CommitSink& sink : options_.sinks) sink(batch);
  LogIfError(NoteLiveLog(), "an older note only weakens the check for missing logs at the next start");
  MutexLock lock(&mutex_);
  PublishLocked(header.number);
  return absl::OkStatus();
}

absl::Status RocksDbMetaStore::WriteSynced(const CommitBatch& batch, const CommitHeader& header) {
  DOLMEN_FAULT_POINT("namenode.commit.before_log");
  const std::string encoded = EncodeCommitHeader(header);
  rocksdb::WriteBatch writes;
  rocksdb::Status status = writes.PutLogData(encoded);
  for (const MetaWrite& write : batch.writes) {
    if (!status.ok()) break;
    rocksdb::ColumnFamilyHandle* family = database_->family(static_cast<size_t>(write.family));
    status = write.value.has_value() ? writes.Put(family, write.key, *write.value) : writes.Delete(family, write.key);
  }
  if (status.ok()) {
    status = writes.Put(database_->family(static_cast<size_t>(Family::kMeta)), ToSlice(keys::kCommitHeader), encoded);
  }
  if (status.ok()) {
    rocksdb::WriteOptions options;
    options.sync = true;
    status = database_->db()->Write(options, &writes);
  }
  DOLMEN_RETURN_IF_ERROR(FromRocksDb(status, header.number.ToString()));
  DOLMEN_FAULT_POINT("namenode.commit.after_sync");
  return absl::OkStatus();
}

// After each change of log files, and only then: the new file's name is durable by the commit just synced to it. Runs
// through RocksDB's own view of the files, whose other threads are at work.
absl::Status RocksDbMetaStore::NoteLiveLog() {
  std::unique_ptr<rocksdb::LogFile> log;
  DOLMEN_RETURN_IF_ERROR(FromRocksDb(database_->db()->GetCurrentWalFile(&log), "number of the log"));
  if (log->LogNumber() == noted_log_) return absl::OkStatus();
  const std::string note = JoinPath(path_, kLiveLogNote);
  const std::string temporary = note + ".tmp";
  DOLMEN_RETURN_IF_ERROR(FromRocksDb(
      rocksdb::WriteStringToFile(env_, absl::StrCat(log->LogNumber(), "\n"), temporary, /*should_sync=*/true), note));
  DOLMEN_RETURN_IF_ERROR(FromRocksDb(env_->RenameFile(temporary, note), note));
  std::unique_ptr<rocksdb::Directory> directory;
  DOLMEN_RETURN_IF_ERROR(FromRocksDb(env_->NewDirectory(path_, &directory), path_));
  DOLMEN_RETURN_IF_ERROR(FromRocksDb(directory->Fsync(), path_));
  noted_log_ = log->LogNumber();
  return absl::OkStatus();
}

std::shared_ptr<const MetaView> RocksDbMetaStore::View() const {
  MutexLock lock(&mutex_);
  return published_;
}

absl::StatusOr<uint64_t> RocksDbMetaStore::FreeBytes() const {
  uint64_t free_bytes = 0;
  DOLMEN_RETURN_IF_ERROR(FromRocksDb(env_->GetFreeSpace(path_, &free_bytes), "free space of " + path_));
  return free_bytes;
}

}  // namespace dolmen::namenode
