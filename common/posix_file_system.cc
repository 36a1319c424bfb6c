#include "common/posix_file_system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "common/error.h"

namespace dolmen {
namespace {

constexpr mode_t kFileMode = 0644;
constexpr mode_t kDirectoryMode = 0755;
constexpr size_t kPiecesPerCall = 64;  // chosen; far below IOV_MAX (1024)
static_assert(kPiecesPerCall <= IOV_MAX);

ErrorReason ReasonForErrno(int error) {
  switch (error) {
    case ENOENT:
      return ErrorReason::kFileNotFound;
    case EEXIST:
      return ErrorReason::kFileAlreadyExists;
    case ENOSPC:
    case EDQUOT:
      return ErrorReason::kNoSpace;
    // This process or machine is short of something; the disk is not to blame.
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ErrorReason::kBusy;
    default:
      return ErrorReason::kIo;
  }
}

absl::Status PosixError(const char* call, const std::string& path, int error) {
  char buffer[128];
  return MakeError(ReasonForErrno(error),
                   absl::StrCat(call, " ", path, ": ", strerror_r(error, buffer, sizeof buffer)));  // GNU form
}

template <typename Call>
auto RetryInterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

// Owns a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

class PosixFile final : public File {
 public:
  PosixFile(std::string path, Descriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const override {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t got = RetryInterrupted(
          [&] { return pread(fd_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done)); });
      if (got < 0) return PosixError("pread", path_, errno);
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  }

  absl::Status WriteAt(uint64_t offset, std::string_view data) override {
    while (!data.empty()) {
      const ssize_t wrote =
          RetryInterrupted([&] { return pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset)); });
      if (wrote < 0) return PosixError("pwrite", path_, errno);
      offset += static_cast<uint64_t>(wrote);
      data.remove_prefix(static_cast<size_t>(wrote));
    }
    return absl::OkStatus();
  }

  absl::Status WriteAt(uint64_t offset, std::span<const std::string_view> pieces) override {
    std::array<iovec, kPiecesPerCall> vectors;
    size_t next = 0;   // first piece not written wholly
    size_t begun = 0;  // bytes of it that are written
    while (next < pieces.size()) {
      size_t count = 0;
      for (size_t i = next; i < pieces.size() && count < kPiecesPerCall; ++i) {
        const std::string_view rest = pieces[i].substr(i == next ? begun : 0);
        if (!rest.empty()) vectors[count++] = {const_cast<char*>(rest.data()), rest.size()};
      }
      if (count == 0) {  // only empty pieces were looked at
        next += std::min(kPiecesPerCall, pieces.size() - next);
        begun = 0;
        continue;
      }
      const ssize_t wrote = RetryInterrupted(
          [&] { return pwritev(fd_.get(), vectors.data(), static_cast<int>(count), static_cast<off_t>(offset)); });
      if (wrote < 0) return PosixError("pwritev", path_, errno);
      offset += static_cast<uint64_t>(wrote);
      begun += static_cast<size_t>(wrote);
      while (next < pieces.size() && begun >= pieces[next].size()) begun -= pieces[next++].size();
    }
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    if (RetryInterrupted([&] { return fdatasync(fd_.get()); }) < 0) return PosixError("fdatasync", path_, errno);
    return absl::OkStatus();
  }

  void StartWriteback(uint64_t offset, uint64_t length) override {
    // Only a hint: a failed write-back shows at Sync().
    (void)sync_file_range(fd_.get(), static_cast<off_t>(offset), static_cast<off_t>(length), SYNC_FILE_RANGE_WRITE);
  }

  absl::Status Truncate(uint64_t size) override {
    if (RetryInterrupted([&] { return ftruncate(fd_.get(), static_cast<off_t>(size)); }) < 0) {
      return PosixError("ftruncate", path_, errno);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() const override {
    struct stat info;
    if (fstat(fd_.get(), &info) < 0) return PosixError("fstat", path_, errno);
    return static_cast<uint64_t>(info.st_size);
  }

 private:
  const std::string path_;
  const Descriptor fd_;
};

class PosixLock final : public FileLock {
 public:
  explicit PosixLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  const Descriptor fd_;  // closing it ends the lock
};

class PosixFileSystem final : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    int flags = O_CLOEXEC;
    switch (mode) {
      case OpenMode::kRead:
        flags |= O_RDONLY;
        break;
      case OpenMode::kReadWrite:
        flags |= O_RDWR;
        break;
      case OpenMode::kCreateNew:
        flags |= O_RDWR | O_CREAT | O_EXCL;
        break;
      case OpenMode::kCreateOrOpen:
        flags |= O_RDWR | O_CREAT;
        break;
    }
    Descriptor fd(RetryInterrupted([&] { return open(path.c_str(), flags, kFileMode); }));
    if (fd.get() < 0) return PosixError("open", path, errno);
    if (mode == OpenMode::kRead) {  // the only mode in which the kernel opens a directory
      struct stat info;
      if (fstat(fd.get(), &info) < 0) return PosixError("fstat", path, errno);
      if (S_ISDIR(info.st_mode)) return PosixError("open", path, EISDIR);
    }
    return std::make_unique<PosixFile>(path, std::move(fd));
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (rename(from.c_str(), to.c_str()) < 0) {
      const int error = errno;
      return PosixError("rename", absl::StrCat(from, " to ", to), error);
    }
    return absl::OkStatus();
  }

