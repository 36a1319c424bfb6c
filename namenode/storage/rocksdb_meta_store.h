// The metadata store on RocksDB: one synced write batch per commit.
//
// What a crash leaves, in the order of a commit's steps:
//   before the log append       the state before; the retry is executed
//   append, before its sync     before or after, but whole (a torn tail is cut off at the next start)
//   sync, before publishing     after; nobody saw it yet; the retry gets the stored answer
// After any failure of a commit what is on disk is unknown, so no further one is accepted (contract C-18).
//
// At a start, before RocksDB reads anything, the logs are scanned (log_scanner.h) and the note of the newest log file
// (live-log, in the database's directory) is compared: a missing, damaged or older copy of a log stops the start.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "common/mutex.h"
#include "namenode/core/commit_header.h"
#include "namenode/core/meta_store.h"
#include "namenode/storage/log_scanner.h"
#include "namenode/storage/rocksdb_support.h"

namespace dolmen::namenode {

// Called with each commit once it is durable, in order, on the committing thread, before readers see it (log shipping,
// standby, change feed). Must be quick.
using CommitSink = std::function<void(const CommitBatch&)>;

// One thread calls Commit; any thread may call View and read views. Views may outlive the store: the database is closed
// with the last of them.
class RocksDbMetaStore final : public MetaStore {
 public:
  struct Options {
    RocksDbSizes sizes;
    std::vector<CommitSink> sinks;
    // Where RocksDB's files are; null: the machine's. Outlives the store and its views.
    rocksdb::Env* env = nullptr;
  };

  // Makes an empty database in `path`, which must not hold one; its parent exists.
  static absl::StatusOr<std::unique_ptr<RocksDbMetaStore>> Create(const std::string& path, Options options);
  // Opens an existing one. `fs` shows the same files as options.env; it is used only before RocksDB runs.
  // Errors: kDamaged naming the file and what to do; kIllegalArgument when a newer program wrote it; kBusy when it is
  // open already; others as FileSystem.
  static absl::StatusOr<std::unique_ptr<RocksDbMetaStore>> Open(FileSystem& fs, const std::string& path,
                                                                Options options);

  // The same without changing anything on disk: torn tails stay and are ignored. Commit refuses. `scan`, if given, gets
  // what the logs hold. Errors as Open.
  static absl::StatusOr<std::unique_ptr<RocksDbMetaStore>> OpenReadOnly(FileSystem& fs, const std::string& path,
                                                                        Options options, LogScan* scan = nullptr);

  absl::Status Commit(const CommitBatch& batch) override;
  std::shared_ptr<const MetaView> View() const override;
  absl::StatusOr<uint64_t> FreeBytes() const override;

 private:
  RocksDbMetaStore(std::string path, Options options, std::shared_ptr<RocksDbDatabase> database);

  static absl::StatusOr<LogScan> LookAtLogs(FileSystem& fs, const std::string& path);
  static absl::StatusOr<std::unique_ptr<RocksDbMetaStore>> Opened(const std::string& path, Options options,
                                                                  std::shared_ptr<RocksDbDatabase> database,
                                                                  const LogScan& scan);

  absl::Status WriteSynced(const CommitBatch& batch, const CommitHeader& header);
  void PublishLocked(CommitNumber number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Begin();
  absl::Status NoteLiveLog();

  const std::string path_;
  const Options options_;
  rocksdb::Env* const env_;
  const std::shared_ptr<RocksDbDatabase> database_;

  // Committing thread only.
  CommitHeader last_;
  absl::Status failed_;  // of the commit after which none is accepted
  uint64_t noted_log_ = 0;

  mutable Mutex mutex_;
  std::shared_ptr<const MetaView> published_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dolmen::namenode
