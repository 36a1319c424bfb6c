#include "namenode/storage/rocksdb_file_system.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>

#include "common/error.h"
#include "common/faulty_file_system.h"
#include "common/memory_file_system.h"
#include "common/posix_file_system.h"
#include "rocksdb/db.h"
#include "tests/support/temp_dir.h"

namespace dolmen::namenode {
namespace {

constexpr uint64_t kSeeds = 60;

std::string Key(uint64_t number) {
  const std::string digits = std::to_string(number);
  return "key" + std::string(8 - digits.size(), '0') + digits;
}

std::string Value(uint64_t number) {
  Random random(number);
  return random.Bytes(random.Uniform(2000));
}

// The numbers below `end`.
std::set<uint64_t> Below(uint64_t end) {
  std::set<uint64_t> numbers;
  for (uint64_t number = 0; number < end; ++number) numbers.insert(numbers.end(), number);
  return numbers;
}

// One opening of a database on `base`.
class Database {
 public:
  Database(::dolmen::FileSystem* base, std::string path, RocksDbFileSystem::Calls calls)
      : fs_(std::make_shared<RocksDbFileSystem>(base, calls)), env_(RocksDbFileSystem::NewEnv(fs_)), path_(path) {
    rocksdb::Options options;
    options.env = env_.get();
    options.create_if_missing = true;
    options.write_buffer_size = 64 << 10;  // so that memtables are flushed and
                                           // compacted while the test writes
    options.max_background_jobs = 2;
    options.level0_file_num_compaction_trigger = 2;
    rocksdb::DB* db = nullptr;
    opened_ = rocksdb::DB::Open(options, path_, &db);
    db_.reset(db);
  }
  ~Database() { db_.reset(); }

  const rocksdb::Status& opened() const { return opened_; }

  rocksdb::Status Put(uint64_t number, bool sync) {
    rocksdb::WriteOptions options;
    options.sync = sync;
    return db_->Put(options, Key(number), Value(number));
  }

  // The numbers of all keys; every value must be its key's.
  std::set<uint64_t> Numbers() {
    std::set<uint64_t> numbers;
    const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions()));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      const uint64_t number = std::stoull(it->key().ToString().substr(3));
      EXPECT_EQ(it->value().ToString(), Value(number));
      numbers.insert(number);
    }
    EXPECT_TRUE(it->status().ok()) << it->status().ToString();
    return numbers;
  }

  rocksdb::DB& db() { return *db_; }
  RocksDbFileSystem& fs() { return *fs_; }

 private:
  std::shared_ptr<RocksDbFileSystem> fs_;
  std::unique_ptr<rocksdb::Env> env_;
  const std::string path_;
  rocksdb::Status opened_;
  std::unique_ptr<rocksdb::DB> db_;
};

TEST(RocksDbFileSystem, SyncedPutsSurviveEveryPowerLoss) {
  uint64_t lost = 0;
  uint64_t kept = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    Random random(seed);
    MemoryFileSystem memory;
    uint64_t next = 0;           // first number never put
    std::set<uint64_t> synced;   // part of a synced put or followed by one
    std::set<uint64_t> unknown;  // put since
    ASSERT_TRUE(memory.CreateDirectories("/meta/db").ok());
    ASSERT_TRUE(memory.SyncDirectory("/meta").ok());  // RocksDB syncs its own directory, not the way to it
    ASSERT_TRUE(memory.SyncDirectory("/").ok());
    for (int life = 0; life < 3; ++life) {
      Database database(&memory, "/meta/db", RocksDbFileSystem::Calls::kOneAtATime);
      ASSERT_TRUE(database.opened().ok()) << database.opened().ToString();
      const std::set<uint64_t> found = database.Numbers();
      ASSERT_TRUE(std::includes(found.begin(), found.end(), synced.begin(), synced.end()));
      for (const uint64_t number : found) ASSERT_TRUE(synced.contains(number) || unknown.contains(number)) << number;
      kept += found.size() - synced.size();
      lost += synced.size() + unknown.size() - found.size();
      synced = found;
      unknown.clear();
      const uint64_t puts = random.Between(1, 200);
      const uint64_t sync_every = random.Between(1, 20);
      for (uint64_t i = 0; i < puts; ++i) {
        const bool sync = random.OneIn(sync_every);
        ASSERT_TRUE(database.Put(next, sync).ok());
        unknown.insert(next++);
        if (sync) synced.merge(unknown);
      }
      database.fs().Disconnect([&] { memory.PowerLoss(random); });
    }
  }
  EXPECT_GT(lost, 0u) << "the disk forgets nothing: the test proves nothing";
  EXPECT_GT(kept, 0u);
}

