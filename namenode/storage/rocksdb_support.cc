#include "namenode/storage/rocksdb_support.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "common/error.h"
#include "common/fault_point.h"
#include "common/file_system.h"
#include "rocksdb/cache.h"
#include "rocksdb/convenience.h"
#include "rocksdb/file_system.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/table.h"
#include "rocksdb/utilities/options_util.h"
#include "spdlog/spdlog.h"

namespace dolmen::namenode {
namespace {

constexpr double kBloomBitsPerKey = 10;        // 1 % false positives (RocksDB's advice)
constexpr uint64_t kSyncFilesEvery = 1 << 20;  // no long stalls behind a table file's final sync (chosen)
constexpr int kTableBlockBytes = 8 << 10;      // chosen: half the index of 4 KiB blocks
constexpr size_t kLongestLogLine = 1000;       // chosen
constexpr int kFewestJobs = 2, kMostJobs = 7;

// RocksDB's warnings and errors go to our log; its own file LOG is not written.
class WarningsToOurLog final : public rocksdb::Logger {
 public:
  WarningsToOurLog() : Logger(rocksdb::WARN_LEVEL) {}
  using Logger::Logv;
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < rocksdb::WARN_LEVEL || level == rocksdb::HEADER_LEVEL) return;
    char text[kLongestLogLine];
    vsnprintf(text, sizeof text, format, arguments);
    spdlog::log(level == rocksdb::WARN_LEVEL ? spdlog::level::warn : spdlog::level::err, "rocksdb: {}", text);
  }
  void Logv(const char*, va_list) override {}  // without a level: information only
};

// RocksDB renames a new manifest's name into CURRENT without having synced the names of the tables that a recovery
// wrote just before. After a power loss in between, CURRENT could name tables that are not there; so those names go
// first.
class NamesBeforeCurrent final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "NamesBeforeCurrent"; }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override {
    if (to.ends_with("/CURRENT")) {
      std::unique_ptr<rocksdb::FSDirectory> directory;
      rocksdb::IOStatus synced = target()->NewDirectory(DirectoryOf(to), options, &directory, debug);
      if (synced.ok()) synced = directory->Fsync(options, debug);
      if (!synced.ok()) return synced;
    }
    return target()->RenameFile(from, to, options, debug);
  }
};

absl::Status BetweenAppendAndSync() {
  DOLMEN_FAULT_POINT("namenode.commit.after_log");
  return absl::OkStatus();
}

// Opens the window between the append to the log and its sync to tests.
class SyncedLog final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  using FSWritableFileOwnerWrapper::FSWritableFileOwnerWrapper;
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    if (const absl::Status fault = BetweenAppendAndSync(); !fault.ok()) {
      return rocksdb::IOStatus::IOError(std::string(MessageOf(fault)));
    }
    return FSWritableFileOwnerWrapper::Sync(options, debug);
  }
};

class WithFaultPoint final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "WithFaultPoint"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* debug) override {
    rocksdb::IOStatus opened = target()->NewWritableFile(name, options, file, debug);
    if (opened.ok() && name.ends_with(".log")) *file = std::make_unique<SyncedLog>(std::move(*file));
    return opened;
  }
};

class OrderedEnv final : public rocksdb::EnvWrapper {
 public:
  OrderedEnv(rocksdb::Env* base, RocksDbDatabase::Durability durability) : EnvWrapper(base) {
    file_system_ = std::make_shared<NamesBeforeCurrent>(base->GetFileSystem());
    if (durability == RocksDbDatabase::Durability::kSynced) {
      file_system_ = std::make_shared<WithFaultPoint>(file_system_);
    }
    system_clock_ = base->GetSystemClock();
  }
};

rocksdb::CompressionType BestCompression() {
  const std::vector<rocksdb::CompressionType> supported = rocksdb::GetSupportedCompressions();
  return std::find(supported.begin(), supported.end(), rocksdb::kLZ4Compression) != supported.end()
             ? rocksdb::kLZ4Compression
             : rocksdb::kNoCompression;
}

