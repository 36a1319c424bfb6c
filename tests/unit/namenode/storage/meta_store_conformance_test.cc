// One random test that both metadata stores pass, against a model that is a plain map.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/fault_point.h"
#include "common/posix_file_system.h"
#include "common/random.h"
#include "gtest/gtest.h"
#include "namenode/core/commit_header.h"
#include "namenode/core/key_codec.h"
#include "namenode/storage/memory_meta_store.h"
#include "namenode/storage/rocksdb_meta_store.h"
#include "tests/support/temp_dir.h"

namespace dolmen::namenode {
namespace {

using Model = std::map<std::pair<Family, std::string>, std::string>;
using Entries = std::vector<std::pair<std::string, std::string>>;

// A store that can be closed and opened again on what it left.
class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;
  virtual std::unique_ptr<MetaStore> Open() = 0;
};

class MemoryUnderTest final : public StoreUnderTest {
 public:
  std::unique_ptr<MetaStore> Open() override {
    auto store = MemoryMetaStore::Open(disk_);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

 private:
  std::shared_ptr<MemoryMetaDisk> disk_ = std::make_shared<MemoryMetaDisk>();
};

// Buffers so small that flushes, log switches and compactions happen within a short test.
RocksDbSizes TinySizes() {
  return {.block_cache_bytes = 1 << 20,
          .write_buffer_bytes = 64 << 10,
          .all_write_buffers_bytes = 256 << 10,
          .max_log_bytes = 128 << 10,
          .background_jobs = 2};
}

class RocksDbUnderTest final : public StoreUnderTest {
 public:
  std::unique_ptr<MetaStore> Open() override {
    RocksDbMetaStore::Options options{.sizes = TinySizes()};
    auto store = exists_ ? RocksDbMetaStore::Open(*fs_, directory_.File("meta"), options)
                         : RocksDbMetaStore::Create(directory_.File("meta"), options);
    exists_ = true;
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

 private:
  const TempDir directory_;
  const std::unique_ptr<FileSystem> fs_ = MakePosixFileSystem();
  bool exists_ = false;
};

Entries Range(const Model& model, Family family, const std::string& start, const std::string& end, size_t limit) {
  Entries entries;
  for (auto entry = model.lower_bound({family, start});
       entry != model.end() && entry->first.first == family && (end.empty() || entry->first.second < end) &&
       entries.size() < limit;
       ++entry)
    entries.emplace_back(entry->first.second, entry->second);
  return entries;
}

Entries Range(const MetaReader& reader, Family family, const std::string& start, const std::string& end, size_t limit) {
  Entries entries;
  const absl::Status scanned = reader.Scan(family, start, end, [&](std::string_view key, std::string_view value) {
    entries.emplace_back(key, value);
    return entries.size() < limit;
  });
  EXPECT_TRUE(scanned.ok()) << scanned;
  return entries;
}

std::optional<std::string> Get(const MetaReader& reader, Family family, std::string_view key) {
  const absl::StatusOr<std::optional<std::string>> value = reader.Get(family, key);
  EXPECT_TRUE(value.ok()) << value.status();
  return value.value_or(std::nullopt);
}

class ConformanceRun {
 public:
  ConformanceRun(StoreUnderTest* under_test, uint64_t seed, size_t value_bytes)
      : random_(seed), under_test_(*under_test), value_bytes_(value_bytes), store_(under_test->Open()) {}

  void Run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
      switch (random_.Uniform(12)) {
        case 0:
          views_.emplace_back(store_->View(), model_);
          break;
        case 1:
          if (!views_.empty()) views_.erase(views_.begin() + static_cast<long>(random_.Uniform(views_.size())));
          break;
        case 2:
          if (random_.OneIn(6)) Reopen();
          break;
        case 3:
        case 4:
          if (!views_.empty()) Compare(views_[random_.Uniform(views_.size())]);
          break;
        default:
          CommitSome();
          Compare({store_->View(), model_});
      }
    }
    for (const Seen& seen : views_) Compare(seen);
    Reopen();
  }

