// What both RocksDB stores share: opening with our options, error mapping, reads.
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
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "rocksdb/options.h"
#include "rocksdb/status.h"

namespace dolmen::namenode {

// Sizes are what bounds memory and restart time; defaults suit a machine with 4 GiB or more.
struct RocksDbSizes {
  uint64_t block_cache_bytes = uint64_t{256} << 20;  // data, indexes and filters
  uint64_t write_buffer_bytes = uint64_t{32} << 20;  // per family, at most 2 of them
  uint64_t all_write_buffers_bytes = uint64_t{128} << 20;
  uint64_t max_log_bytes = uint64_t{128} << 20;  // read again at a start after a crash
  int background_jobs = 4;                       // 2..7
};

// kDamaged for corruption, kNoSpace, kBusy (lock held), kIo otherwise.
absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view context);

inline rocksdb::Slice ToSlice(std::string_view bytes) { return rocksdb::Slice(bytes.data(), bytes.size()); }
inline std::string_view FromSlice(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// An open database and its families. Whoever reads holds a share, so a view may outlive its store.
class RocksDbDatabase {
 public:
  enum class Durability {
    kSynced,    // a damaged log is refused
    kUnsynced,  // hints: recovers what it can
  };
  // `families` in the order of their enum; the family "default", which RocksDB insists on, stays empty.
  // `create`: the database must not exist; otherwise it must, with exactly these families.
  static absl::StatusOr<std::shared_ptr<RocksDbDatabase>> Open(const std::string& path,
                                                               const std::vector<std::string>& families,
                                                               const RocksDbSizes& sizes, Durability durability,
                                                               bool create, rocksdb::Env* env);
  // Changes nothing on disk. Logs are read into memory up to their first bad record; the caller has scanned them.
  static absl::StatusOr<std::shared_ptr<RocksDbDatabase>> OpenReadOnly(const std::string& path,
                                                                       const std::vector<std::string>& families,
                                                                       const RocksDbSizes& sizes, rocksdb::Env* env);
  ~RocksDbDatabase();

  rocksdb::DB* db() const { return db_.get(); }
  rocksdb::ColumnFamilyHandle* family(size_t index) const { return handles_[index + 1]; }

  absl::StatusOr<std::optional<std::string>> Get(size_t family, const rocksdb::Snapshot* snapshot,
                                                 std::string_view key) const;
  absl::Status Scan(size_t family, const rocksdb::Snapshot* snapshot, std::string_view start, std::string_view end,
                    absl::FunctionRef<bool(std::string_view key, std::string_view value)> visit) const;

 private:
  RocksDbDatabase() = default;

  enum class Mode { kCreate, kWrite, kRead };
  static absl::StatusOr<std::shared_ptr<RocksDbDatabase>> OpenAs(Mode mode, const std::string& path,
                                                                 const std::vector<std::string>& families,
                                                                 const RocksDbSizes& sizes, Durability durability,
                                                                 rocksdb::Env* env);

  std::unique_ptr<rocksdb::Env> env_;  // outlives db_
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;  // the default one, then as `families`
};

}  // namespace dolmen::namenode
