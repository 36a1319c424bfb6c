#include "namenode/storage/memory_meta_store.h"

#include <algorithm>

#include "common/error.h"
#include "namenode/core/key_codec.h"

namespace dolmen::namenode {
namespace {

// Scans copy entries out in pages, so that no lock is held while `visit` runs: small at first, for callers that stop
// early (chosen).
constexpr size_t kFirstPage = 8;
constexpr size_t kLargestPage = 512;

}  // namespace

class MemoryMetaView final : public MetaView {
 public:
  MemoryMetaView(std::shared_ptr<MemoryMetaDisk> disk, uint64_t commit) : disk_(std::move(disk)), commit_(commit) {}
  ~MemoryMetaView() override {
    MutexLock lock(&disk_->mutex_);
    disk_->live_views_.erase(disk_->live_views_.find(commit_));
  }

  CommitNumber commit_number() const override { return CommitNumber(commit_); }

  absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) const override {
    MutexLock lock(&disk_->mutex_);
    const auto& entries = disk_->families_[static_cast<size_t>(family)];
    const auto found = entries.find(key);
    if (found == entries.end()) return std::nullopt;
    return MemoryMetaDisk::At(found->second, commit_);
  }

  absl::Status Scan(Family family, std::string_view start, std::string_view end,
                    absl::FunctionRef<bool(std::string_view key, std::string_view value)> visit) const override {
    std::vector<std::pair<std::string, std::string>> page;
    std::string from(start);
    for (size_t page_size = kFirstPage;; page_size = std::min(2 * page_size, kLargestPage)) {
      page.clear();
      {
        MutexLock lock(&disk_->mutex_);
        const auto& entries = disk_->families_[static_cast<size_t>(family)];
        for (auto entry = entries.lower_bound(from);
             entry != entries.end() && (end.empty() || std::string_view(entry->first) < end) && page.size() < page_size;
             ++entry) {
          const auto& value = MemoryMetaDisk::At(entry->second, commit_);
          if (value.has_value()) page.emplace_back(entry->first, *value);
        }
      }
      for (const auto& [key, value] : page)
        if (!visit(key, value)) return absl::OkStatus();
      if (page.size() < page_size) return absl::OkStatus();
      from = page.back().first + '\0';  // the smallest key after it
    }
  }

 private:
  const std::shared_ptr<MemoryMetaDisk> disk_;
  const uint64_t commit_;
};

const std::optional<std::string>& MemoryMetaDisk::At(const Entry& entry, uint64_t commit) {
  static const std::optional<std::string> kNothing;
  if (entry.newest.commit <= commit) return entry.newest.value;
  for (auto version = entry.older.rbegin(); version != entry.older.rend(); ++version)
    if (version->commit <= commit) return version->value;
  return kNothing;
}

void MemoryMetaDisk::FailNextCommit(bool applied) {
  MutexLock lock(&mutex_);
  fail_next_ = applied;
}

void MemoryMetaDisk::ForgetFailure() {
  MutexLock lock(&mutex_);
  fail_next_.reset();
}

void MemoryMetaDisk::set_free_bytes(uint64_t bytes) {
  MutexLock lock(&mutex_);
  free_bytes_ = bytes;
}

CommitHeader MemoryMetaDisk::last_commit() const {
  MutexLock lock(&mutex_);
  return last_;
}

size_t MemoryMetaDisk::old_version_count() const {
  MutexLock lock(&mutex_);
  size_t count = 0;
  for (const Entries& entries : families_)
    for (const auto& [key, entry] : entries) count += !entry.older.empty() || !entry.newest.value.has_value();
  return count;
}

void MemoryMetaDisk::Set(uint64_t commit, Family family, std::string_view key, std::optional<std::string> value) {
  Entries& entries = families_[static_cast<size_t>(family)];
  auto entry = entries.lower_bound(key);
  if (entry == entries.end() || entry->first != key) {
    if (!value.has_value()) return;  // deleting what is not there
    entries.emplace_hint(entry, std::string(key), Entry{{commit, std::move(value)}, {}});
    return;
  }
  outdated_.push_back({commit, family, entry});
  entry->second.older.push_back(std::move(entry->second.newest));
  entry->second.newest = {commit, std::move(value)};
}

void MemoryMetaDisk::DropOutdatedLocked() {
  const uint64_t oldest_needed = live_views_.empty() ? last_.number.value() : *live_views_.begin();
  for (; !outdated_.empty() && outdated_.front().commit <= oldest_needed; outdated_.pop_front()) {
    const auto& [commit, family, where] = outdated_.front();
    Entry& entry = where->second;
    std::erase_if(entry.older, [commit = commit](const Version& version) { return version.commit < commit; });
    // No later mention of this entry is queued when its newest version is of this commit.
    if (entry.newest.commit == commit && !entry.newest.value.has_value()) {
      families_[static_cast<size_t>(family)].erase(where);
    }
  }
}

absl::Status MemoryMetaDisk::Apply(const CommitBatch& batch) {
  MutexLock lock(&mutex_);
  DOLMEN_RETURN_IF_ERROR(CheckFollows(last_, batch));
  const std::optional<bool> fail = std::exchange(fail_next_, std::nullopt);
  if (!fail.has_value() || *fail) {
    for (const MetaWrite& write : batch.writes) Set(batch.number.value(), write.family, write.key, write.value);
    last_ = HeaderOf(batch);
    Set(batch.number.value(), Family::kMeta, keys::kCommitHeader, EncodeCommitHeader(last_));
    DropOutdatedLocked();
  }
  if (fail.has_value()) return MakeError(ErrorReason::kIo, "commit: the disk failed (asked for by FailNextCommit)");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<MemoryMetaStore>> MemoryMetaStore::Open(std::shared_ptr<MemoryMetaDisk> disk) {
  {
    MutexLock lock(&disk->mutex_);
    if (disk->open_) return MakeError(ErrorReason::kBusy, "this disk in memory is in use by another store; close it");
    disk->open_ = true;
  }
  return std::unique_ptr<MemoryMetaStore>(new MemoryMetaStore(std::move(disk)));
}

MemoryMetaStore::~MemoryMetaStore() {
  MutexLock lock(&disk_->mutex_);
  disk_->open_ = false;
}

absl::Status MemoryMetaStore::Commit(const CommitBatch& batch) {
  if (!failed_.ok()) return Annotate(failed_, "an earlier commit failed; restart to learn what is on disk");
  failed_ = disk_->Apply(batch);
  return failed_;
}

std::shared_ptr<const MetaView> MemoryMetaStore::View() const {
  uint64_t commit = 0;
  {
    MutexLock lock(&disk_->mutex_);
    commit = disk_->last_.number.value();
    disk_->live_views_.insert(commit);
  }
  return std::make_shared<MemoryMetaView>(disk_, commit);
}

absl::StatusOr<uint64_t> MemoryMetaStore::FreeBytes() const {
  MutexLock lock(&disk_->mutex_);
  return disk_->free_bytes_;
}

}  // namespace dolmen::namenode
