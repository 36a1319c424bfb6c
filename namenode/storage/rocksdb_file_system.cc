#include "namenode/storage/rocksdb_file_system.h"

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string_view>
#include <utility>

#include "common/error.h"
#include "rocksdb/system_clock.h"
#include "spdlog/spdlog.h"

namespace dolmen::namenode {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

IOStatus ToIoStatus(const absl::Status& status) {
  if (status.ok()) return IOStatus::OK();
  const std::string text(MessageOf(status));
  switch (ReasonOf(status)) {
    case ErrorReason::kFileNotFound:
      return IOStatus::PathNotFound(text);
    case ErrorReason::kNoSpace:
      return IOStatus::NoSpace(text);
    default:
      return IOStatus::IOError(text);
  }
}

std::string_view ToView(const Slice& slice) { return {slice.data(), slice.size()}; }

}  // namespace

// The base filesystem while it may be used. One lock and nothing called under it that takes another of ours.
class RocksDbFileSystem::Connection {
 public:
  Connection(::dolmen::FileSystem* base, Calls calls) : base_(base), one_at_a_time_(calls == Calls::kOneAtATime) {}

  // Runs `call(base)`, which returns an absl::Status, unless disconnected.
  template <typename Call>
  IOStatus Run(Call call) {
    if (one_at_a_time_) {
      const std::unique_lock lock(mutex_);
      return RunLocked(call);
    }
    const std::shared_lock lock(mutex_);
    return RunLocked(call);
  }

  // Destroys a file or a lock of the base, whether connected or not.
  template <typename Owned>
  void Destroy(std::unique_ptr<Owned>* owned) {
    const std::unique_lock lock(mutex_);
    owned->reset();
  }

  void Disconnect(const std::function<void()>& then) {
    const std::unique_lock lock(mutex_);
    base_ = nullptr;
    disconnected_.store(true, std::memory_order_relaxed);
    if (then) then();
  }

  bool disconnected() const { return disconnected_.load(std::memory_order_relaxed); }

 private:
  template <typename Call>
  IOStatus RunLocked(Call& call) {
    if (base_ == nullptr) return IOStatus::IOError("the filesystem is disconnected; open the database again");
    return ToIoStatus(call(*base_));
  }

  std::shared_mutex mutex_;     // exclusive for each call if one_at_a_time_, else only for Disconnect and Destroy
  ::dolmen::FileSystem* base_;  // null: disconnected
  std::atomic<bool> disconnected_{false};
  const bool one_at_a_time_;
};

namespace {

using ConnectionPtr = std::shared_ptr<RocksDbFileSystem::Connection>;

// A file of the base that is used and destroyed under the connection's lock.
class Handle {
 public:
  Handle(ConnectionPtr connection, std::unique_ptr<File> file)
      : connection_(std::move(connection)), file_(std::move(file)) {}
  Handle(Handle&&) = default;
  Handle& operator=(Handle&&) = delete;
  ~Handle() { Close(); }

  template <typename Call>
  IOStatus Run(Call call) const {
    return connection_->Run([&](::dolmen::FileSystem&) -> absl::Status {
      if (file_ == nullptr) return MakeError(ErrorReason::kIo, "the file is closed");
      return call(*file_);
    });
  }

  IOStatus Read(uint64_t offset, size_t size, Slice* result, char* scratch) const {
    size_t got = 0;
    const IOStatus status = Run([&](File& file) -> absl::Status {
      DOLMEN_ASSIGN_OR_RETURN(got, file.ReadAt(offset, std::span<char>(scratch, size)));
      return absl::OkStatus();
    });
    *result = Slice(scratch, got);
    return status;
  }

  void Close() {
    if (file_ != nullptr) connection_->Destroy(&file_);
  }

 private:
  ConnectionPtr connection_;
  std::unique_ptr<File> file_;
};

class SequentialFile final : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(Handle file) : file_(std::move(file)) {}

  IOStatus Read(size_t size, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    IOStatus status = file_.Read(offset_, size, result, scratch);
    if (status.ok()) offset_ += result->size();
    return status;
  }

  IOStatus Skip(uint64_t size) override {
    return file_.Run([&](const File& file) -> absl::Status {
      DOLMEN_ASSIGN_OR_RETURN(const uint64_t end, file.Size());
      offset_ = size < end - std::min(offset_, end) ? offset_ + size : std::max(offset_, end);
      return absl::OkStatus();
    });
  }