TEST(RocksDbFileSystem, AKilledProcessLosesNothingItWrote) {
  MemoryFileSystem memory;
  for (uint64_t life = 0; life < 5; ++life) {
    Database database(&memory, "/db", RocksDbFileSystem::Calls::kOneAtATime);
    ASSERT_TRUE(database.opened().ok()) << database.opened().ToString();
    ASSERT_EQ(database.Numbers(), Below(life * 100));
    for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(database.Put(life * 100 + i, /*sync=*/false).ok());
    database.fs().Disconnect([&] { memory.Crash(); });
  }
}

TEST(RocksDbFileSystem, ADisconnectedDatabaseCannotWriteAnyMore) {
  MemoryFileSystem memory;
  Database database(&memory, "/db", RocksDbFileSystem::Calls::kOneAtATime);
  ASSERT_TRUE(database.Put(0, /*sync=*/true).ok());
  database.fs().Disconnect();
  EXPECT_FALSE(database.Put(1, /*sync=*/true).ok());
}

TEST(RocksDbFileSystem, RunsOnRealFilesAndKeepsDataWhenClosed) {
  TempDir dir;
  const std::unique_ptr<::dolmen::FileSystem> posix = MakePosixFileSystem();
  FaultyFileSystem faulty(posix.get(), 1);
  for (uint64_t life = 0; life < 3; ++life) {
    Database database(&faulty, dir.File("db"), RocksDbFileSystem::Calls::kConcurrent);
    ASSERT_TRUE(database.opened().ok()) << database.opened().ToString();
    ASSERT_EQ(database.Numbers(), Below(life * 300));
    for (uint64_t i = 0; i < 300; ++i) {
      ASSERT_TRUE(database.Put(life * 300 + i, /*sync=*/i % 100 == 0).ok());
    }
    ASSERT_TRUE(database.db().Flush(rocksdb::FlushOptions()).ok());
    Database second(&faulty, dir.File("db"), RocksDbFileSystem::Calls::kConcurrent);
    EXPECT_FALSE(second.opened().ok()) << "the directory is locked";
  }
}

TEST(RocksDbFileSystem, AFailedLogSyncFailsThePutAndAllLaterOnes) {
  MemoryFileSystem memory;
  FaultyFileSystem faulty(&memory, 1);
  Database database(&faulty, "/db", RocksDbFileSystem::Calls::kOneAtATime);
  ASSERT_TRUE(database.Put(0, /*sync=*/true).ok());
  const int rule = faulty.AddRule({.operation = FileOperation::kSync, .path_contains = ".log"});
  EXPECT_TRUE(database.Put(1, /*sync=*/true).IsIOError());
  EXPECT_EQ(faulty.fired(rule), 1u);
  EXPECT_FALSE(database.Put(2, /*sync=*/true).ok());
}

TEST(RocksDbFileSystem, AFullDiskIsReportedAsSuch) {
  MemoryFileSystem memory;
  FaultyFileSystem faulty(&memory, 1);
  Database database(&faulty, "/db", RocksDbFileSystem::Calls::kOneAtATime);
  faulty.AddRule({.operation = FileOperation::kWrite, .fault = FileFault::kNoSpace, .path_contains = ".log"});
  EXPECT_TRUE(database.Put(0, /*sync=*/true).IsNoSpace());
}

