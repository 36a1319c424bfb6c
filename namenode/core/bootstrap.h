// What formatting a namespace and starting a namenode write: values only, the same for RocksDB and for the simulation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/random.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/records.h"

namespace dolmen::namenode {

// Of the stored metadata as a whole; raised when an older program could not work with what a newer one wrote.
inline constexpr uint32_t kLayoutVersion = 1;

// A new identity: cluster id "CID-<uuid>", a namespace id of 31 bits that is not 0, block pool "BP-<number>-<ms>".
NamespaceInfo MintNamespace(Random* random, std::string superuser, std::string supergroup, WallTime now);

// The one commit that formats an empty store: identity, counters at their first values, the root directory and its
// totals. Number 1, no epoch (the first start raises it to 1).
CommitBatch FormatBatch(const NamespaceInfo& info);

// The identity stored in `reader`. Errors: kFileNotFound when the store is not formatted; kIllegalArgument when the
// layout is newer than this program (the text says which and what to do); kDamaged.
absl::StatusOr<NamespaceInfo> ReadNamespace(const MetaReader& reader);

// Each epoch has generation stamps of its own, 2^32 of them: a namespace restored from a backup runs in a later epoch
// than the one that was lost, so a block of the one never has id and stamp of a block of the other, even if the
// datanode that holds it is away while ids are handed out. Stamps stay below 2^63 for 2^31 starts.
inline constexpr int kStampsPerEpochBits = 32;
GenerationStamp FirstStampOf(Epoch epoch);

// What a start writes, to be committed before anything else.
struct Start {
  NamespaceInfo info;
  Counters counters;  // as after the commit: the epoch raised by one, the stamps at least at its first one
  CommitBatch batch;
};
// `published` is the newest state. The batch's time follows the rule of all commits: not before the last one while the
// clocks differ by less than 10 s. Errors: those of ReadNamespace; kDamaged when counters contradict the header.
absl::StatusOr<Start> PlanStart(const MetaReader& published, WallTime now);

}  // namespace dolmen::namenode