rocksdb::DBOptions DatabaseOptions(const RocksDbSizes& sizes, RocksDbDatabase::Durability durability, bool create,
                                   rocksdb::Env* env) {
  rocksdb::DBOptions options;
  options.env = env;
  options.create_if_missing = create;
  options.create_missing_column_families = create;
  options.error_if_exists = create;
  options.paranoid_checks = true;
  options.max_open_files = -1;  // every table is opened at the start, so a missing one is seen there
  options.max_total_wal_size = sizes.max_log_bytes;
  options.db_write_buffer_size = sizes.all_write_buffers_bytes;
  options.max_background_jobs = std::clamp(sizes.background_jobs, kFewestJobs, kMostJobs);
  options.bytes_per_sync = kSyncFilesEvery;
  options.info_log = std::make_shared<WarningsToOurLog>();
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.recycle_log_file_num = 0;  // recycled logs cannot tell a lost commit from an old one
  // A failure in the background is a state to leave by a restart, as a failed commit is (contract C-18).
  options.max_bgerror_resume_count = 0;
  if (durability == RocksDbDatabase::Durability::kSynced) {
    // Torn tails were cut before (log_scanner.h): whatever else is wrong must stop the start.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
    options.track_and_verify_wals_in_manifest = true;
  } else {
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  }
  return options;
}

rocksdb::ColumnFamilyOptions FamilyOptions(const RocksDbSizes& sizes, const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = sizes.write_buffer_bytes;
  options.max_write_buffer_number = 2;
  options.compression = BestCompression();
  options.level_compaction_dynamic_level_bytes = true;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = kTableBlockBytes;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  table.format_version = 5;
  // Memory is bounded by the cache, not by the number of files.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

absl::Status CheckFamilies(const std::string& path, const std::vector<std::string>& wanted,
                           const rocksdb::DBOptions& options) {
  std::vector<std::string> stored;
  DOLMEN_RETURN_IF_ERROR(FromRocksDb(rocksdb::DB::ListColumnFamilies(options, path, &stored), "families of " + path));
  for (const std::string& name : stored) {
    if (name == rocksdb::kDefaultColumnFamilyName || std::find(wanted.begin(), wanted.end(), name) != wanted.end())
      continue;
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat("database ", path, " has a family \"", name,
                                  "\" that this program does not know; start the newer program that wrote it"));
  }
  for (const std::string& name : wanted) {
    if (std::find(stored.begin(), stored.end(), name) != stored.end()) continue;
    return MakeError(ErrorReason::kDamaged, absl::StrCat("database ", path, " lacks its family \"", name, "\""));
  }
  return absl::OkStatus();
}

// What was stored with the database must agree with how we read it (comparator, merge operator, table format).
absl::Status CheckStoredOptions(const std::string& path, const rocksdb::DBOptions& options,
                                const std::vector<rocksdb::ColumnFamilyDescriptor>& families) {
  rocksdb::ConfigOptions config;
  config.env = options.env;
  config.ignore_unknown_options = true;
  config.sanity_level = rocksdb::ConfigOptions::kSanityLevelLooselyCompatible;  // sizes may change at will
  const rocksdb::Status status = rocksdb::CheckOptionsCompatibility(config, path, options, families);
  // A crash right after the database was made leaves no options file; RocksDB writes a new one at the next start.
  if (status.IsNotFound()) return absl::OkStatus();
  return FromRocksDb(status, "stored options of " + path);
}

}  // namespace

absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view context) {
  if (status.ok()) return absl::OkStatus();
  ErrorReason reason = ErrorReason::kIo;
  if (status.IsCorruption() || status.IsPathNotFound()) reason = ErrorReason::kDamaged;
  if (status.IsNoSpace()) reason = ErrorReason::kNoSpace;
  const std::string text = status.ToString();
  // RocksDB has no code of its own for a LOCK file that somebody holds.
  if (status.IsIOError() &&
      (text.find("lock file") != std::string::npos || text.find("lock hold by") != std::string::npos)) {
    reason = ErrorReason::kBusy;
  }
  return MakeError(reason, absl::StrCat(ToAbsl(context), ": ", text));
}

