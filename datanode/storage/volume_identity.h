// The file VERSION of a storage directory: whose it is, and the highest numbers ever seen (contracts C-12, C-13).
// A few lines of text that an operator can read, closed by a crc. Format: docs/formats/replica-files.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/ids.h"
#include "common/protocol/types.h"

namespace dolmen::datanode {

inline constexpr uint32_t kLayoutVersion = 1;
inline constexpr std::string_view kIdentityFileName = "VERSION";

struct VolumeIdentity {
  uint32_t layout_version = kLayoutVersion;
  ClusterId cluster;  // none until the first registration
  DatanodeUuid datanode;
  StorageId storage;
  protocol::StorageType type = protocol::StorageType::kDisk;
  // The namenode whose commands were last accepted.
  Epoch highest_epoch;
  std::string highest_incarnation;
  // Block ids and stamps seen here: at least `seen`, never more than `bound`, which is written ahead in strides and
  // comes down to `seen` at a clean stop, but not below what an earlier crash left.
  protocol::IdMarks seen;
  protocol::IdMarks bound;
  friend bool operator==(const VolumeIdentity&, const VolumeIdentity&) = default;
};

std::string EncodeVolumeIdentity(const VolumeIdentity& identity);
// Error: kDamaged naming the line, or the layout version this program cannot read.
absl::StatusOr<VolumeIdentity> DecodeVolumeIdentity(std::string_view text);

// "DISK", "SSD", "ARCHIVE", "RAM_DISK" (HDFS's names).
std::string_view StorageTypeName(protocol::StorageType type);
absl::StatusOr<protocol::StorageType> ParseStorageType(std::string_view name);

}  // namespace dolmen::datanode
