#include "namenode/core/quarantine.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/key_codec.h"

namespace dolmen::namenode {
namespace {

MetaWrite Store(BlockId first, BlockId end) {
  return {Family::kMeta, keys::Quarantined(first), keys::QuarantinedValue(end)};
}

MetaWrite Erase(BlockId first) { return {Family::kMeta, keys::Quarantined(first), std::nullopt}; }

}  // namespace

absl::Status Quarantine::Recover(const MetaReader& published) {
  absl::Status damage;
  DOLMEN_RETURN_IF_ERROR(published.Scan(Family::kMeta, keys::kQuarantinedStart, keys::kQuarantinedEnd,
                                        [&](std::string_view key, std::string_view value) {
                                          const absl::StatusOr<BlockId> first = keys::ParseQuarantined(key);
                                          const absl::StatusOr<BlockId> end = keys::ParseQuarantinedValue(value);
                                          damage = !first.ok() ? first.status() : end.status();
                                          if (damage.ok()) ranges_[*first] = *end;
                                          return damage.ok();
                                        }));
  return damage;
}

std::vector<MetaWrite> Quarantine::AddRange(BlockId first, BlockId end) {
  std::vector<MetaWrite> writes;
  if (first >= end) return writes;
  auto at = ranges_.upper_bound(end);
  std::vector<BlockId> merged;
  while (at != ranges_.begin() && (--at)->second >= first) {
    first = std::min(first, at->first);
    end = std::max(end, at->second);
    merged.push_back(at->first);
  }
  for (BlockId known : merged) {
    ranges_.erase(known);
    if (known != first) writes.push_back(Erase(known));
  }
  ranges_[first] = end;
  writes.push_back(Store(first, end));
  if (ranges_.size() > kMaxRanges) JoinClosest(&writes);
  if (notices_.size() < kMaxNotices) {
    notices_.push_back({absl::StrCat("block ids from ", first.ToString(), " to before ", end.ToString(),
                                     " were never handed out by this namespace (restored from a backup?), but a "
                                     "datanode has seen them; their replicas are quarantined, not deleted"),
                        true});
  }
  return writes;
}

void Quarantine::JoinClosest(std::vector<MetaWrite>* writes) {
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
  writes->push_back(Erase(swallowed->first));
  writes->push_back(Store(closest->first, closest->second));
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
  notices_.push_back({absl::StrCat("replica ", replica.id.ToString(), " ", replica.stamp.ToString(), " of datanode ",
                                   datanode.value(), " is quarantined, not deleted: ", why),
                      true});
}

}  // namespace dolmen::namenode