  absl::Status RemoveFile(const std::string& path) override {
    if (unlink(path.c_str()) < 0) return PosixError("unlink", path, errno);
    return absl::OkStatus();
  }

  absl::Status RemoveDirectory(const std::string& path) override {
    if (rmdir(path.c_str()) < 0) return PosixError("rmdir", path, errno);
    return absl::OkStatus();
  }

  absl::Status CreateDirectories(const std::string& path) override {
    // One level after another; "exists" is fine for all of them if the last is a directory in the end.
    for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string prefix = path.substr(0, end);
      if (mkdir(prefix.c_str(), kDirectoryMode) < 0 && errno != EEXIST) {
        const int error = errno;
        struct stat info;  // a read-only or forbidden level may be refused although it is there
        if (error == ENOTDIR || stat(prefix.c_str(), &info) < 0 || !S_ISDIR(info.st_mode)) {
          return PosixError("mkdir", prefix, error);
        }
      }
      if (end == std::string::npos) break;
    }
    struct stat info;
    if (stat(path.c_str(), &info) < 0) return PosixError("stat", path, errno);
    return S_ISDIR(info.st_mode) ? absl::OkStatus() : PosixError("mkdir", path, EEXIST);
  }

  absl::Status SyncDirectory(const std::string& path) override {
    const Descriptor fd(RetryInterrupted([&] { return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (fd.get() < 0) return PosixError("open", path, errno);
    if (RetryInterrupted([&] { return fsync(fd.get()); }) < 0) return PosixError("fsync", path, errno);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override {
    const std::unique_ptr<DIR, void (*)(DIR*)> directory(opendir(path.c_str()), [](DIR* dir) { closedir(dir); });
    if (directory == nullptr) return PosixError("opendir", path, errno);
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(directory.get());
      if (entry == nullptr) {
        if (errno != 0) return PosixError("readdir", path, errno);
        break;
      }
      const std::string_view name(entry->d_name);
      if (name != "." && name != "..") names.emplace_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::StatusOr<bool> Exists(const std::string& path) override {
    struct stat info;
    if (stat(path.c_str(), &info) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return PosixError("stat", path, errno);
  }

  absl::StatusOr<uint64_t> FileSize(const std::string& path) override {
    struct stat info;
    if (stat(path.c_str(), &info) < 0) return PosixError("stat", path, errno);
    if (S_ISDIR(info.st_mode)) return PosixError("stat", path, EISDIR);
    return static_cast<uint64_t>(info.st_size);
  }

  absl::StatusOr<DiskSpace> Space(const std::string& path) override {
    struct statvfs info;
    if (RetryInterrupted([&] { return statvfs(path.c_str(), &info); }) < 0) return PosixError("statvfs", path, errno);
    return DiskSpace{.capacity_bytes = static_cast<uint64_t>(info.f_blocks) * info.f_frsize,
                     .available_bytes = static_cast<uint64_t>(info.f_bavail) * info.f_frsize};
  }

  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    Descriptor fd(RetryInterrupted([&] { return open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kFileMode); }));
    if (fd.get() < 0) return PosixError("open", path, errno);
    // flock belongs to the open file, not to the process: a second Lock() in this process is refused as well.
    if (RetryInterrupted([&] { return flock(fd.get(), LOCK_EX | LOCK_NB); }) < 0) {
      if (errno == EWOULDBLOCK) {
        return MakeError(ErrorReason::kBusy, absl::StrCat("lock ", path, ": held by another process; stop it first"));
      }
      return PosixError("flock", path, errno);
    }
    return std::make_unique<PosixLock>(std::move(fd));
  }
};

}  // namespace

std::unique_ptr<FileSystem> MakePosixFileSystem() { return std::make_unique<PosixFileSystem>(); }

}  // namespace dolmen