 private:
  struct Seen {
    Seen(std::shared_ptr<const MetaView> v, Model m) : view(std::move(v)), model(std::move(m)) {}
    std::shared_ptr<const MetaView> view;
    Model model;  // as it was when the view was taken
  };

  void CommitSome() {
    std::map<std::pair<Family, std::string>, std::optional<std::string>> changes;
    for (uint64_t i = random_.Uniform(20); i > 0; --i) {
      std::optional<std::string> value;
      if (!random_.OneIn(3)) value = random_.Bytes(random_.Uniform(value_bytes_));
      changes[{AnyFamily(), AnyKey()}] = std::move(value);
    }
    CommitBatch batch{.number = CommitNumber(++commits_), .epoch = Epoch(commits_ / 10), .time = WallTime{1}};
    for (const auto& [where, value] : changes) {
      batch.writes.push_back({where.first, where.second, value});
      model_.erase(where);
      if (value.has_value()) model_[where] = *value;
    }
    model_[{Family::kMeta, std::string(keys::kCommitHeader)}] = EncodeCommitHeader(HeaderOf(batch));
    const absl::Status committed = store_->Commit(batch);
    ASSERT_TRUE(committed.ok()) << committed;
    EXPECT_EQ(store_->View()->commit_number(), batch.number);
  }

  void Compare(const Seen& seen) {
    for (int family = 0; family < kFamilyCount; ++family) {
      const auto all = static_cast<Family>(family);
      ASSERT_EQ(Range(*seen.view, all, "", "", SIZE_MAX), Range(seen.model, all, "", "", SIZE_MAX)) << family;
    }
    const Family family = AnyFamily();
    const std::string start = AnyKey(), end = random_.OneIn(4) ? "" : AnyKey();
    const size_t limit = 1 + random_.Uniform(40);
    EXPECT_EQ(Range(*seen.view, family, start, end, limit), Range(seen.model, family, start, end, limit));
    const auto found = seen.model.find({family, start});
    EXPECT_EQ(Get(*seen.view, family, start),
              found == seen.model.end() ? std::nullopt : std::optional<std::string>(found->second));
  }

  void Reopen() {
    views_.clear();
    store_.reset();
    store_ = under_test_.Open();
    EXPECT_EQ(store_->View()->commit_number(), CommitNumber(commits_));
    Compare({store_->View(), model_});
  }

  Family AnyFamily() { return static_cast<Family>(random_.OneIn(2) ? 1 : random_.Uniform(kFamilyCount)); }
  std::string AnyKey() {
    std::string key;
    for (uint64_t i = random_.Uniform(3); i > 0; --i)
      key += static_cast<char>(random_.OneIn(4) ? 0 : 0xf0 + random_.Uniform(16));
    return key + static_cast<char>(random_.Uniform(20));
  }

  Random random_;
  StoreUnderTest& under_test_;
  const size_t value_bytes_;
  std::unique_ptr<MetaStore> store_;
  Model model_;
  std::vector<Seen> views_;
  uint64_t commits_ = 0;
};

TEST(MetaStoreConformanceTest, TheMemoryStoreBehavesAsTheModel) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    MemoryUnderTest memory;
    ConformanceRun(&memory, seed, 8).Run(200);
    if (HasFailure()) return;
  }
}

TEST(MetaStoreConformanceTest, TheRocksDbStoreBehavesAsTheModel) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    RocksDbUnderTest rocksdb;
    ConformanceRun(&rocksdb, seed, seed % 2 == 0 ? 8 : 4000).Run(200);
    if (HasFailure()) return;
  }
}

CommitBatch OneWrite(uint64_t number, std::string key, std::string value) {
  return {.number = CommitNumber(number),
          .epoch = Epoch(1),
          .writes = {{Family::kInodes, std::move(key), std::move(value)}}};
}

