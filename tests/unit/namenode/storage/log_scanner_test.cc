#include "namenode/storage/log_scanner.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/coding.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/memory_file_system.h"
#include "common/posix_file_system.h"
#include "common/random.h"
#include "gtest/gtest.h"
#include "namenode/storage/rocksdb_meta_store.h"
#include "tests/support/temp_dir.h"

namespace dolmen::namenode {
namespace {

namespace stdfs = std::filesystem;

// A database that RocksDB wrote, closed, with its commits in one log.
class LogScannerTest : public testing::Test {
 protected:
  std::string Meta() const { return directory_.File("meta"); }

  CommitBatch Batch(uint64_t number, size_t value_bytes) {
    return {.number = CommitNumber(number),
            .epoch = Epoch(1),
            .time = WallTime{1'700'000'000'000},
            .writes = {{Family::kInodes, absl::StrCat("key", number), random_.Bytes(value_bytes)}}};
  }

  // Commits 1..count; remembers where the last one begins in the log.
  void Write(uint64_t count, size_t value_bytes) {
    std::unique_ptr<RocksDbMetaStore> store = *RocksDbMetaStore::Create(Meta(), {});
    for (uint64_t number = 1; number <= count; ++number) {
      if (number == count) last_begins_ = stdfs::file_size(LogPath());
      ASSERT_TRUE(store->Commit(Batch(number, value_bytes)).ok());
    }
    store.reset();
    log_ = *ReadWholeFile(*posix_, LogPath());
  }

  std::string LogPath() const {
    std::string newest;
    for (const auto& entry : stdfs::directory_iterator(Meta()))
      if (entry.path().extension() == ".log") newest = std::max(newest, entry.path().string());
    return newest;
  }

  // Scans `content` as the only log of a directory.
  absl::StatusOr<LogScan> Scan(const std::string& content, std::optional<std::string> next_log = {}) {
    MemoryFileSystem memory;
    EXPECT_TRUE(memory.CreateDirectories("/meta").ok());
    EXPECT_TRUE(WriteFileDurably(memory, "/meta/000004.log", content).ok());
    EXPECT_TRUE(WriteFileDurably(memory, "/meta/OPTIONS-000007", "not a log").ok());
    if (next_log.has_value()) {
      EXPECT_TRUE(WriteFileDurably(memory, "/meta/000011.log", *next_log).ok());
    }
    return ScanLogs(memory, "/meta");
  }

  absl::StatusOr<std::unique_ptr<RocksDbMetaStore>> Open() { return RocksDbMetaStore::Open(*posix_, Meta(), {}); }

  void ReplaceLog(const std::string& content) { ASSERT_TRUE(WriteFileDurably(*posix_, LogPath(), content).ok()); }

  const TempDir directory_;
  const std::unique_ptr<FileSystem> posix_ = MakePosixFileSystem();
  Random random_{1};
  std::string log_;
  uint64_t last_begins_ = 0;
};

TEST_F(LogScannerTest, AWholeLogHoldsEveryCommit) {
  Write(20, 50);
  const absl::StatusOr<LogScan> scan = Scan(log_);
  ASSERT_TRUE(scan.ok()) << scan.status();
  ASSERT_EQ(scan->files.size(), 1u);
  EXPECT_EQ(scan->files[0].number, 4u);
  EXPECT_EQ(scan->files[0].commits, 20u);
  EXPECT_EQ(scan->files[0].valid_bytes, log_.size());
  EXPECT_EQ(scan->last_commit, CommitNumber(20));
}

// F-047.
TEST_F(LogScannerTest, ALastCommitTornAtAnyByteIsATornTail) {
  Write(20, 50);
  ASSERT_GT(last_begins_, 0u);
  for (uint64_t size = last_begins_; size < log_.size(); ++size) {
    for (const std::string& torn : {log_.substr(0, size), log_.substr(0, size) + std::string(log_.size() - size, '\0'),
                                    log_.substr(0, size) + random_.Bytes(5000)}) {
      const absl::StatusOr<LogScan> scan = Scan(torn);
      ASSERT_TRUE(scan.ok()) << size << ": " << scan.status();
      EXPECT_EQ(scan->last_commit, CommitNumber(19)) << size;
      EXPECT_EQ(scan->files[0].valid_bytes, last_begins_) << size;
    }
  }
}

TEST_F(LogScannerTest, ALastCommitOfManyBlocksMayHaveLostAnyOfThem) {
  Write(5, 200'000);
  constexpr size_t kPage = 4096;
  for (size_t page = last_begins_ / kPage + 1; page < log_.size() / kPage; ++page) {
    std::string torn = log_;
    torn.replace(page * kPage, kPage, kPage, '\0');
    const absl::StatusOr<LogScan> scan = Scan(torn);
    ASSERT_TRUE(scan.ok()) << page << ": " << scan.status();
    EXPECT_EQ(scan->last_commit, CommitNumber(4));
    EXPECT_EQ(scan->files[0].valid_bytes, last_begins_);
  }
}

// F-048.
TEST_F(LogScannerTest, AFlippedBitBeforeTheLastCommitIsDamage) {
  Write(20, 50);
  for (uint64_t at = 0; at < last_begins_; ++at) {
    std::string damaged = log_;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random_.Uniform(8)));
    const absl::StatusOr<LogScan> scan = Scan(damaged);
    ASSERT_EQ(ReasonOf(scan.status()), ErrorReason::kDamaged) << at;
    EXPECT_NE(MessageOf(scan.status()).find("/meta/000004.log is damaged at byte "), std::string_view::npos);
  }
}

TEST_F(LogScannerTest, DamageInACommitOfManyBlocksIsFound) {
  Write(4, 100'000);
  for (int i = 0; i < 300; ++i) {
    std::string damaged = log_;
    const size_t at = random_.Uniform(last_begins_);
    const size_t in_block = at % (32 << 10);
    if (in_block >= (32 << 10) - 6) continue;  // may be padding, which is no data
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random_.Uniform(8)));
    EXPECT_EQ(ReasonOf(Scan(damaged).status()), ErrorReason::kDamaged) << at;
  }
}

