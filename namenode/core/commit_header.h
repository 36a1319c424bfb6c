// What each stored commit begins with, and the rules every store checks before it writes one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/ids.h"
#include "namenode/core/meta_store.h"

namespace dolmen::namenode {

// The newest one is also stored under keys::kCommitHeader of kMeta.
struct CommitHeader {
  CommitNumber number;  // 1, 2, ... without a gap
  Epoch epoch;          // none for the commit that formats
  WallTime time;
  uint64_t digest = 0;  // of the writes
  friend bool operator==(const CommitHeader&, const CommitHeader&) = default;
};

CommitHeader HeaderOf(const CommitBatch& batch);
std::string EncodeCommitHeader(const CommitHeader& header);
absl::StatusOr<CommitHeader> DecodeCommitHeader(std::string_view bytes);
// The stored newest header; all zero in a store that has never seen a commit. Errors: kDamaged, or the reader's.
absl::StatusOr<CommitHeader> ReadCommitHeader(const MetaReader& reader);

// Refuses (kIllegalArgument) a batch that must not follow `last`: wrong number, falling epoch, writes unsorted or
// repeated, or a write of the header's own key.
absl::Status CheckFollows(const CommitHeader& last, const CommitBatch& batch);

}  // namespace dolmen::namenode