class BothStoresTest : public testing::TestWithParam<bool> {
 protected:
  BothStoresTest() {
    if (GetParam()) {
      under_test_ = std::make_unique<RocksDbUnderTest>();
    } else {
      under_test_ = std::make_unique<MemoryUnderTest>();
    }
  }
  std::unique_ptr<StoreUnderTest> under_test_;
};

TEST_P(BothStoresTest, AViewOutlivesItsStore) {
  std::shared_ptr<const MetaView> view;
  {
    const std::unique_ptr<MetaStore> store = under_test_->Open();
    ASSERT_TRUE(store->Commit(OneWrite(1, "a", "old")).ok());
    view = store->View();
    ASSERT_TRUE(store->Commit(OneWrite(2, "a", "new")).ok());
  }
  EXPECT_EQ(Get(*view, Family::kInodes, "a"), "old");
  EXPECT_EQ(view->commit_number(), CommitNumber(1));
}

TEST_P(BothStoresTest, ACommitThatDoesNotFollowIsRefusedAndSoIsEveryLaterOne) {
  const std::unique_ptr<MetaStore> store = under_test_->Open();
  ASSERT_TRUE(store->Commit(OneWrite(1, "a", "1")).ok());
  EXPECT_FALSE(store->Commit(OneWrite(3, "a", "3")).ok());
  EXPECT_FALSE(store->Commit(OneWrite(2, "a", "2")).ok());
  EXPECT_EQ(Get(*store->View(), Family::kInodes, "a"), "1");
}

TEST_P(BothStoresTest, AScanMayReadTheViewItScans) {
  const std::unique_ptr<MetaStore> store = under_test_->Open();
  ASSERT_TRUE(store->Commit(OneWrite(1, "a", "1")).ok());
  const std::shared_ptr<const MetaView> view = store->View();
  ASSERT_TRUE(view->Scan(Family::kInodes, "", "",
                         [&](std::string_view key, std::string_view value) {
                           EXPECT_EQ(Get(*view, Family::kInodes, key), value);
                           return true;
                         })
                  .ok());
}

TEST_P(BothStoresTest, FreeBytesAreKnown) {
  const absl::StatusOr<uint64_t> free_bytes = under_test_->Open()->FreeBytes();
  ASSERT_TRUE(free_bytes.ok()) << free_bytes.status();
  EXPECT_GT(*free_bytes, 0u);
}

INSTANTIATE_TEST_SUITE_P(MetaStore, BothStoresTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "RocksDb" : "Memory"; });

// What is on disk is unknown: either state may come back, but nobody may see or build on it before a restart.
TEST(FailedCommitTest, TheMemoryStoreAcceptsNothingAfterIt) {
  for (bool applied : {false, true}) {
    const auto disk = std::make_shared<MemoryMetaDisk>();
    std::unique_ptr<MemoryMetaStore> store = *MemoryMetaStore::Open(disk);
    ASSERT_TRUE(store->Commit(OneWrite(1, "a", "1")).ok());
    disk->FailNextCommit(applied);
    EXPECT_FALSE(store->Commit(OneWrite(2, "a", "2")).ok());
    EXPECT_FALSE(store->Commit(OneWrite(2, "a", "2")).ok());
    EXPECT_FALSE(store->Commit(OneWrite(3, "a", "3")).ok());
    store.reset();
    store = *MemoryMetaStore::Open(disk);
    EXPECT_EQ(Get(*store->View(), Family::kInodes, "a"), applied ? "2" : "1");
  }
}