 private:
  const Handle file_;
  uint64_t offset_ = 0;
};

class RandomAccessFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(Handle file) : file_(std::move(file)) {}

  IOStatus Read(uint64_t offset, size_t size, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return file_.Read(offset, size, result, scratch);
  }

 private:
  const Handle file_;
};

// Appends at the end it has seen; RocksDB gives a file up after a failed write.
class WritableFile final : public rocksdb::FSWritableFile {
 public:
  WritableFile(Handle file, uint64_t size) : file_(std::move(file)), size_(size) {}

  using rocksdb::FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    IOStatus status = file_.Run([&](File& file) { return file.WriteAt(size_, ToView(data)); });
    if (status.ok()) size_ += data.size();
    return status;
  }

  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    IOStatus status = file_.Run([&](File& file) { return file.Truncate(size); });
    if (status.ok()) size_ = size;
    return status;
  }

  IOStatus Close(const IOOptions&, IODebugContext*) override {
    file_.Close();
    return IOStatus::OK();
  }

  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }  // nothing is buffered here
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    return file_.Run([](File& file) { return file.Sync(); });
  }
  bool IsSyncThreadSafe() const override { return true; }

  IOStatus RangeSync(uint64_t offset, uint64_t length, const IOOptions&, IODebugContext*) override {
    return file_.Run([&](File& file) {
      file.StartWriteback(offset, length);
      return absl::OkStatus();
    });
  }

  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  Handle file_;
  uint64_t size_;
};

class Directory final : public rocksdb::FSDirectory {
 public:
  Directory(ConnectionPtr connection, std::string path) : connection_(std::move(connection)), path_(std::move(path)) {}

  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return connection_->Run([&](::dolmen::FileSystem& base) { return base.SyncDirectory(path_); });
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  const ConnectionPtr connection_;
  const std::string path_;
};

class Lock final : public rocksdb::FileLock {
 public:
  Lock(ConnectionPtr connection, std::unique_ptr<::dolmen::FileLock> lock)
      : connection_(std::move(connection)), lock_(std::move(lock)) {}
  ~Lock() override { connection_->Destroy(&lock_); }

 private:
  const ConnectionPtr connection_;
  std::unique_ptr<::dolmen::FileLock> lock_;
};

// Passes RocksDB's warnings and errors on. (RocksDB sets its own level on every logger, so that is not asked.)
class WarningsLogger final : public rocksdb::Logger {
 public:
  explicit WarningsLogger(ConnectionPtr connection) : connection_(std::move(connection)) {}

  using rocksdb::Logger::Logv;
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < rocksdb::InfoLogLevel::WARN_LEVEL || level == rocksdb::InfoLogLevel::HEADER_LEVEL) return;
    if (connection_->disconnected()) return;  // that nothing works any more is what was asked for
    char line[1024];                          // longer ones are cut
    std::vsnprintf(line, sizeof line, format, arguments);
    spdlog::warn("rocksdb: {}", line);
  }
  void LogHeader(const char*, va_list) override {}

 private:
  const ConnectionPtr connection_;
};

class Clock final : public rocksdb::SystemClockWrapper {
 public:
  explicit Clock(ConnectionPtr connection)
      : rocksdb::SystemClockWrapper(rocksdb::SystemClock::Default()), connection_(std::move(connection)) {}

  const char* Name() const override { return "DolmenClock"; }
  void SleepForMicroseconds(int micros) override {
    target_->SleepForMicroseconds(connection_->disconnected() ? std::min(micros, 1000) : micros);
  }

 private:
  const ConnectionPtr connection_;
};

class FileSystemEnv final : public rocksdb::EnvWrapper {
 public:
  FileSystemEnv(const std::shared_ptr<rocksdb::FileSystem>& fs, std::shared_ptr<rocksdb::SystemClock> clock)
      : rocksdb::EnvWrapper(rocksdb::NewCompositeEnv(fs)) {
    file_system_ = fs;
    system_clock_ = std::move(clock);
  }
};

}  // namespace

RocksDbFileSystem::RocksDbFileSystem(::dolmen::FileSystem* base, Calls calls)
    : connection_(std::make_shared<Connection>(base, calls)) {}

RocksDbFileSystem::~RocksDbFileSystem() = default;

std::unique_ptr<rocksdb::Env> RocksDbFileSystem::NewEnv(const std::shared_ptr<RocksDbFileSystem>& fs) {
  return std::make_unique<FileSystemEnv>(fs, std::make_shared<Clock>(fs->connection_));
}

