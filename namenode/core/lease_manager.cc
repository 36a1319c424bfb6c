#include "namenode/core/lease_manager.h"

#include <algorithm>

namespace dolmen::namenode {

void LeaseManager::SetNow(MonotonicTime now) {
  const Duration pause = now - now_;
  now_ = now;
  if (pause <= settings_.stale_after) return;
  by_age_.clear();
  for (auto& [name, holder] : holders_) {
    holder.renewed = std::min(now, holder.renewed + pause);
    by_age_.emplace(holder.renewed, name);
  }
}

void LeaseManager::Open(const std::string& holder, InodeId inode) {
  const auto [entry, is_new] = holders_.try_emplace(holder);
  entry->second.inodes.insert(inode);
  if (is_new) {
    entry->second.renewed = now_;
    by_age_.emplace(now_, entry->first);
  } else {
    Renew(holder);
  }
}

void LeaseManager::Close(const std::string& holder, InodeId inode) {
  const auto found = holders_.find(holder);
  if (found == holders_.end()) return;
  found->second.inodes.erase(inode);
  if (!found->second.inodes.empty()) return;
  by_age_.erase({found->second.renewed, found->first});
  holders_.erase(found);
}

void LeaseManager::Renew(const std::string& holder) {
  const auto found = holders_.find(holder);
  if (found != holders_.end()) SetRenewed(found, now_);
}

void LeaseManager::SetRenewed(Holders::iterator holder, MonotonicTime at) {
  by_age_.erase({holder->second.renewed, holder->first});
  holder->second.renewed = at;
  by_age_.emplace(at, holder->first);
}

bool LeaseManager::SoftLimitExpired(const std::string& holder) const {
  const auto found = holders_.find(holder);
  return found == holders_.end() || now_ - found->second.renewed > settings_.lease_soft_limit;
}

std::vector<LeaseManager::Expired> LeaseManager::HardExpired(size_t limit) const {
  std::vector<Expired> expired;
  for (const auto& [renewed, name] : by_age_) {
    if (now_ - renewed <= settings_.lease_hard_limit) break;
    const std::string holder(name);
    for (InodeId inode : holders_.at(holder).inodes) {
      if (expired.size() == limit) return expired;
      expired.push_back({holder, inode});
    }
  }
  return expired;
}

}  // namespace dolmen::namenode
