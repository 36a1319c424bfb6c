#include "namenode/core/replica_map.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "common/coding.h"
#include "common/error.h"
#include "namenode/core/record_coding.h"

namespace dolmen::namenode {
namespace {

constexpr uint8_t kReplicaVersion = 1;
constexpr size_t kMaxGatheredWrites = 4096;  // chosen: a few slices' worth

using protocol::DatanodeLiveness;
using protocol::ReplicaState;

// Key of the first entry after everything up to (prefix, last); empty: to the end of the family.
std::string EndAfter(std::string prefix, BlockId last) {
  if (last.value() == UINT64_MAX) return {};
  AppendBigEndian64(&prefix, last.value() + 1);
  return prefix;
}

absl::StatusOr<StoredReplica> ParseByBlock(std::string_view key, std::string_view value) {
  if (key.size() != 12) {
    return MakeError(ErrorReason::kDamaged,
                     "replica store: key of a wrong size; delete the replica store, full reports rebuild it");
  }
  DOLMEN_ASSIGN_OR_RETURN(ReplicaRecord record, DecodeReplica(value));
  return StoredReplica{BlockId(LoadBigEndian64(key.data())), replica_keys::ParseNumber(key.substr(8)), record};
}

// Spreads equal candidates; any fixed mixing function does.
uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
  return value ^ (value >> 31);
}

enum class Content { kExact = 0, kOpen = 1, kCorrupt = 2, kUseless = 3 };

Content ContentOf(const ReplicaRecord& record, const protocol::Block& block) {
  if (record.stamp != block.stamp) return Content::kUseless;
  switch (record.state) {
    case ReplicaState::kFinalized:
      if (record.length == block.length) return Content::kExact;
      return record.length > block.length ? Content::kOpen : Content::kCorrupt;
    case ReplicaState::kBeingWritten:
      return Content::kOpen;
    case ReplicaState::kCorrupt:
      return Content::kCorrupt;
    case ReplicaState::kTemporary:
    case ReplicaState::kDeleted:
      break;
  }
  return Content::kUseless;
}

}  // namespace

