#include "client/core/block_map.h"

#include <algorithm>

#include "common/error.h"

namespace dolmen::client {

absl::Status BlockMap::Merge(const std::vector<protocol::LocatedBlock>& blocks) {
  for (const protocol::LocatedBlock& block : blocks) {
    if (block.offset >= length_) continue;
    const auto known = blocks_.find(block.offset);
    const protocol::LocatedBlock* holder = Find(block.offset);
    const bool other_place = known == blocks_.end() && holder != nullptr;  // begins inside a known one
    // The last block may have been growing when the file was opened, and may have ended elsewhere since.
    const bool was_last = known != blocks_.end() && known->second.offset + known->second.block.length >= length_;
    const bool other_block =
        known != blocks_.end() &&
        (known->second.block.id != block.block.id || (!was_last && known->second.block.length != block.block.length));
    if (other_place || other_block) {
      return MakeError(ErrorReason::kIo,
                       absl::StrCat("Blocklist for ", path_,
                                    " has changed! It was rewritten while it was being read; open it again."));
    }
  }
  for (const protocol::LocatedBlock& block : blocks) {
    if (block.offset >= length_) continue;
    protocol::LocatedBlock& entry = blocks_[block.offset];
    const uint64_t length_at_open = entry.block.length;  // 0: not known before
    entry = block;
    if (length_at_open > 0) entry.block.length = std::max(length_at_open, block.block.length);
  }
  return absl::OkStatus();
}

const protocol::LocatedBlock* BlockMap::Find(uint64_t offset) const {
  auto after = blocks_.upper_bound(offset);
  if (after == blocks_.begin()) return nullptr;
  const protocol::LocatedBlock& block = std::prev(after)->second;
  return offset < EndOf(block) ? &block : nullptr;
}

uint64_t BlockMap::EndOf(const protocol::LocatedBlock& block) const {
  return std::min(length_, block.offset + block.block.length);
}

}  // namespace dolmen::client
