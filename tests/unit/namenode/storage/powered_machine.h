// A machine with a metadata directory that can lose power: a memory disk, with RocksDB on it through the fault
// injector.
#pragma once

#include <memory>
#include <utility>

#include "common/faulty_file_system.h"
#include "common/memory_file_system.h"
#include "common/random.h"
#include "gtest/gtest.h"
#include "namenode/storage/metadata_directory.h"
#include "namenode/storage/rocksdb_file_system.h"
#include "rocksdb/env.h"
#include "rocksdb/system_clock.h"

namespace dolmen::namenode {

class PoweredMachine {
 public:
  static constexpr WallTime kNow{1'700'000'000'000};

  // Formats the directory; its name is durable.
  explicit PoweredMachine(uint64_t seed) : random_(seed), faulty_(&disk_, seed) {
    Boot();
    EXPECT_TRUE(disk_.CreateDirectories("/srv").ok());
    EXPECT_TRUE(disk_.SyncDirectory("/").ok());
    const auto formatted = MetadataDirectory::Format(
        faulty_, "/srv/name", {.superuser = "a", .supergroup = "b", .now = kNow, .seed = seed}, Options());
    EXPECT_TRUE(formatted.ok()) << formatted.status();
    EXPECT_TRUE(disk_.SyncDirectory("/srv").ok());
  }
  ~PoweredMachine() { LosePower(); }

  absl::StatusOr<std::unique_ptr<MetadataDirectory>> Start() {
    return MetadataDirectory::Open(faulty_, "/srv/name", kNow, random_.Next(), Options());
  }
  // Ends all faults, too: the disk is whole when power is back.
  void LosePower(std::unique_ptr<MetadataDirectory> running = nullptr) {
    adapter_->Disconnect([&] { disk_.PowerLoss(random_); });
    running.reset();
    faulty_.ClearRules();
    env_.reset();
    adapter_.reset();
    Boot();
  }

  FaultyFileSystem& faults() { return faulty_; }
  Random& random() { return random_; }

 private:
  // RocksDB's background threads sleep for a second after a disk error; nobody has time for that here.
  class NeverSleeps final : public rocksdb::SystemClockWrapper {
   public:
    NeverSleeps() : SystemClockWrapper(rocksdb::SystemClock::Default()) {}
    const char* Name() const override { return "NeverSleeps"; }
    void SleepForMicroseconds(int) override {}
  };
  class TestEnv final : public rocksdb::EnvWrapper {
   public:
    explicit TestEnv(std::unique_ptr<rocksdb::Env> files) : EnvWrapper(files.get()), files_(std::move(files)) {
      file_system_ = files_->GetFileSystem();
      system_clock_ = std::make_shared<NeverSleeps>();
    }

   private:
    const std::unique_ptr<rocksdb::Env> files_;
  };

  MetadataDirectory::Options Options() const {
    const RocksDbSizes tiny{.block_cache_bytes = 1 << 20,
                            .write_buffer_bytes = 64 << 10,
                            .all_write_buffers_bytes = 256 << 10,
                            .max_log_bytes = 200 << 10,
                            .background_jobs = 2};
    return {.store = {.sizes = tiny, .env = env_.get()}, .replica_store = tiny};
  }
  void Boot() {
    adapter_ = std::make_shared<RocksDbFileSystem>(&faulty_, RocksDbFileSystem::Calls::kOneAtATime);
    env_ = std::make_unique<TestEnv>(rocksdb::NewCompositeEnv(adapter_));
  }

  Random random_;
  MemoryFileSystem disk_;
  FaultyFileSystem faulty_;
  std::shared_ptr<RocksDbFileSystem> adapter_;
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace dolmen::namenode
