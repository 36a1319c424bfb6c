#include "namenode/core/key_codec.h"

#include "common/coding.h"
#include "common/error.h"

namespace dolmen::namenode::keys {
namespace {

constexpr size_t kIdBytes = 8;

absl::Status BadKey(std::string_view what, std::string_view key) {
  return MakeError(ErrorReason::kDamaged,
                   absl::StrCat(ToAbsl(what), " of ", key.size(), " bytes: expected ", kIdBytes));
}

std::string OneNumber(uint64_t number) {
  std::string key;
  key.reserve(kIdBytes);
  AppendBigEndian64(&key, number);
  return key;
}

std::string TwoNumbers(uint64_t first, uint64_t second) {
  std::string key;
  key.reserve(2 * kIdBytes);
  AppendBigEndian64(&key, first);
  AppendBigEndian64(&key, second);
  return key;
}

}  // namespace

std::string Inode(InodeId parent, std::string_view name) {
  std::string key;
  key.reserve(kIdBytes + name.size());
  AppendBigEndian64(&key, parent.value());
  key.append(name);
  return key;
}

std::string InodePrefix(InodeId parent) { return OneNumber(parent.value()); }

std::string InodePrefixEnd(InodeId parent) { return OneNumber(parent.value() + 1); }

absl::StatusOr<InodeKey> ParseInode(std::string_view key) {
  if (key.size() < kIdBytes) return BadKey("inode key", key);
  return InodeKey{InodeId(LoadBigEndian64(key.data())), key.substr(kIdBytes)};
}

std::string Id(InodeId inode) { return OneNumber(inode.value()); }

absl::StatusOr<InodeId> ParseId(std::string_view key) {
  if (key.size() != kIdBytes) return BadKey("inode id key", key);
  return InodeId(LoadBigEndian64(key.data()));
}

std::string FileBlock(InodeId inode, uint64_t index) { return TwoNumbers(inode.value(), index); }

std::string FileBlockEnd(InodeId inode) { return TwoNumbers(inode.value() + 1, 0); }

std::string FileBlockValue(BlockId block) { return OneNumber(block.value()); }

absl::StatusOr<BlockId> ParseFileBlockValue(std::string_view value) {
  if (value.size() != kIdBytes) return BadKey("block id of a file", value);
  return BlockId(LoadBigEndian64(value.data()));
}

std::string Block(BlockId block) { return OneNumber(block.value()); }

absl::StatusOr<BlockId> ParseBlock(std::string_view key) {
  if (key.size() != kIdBytes) return BadKey("block key", key);
  return BlockId(LoadBigEndian64(key.data()));
}

std::string Quarantined(BlockId first) {
  std::string key(kQuarantinedStart);
  AppendBigEndian64(&key, first.value());
  return key;
}

absl::StatusOr<BlockId> ParseQuarantined(std::string_view key) {
  if (key.size() != kQuarantinedStart.size() + kIdBytes || !key.starts_with(kQuarantinedStart)) {
    return MakeError(ErrorReason::kDamaged,
                     absl::StrCat("key of a quarantined range of ", key.size(), " bytes: expected 'q' and ", kIdBytes));
  }
  return BlockId(LoadBigEndian64(key.data() + kQuarantinedStart.size()));
}

std::string QuarantinedValue(BlockId end) {
  std::string value;
  AppendVarint(&value, end.value());
  return value;
}

absl::StatusOr<BlockId> ParseQuarantinedValue(std::string_view value) {
  ByteReader reader(value);
  const BlockId end(reader.Varint());
  DOLMEN_RETURN_IF_ERROR(reader.Finish("end of a quarantined range"));
  return end;
}

std::string Replication(InodeId inode) {
  std::string key(kReplicationStart);
  AppendBigEndian64(&key, inode.value());
  return key;
}

absl::StatusOr<InodeId> ParseReplication(std::string_view key) {
  if (key.size() != kReplicationStart.size() + kIdBytes || !key.starts_with(kReplicationStart)) {
    return MakeError(ErrorReason::kDamaged, absl::StrCat("key of a change of replication of ", key.size(),
                                                         " bytes: expected 'r' and ", kIdBytes));
  }
  return InodeId(LoadBigEndian64(key.data() + kReplicationStart.size()));
}

std::string ReplicationValue(uint64_t next_index) {
  std::string value;
  AppendVarint(&value, next_index);
  return value;
}

absl::StatusOr<uint64_t> ParseReplicationValue(std::string_view value) {
  ByteReader reader(value);
  const uint64_t next_index = reader.Varint();
  DOLMEN_RETURN_IF_ERROR(reader.Finish("progress of a change of replication"));
  return next_index;
}

std::string Session(std::string_view client_id) { return std::string(client_id); }

std::string History(uint8_t family, std::string_view key, CommitNumber number) {
  std::string history;
  history.push_back(static_cast<char>(family));
  AppendLengthPrefixed(&history, key);
  AppendBigEndian64(&history, number.value());
  return history;
}

}  // namespace dolmen::namenode::keys
