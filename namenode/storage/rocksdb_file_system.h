// RocksDB on dolmen::FileSystem, so that it meets the same faults and power losses as the block store: on
// MemoryFileSystem (nightly simulation, storage tests) and on FaultyFileSystem (disk errors, real processes).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"

namespace dolmen::namenode {

// Thread-safe. Give it to RocksDB through an Env, which must outlive the database:
//   auto fs = std::make_shared<RocksDbFileSystem>(&memory, RocksDbFileSystem::Calls::kOneAtATime);
//   std::unique_ptr<rocksdb::Env> env = RocksDbFileSystem::NewEnv(fs);
//   options.env = env.get();
// What it does not offer (links, memory maps, direct I/O, file times) RocksDB does without. RocksDB's LOG is not
// written; warnings and errors of it go to our log.
// After a power loss RocksDB may show later unsynced puts without earlier unsynced ones, if the loss cut the end of one
// log exactly between two records and the later ones were in the next log.
class RocksDbFileSystem final : public rocksdb::FileSystem {
 public:
  enum class Calls {
    kConcurrent,  // `base` is thread-safe
    kOneAtATime,  // `base` is externally synchronised (MemoryFileSystem): one lock around every call
  };

  // `base` is not owned and outlives this, or the call of Disconnect().
  RocksDbFileSystem(::dolmen::FileSystem* base, Calls calls);
  ~RocksDbFileSystem() override;

  // An Env of `fs` with the machine's clock and threads. After Disconnect() it no longer sleeps for long, so that
  // RocksDB, which waits a second after each failed background job, can be deleted at once.
  static std::unique_ptr<rocksdb::Env> NewEnv(const std::shared_ptr<RocksDbFileSystem>& fs);

  // The process dies as far as the disk can see: runs `then` (say, MemoryFileSystem::PowerLoss) when no call is
  // inside, and from that moment on every call fails and nothing reaches `base`, also by files that are open. The
  // database can then be deleted and the files opened through a new adapter.
  void Disconnect(const std::function<void()>& then = {});

  const char* Name() const override { return "DolmenFileSystem"; }

  rocksdb::IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                      rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        rocksdb::IODebugContext* debug) override;
  // An existing file is emptied.
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* result,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus ReuseWritableFile(const std::string& path, const std::string& old_path,
                                      const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* result,
                                      rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* result,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus FileExists(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetChildren(const std::string& path, const rocksdb::IOOptions& options,
                                std::vector<std::string>* result, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus Truncate(const std::string& path, size_t size, const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* debug) override;
  // Fails if the directory exists.
  rocksdb::IOStatus CreateDir(const std::string& path, const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus CreateDirIfMissing(const std::string& path, const rocksdb::IOOptions& options,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus DeleteDir(const std::string& path, const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetFileSize(const std::string& path, const rocksdb::IOOptions& options, uint64_t* size,
                                rocksdb::IODebugContext* debug) override;
  // Always 0 for a file that exists: dolmen::FileSystem keeps no times, and only RocksDB's time-to-live features,
  // which we do not use, ask for them.
  rocksdb::IOStatus GetFileModificationTime(const std::string& path, const rocksdb::IOOptions& options,
                                            uint64_t* seconds, rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus LockFile(const std::string& path, const rocksdb::IOOptions& options, rocksdb::FileLock** lock,
                             rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus UnlockFile(rocksdb::FileLock* lock, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetTestDirectory(const rocksdb::IOOptions& options, std::string* path,
                                     rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus NewLogger(const std::string& path, const rocksdb::IOOptions& options,
                              std::shared_ptr<rocksdb::Logger>* result, rocksdb::IODebugContext* debug) override;
  // The path itself: dolmen::FileSystem knows no working directory.
  rocksdb::IOStatus GetAbsolutePath(const std::string& path, const rocksdb::IOOptions& options, std::string* absolute,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options, uint64_t* free_bytes,
                                 rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus IsDirectory(const std::string& path, const rocksdb::IOOptions& options, bool* is_directory,
                                rocksdb::IODebugContext* debug) override;

  class Connection;  // shared with the open files

 private:
  template <typename Open>
  rocksdb::IOStatus NewWritable(Open open, std::unique_ptr<rocksdb::FSWritableFile>* result);

  const std::shared_ptr<Connection> connection_;
};

}  // namespace dolmen::namenode
