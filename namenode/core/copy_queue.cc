#include "namenode/core/copy_queue.h"

namespace dolmen::namenode {

void CopyQueue::Put(BlockId block, CopyLevel level, bool wants_one) {
  const auto known = levels_of_.find(block);
  if (known != levels_of_.end() && known->second.level == level && known->second.wants_one == wants_one) return;
  Erase(block);
  if (levels_of_.size() >= bound_) {
    overflowed_ = true;
    // The least urgent makes place: those that can't be helped anyway first.
    int worst = kCopyLevels - 1;
    while (worst >= 0 && levels_[static_cast<size_t>(worst)].empty()) --worst;
    if (worst < 0 || worst <= static_cast<int>(level)) return;
    Erase(*levels_[static_cast<size_t>(worst)].rbegin());
  }
  levels_[static_cast<size_t>(level)].insert(block);
  levels_of_[block] = {level, wants_one};
  if (level == CopyLevel::kMissing && wants_one) ++missing_with_one_;
}

void CopyQueue::Erase(BlockId block) {
  const auto known = levels_of_.find(block);
  if (known == levels_of_.end()) return;
  if (known->second.level == CopyLevel::kMissing && known->second.wants_one) --missing_with_one_;
  levels_[static_cast<size_t>(known->second.level)].erase(block);
  levels_of_.erase(known);
}

std::vector<BlockId> CopyQueue::NextOf(CopyLevel level, size_t limit) {
  const std::set<BlockId>& blocks = levels_[static_cast<size_t>(level)];
  BlockId& bookmark = bookmarks_[static_cast<size_t>(level)];
  std::vector<BlockId> next;
  auto at = blocks.upper_bound(bookmark);
  while (next.size() < limit && next.size() < blocks.size()) {
    if (at == blocks.end()) at = blocks.begin();
    next.push_back(*at++);
  }
  if (!next.empty()) bookmark = next.back();
  return next;
}

void PendingCopies::Add(const protocol::Block& block, const DatanodeUuid& source, std::set<DatanodeUuid> targets,
                        MonotonicTime deadline) {
  Forget(block.id);
  copies_[block.id] = {source, block.length, std::move(targets), deadline};
  Load& load = loads_[source];
  ++load.blocks;
  load.bytes += block.length;
}

bool PendingCopies::Expects(BlockId block, const DatanodeUuid& target) const {
  const auto copy = copies_.find(block);
  return copy != copies_.end() && copy->second.targets.contains(target);
}

void PendingCopies::Arrived(BlockId block, const DatanodeUuid& target) {
  const auto copy = copies_.find(block);
  if (copy == copies_.end() || copy->second.targets.erase(target) == 0) return;
  if (copy->second.targets.empty()) Forget(block);
}

void PendingCopies::Forget(BlockId block) {
  const auto copy = copies_.find(block);
  if (copy == copies_.end()) return;
  const auto load = loads_.find(copy->second.source);
  load->second.bytes -= copy->second.bytes;
  if (--load->second.blocks == 0) loads_.erase(load);
  copies_.erase(copy);
}

PendingCopies::Load PendingCopies::LoadOf(const DatanodeUuid& source) const {
  const auto load = loads_.find(source);
  return load == loads_.end() ? Load() : load->second;
}

std::vector<BlockId> PendingCopies::Expire(MonotonicTime now) {
  std::vector<BlockId> expired;
  for (const auto& [block, copy] : copies_) {
    if (copy.deadline <= now) expired.push_back(block);
  }
  for (BlockId block : expired) Forget(block);
  return expired;
}

std::vector<BlockId> PendingCopies::OnDatanodeLost(const DatanodeUuid& datanode) {
  std::vector<BlockId> lost;
  for (const auto& [block, copy] : copies_) {
    if (copy.source == datanode || copy.targets.contains(datanode)) lost.push_back(block);
  }
  for (BlockId block : lost) Forget(block);
  return lost;
}

}  // namespace dolmen::namenode
