#include "namenode/core/quarantine.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/coding.h"
#include "common/error.h"

namespace dolmen::namenode {
namespace {

std::string RangeKey(BlockId first) {
  std::string key = "q";
  AppendBigEndian64(&key, first.value());
  return key;
}

ReplicaWrite RangeWrite(BlockId first, BlockId end) {
  std::string value;
  AppendVarint(&value, end.value());
  return {ReplicaFamily::kMeta, RangeKey(first), std::move(value)};
}

}  // namespace

absl::Status Quarantine::Recover() {
  absl::Status damage;
  DOLMEN_RETURN_IF_ERROR(
      store_->Scan(ReplicaFamily::kMeta, "q", "r", [&](std::string_view key, std::string_view value) {
        ByteReader reader(value);
        const uint64_t end = reader.Varint();
        damage = key.size() == 9 ? reader.Finish("quarantined range in the replica store")
                                 : MakeError(ErrorReason::kDamaged, "replica store: range key of a wrong size");
        if (!damage.ok()) return false;
        ranges_[BlockId(LoadBigEndian64(key.data() + 1))] = BlockId(end);
        return true;
      }));
  return damage;
}

absl::Status Quarantine::AddRange(BlockId first, BlockId end) {
  if (first >= end) return absl::OkStatus();
  std::vector<ReplicaWrite> writes;
  auto at = ranges_.upper_bound(end);
  std::vector<BlockId> merged;
  while (at != ranges_.begin() && (--at)->second >= first) {
    first = std::min(first, at->first);
    end = std::max(end, at->second);
    merged.push_back(at->first);
  }
  for (BlockId known : merged) {
    ranges_.erase(known);
    if (known != first) writes.push_back({ReplicaFamily::kMeta, RangeKey(known), std::nullopt});
  }
  ranges_[first] = end;
  writes.push_back(RangeWrite(first, end));
  if (ranges_.size() > kMaxRanges) JoinClosest(&writes);
  if (notices_.size() < kMaxNotices) {
    notices_.push_back(absl::StrCat("block ids from ", first.ToString(), " to before ", end.ToString(),
                                    " were never handed out by this namespace (restored from a backup?), but a "
                                    "datanode has seen them; their replicas are quarantined, not deleted"));
  }
  return store_->Write(writes);
}

void Quarantine::JoinClosest(std::vector<ReplicaWrite>* writes) {
  auto closest = ranges_.begin();
  uint64_t smallest_gap = UINT64_MAX;
  for (auto at = ranges_.begin(), next = std::next(at); next != ranges_.end(); at = next++) {
    const uint64_t gap = next->first.value() - at->second.value();
    if (gap >= smallest_gap) continue;
    smallest_gap = gap;
    closest = at;
  }
  const auto swallowed = std::next(closest);
  closest->second = swallowed->second;
  writes->push_back({ReplicaFamily::kMeta, RangeKey(swallowed->first), std::nullopt});
  writes->push_back(RangeWrite(closest->first, closest->second));
  ranges_.erase(swallowed);
}

bool Quarantine::Covers(BlockId block) const {
  const auto after = ranges_.upper_bound(block);
  return after != ranges_.begin() && block < std::prev(after)->second;
}

void Quarantine::Saw(const DatanodeUuid& datanode, uint32_t storage, const protocol::Block& replica,
                     const std::string& why) {
  ++sightings_;
  if (told_.size() >= kMaxRemembered || !told_.insert({storage, replica.id}).second) return;
  if (notices_.size() >= kMaxNotices) return;
  notices_.push_back(absl::StrCat("replica ", replica.id.ToString(), " ", replica.stamp.ToString(), " of datanode ",
                                  datanode.value(), " is quarantined, not deleted: ", why));
}

}  // namespace dolmen::namenode