TEST(RocksDbFileSystem, TranslatesEachCall) {
  MemoryFileSystem memory;
  RocksDbFileSystem fs(&memory, RocksDbFileSystem::Calls::kOneAtATime);
  const rocksdb::FileOptions options;
  const rocksdb::IOOptions io;
  EXPECT_TRUE(fs.CreateDir("/d", io, nullptr).ok());
  EXPECT_TRUE(fs.CreateDir("/d", io, nullptr).IsIOError());
  EXPECT_TRUE(fs.CreateDirIfMissing("/d", io, nullptr).ok());
  EXPECT_TRUE(fs.FileExists("/d/f", io, nullptr).IsNotFound());

  std::unique_ptr<rocksdb::FSWritableFile> out;
  ASSERT_TRUE(fs.NewWritableFile("/d/f", options, &out, nullptr).ok());
  EXPECT_TRUE(out->Append("hello ", io, nullptr).ok());
  EXPECT_TRUE(out->Append("world", io, nullptr).ok());
  EXPECT_EQ(out->GetFileSize(io, nullptr), 11u);
  EXPECT_TRUE(out->Close(io, nullptr).ok());
  EXPECT_TRUE(out->Append("late", io, nullptr).IsIOError());
  ASSERT_TRUE(fs.ReopenWritableFile("/d/f", options, &out, nullptr).ok());
  EXPECT_TRUE(out->Append("!", io, nullptr).ok());
  EXPECT_TRUE(out->Sync(io, nullptr).ok());

  char scratch[16];
  rocksdb::Slice read;
  std::unique_ptr<rocksdb::FSSequentialFile> in;
  ASSERT_TRUE(fs.NewSequentialFile("/d/f", options, &in, nullptr).ok());
  EXPECT_TRUE(in->Skip(6).ok());
  EXPECT_TRUE(in->Read(3, io, &read, scratch, nullptr).ok());
  EXPECT_EQ(read.ToString(), "wor");
  EXPECT_TRUE(in->Skip(100).ok());
  EXPECT_TRUE(in->Read(3, io, &read, scratch, nullptr).ok());
  EXPECT_EQ(read.ToString(), "");
  std::unique_ptr<rocksdb::FSRandomAccessFile> random;
  ASSERT_TRUE(fs.NewRandomAccessFile("/d/f", options, &random, nullptr).ok());
  EXPECT_TRUE(random->Read(10, 16, io, &read, scratch, nullptr).ok());
  EXPECT_EQ(read.ToString(), "d!");
  EXPECT_TRUE(fs.NewSequentialFile("/d/no", options, &in, nullptr).IsPathNotFound());

  uint64_t number = 0;
  EXPECT_TRUE(fs.Truncate("/d/f", 5, io, nullptr).ok());
  EXPECT_TRUE(fs.GetFileSize("/d/f", io, &number, nullptr).ok());
  EXPECT_EQ(number, 5u);
  EXPECT_TRUE(fs.GetFreeSpace("/d", io, &number, nullptr).ok());
  EXPECT_GT(number, 0u);
  bool directory = false;
  EXPECT_TRUE(fs.IsDirectory("/d", io, &directory, nullptr).ok() && directory);
  EXPECT_TRUE(fs.IsDirectory("/d/f", io, &directory, nullptr).ok() && !directory);
  EXPECT_FALSE(fs.IsDirectory("/no", io, &directory, nullptr).ok());

  ASSERT_TRUE(fs.ReuseWritableFile("/d/g", "/d/f", options, &out, nullptr).ok());
  EXPECT_EQ(out->GetFileSize(io, nullptr), 0u);
  std::vector<std::string> names;
  EXPECT_TRUE(fs.GetChildren("/d", io, &names, nullptr).ok());
  EXPECT_EQ(names, std::vector<std::string>{"g"});
  EXPECT_TRUE(fs.GetChildren("/no", io, &names, nullptr).IsNotFound());

  std::unique_ptr<rocksdb::FSDirectory> opened;
  EXPECT_TRUE(fs.NewDirectory("/no", io, &opened, nullptr).IsPathNotFound());
  ASSERT_TRUE(fs.NewDirectory("/d", io, &opened, nullptr).ok());
  EXPECT_TRUE(opened->Fsync(io, nullptr).ok());

  rocksdb::FileLock* lock = nullptr;
  rocksdb::FileLock* again = nullptr;
  EXPECT_TRUE(fs.LockFile("/d/LOCK", io, &lock, nullptr).ok());
  EXPECT_FALSE(fs.LockFile("/d/LOCK", io, &again, nullptr).ok());
  EXPECT_TRUE(fs.UnlockFile(lock, io, nullptr).ok());
  EXPECT_TRUE(fs.DeleteFile("/d/LOCK", io, nullptr).ok());
  EXPECT_TRUE(fs.DeleteFile("/d/g", io, nullptr).ok());
  EXPECT_TRUE(fs.DeleteDir("/d", io, nullptr).ok());
}

}  // namespace
}  // namespace dolmen::namenode
