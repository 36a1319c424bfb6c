// Checks of the shape of values that came over the wire, used by the conversions. Each names the field, the value and
// what would be right. Code kInvalidArgument always; reason kInvalidPath for paths and names, kIllegalArgument else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/error.h"

namespace dolmen::rpc {

// Ids, lengths and offsets are below this.
inline constexpr uint64_t kIdLimit = uint64_t{1} << 63;
// The namenode refuses paths over 8,000 characters in HDFS's words; what is longer in bytes than that can ever be is
// refused here, before it is copied.
inline constexpr size_t kMaxPathBytes = 32'000;
// Paths that the namenode found: renamed directories can make them longer than any that can be asked for.
inline constexpr size_t kMaxFoundPathBytes = 1 << 20;
// Users, owners, groups, lease holders, host names, uuids, labels.
inline constexpr size_t kMaxTextBytes = 1024;
inline constexpr size_t kMaxTokenBytes = 4096;
// Explanations: safe mode tip, message of a hop.
inline constexpr size_t kMaxMessageBytes = 4096;
inline constexpr uint32_t kMaxPermission = 01777;

inline constexpr size_t kMaxAddresses = 16;           // per datanode
inline constexpr size_t kMaxStorages = 256;           // per datanode
inline constexpr size_t kMaxReplicas = 512;           // per block: HDFS's highest replication
inline constexpr size_t kMaxExcluded = 1000;          // datanodes a client could not use
inline constexpr size_t kMaxListingEntries = 1000;    // per page
inline constexpr size_t kMaxLocatedBlocks = 16384;    // per answer; the message limit is usually reached first
inline constexpr size_t kMaxCheckedBlocks = 10'000;   // per page of a file check
inline constexpr size_t kMaxDatanodes = 10'000;       // per report
inline constexpr size_t kMaxConcatSources = 10'000;   // per call; the namenode's limit of blocks is no higher
inline constexpr size_t kMaxCommands = 1000;          // per heartbeat
inline constexpr size_t kMaxReportedReplicas = 1000;  // per report message or command

// `value` between quotes, printable, at most 100 bytes of it.
std::string Quoted(std::string_view value);
absl::Status ShapeError(std::string_view field, std::string_view problem,
                        ErrorReason reason = ErrorReason::kIllegalArgument);

// Absolute, no NUL, valid UTF-8, at most kMaxPathBytes. What is legal between the slashes is the namenode's business.
absl::Status CheckPath(std::string_view field, std::string_view path);
// One path component, or nothing: no slash, no NUL, valid UTF-8.
absl::Status CheckComponent(std::string_view field, std::string_view name);
// Valid UTF-8 without NUL, at most `max_bytes`; may be empty.
absl::Status CheckText(std::string_view field, std::string_view text, size_t max_bytes = kMaxTextBytes);
// The same, not empty.
absl::Status CheckName(std::string_view field, std::string_view text);
// Any bytes, at most `max_bytes`.
absl::Status CheckBytes(std::string_view field, std::string_view bytes, size_t max_bytes);
// 1 .. 2^63-1.
absl::Status CheckId(std::string_view field, uint64_t value);
// 0 .. 2^63-1: lengths, offsets, counters, and ids that may be missing.
absl::Status CheckSize(std::string_view field, uint64_t value);
absl::Status CheckBetween(std::string_view field, uint64_t value, uint64_t low, uint64_t high);
absl::Status CheckNotNegative(std::string_view field, int64_t value);
absl::Status CheckCount(std::string_view field, size_t count, size_t most);

// `number` as an enumerator of E, whose enumerators are 1 .. last without gaps.
template <typename E>
absl::StatusOr<E> CheckEnum(std::string_view field, int number, E last) {
  if (number < 1 || number > static_cast<int>(last)) {
    return ShapeError(field, absl::StrCat(number, " is unknown; known are 1 to ", static_cast<int>(last)));
  }
  return static_cast<E>(number);
}

}  // namespace dolmen::rpc
