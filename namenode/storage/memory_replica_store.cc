#include "namenode/storage/memory_replica_store.h"

#include <algorithm>

namespace dolmen::namenode {
namespace {

// As in memory_meta_store.cc: entries are copied out in pages, so that no lock is held while `visit` runs.
constexpr size_t kFirstPage = 8;
constexpr size_t kLargestPage = 512;

}  // namespace

absl::Status MemoryReplicaStore::Write(const std::vector<ReplicaWrite>& writes) {
  MutexLock lock(&mutex_);
  for (const ReplicaWrite& write : writes) {
    Entries& entries = families_[static_cast<size_t>(write.family)];
    if (write.value.has_value()) {
      entries.insert_or_assign(write.key, *write.value);
    } else {
      entries.erase(write.key);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> MemoryReplicaStore::Get(ReplicaFamily family, std::string_view key) const {
  MutexLock lock(&mutex_);
  const Entries& entries = families_[static_cast<size_t>(family)];
  const auto found = entries.find(key);
  if (found == entries.end()) return std::nullopt;
  return found->second;
}

absl::Status MemoryReplicaStore::Scan(ReplicaFamily family, std::string_view start, std::string_view end,
                                      absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const {
  std::vector<std::pair<std::string, std::string>> page;
  std::string from(start);
  for (size_t page_size = kFirstPage;; page_size = std::min(2 * page_size, kLargestPage)) {
    page.clear();
    {
      MutexLock lock(&mutex_);
      const Entries& entries = families_[static_cast<size_t>(family)];
      for (auto entry = entries.lower_bound(from);
           entry != entries.end() && (end.empty() || std::string_view(entry->first) < end) && page.size() < page_size;
           ++entry)
        page.emplace_back(entry->first, entry->second);
    }
    for (const auto& [key, value] : page)
      if (!visit(key, value)) return absl::OkStatus();
    if (page.size() < page_size) return absl::OkStatus();
    from = page.back().first + '\0';
  }
}

}  // namespace dolmen::namenode
