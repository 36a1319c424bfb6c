// Files behind an interface: the same code runs on POSIX, on memory that loses unsynced bytes at a power loss (the
// simulation), and on a wrapper that injects faults (faulty_file_system.h). RocksDB runs on the same faults through
// namenode/storage/rocksdb_file_system.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dolmen {

// An open file. Thread-safe for calls on disjoint ranges; the owner keeps appends in order. Closed by the destructor.
// Errors of all calls: kNoSpace (ENOSPC, EDQUOT), kIo otherwise; the text names call, path and errno text.
class File {
 public:
  virtual ~File() = default;

  // Reads up to out.size() bytes at `offset`; returns how many, less only at the end of the file. Retries EINTR and
  // short reads.
  virtual absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const = 0;
  // Writes all of `data` at `offset` (growing the file) or fails; after a failure the range is undefined.
  virtual absl::Status WriteAt(uint64_t offset, std::string_view data) = 0;
  // Writes the pieces one after another at `offset` (pwritev).
  virtual absl::Status WriteAt(uint64_t offset, std::span<const std::string_view> pieces) = 0;
  // Makes content and size durable (fdatasync). After a failure the content on disk is unknown: never retry and
  // believe the success (contract C-18).
  virtual absl::Status Sync() = 0;
  // Asks the kernel to start writing the range back, without waiting and with no promise (SYNC_FILE_RANGE_WRITE).
  virtual void StartWriteback(uint64_t offset, uint64_t length) = 0;
  virtual absl::Status Truncate(uint64_t size) = 0;
  virtual absl::StatusOr<uint64_t> Size() const = 0;
};

// Held for the life of a process that owns a directory; released by the destructor or by process death.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode {
  kRead,          // must exist
  kReadWrite,     // must exist
  kCreateNew,     // must not exist; read and write
  kCreateOrOpen,  // either
};

struct DiskSpace {
  uint64_t capacity_bytes = 0;
  uint64_t available_bytes = 0;  // for an unprivileged process
};

// Thread-safe. Paths are plain byte strings. A missing file is kFileNotFound (absl::StatusCode::kNotFound), an existing
// one kFileAlreadyExists; the rest as in File.
// Durability: a new name, a rename or a removal survives a power loss only after SyncDirectory of its directory.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  // Replaces `to` if it exists, atomically for every observer.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status RemoveFile(const std::string& path) = 0;
  virtual absl::Status RemoveDirectory(const std::string& path) = 0;  // must be empty
  // Creates the directory and its missing parents; OK if it exists.
  virtual absl::Status CreateDirectories(const std::string& path) = 0;
  virtual absl::Status SyncDirectory(const std::string& path) = 0;
  // Names (not paths) in byte order, without "." and "..".
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& path) = 0;
  // True for files and directories.
  virtual absl::StatusOr<bool> Exists(const std::string& path) = 0;
  virtual absl::StatusOr<uint64_t> FileSize(const std::string& path) = 0;
  virtual absl::StatusOr<DiskSpace> Space(const std::string& path) = 0;
  // Exclusive lock on a file, created if missing; fails at once with kBusy when another process (or this one) holds it.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
};

// Whole-file helpers on any FileSystem.
absl::StatusOr<std::string> ReadWholeFile(FileSystem& fs, const std::string& path);
// Write to `path`.tmp, sync, rename over `path`, sync the directory: after a crash the old or the new content, whole.
absl::Status WriteFileDurably(FileSystem& fs, const std::string& path, std::string_view content);
std::string JoinPath(std::string_view directory, std::string_view name);
// "/a/b" -> "/a"; "/a" -> "/"; "a" -> ".".
std::string DirectoryOf(std::string_view path);

}  // namespace dolmen
