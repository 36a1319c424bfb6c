// FaultyFs: wraps any FileSystem and injects disk errors (fault-scenarios.md, tag FS). Used by the block store and,
// through namenode/storage/rocksdb_file_system.h, by RocksDB.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/file_system.h"
#include "common/mutex.h"
#include "common/random.h"

namespace dolmen {

// kList is every look at names: List, Exists and FileSize. kRemove is RemoveFile and RemoveDirectory.
enum class FileOperation {
  kOpen,
  kRead,
  kWrite,
  kSync,
  kTruncate,
  kRename,
  kRemove,
  kSyncDirectory,
  kList,
  kLock,
  kSpace,
  kCreateDirectory
};

enum class FileFault {
  kIoError,     // fails with EIO text, nothing done
  kNoSpace,     // fails with ENOSPC text, nothing done
  kBusy,        // fails with EMFILE text, nothing done
  kShortWrite,  // writes: half of the bytes reach the file, then EIO
  kFlipBit,     // reads: one bit of the answer is wrong; writes: one bit of what is stored is wrong
  kDelay,       // sleeps `delay` first (never used on MemoryFileSystem)
};

// One injected rule: the n-th matching call from now on (skip calls pass first), `times` times.
struct FaultRule {
  FileOperation operation = FileOperation::kWrite;
  FileFault fault = FileFault::kIoError;
  std::string path_contains;  // empty matches all
  uint64_t skip = 0;
  uint64_t times = 1;
  int64_t delay_ms = 0;
};

// Thread-safe. `base` is not owned and outlives this.
class FaultyFileSystem final : public FileSystem {
 public:
  FaultyFileSystem(FileSystem* base, uint64_t seed);
  ~FaultyFileSystem() override;

  // Returns a number to ask fired() with.
  int AddRule(const FaultRule& rule);
  // How often the rule has fired.
  uint64_t fired(int rule) const;
  uint64_t fired_total() const;
  // Ends all rules (counts stay).
  void ClearRules();
  // Power-loss mode over a real disk: tracks what was not yet synced so that DropUnsynced() can undo it (unsynced data
  // restored to its last synced content, unsynced creations and renames undone). For real processes' directories:
  // call in the process that is about to die, or in a test after closing all files.
  void EnablePowerLossTracking();
  absl::Status DropUnsynced();

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status RemoveFile(const std::string& path) override;
  absl::Status RemoveDirectory(const std::string& path) override;
  absl::Status CreateDirectories(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override;
  absl::StatusOr<bool> Exists(const std::string& path) override;
  absl::StatusOr<uint64_t> FileSize(const std::string& path) override;
  absl::StatusOr<DiskSpace> Space(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace dolmen