namespace replica_keys {

std::string Number(uint32_t number) {
  std::string key(4, '\0');
  for (int i = 0; i < 4; ++i) key[i] = static_cast<char>(number >> (8 * (3 - i)));
  return key;
}

uint32_t ParseNumber(std::string_view four_bytes) {
  uint32_t number = 0;
  for (int i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(four_bytes[i]);
  return number;
}

std::string ByBlockStart(BlockId block) {
  std::string key;
  AppendBigEndian64(&key, block.value());
  return key;
}

std::string ByBlock(BlockId block, uint32_t storage) { return ByBlockStart(block) + Number(storage); }

std::string ByStorage(uint32_t storage, BlockId block) {
  std::string key = Number(storage);
  AppendBigEndian64(&key, block.value());
  return key;
}

}  // namespace replica_keys

std::string EncodeReplica(const ReplicaRecord& record) {
  std::string bytes;
  bytes.push_back(static_cast<char>(kReplicaVersion));
  bytes.push_back(static_cast<char>(record.state));
  AppendVarint(&bytes, record.stamp.value());
  AppendVarint(&bytes, record.length);
  AppendVarint(&bytes, record.session);
  AppendVarint(&bytes, record.evidence);
  return bytes;
}

absl::StatusOr<ReplicaRecord> DecodeReplica(std::string_view bytes) {
  ByteReader reader(bytes);
  DOLMEN_RETURN_IF_ERROR(ReadVersion(&reader, kReplicaVersion, "replica record"));
  ReplicaRecord record;
  record.state = ReadEnum(&reader, ReplicaState::kFinalized, ReplicaState::kCorrupt);
  record.stamp = GenerationStamp(reader.Varint());
  record.length = reader.Varint();
  record.session = reader.Varint();
  record.evidence = reader.Varint();
  DOLMEN_RETURN_IF_ERROR(reader.Finish("replica record (delete the replica store, full reports rebuild it)"));
  return record;
}

absl::StatusOr<std::optional<ReplicaRecord>> ReplicaMap::Find(BlockId block, uint32_t storage) {
  DOLMEN_RETURN_IF_ERROR(FlushIfDirty(block));
  DOLMEN_ASSIGN_OR_RETURN(std::optional<std::string> bytes,
                          store_->Get(ReplicaFamily::kByBlock, replica_keys::ByBlock(block, storage)));
  if (!bytes.has_value()) return std::optional<ReplicaRecord>();
  DOLMEN_ASSIGN_OR_RETURN(ReplicaRecord record, DecodeReplica(*bytes));
  return std::optional<ReplicaRecord>(record);
}

absl::StatusOr<std::vector<StoredReplica>> ReplicaMap::OfBlock(BlockId block) {
  DOLMEN_RETURN_IF_ERROR(FlushIfDirty(block));
  return InRange(block, block, SIZE_MAX);
}

namespace {

absl::StatusOr<std::vector<StoredReplica>> ScanReplicas(const ReplicaStore& store, BlockId first, BlockId last,
                                                        size_t limit) {
  std::vector<StoredReplica> found;
  absl::Status parsed;
  DOLMEN_RETURN_IF_ERROR(store.Scan(ReplicaFamily::kByBlock, replica_keys::ByBlockStart(first), EndAfter({}, last),
                                    [&](std::string_view key, std::string_view value) {
                                      if (found.size() >= limit) return false;
                                      absl::StatusOr<StoredReplica> replica = ParseByBlock(key, value);
                                      if (!replica.ok()) {
                                        parsed = replica.status();
                                        return false;
                                      }
                                      found.push_back(*replica);
                                      return true;
                                    }));
  DOLMEN_RETURN_IF_ERROR(parsed);
  return found;
}

}  // namespace

absl::StatusOr<std::vector<StoredReplica>> ReplicaMap::InRange(BlockId first, BlockId last, size_t limit) {
  if (first != last) DOLMEN_RETURN_IF_ERROR(Flush());
  return ScanReplicas(*store_, first, last, limit);
}

absl::StatusOr<std::vector<BlockId>> ReplicaMap::OfStorage(uint32_t storage, BlockId first, BlockId last,
                                                           size_t limit) {
  DOLMEN_RETURN_IF_ERROR(Flush());
  std::vector<BlockId> found;
  const std::string prefix = replica_keys::Number(storage);
  const std::string end = last.value() == UINT64_MAX ? replica_keys::Number(storage + 1) : EndAfter(prefix, last);
  DOLMEN_RETURN_IF_ERROR(store_->Scan(ReplicaFamily::kByStorage, replica_keys::ByStorage(storage, first), end,
                                      [&](std::string_view key, std::string_view) {
                                        if (found.size() >= limit) return false;
                                        if (key.size() == 12) found.emplace_back(LoadBigEndian64(key.data() + 4));
                                        return true;
                                      }));
  return found;
}

absl::Status ReplicaMap::Replace(BlockId block, uint32_t storage, const std::optional<ReplicaRecord>& before,
                                 const std::optional<ReplicaRecord>& after) {
  if (before == after) return absl::OkStatus();
  std::optional<std::string> value;
  if (after.has_value()) value = EncodeReplica(*after);
  writes_.push_back({ReplicaFamily::kByBlock, replica_keys::ByBlock(block, storage), std::move(value)});
  if (before.has_value() != after.has_value()) {
    writes_.push_back({ReplicaFamily::kByStorage, replica_keys::ByStorage(storage, block),
                       after.has_value() ? std::optional<std::string>(std::string()) : std::nullopt});
  }
  dirty_.insert(block);
  return writes_.size() < kMaxGatheredWrites ? absl::OkStatus() : Flush();
}

absl::Status ReplicaMap::Flush() {
  if (writes_.empty()) return absl::OkStatus();
  const std::vector<ReplicaWrite> writes = std::move(writes_);
  writes_.clear();
  dirty_.clear();
  return store_->Write(writes);
}

absl::StatusOr<std::vector<StoredReplica>> ReplicasOf(const ReplicaStore& store, BlockId block) {
  return ScanReplicas(store, block, block, SIZE_MAX);
}

std::vector<protocol::ReplicaLocation> LocateReplicas(const ReplicaStore& store, const ClusterView& cluster,
                                                      const protocol::Block& block, bool* only_corrupt) {
  struct Candidate {
    Content content;
    DatanodeLiveness liveness;
    bool is_hint;
    uint64_t spread;
    uint32_t number;
    const protocol::ReplicaLocation* location;
    auto Rank() const { return std::tie(content, liveness, is_hint, spread, number); }
  };
  std::vector<Candidate> candidates;
  const absl::Status scanned = store.Scan(
      ReplicaFamily::kByBlock, replica_keys::ByBlockStart(block.id), EndAfter({}, block.id),
      [&](std::string_view key, std::string_view value) {
        const absl::StatusOr<StoredReplica> replica = ParseByBlock(key, value);
        if (!replica.ok()) return true;
        const Content content = ContentOf(replica->record, block);
        const auto storage = cluster.storages.find(replica->storage);
        if (content == Content::kUseless || storage == cluster.storages.end()) return true;
        const uint64_t session = storage->second.session;
        candidates.push_back({content, storage->second.liveness, session == 0 || replica->record.session != session,
                              Mix(block.id.value() ^ (uint64_t{replica->storage} << 40)), replica->storage,
                              &storage->second.location});
        return true;
      });
  LogIfError(scanned, "replica locations are hints; the caller sees fewer of them");
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.Rank() < b.Rank(); });

  // The best kind of content decides alone; within it, dead datanodes are named only when all are.
  std::vector<protocol::ReplicaLocation> locations;
  std::set<DatanodeUuid> named;
  for (const Candidate& candidate : candidates) {
    const Candidate& best = candidates.front();
    if (candidate.content != best.content) break;
    if (candidate.liveness == DatanodeLiveness::kDead && best.liveness != DatanodeLiveness::kDead) continue;
    if (named.insert(candidate.location->datanode.uuid).second) locations.push_back(*candidate.location);
  }
  if (only_corrupt != nullptr) {
    *only_corrupt = !candidates.empty() && candidates.front().content == Content::kCorrupt;
  }
  return locations;
}

}  // namespace dolmen::namenode