TEST_F(LogScannerTest, MissingAndRepeatedPiecesAreDamage) {
  Write(20, 50);
  const size_t one = (log_.size() - last_begins_);
  EXPECT_EQ(ReasonOf(Scan(log_.substr(0, 300) + log_.substr(300 + one)).status()), ErrorReason::kDamaged);
  EXPECT_EQ(ReasonOf(Scan(log_ + log_.substr(last_begins_)).status()), ErrorReason::kDamaged);
}

TEST_F(LogScannerTest, ATornLogBeforeANewerOneWithCommitsIsDamage) {
  Write(20, 50);
  const std::string next = log_.substr(last_begins_);
  EXPECT_TRUE(Scan(log_.substr(0, last_begins_), next).ok());
  EXPECT_EQ(ReasonOf(Scan(log_.substr(0, last_begins_ - 1), next).status()), ErrorReason::kDamaged);
  // A newer log without a whole commit proves nothing.
  EXPECT_TRUE(Scan(log_.substr(0, last_begins_ - 1), "").ok());
  EXPECT_TRUE(Scan(log_.substr(0, last_begins_ - 1), std::string(100, '\0')).ok());
}

TEST_F(LogScannerTest, ALogOlderThanTheOneBeforeIsDamage) {
  Write(20, 50);
  EXPECT_EQ(ReasonOf(Scan(log_, log_).status()), ErrorReason::kDamaged);
}

TEST_F(LogScannerTest, RecycledAndForeignRecordsAreRefused) {
  const auto record = [](uint8_t type, const std::string& payload) {
    const std::string covered = std::string(1, static_cast<char>(type)) + payload;
    const uint32_t crc = Crc32c(covered);
    std::string bytes;
    AppendLittleEndian32(&bytes, ((crc >> 15) | (crc << 17)) + 0xa282ead8u);
    bytes += static_cast<char>(payload.size());
    bytes += '\0';
    return bytes + covered;
  };
  for (uint8_t type : {5, 6, 7, 8, 9, 100}) {
    EXPECT_EQ(ReasonOf(Scan(record(type, "0123payload")).status()), ErrorReason::kDamaged) << int{type};
  }
  const absl::Status foreign = Scan(record(1, "a write batch of another program")).status();
  EXPECT_EQ(ReasonOf(foreign), ErrorReason::kDamaged);
  EXPECT_NE(MessageOf(foreign).find("not one of the namenode's commits"), std::string_view::npos) << foreign;
}

