// A namenode's metadata directory: made by --format, held by exactly one process.
//
//   in_use.lock    locked for the life of the process (contract C-12)
//   meta/          the metadata store
//   replicas/      replica locations, deletable at the cost of a round of full reports
//   meta.discarded what a forced format put aside, until it is deleted
//
// The identity (cluster id and so on) is a record in the store, not a file beside it, so that the two cannot part.
//
// Crash in the middle of --format: `meta` exists without a namespace; start says "not formatted", and --format begins
// again. A forced format first renames `meta` away, then formats: old, none or new, never a mixture.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/file_system.h"
#include "namenode/core/bootstrap.h"
#include "namenode/core/consistency.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/records.h"
#include "namenode/storage/log_scanner.h"
#include "namenode/storage/rocksdb_meta_store.h"
#include "namenode/storage/rocksdb_replica_store.h"

namespace dolmen::namenode {

// Owns the lock and both stores. As thread-safe as the stores are.
class MetadataDirectory {
 public:
  struct Options {
    RocksDbMetaStore::Options store;
    RocksDbSizes replica_store = RocksDbReplicaStore::DefaultSizes();
  };
  struct FormatRequest {
    std::string superuser;  // who formats: owner of the root directory
    std::string supergroup;
    WallTime now;
    uint64_t seed = 0;  // for the new ids
    // Needed to format over an existing namespace, which is then lost: its cluster id, typed by a person.
    std::optional<std::string> force_cluster_id;
  };

  // Creates the directory if missing. Errors, all of them before anything is changed: kFileAlreadyExists when it holds
  // a namespace and `force_cluster_id` is absent or another; kIllegalArgument when it holds other things; kBusy when a
  // namenode is running on it; kDamaged when what it holds cannot be read (remove it by hand).
  static absl::StatusOr<NamespaceInfo> Format(FileSystem& fs, const std::string& directory,
                                              const FormatRequest& request, const Options& options);

  // Locks, recovers, and durably raises the epoch. `fs` shows the same files as the options' environment and is used
  // only here. Errors: kFileNotFound when not formatted; kBusy when another process holds it; kIllegalArgument when a
  // newer program wrote it; kDamaged naming the file. Creates nothing in a directory that was never formatted.
  static absl::StatusOr<std::unique_ptr<MetadataDirectory>> Open(FileSystem& fs, const std::string& directory,
                                                                 WallTime now, uint64_t seed, Options options);

  struct Checked {
    NamespaceInfo info;
    LogScan logs;
    CommitNumber last_commit;
    ConsistencyReport report;
  };
  // Holds the lock, looks at the logs and at every record, and changes nothing but the lock's file. `found` gets each
  // violation as one line. Errors as Open: then the check has no result. Memory is bounded by the options' sizes.
  static absl::StatusOr<Checked> Check(FileSystem& fs, const std::string& directory, const Options& options,
                                       absl::FunctionRef<void(std::string_view line)> found);

  const NamespaceInfo& info() const { return info_; }
  // As stored by this start's epoch commit.
  const Counters& counters() const { return counters_; }
  // Random, of this start: tells apart two copies of a directory that were raised to the same epoch.
  const std::string& incarnation() const { return incarnation_; }
  MetaStore* store() { return store_.get(); }
  ReplicaStore* replicas() { return replicas_.get(); }

 private:
  MetadataDirectory() = default;

  std::unique_ptr<FileLock> lock_;  // released last
  std::unique_ptr<RocksDbMetaStore> store_;
  std::unique_ptr<RocksDbReplicaStore> replicas_;
  NamespaceInfo info_;
  Counters counters_;
  std::string incarnation_;
};

}  // namespace dolmen::namenode
