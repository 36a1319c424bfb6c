#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "namenode/storage/memory_replica_store.h"
#include "namenode/storage/rocksdb_replica_store.h"
#include "tests/support/temp_dir.h"

namespace dolmen::namenode {
namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

Entries ScanAll(const ReplicaStore& store, ReplicaFamily family, std::string_view start = {}, std::string_view end = {},
                size_t limit = SIZE_MAX) {
  Entries entries;
  const absl::Status scanned = store.Scan(family, start, end, [&](std::string_view key, std::string_view value) {
    entries.emplace_back(key, value);
    return entries.size() < limit;
  });
  EXPECT_TRUE(scanned.ok()) << scanned;
  return entries;
}

std::unique_ptr<RocksDbReplicaStore> OpenRocksDb(const std::string& path) {
  auto store = RocksDbReplicaStore::Open(path, RocksDbReplicaStore::DefaultSizes(), nullptr);
  EXPECT_TRUE(store.ok()) << store.status();
  return *std::move(store);
}

class ReplicaStoreTest : public testing::TestWithParam<bool> {
 protected:
  ReplicaStoreTest() {
    if (GetParam()) {
      store_ = OpenRocksDb(directory_.File("replicas"));
    } else {
      store_ = std::make_unique<MemoryReplicaStore>();
    }
  }
  const TempDir directory_;
  std::unique_ptr<ReplicaStore> store_;
};

TEST_P(ReplicaStoreTest, WritesAreReadBackInKeyOrder) {
  ASSERT_TRUE(store_
                  ->Write({{ReplicaFamily::kByBlock, "b", "2"},
                           {ReplicaFamily::kByBlock, "a", "1"},
                           {ReplicaFamily::kByStorage, "s", ""}})
                  .ok());
  EXPECT_EQ(ScanAll(*store_, ReplicaFamily::kByBlock), (Entries{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(ScanAll(*store_, ReplicaFamily::kByStorage), (Entries{{"s", ""}}));
  EXPECT_EQ(store_->Get(ReplicaFamily::kByBlock, "a").value(), "1");
  EXPECT_EQ(store_->Get(ReplicaFamily::kMeta, "a").value(), std::nullopt);
  ASSERT_TRUE(store_->Write({{ReplicaFamily::kByBlock, "a", std::nullopt}, {ReplicaFamily::kByBlock, "b", "3"}}).ok());
  EXPECT_EQ(ScanAll(*store_, ReplicaFamily::kByBlock), (Entries{{"b", "3"}}));
}

TEST_P(ReplicaStoreTest, ScansAreBounded) {
  std::vector<ReplicaWrite> writes;
  for (int i = 0; i < 1000; ++i)
    writes.push_back({ReplicaFamily::kByBlock, absl::StrCat(absl::Dec(i, absl::kZeroPad4)), "x"});
  ASSERT_TRUE(store_->Write(writes).ok());
  EXPECT_EQ(ScanAll(*store_, ReplicaFamily::kByBlock).size(), 1000u);
  EXPECT_EQ(ScanAll(*store_, ReplicaFamily::kByBlock, "0100", "0200").size(), 100u);
  EXPECT_EQ(ScanAll(*store_, ReplicaFamily::kByBlock, "0100", "", 7).back().first, "0106");
}

INSTANTIATE_TEST_SUITE_P(ReplicaStore, ReplicaStoreTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "RocksDb" : "Memory"; });

TEST(RocksDbReplicaStoreTest, ReopeningFindsWhatWasWritten) {
  const TempDir directory;
  ASSERT_TRUE(OpenRocksDb(directory.File("replicas"))->Write({{ReplicaFamily::kByBlock, "a", "1"}}).ok());
  EXPECT_EQ(ScanAll(*OpenRocksDb(directory.File("replicas")), ReplicaFamily::kByBlock), (Entries{{"a", "1"}}));
}

TEST(RocksDbReplicaStoreTest, ADamagedDatabaseIsBegunAnew) {
  const TempDir directory;
  const std::string path = directory.File("replicas");
  ASSERT_TRUE(OpenRocksDb(path)->Write({{ReplicaFamily::kByBlock, "a", "1"}}).ok());
  std::ofstream(path + "/CURRENT", std::ios::trunc) << "MANIFEST-999999\n";
  const std::unique_ptr<RocksDbReplicaStore> store = OpenRocksDb(path);
  EXPECT_EQ(ScanAll(*store, ReplicaFamily::kByBlock), Entries{});
  EXPECT_TRUE(store->Write({{ReplicaFamily::kByBlock, "b", "2"}}).ok());
}

TEST(RocksDbReplicaStoreTest, ATornLogCostsOnlyTheNewestHints) {
  const TempDir directory;
  const std::string path = directory.File("replicas");
  {
    const auto store = OpenRocksDb(path);
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(store->Write({{ReplicaFamily::kByBlock, absl::StrCat(i), "x"}}).ok());
  }
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().extension() != ".log") continue;
    std::filesystem::resize_file(entry.path(), std::filesystem::file_size(entry.path()) - 3);
  }
  EXPECT_EQ(ScanAll(*OpenRocksDb(path), ReplicaFamily::kByBlock).size(), 9u);
}

}  // namespace
}  // namespace dolmen::namenode