absl::StatusOr<std::shared_ptr<RocksDbDatabase>> RocksDbDatabase::Open(const std::string& path,
                                                                       const std::vector<std::string>& families,
                                                                       const RocksDbSizes& sizes, Durability durability,
                                                                       bool create, rocksdb::Env* env) {
  return OpenAs(create ? Mode::kCreate : Mode::kWrite, path, families, sizes, durability, env);
}

absl::StatusOr<std::shared_ptr<RocksDbDatabase>> RocksDbDatabase::OpenReadOnly(const std::string& path,
                                                                               const std::vector<std::string>& families,
                                                                               const RocksDbSizes& sizes,
                                                                               rocksdb::Env* env) {
  return OpenAs(Mode::kRead, path, families, sizes, Durability::kSynced, env);
}

absl::StatusOr<std::shared_ptr<RocksDbDatabase>> RocksDbDatabase::OpenAs(Mode mode, const std::string& path,
                                                                         const std::vector<std::string>& families,
                                                                         const RocksDbSizes& sizes,
                                                                         Durability durability, rocksdb::Env* env) {
  std::shared_ptr<RocksDbDatabase> database(new RocksDbDatabase());
  database->env_ = std::make_unique<OrderedEnv>(env == nullptr ? rocksdb::Env::Default() : env, durability);
  rocksdb::DBOptions options = DatabaseOptions(sizes, durability, mode == Mode::kCreate, database->env_.get());
  // A torn tail that was not cut is where the log ends.
  if (mode == Mode::kRead) options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  const std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(sizes.block_cache_bytes);
  const rocksdb::ColumnFamilyOptions family_options = FamilyOptions(sizes, cache);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  // In the order of their numbers, as the stored options list them.
  descriptors.emplace_back(rocksdb::kDefaultColumnFamilyName, family_options);
  for (const std::string& name : families) descriptors.emplace_back(name, family_options);
  if (mode == Mode::kCreate) {
    DOLMEN_RETURN_IF_ERROR(FromRocksDb(options.env->CreateDirIfMissing(path), "creating " + path));
  } else {
    DOLMEN_RETURN_IF_ERROR(CheckFamilies(path, families, options));
    DOLMEN_RETURN_IF_ERROR(CheckStoredOptions(path, options, descriptors));
  }
  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      mode == Mode::kRead ? rocksdb::DB::OpenForReadOnly(options, path, descriptors, &database->handles_, &db)
                          : rocksdb::DB::Open(options, path, descriptors, &database->handles_, &db);
  database->db_.reset(db);
  DOLMEN_RETURN_IF_ERROR(FromRocksDb(opened, "opening " + path));
  return database;
}

RocksDbDatabase::~RocksDbDatabase() {
  if (db_ == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* handle : handles_)
    LogIfError(FromRocksDb(db_->DestroyColumnFamilyHandle(handle), "closing a family"),
               "nothing depends on it any more");
  LogIfError(FromRocksDb(db_->Close(), "closing a database"), "what was committed is synced already");
}

absl::StatusOr<std::optional<std::string>> RocksDbDatabase::Get(size_t family, const rocksdb::Snapshot* snapshot,
                                                                std::string_view key) const {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  std::string value;
  const rocksdb::Status status = db_->Get(options, this->family(family), ToSlice(key), &value);
  if (status.IsNotFound()) return std::nullopt;
  DOLMEN_RETURN_IF_ERROR(FromRocksDb(status, "reading from " + db_->GetName()));
  return value;
}

absl::Status RocksDbDatabase::Scan(size_t family, const rocksdb::Snapshot* snapshot, std::string_view start,
                                   std::string_view end,
                                   absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  const rocksdb::Slice bound = ToSlice(end);
  if (!end.empty()) options.iterate_upper_bound = &bound;
  const std::unique_ptr<rocksdb::Iterator> entry(db_->NewIterator(options, this->family(family)));
  for (entry->Seek(ToSlice(start)); entry->Valid(); entry->Next())
    if (!visit(FromSlice(entry->key()), FromSlice(entry->value()))) return absl::OkStatus();
  return FromRocksDb(entry->status(), "scanning " + db_->GetName());
}

}  // namespace dolmen::namenode
