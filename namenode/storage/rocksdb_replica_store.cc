#include "namenode/storage/rocksdb_replica_store.h"

#include "common/error.h"
#include "rocksdb/write_batch.h"
#include "spdlog/spdlog.h"

namespace dolmen::namenode {
namespace {

// Stored names, in the order of ReplicaFamily.
const std::vector<std::string>& FamilyNames() {
  static const std::vector<std::string> names = {"storages", "by_block", "by_storage"};
  return names;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RocksDbReplicaStore>> RocksDbReplicaStore::Open(const std::string& path,
                                                                               const RocksDbSizes& sizes,
                                                                               rocksdb::Env* env) {
  const auto open = [&](bool create) {
    return RocksDbDatabase::Open(path, FamilyNames(), sizes, RocksDbDatabase::Durability::kUnsynced, create, env);
  };
  rocksdb::Env* const files = env == nullptr ? rocksdb::Env::Default() : env;
  const rocksdb::Status exists = files->FileExists(path + "/CURRENT");
  if (exists.ok()) {
    absl::StatusOr<std::shared_ptr<RocksDbDatabase>> database = open(/*create=*/false);
    if (database.ok()) return std::unique_ptr<RocksDbReplicaStore>(new RocksDbReplicaStore(*std::move(database)));
    const ErrorReason reason = ReasonOf(database.status());
    if (reason == ErrorReason::kBusy || reason == ErrorReason::kNoSpace) return database.status();
    spdlog::warn("replica locations in {} cannot be opened and are forgotten; full reports will bring them again: {}",
                 path, MessageOf(database.status()));
  }
  rocksdb::Options options;
  options.env = files;
  LogIfError(FromRocksDb(rocksdb::DestroyDB(path, options), "deleting " + path), "creating it anew tells");
  DOLMEN_ASSIGN_OR_RETURN(std::shared_ptr<RocksDbDatabase> database, open(/*create=*/true));
  return std::unique_ptr<RocksDbReplicaStore>(new RocksDbReplicaStore(std::move(database)));
}

absl::Status RocksDbReplicaStore::Write(const std::vector<ReplicaWrite>& writes) {
  rocksdb::WriteBatch batch;
  for (const ReplicaWrite& write : writes) {
    rocksdb::ColumnFamilyHandle* family = database_->family(static_cast<size_t>(write.family));
    const rocksdb::Status added =
        write.value.has_value() ? batch.Put(family, write.key, *write.value) : batch.Delete(family, write.key);
    DOLMEN_RETURN_IF_ERROR(FromRocksDb(added, "building a batch of replica locations"));
  }
  return FromRocksDb(database_->db()->Write(rocksdb::WriteOptions(), &batch), "writing replica locations");
}

absl::StatusOr<std::optional<std::string>> RocksDbReplicaStore::Get(ReplicaFamily family, std::string_view key) const {
  return database_->Get(static_cast<size_t>(family), nullptr, key);
}

absl::Status RocksDbReplicaStore::Scan(ReplicaFamily family, std::string_view start, std::string_view end,
                                       absl::FunctionRef<bool(std::string_view, std::string_view)> visit) const {
  return database_->Scan(static_cast<size_t>(family), nullptr, start, end, visit);
}

}  // namespace dolmen::namenode
