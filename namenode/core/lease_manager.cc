#include "namenode/core/lease_manager.h"

#include <algorithm>

namespace dolmen::namenode {

void LeaseManager::Open(const std::string& holder, InodeId inode) {
  Holder& entry = holders_[holder];
  entry.renewed = now_;
  entry.inodes.insert(inode);
}

void LeaseManager::Close(const std::string& holder, InodeId inode) {
  auto found = holders_.find(holder);
  if (found == holders_.end()) return;
  found->second.inodes.erase(inode);
  if (found->second.inodes.empty()) holders_.erase(found);
}

void LeaseManager::Renew(const std::string& holder) {
  auto found = holders_.find(holder);
  if (found != holders_.end()) found->second.renewed = now_;
}

bool LeaseManager::SoftLimitExpired(const std::string& holder) const {
  auto found = holders_.find(holder);
  return found == holders_.end() || now_ - found->second.renewed > settings_.lease_soft_limit;
}

std::vector<LeaseManager::Expired> LeaseManager::HardExpired(size_t limit) const {
  std::vector<std::pair<MonotonicTime, const std::string*>> late;
  for (const auto& [name, holder] : holders_)
    if (now_ - holder.renewed > settings_.lease_hard_limit) late.emplace_back(holder.renewed, &name);
  std::sort(late.begin(), late.end(),
            [](const auto& a, const auto& b) { return a.first != b.first ? a.first < b.first : *a.second < *b.second; });
  std::vector<Expired> expired;
  for (const auto& [renewed, name] : late) {
    for (InodeId inode : holders_.at(*name).inodes) {
      if (expired.size() == limit) return expired;
      expired.push_back({*name, inode});
    }
  }
  return expired;
}

}  // namespace dolmen::namenode