void RocksDbFileSystem::Disconnect(const std::function<void()>& then) { connection_->Disconnect(then); }

IOStatus RocksDbFileSystem::NewSequentialFile(const std::string& path, const FileOptions&,
                                              std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext*) {
  result->reset();
  std::unique_ptr<File> file;
  IOStatus status = connection_->Run([&](::dolmen::FileSystem& base) -> absl::Status {
    DOLMEN_ASSIGN_OR_RETURN(file, base.Open(path, OpenMode::kRead));
    return absl::OkStatus();
  });
  if (status.ok()) *result = std::make_unique<SequentialFile>(Handle(connection_, std::move(file)));
  return status;
}

IOStatus RocksDbFileSystem::NewRandomAccessFile(const std::string& path, const FileOptions&,
                                                std::unique_ptr<rocksdb::FSRandomAccessFile>* result, IODebugContext*) {
  result->reset();
  std::unique_ptr<File> file;
  IOStatus status = connection_->Run([&](::dolmen::FileSystem& base) -> absl::Status {
    DOLMEN_ASSIGN_OR_RETURN(file, base.Open(path, OpenMode::kRead));
    return absl::OkStatus();
  });
  if (status.ok()) *result = std::make_unique<RandomAccessFile>(Handle(connection_, std::move(file)));
  return status;
}

// `open(base)` gives the file; what it holds is kept and appended to.
template <typename Open>
IOStatus RocksDbFileSystem::NewWritable(Open open, std::unique_ptr<rocksdb::FSWritableFile>* result) {
  result->reset();
  std::unique_ptr<File> file;
  uint64_t size = 0;
  IOStatus status = connection_->Run([&](::dolmen::FileSystem& base) -> absl::Status {
    DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<File> opened, open(base));
    DOLMEN_ASSIGN_OR_RETURN(size, opened->Size());
    file = std::move(opened);
    return absl::OkStatus();
  });
  if (status.ok()) *result = std::make_unique<WritableFile>(Handle(connection_, std::move(file)), size);
  return status;
}

IOStatus RocksDbFileSystem::NewWritableFile(const std::string& path, const FileOptions&,
                                            std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) {
  return NewWritable(
      [&](::dolmen::FileSystem& base) -> absl::StatusOr<std::unique_ptr<File>> {
        DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<File> file, base.Open(path, OpenMode::kCreateOrOpen));
        DOLMEN_ASSIGN_OR_RETURN(const uint64_t old_size, file->Size());
        if (old_size > 0) DOLMEN_RETURN_IF_ERROR(file->Truncate(0));
        return file;
      },
      result);
}

IOStatus RocksDbFileSystem::ReopenWritableFile(const std::string& path, const FileOptions&,
                                               std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) {
  return NewWritable([&](::dolmen::FileSystem& base) { return base.Open(path, OpenMode::kCreateOrOpen); }, result);
}

IOStatus RocksDbFileSystem::ReuseWritableFile(const std::string& path, const std::string& old_path,
                                              const FileOptions& options,
                                              std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* debug) {
  IOStatus renamed = RenameFile(old_path, path, IOOptions(), debug);
  if (!renamed.ok()) return renamed;
  return NewWritableFile(path, options, result, debug);
}

IOStatus RocksDbFileSystem::NewDirectory(const std::string& path, const IOOptions&,
                                         std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) {
  result->reset();
  IOStatus status = connection_->Run([&](::dolmen::FileSystem& base) { return base.List(path).status(); });
  if (status.ok()) *result = std::make_unique<Directory>(connection_, path);
  return status;
}

IOStatus RocksDbFileSystem::FileExists(const std::string& path, const IOOptions&, IODebugContext*) {
  bool exists = false;
  IOStatus status = connection_->Run([&](::dolmen::FileSystem& base) -> absl::Status {
    DOLMEN_ASSIGN_OR_RETURN(exists, base.Exists(path));
    return absl::OkStatus();
  });
  return status.ok() && !exists ? IOStatus::NotFound(path) : status;
}

IOStatus RocksDbFileSystem::GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* result,
                                        IODebugContext*) {
  result->clear();
  IOStatus status = connection_->Run([&](::dolmen::FileSystem& base) -> absl::Status {
    DOLMEN_ASSIGN_OR_RETURN(*result, base.List(path));
    return absl::OkStatus();
  });
  return status.IsPathNotFound() ? IOStatus::NotFound(path) : status;
}

