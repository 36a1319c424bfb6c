// The one list of key shapes. Numbers are big-endian so that byte order is number order.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/ids.h"

namespace dolmen::namenode::keys {

// kInodes: 8-byte parent id, name bytes. The root lives under parent 0 with an empty name.
std::string Inode(InodeId parent, std::string_view name);
std::string InodePrefix(InodeId parent);
std::string InodePrefixEnd(InodeId parent);
struct InodeKey {
  InodeId parent;
  std::string_view name;
};
absl::StatusOr<InodeKey> ParseInode(std::string_view key);

// kIds, kOpen, kDetached, kTotals: 8-byte inode id.
std::string Id(InodeId inode);
absl::StatusOr<InodeId> ParseId(std::string_view key);

// kFileBlocks: 8-byte inode id, 8-byte index; value: 8-byte big-endian block id.
std::string FileBlock(InodeId inode, uint64_t index);
std::string FileBlockEnd(InodeId inode);
std::string FileBlockValue(BlockId block);
absl::StatusOr<BlockId> ParseFileBlockValue(std::string_view value);

// kBlocks: 8-byte block id.
std::string Block(BlockId block);
absl::StatusOr<BlockId> ParseBlock(std::string_view key);

// kRetries: client id bytes (16).
std::string Session(std::string_view client_id);

// kHistory: family byte, varint key length, key, 8-byte commit number.
std::string History(uint8_t family, std::string_view key, CommitNumber number);

// kMeta.
inline constexpr std::string_view kNamespaceInfo = "namespace";
inline constexpr std::string_view kCounters = "counters";
inline constexpr std::string_view kCommitHeader = "commit";  // written by the store: number, epoch, time, digest
// Ranges of block ids that were jumped over (quarantine.h): "q", 8-byte first id; value: varint, first id after it.
inline constexpr std::string_view kQuarantinedStart = "q";
inline constexpr std::string_view kQuarantinedEnd = "r";
std::string Quarantined(BlockId first);
absl::StatusOr<BlockId> ParseQuarantined(std::string_view key);
std::string QuarantinedValue(BlockId end);
absl::StatusOr<BlockId> ParseQuarantinedValue(std::string_view value);
// Files whose blocks are being given another number of replicas (tables.h): "r", 8-byte inode id; value: varint, index
// of the first block that may still have the number before.
inline constexpr std::string_view kReplicationStart = "r";
inline constexpr std::string_view kReplicationEnd = "s";
std::string Replication(InodeId inode);
absl::StatusOr<InodeId> ParseReplication(std::string_view key);
std::string ReplicationValue(uint64_t next_index);
absl::StatusOr<uint64_t> ParseReplicationValue(std::string_view value);

}  // namespace dolmen::namenode::keys
