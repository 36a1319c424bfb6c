// Replica locations in a RocksDB of their own. Nothing is synced: after a crash some of the newest are gone, and a
// database that cannot be opened is deleted and begun anew. Both cost reports, never data: a stored location is a hint.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "namenode/core/meta_store.h"
#include "namenode/storage/rocksdb_support.h"

namespace dolmen::namenode {

// One thread writes; any thread may read.
class RocksDbReplicaStore final : public ReplicaStore {
 public:
  static RocksDbSizes DefaultSizes() {
    return {.block_cache_bytes = uint64_t{64} << 20,
            .write_buffer_bytes = uint64_t{16} << 20,
            .all_write_buffers_bytes = uint64_t{48} << 20,
            .max_log_bytes = uint64_t{64} << 20,
            .background_jobs = 2};
  }
  // Creates the database if missing; deletes and recreates a damaged one, with a warning in the log. `env` (null: the
  // machine's) outlives the store. Errors: kBusy when another process has it open; kNoSpace; kIo.
  static absl::StatusOr<std::unique_ptr<RocksDbReplicaStore>> Open(const std::string& path, const RocksDbSizes& sizes,
                                                                   rocksdb::Env* env);

  absl::Status Write(const std::vector<ReplicaWrite>& writes) override;
  absl::StatusOr<std::optional<std::string>> Get(ReplicaFamily family, std::string_view key) const override;
  absl::Status Scan(ReplicaFamily family, std::string_view start, std::string_view end,
                    absl::FunctionRef<bool(std::string_view key, std::string_view value)> visit) const override;

 private:
  explicit RocksDbReplicaStore(std::shared_ptr<RocksDbDatabase> database) : database_(std::move(database)) {}

  const std::shared_ptr<RocksDbDatabase> database_;
};

}  // namespace dolmen::namenode
