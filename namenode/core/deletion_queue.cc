#include "namenode/core/deletion_queue.h"

#include <algorithm>

namespace dolmen::namenode {

bool DeletionQueue::Add(uint32_t storage, const protocol::Block& replica, Why why) {
  if (Entry* known = Mutable(storage, replica.id); known != nullptr) {
    known->why = why;
    if (replica.stamp >= known->block.stamp) known->block = replica;
    return true;
  }
  const auto found = storages_.find(storage);
  const size_t here = found == storages_.end() ? 0 : found->second.entries.size();
  if (here >= std::max(kLeastPerStorage, bound_ / 4) || size() >= bound_) return false;
  PerStorage& queue = storages_[storage];
  queue.entries[replica.id] = {.block = replica, .why = why};
  queue.waiting.insert(replica.id);
  ++size_;
  return true;
}

const DeletionQueue::Entry* DeletionQueue::Find(uint32_t storage, BlockId block) const {
  const auto queue = storages_.find(storage);
  if (queue == storages_.end()) return nullptr;
  const auto entry = queue->second.entries.find(block);
  return entry == queue->second.entries.end() ? nullptr : &entry->second;
}

DeletionQueue::Entry* DeletionQueue::Mutable(uint32_t storage, BlockId block) {
  return const_cast<Entry*>(Find(storage, block));
}

void DeletionQueue::Remove(uint32_t storage, BlockId block) {
  const auto queue = storages_.find(storage);
  if (queue == storages_.end()) return;
  size_ -= queue->second.entries.erase(block);
  queue->second.waiting.erase(block);
  if (queue->second.entries.empty()) storages_.erase(queue);
}

std::vector<BlockId> DeletionQueue::InRange(uint32_t storage, BlockId first, BlockId last) const {
  std::vector<BlockId> blocks;
  const auto queue = storages_.find(storage);
  if (queue == storages_.end()) return blocks;
  const auto& entries = queue->second.entries;
  for (auto at = entries.lower_bound(first); at != entries.end() && at->first <= last; ++at)
    blocks.push_back(at->first);
  return blocks;
}

void DeletionQueue::OnStorageLost(uint32_t storage) {
  const auto queue = storages_.find(storage);
  if (queue == storages_.end()) return;
  size_ -= std::erase_if(queue->second.entries,
                         [](const auto& item) { return !item.second.ordered || item.second.why == Why::kNoSuchBlock; });
  std::erase_if(queue->second.waiting, [&](BlockId block) { return !queue->second.entries.contains(block); });
  if (queue->second.entries.empty()) storages_.erase(queue);
}

void DeletionQueue::OnStorageDropped(uint32_t storage) {
  const auto queue = storages_.find(storage);
  if (queue == storages_.end()) return;
  size_ -= queue->second.entries.size();
  storages_.erase(queue);
}

std::vector<uint32_t> DeletionQueue::WaitingStorages() const {
  std::vector<uint32_t> storages;
  for (const auto& [storage, queue] : storages_) {
    if (!queue.waiting.empty()) storages.push_back(storage);
  }
  return storages;
}

std::vector<BlockId> DeletionQueue::Waiting(uint32_t storage, size_t limit) const {
  std::vector<BlockId> blocks;
  const auto queue = storages_.find(storage);
  if (queue == storages_.end()) return blocks;
  for (BlockId block : queue->second.waiting) {
    if (blocks.size() >= limit) break;
    blocks.push_back(block);
  }
  return blocks;
}

void DeletionQueue::MarkOrdered(uint32_t storage, BlockId block, MonotonicTime now, uint64_t session) {
  Entry* const entry = Mutable(storage, block);
  if (entry == nullptr) return;
  entry->ordered = true;
  entry->held = false;
  entry->session = session;
  Sleep(storage, entry, now);
}

void DeletionQueue::Hold(uint32_t storage, BlockId block, MonotonicTime now, uint64_t session, uint64_t evidence) {
  Entry* const entry = Mutable(storage, block);
  if (entry == nullptr) return;
  // What a later hold knows is no better: the command did not go out again in between.
  if (!entry->held && entry->session == session) {
    entry->held = true;
    entry->evidence = evidence;
  }
  Sleep(storage, entry, now);
}

void DeletionQueue::Sleep(uint32_t storage, Entry* entry, MonotonicTime now) {
  entry->ordered_at = now;
  storages_.at(storage).waiting.erase(entry->block.id);
  sleeping_.push_back({now, storage, entry->block.id});
}

void DeletionQueue::WakeBefore(MonotonicTime time) {
  while (!sleeping_.empty() && sleeping_.front().since < time) {
    const Sleeping woken = sleeping_.front();
    sleeping_.pop_front();
    const Entry* const entry = Find(woken.storage, woken.block);
    if (entry != nullptr && entry->ordered_at == woken.since) storages_.at(woken.storage).waiting.insert(woken.block);
  }
}

}  // namespace dolmen::namenode