IOStatus RocksDbFileSystem::DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) {
  return connection_->Run([&](::dolmen::FileSystem& base) { return base.RemoveFile(path); });
}

IOStatus RocksDbFileSystem::Truncate(const std::string& path, size_t size, const IOOptions&, IODebugContext*) {
  return connection_->Run([&](::dolmen::FileSystem& base) -> absl::Status {
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, base.Open(path, OpenMode::kReadWrite));
    return file->Truncate(size);
  });
}

IOStatus RocksDbFileSystem::CreateDir(const std::string& path, const IOOptions&, IODebugContext*) {
  return connection_->Run([&](::dolmen::FileSystem& base) -> absl::Status {
    DOLMEN_ASSIGN_OR_RETURN(const bool exists, base.Exists(path));
    if (exists) return MakeError(ErrorReason::kFileAlreadyExists, absl::StrCat("mkdir ", path, ": File exists"));
    return base.CreateDirectories(path);
  });
}

IOStatus RocksDbFileSystem::CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) {
  return connection_->Run([&](::dolmen::FileSystem& base) { return base.CreateDirectories(path); });
}

IOStatus RocksDbFileSystem::DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) {
  return connection_->Run([&](::dolmen::FileSystem& base) { return base.RemoveDirectory(path); });
}

IOStatus RocksDbFileSystem::GetFileSize(const std::string& path, const IOOptions&, uint64_t* size, IODebugContext*) {
  return connection_->Run([&](::dolmen::FileSystem& base) -> absl::Status {
    DOLMEN_ASSIGN_OR_RETURN(*size, base.FileSize(path));
    return absl::OkStatus();
  });
}

IOStatus RocksDbFileSystem::GetFileModificationTime(const std::string& path, const IOOptions&, uint64_t* seconds,
                                                    IODebugContext*) {
  *seconds = 0;
  return connection_->Run([&](::dolmen::FileSystem& base) { return base.FileSize(path).status(); });
}

IOStatus RocksDbFileSystem::RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                                       IODebugContext*) {
  return connection_->Run([&](::dolmen::FileSystem& base) { return base.Rename(from, to); });
}

IOStatus RocksDbFileSystem::LockFile(const std::string& path, const IOOptions&, rocksdb::FileLock** lock,
                                     IODebugContext*) {
  *lock = nullptr;
  std::unique_ptr<::dolmen::FileLock> held;
  IOStatus status = connection_->Run([&](::dolmen::FileSystem& base) -> absl::Status {
    DOLMEN_ASSIGN_OR_RETURN(held, base.Lock(path));
    return absl::OkStatus();
  });
  if (status.ok()) *lock = new Lock(connection_, std::move(held));  // UnlockFile deletes it
  return status;
}

IOStatus RocksDbFileSystem::UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) {
  delete lock;
  return IOStatus::OK();
}

IOStatus RocksDbFileSystem::GetTestDirectory(const IOOptions& options, std::string* path, IODebugContext* debug) {
  *path = "/rocksdb_test";
  return CreateDirIfMissing(*path, options, debug);
}

IOStatus RocksDbFileSystem::NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>* result,
                                      IODebugContext*) {
  *result = std::make_shared<WarningsLogger>(connection_);
  return IOStatus::OK();
}

IOStatus RocksDbFileSystem::GetAbsolutePath(const std::string& path, const IOOptions&, std::string* absolute,
                                            IODebugContext*) {
  *absolute = path;
  return IOStatus::OK();
}

IOStatus RocksDbFileSystem::GetFreeSpace(const std::string& path, const IOOptions&, uint64_t* free_bytes,
                                         IODebugContext*) {
  return connection_->Run([&](::dolmen::FileSystem& base) -> absl::Status {
    DOLMEN_ASSIGN_OR_RETURN(const DiskSpace space, base.Space(path));
    *free_bytes = space.available_bytes;
    return absl::OkStatus();
  });
}

IOStatus RocksDbFileSystem::IsDirectory(const std::string& path, const IOOptions&, bool* is_directory,
                                        IODebugContext*) {
  return connection_->Run([&](::dolmen::FileSystem& base) -> absl::Status {
    *is_directory = base.List(path).ok();
    return *is_directory ? absl::OkStatus() : base.FileSize(path).status();
  });
}

}  // namespace dolmen::namenode