TEST(FailedCommitTest, TheRocksDbStoreAcceptsAndShowsNothingAfterIt) {
  for (bool applied : {false, true}) {
    RocksDbUnderTest rocksdb;
    std::unique_ptr<MetaStore> store = rocksdb.Open();
    ASSERT_TRUE(store->Commit(OneWrite(1, "a", "1")).ok());
    ASSERT_TRUE(fault::Arm(applied ? "namenode.commit.after_sync=fail@1" : "namenode.commit.before_log=fail@1").ok());
    EXPECT_FALSE(store->Commit(OneWrite(2, "a", "2")).ok());
    fault::DisarmAll();
    EXPECT_FALSE(store->Commit(OneWrite(2, "a", "2")).ok());
    EXPECT_FALSE(store->Commit(OneWrite(3, "a", "3")).ok());
    EXPECT_EQ(store->View()->commit_number(), CommitNumber(1));
    EXPECT_EQ(Get(*store->View(), Family::kInodes, "a"), "1");
    store.reset();
    store = rocksdb.Open();
    EXPECT_EQ(store->View()->commit_number(), CommitNumber(applied ? 2 : 1));
    EXPECT_EQ(Get(*store->View(), Family::kInodes, "a"), applied ? "2" : "1");
  }
}

TEST(MemoryMetaDiskTest, IsOpenAtMostOnce) {
  const auto disk = std::make_shared<MemoryMetaDisk>();
  std::unique_ptr<MemoryMetaStore> store = *MemoryMetaStore::Open(disk);
  EXPECT_EQ(ReasonOf(MemoryMetaStore::Open(disk).status()), ErrorReason::kBusy);
  store.reset();
  EXPECT_TRUE(MemoryMetaStore::Open(disk).ok());
}

TEST(MemoryMetaDiskTest, OldVersionsAreDroppedWhenNoViewNeedsThem) {
  const auto disk = std::make_shared<MemoryMetaDisk>();
  const std::unique_ptr<MemoryMetaStore> store = *MemoryMetaStore::Open(disk);
  Random random(1);
  uint64_t number = 0;
  const auto commit = [&](std::optional<std::string> value, int key) {
    const CommitBatch batch{.number = CommitNumber(++number),
                            .epoch = Epoch(1),
                            .writes = {{Family::kInodes, absl::StrCat(key), std::move(value)}}};
    ASSERT_TRUE(store->Commit(batch).ok());
  };
  std::shared_ptr<const MetaView> view = store->View();
  for (int i = 0; i < 100; ++i) commit(random.OneIn(2) ? std::optional<std::string>("x") : std::nullopt, i % 10);
  EXPECT_GT(disk->old_version_count(), 0u);
  view.reset();
  commit("last", 1000);
  EXPECT_EQ(disk->old_version_count(), 0u);
}

TEST(RocksDbMetaStoreTest, SinksGetEveryDurableCommitInOrder) {
  const TempDir directory;
  std::vector<uint64_t> shipped;
  RocksDbMetaStore::Options options{
      .sizes = TinySizes(), .sinks = {[&](const CommitBatch& batch) { shipped.push_back(batch.number.value()); }}};
  const std::unique_ptr<RocksDbMetaStore> store = *RocksDbMetaStore::Create(directory.File("meta"), options);
  for (uint64_t number = 1; number <= 3; ++number) ASSERT_TRUE(store->Commit(OneWrite(number, "a", "b")).ok());
  ASSERT_TRUE(fault::Arm("namenode.commit.before_log=fail@1").ok());
  EXPECT_FALSE(store->Commit(OneWrite(4, "a", "b")).ok());
  fault::DisarmAll();
  EXPECT_EQ(shipped, (std::vector<uint64_t>{1, 2, 3}));
}

TEST(RocksDbMetaStoreTest, AnOpenStoreIsBusy) {
  const TempDir directory;
  const std::unique_ptr<FileSystem> fs = MakePosixFileSystem();
  RocksDbMetaStore::Options options{.sizes = TinySizes()};
  const auto store = *RocksDbMetaStore::Create(directory.File("meta"), options);
  EXPECT_EQ(ReasonOf(RocksDbMetaStore::Open(*fs, directory.File("meta"), options).status()), ErrorReason::kBusy);
}

}  // namespace
}  // namespace dolmen::namenode