TEST_F(LogScannerTest, ATornStoreOpensWithEveryCommitBeforeTheTornOneAndGoesOn) {
  Write(20, 50);
  uint64_t expected = 19;
  for (uint64_t size = last_begins_; size < log_.size(); size += 17) {
    const TempDir copy;
    stdfs::copy(Meta(), copy.File("meta"), stdfs::copy_options::recursive);
    const std::string log = copy.File("meta/" + stdfs::path(LogPath()).filename().string());
    ASSERT_TRUE(WriteFileDurably(*posix_, log, log_.substr(0, size)).ok());
    auto store = RocksDbMetaStore::Open(*posix_, copy.File("meta"), {});
    ASSERT_TRUE(store.ok()) << size << ": " << store.status();
    EXPECT_EQ((*store)->View()->commit_number(), CommitNumber(expected));
    ASSERT_TRUE((*store)->Commit(Batch(expected + 1, 10)).ok());
    store->reset();
    store = RocksDbMetaStore::Open(*posix_, copy.File("meta"), {});
    ASSERT_TRUE(store.ok()) << size << ": " << store.status();
    EXPECT_EQ((*store)->View()->commit_number(), CommitNumber(expected + 1));
  }
}

TEST_F(LogScannerTest, ADamagedStoreDoesNotOpenAndIsLeftAsItWas) {
  Write(20, 50);
  std::string damaged = log_;
  damaged[last_begins_ / 2] = static_cast<char>(damaged[last_begins_ / 2] ^ 1);
  ReplaceLog(damaged);
  const absl::Status refused = Open().status();
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kDamaged);
  EXPECT_NE(MessageOf(refused).find(LogPath()), std::string_view::npos) << refused;
  EXPECT_EQ(*ReadWholeFile(*posix_, LogPath()), damaged);
}

// F-048: each kind of file of a store, missing. After a reopening there are table files.
TEST_F(LogScannerTest, AStoreThatLacksAFileDoesNotOpen) {
  Write(20, 50);
  ASSERT_TRUE(Open().ok());
  {
    std::unique_ptr<RocksDbMetaStore> store = *Open();
    ASSERT_TRUE(store->Commit(Batch(21, 10)).ok());
  }
  const std::string newest_log = stdfs::path(LogPath()).filename().string();
  int tables = 0;
  std::vector<std::string> names;
  for (const auto& entry : stdfs::directory_iterator(Meta())) names.push_back(entry.path().filename().string());
  for (const std::string& name : names) {
    const bool table = name.ends_with(".sst");
    if (!table && !name.ends_with(".log") && !name.starts_with("MANIFEST") && name != "CURRENT") continue;
    tables += table;
    const TempDir copy;
    stdfs::copy(Meta(), copy.File("meta"), stdfs::copy_options::recursive);
    stdfs::remove(copy.File("meta/" + name));
    const auto store = RocksDbMetaStore::Open(*posix_, copy.File("meta"), {});
    if (store.ok() && name.ends_with(".log") && name != newest_log) {
      // RocksDB keeps a log for a while after all of it is in tables.
      EXPECT_EQ((*store)->View()->commit_number(), CommitNumber(21));
      continue;
    }
    EXPECT_EQ(ReasonOf(store.status()), ErrorReason::kDamaged) << name << ": " << store.status();
  }
  EXPECT_GT(tables, 0);
}

TEST_F(LogScannerTest, AFlippedBitInATableIsNeverReadAsData) {
  Write(20, 50);
  ASSERT_TRUE(Open().ok());
  std::string table;
  for (const auto& entry : stdfs::directory_iterator(Meta()))
    if (entry.path().extension() == ".sst" && stdfs::file_size(entry.path()) > 1000) table = entry.path().string();
  ASSERT_FALSE(table.empty());
  const std::string content = *ReadWholeFile(*posix_, table);
  const auto read_all = [&]() -> absl::StatusOr<std::string> {
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<RocksDbMetaStore> store, Open());
    std::string all;
    for (Family family : {Family::kMeta, Family::kInodes}) {
      DOLMEN_RETURN_IF_ERROR(store->View()->Scan(family, "", "", [&](std::string_view key, std::string_view value) {
        AppendLengthPrefixed(&all, key);
        AppendLengthPrefixed(&all, value);
        return true;
      }));
    }
    return all;
  };
  const std::string good = *read_all();
  for (int i = 0; i < 20; ++i) {
    std::string damaged = content;
    const size_t at = random_.Uniform(content.size());
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random_.Uniform(8)));
    ASSERT_TRUE(WriteFileDurably(*posix_, table, damaged).ok());
    const absl::StatusOr<std::string> read = read_all();
    if (read.ok()) {
      EXPECT_EQ(*read, good) << at;
    } else {
      EXPECT_EQ(ReasonOf(read.status()), ErrorReason::kDamaged) << at << ": " << read.status();
    }
  }
}

}  // namespace
}  // namespace dolmen::namenode
