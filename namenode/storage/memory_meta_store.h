// The metadata store in memory, with views as in RocksDB. What is "on disk" (MemoryMetaDisk) is kept apart from the
// open store, so that a simulated crash can drop the store and open the disk again.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "namenode/core/commit_header.h"
#include "namenode/core/meta_store.h"

namespace dolmen::namenode {

// Stable storage: holds every commit that was applied, and survives the stores opened on it. A commit is applied whole
// or not at all, as the log makes it on a real disk. Thread-safe. Older versions of a key are kept while a view needs
// them, then dropped at the next commit.
class MemoryMetaDisk {
 public:
  MemoryMetaDisk() = default;
  MemoryMetaDisk(const MemoryMetaDisk&) = delete;
  MemoryMetaDisk& operator=(const MemoryMetaDisk&) = delete;

  // The next commit fails; with `applied` it is on disk nevertheless: after a failed sync nobody knows.
  void FailNextCommit(bool applied);
  void ForgetFailure();
  void set_free_bytes(uint64_t bytes);
  CommitHeader last_commit() const;
  // Keys with more than one version, or deleted and not yet dropped. For tests.
  size_t old_version_count() const;

 private:
  friend class MemoryMetaStore;
  friend class MemoryMetaView;

  struct Version {
    uint64_t commit = 0;
    std::optional<std::string> value;  // nothing: deleted
  };
  struct Entry {
    Version newest;
    std::vector<Version> older;  // ascending
  };
  using Entries = std::map<std::string, Entry, std::less<>>;
  // A version before `commit` may be dropped once no view is older than it.
  struct Outdated {
    uint64_t commit;
    Family family;
    Entries::iterator entry;
  };

  absl::Status Apply(const CommitBatch& batch);
  void Set(uint64_t commit, Family family, std::string_view key, std::optional<std::string> value)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropOutdatedLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static const std::optional<std::string>& At(const Entry& entry, uint64_t commit);

  mutable Mutex mutex_;
  std::array<Entries, kFamilyCount> families_ ABSL_GUARDED_BY(mutex_);
  std::deque<Outdated> outdated_ ABSL_GUARDED_BY(mutex_);
  std::multiset<uint64_t> live_views_ ABSL_GUARDED_BY(mutex_);
  CommitHeader last_ ABSL_GUARDED_BY(mutex_);
  std::optional<bool> fail_next_ ABSL_GUARDED_BY(mutex_);
  uint64_t free_bytes_ ABSL_GUARDED_BY(mutex_) = uint64_t{1} << 40;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
};

// Views may outlive the store.
class MemoryMetaStore final : public MetaStore {
 public:
  // Errors: kBusy when a store is open on this disk.
  static absl::StatusOr<std::unique_ptr<MemoryMetaStore>> Open(std::shared_ptr<MemoryMetaDisk> disk);
  ~MemoryMetaStore() override;

  absl::Status Commit(const CommitBatch& batch) override;
  std::shared_ptr<const MetaView> View() const override;
  absl::StatusOr<uint64_t> FreeBytes() const override;

 private:
  explicit MemoryMetaStore(std::shared_ptr<MemoryMetaDisk> disk) : disk_(std::move(disk)) {}

  const std::shared_ptr<MemoryMetaDisk> disk_;
  absl::Status failed_;  // of the commit after which none is accepted; only the committing thread looks
};

}  // namespace dolmen::namenode
