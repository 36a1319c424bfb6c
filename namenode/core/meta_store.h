// The stored metadata as the core sees it: ordered families of byte keys and values, read through views, changed only
// by whole committed batches. Two stores implement it, RocksDB and memory, and pass one conformance test.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/ids.h"

namespace dolmen::namenode {

// Column families of the metadata store (docs/formats/metadata.md). Numbers and names are stored: never reuse.
enum class Family : uint8_t {
  kMeta = 0,        // counters, ids, epoch, version
  kInodes = 1,      // (parent id, name) -> inode record
  kIds = 2,         // inode id -> (parent id, name)
  kFileBlocks = 3,  // (inode id, index) -> block id
  kBlocks = 4,      // block id -> block record
  kOpen = 5,        // inode id -> open record
  kDetached = 6,    // inode id -> record of a deleted root
  kTotals = 7,      // directory id -> totals record
  kRetries = 8,     // client session -> open answers
  kHistory = 9,     // (record key, commit number) -> old record
};
inline constexpr int kFamilyCount = 10;

// Reads one consistent state. Thread-safe unless an implementation says otherwise.
class MetaReader {
 public:
  virtual ~MetaReader() = default;
  // The value, or nothing. Errors: kDamaged or kIo from the store.
  virtual absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) const = 0;
  // Visits entries with start <= key < end (end empty: to the end of the family) in byte order until `visit` returns
  // false. The views passed are valid only during the call; `visit` must not change what is being scanned.
  virtual absl::Status Scan(Family family, std::string_view start, std::string_view end,
                            absl::FunctionRef<bool(std::string_view key, std::string_view value)> visit) const = 0;
};

// A published state: what was committed up to commit_number(), nothing later, for as long as the view lives.
// Thread-safe.
class MetaView : public MetaReader {
 public:
  virtual CommitNumber commit_number() const = 0;
};

struct MetaWrite {
  Family family = Family::kMeta;
  std::string key;
  std::optional<std::string> value;  // nothing: delete
};

// One group commit: all or nothing, durable before Commit returns OK. The store begins the stored batch with a log
// record of (number, epoch, time, digest of writes) and keeps the newest header under a key of kMeta.
struct CommitBatch {
  CommitNumber number;  // previous + 1
  Epoch epoch;
  WallTime time;
  std::vector<MetaWrite> writes;  // distinct (family, key), sorted
};

// One thread calls Commit; any thread may call View.
class MetaStore {
 public:
  virtual ~MetaStore() = default;
  // OK: durable (synced). Any failure: what is on disk is unknown; the store accepts no further commit.
  virtual absl::Status Commit(const CommitBatch& batch) = 0;
  // A view of the newest committed state.
  virtual std::shared_ptr<const MetaView> View() const = 0;
  // Free bytes on the store's volume, for the free-space floor.
  virtual absl::StatusOr<uint64_t> FreeBytes() const = 0;
};

// Replica locations: hints that a round of full reports can rebuild, so nothing here is ever synced. Same shapes, own
// small families. One thread writes; any thread may read the newest state.
enum class ReplicaFamily : uint8_t {
  kMeta = 0,       // storage numbers and their datanodes
  kByBlock = 1,    // (block id, storage number) -> replica record
  kByStorage = 2,  // (storage number, block id) -> nothing
};
inline constexpr int kReplicaFamilyCount = 3;

struct ReplicaWrite {
  ReplicaFamily family = ReplicaFamily::kMeta;
  std::string key;
  std::optional<std::string> value;
};

class ReplicaStore {
 public:
  virtual ~ReplicaStore() = default;
  virtual absl::Status Write(const std::vector<ReplicaWrite>& writes) = 0;  // atomic, not synced
  virtual absl::StatusOr<std::optional<std::string>> Get(ReplicaFamily family, std::string_view key) const = 0;
  virtual absl::Status Scan(ReplicaFamily family, std::string_view start, std::string_view end,
                            absl::FunctionRef<bool(std::string_view key, std::string_view value)> visit) const = 0;
};

}  // namespace dolmen::namenode
