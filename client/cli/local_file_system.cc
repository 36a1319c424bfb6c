#include "client/cli/local_file_system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/local_io.h"
#include "client/cli/local_tree.h"
#include "client/cli/path_text.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr uint64_t kBlockBytes = 32 << 20;  // what Hadoop's local file system says

absl::Status Missing(const std::string& path) {
  return MakeError(ErrorReason::kFileNotFound, absl::StrCat("File file:", path, " does not exist"));
}

absl::Status ClusterOnly() {
  return MakeError(absl::StatusCode::kUnimplemented, ErrorReason::kIllegalArgument,
                   "FileSystem file:/// is not an HDFS file system");
}

class LocalInput final : public InputStream {
 public:
  LocalInput(int fd, std::string path, uint64_t length) : fd_(fd), path_(std::move(path)), length_(length) {}

  absl::StatusOr<size_t> Read(std::span<char> out) override {
    while (true) {
      const ssize_t count = read(fd_.get(), out.data(), out.size());
      if (count >= 0) return static_cast<size_t>(count);
      if (errno != EINTR) return LocalError(path_, errno);
    }
  }
  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) override {
    const ssize_t count = pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0) return LocalError(path_, errno);
    return static_cast<size_t>(count);
  }
  absl::Status Seek(uint64_t offset) override {
    if (offset > length_) return MakeError(ErrorReason::kIo, "Cannot seek after EOF");
    const bool moved = lseek(fd_.get(), static_cast<off_t>(offset), SEEK_SET) >= 0;
    return moved ? absl::OkStatus() : LocalError(path_, errno);
  }
  uint64_t Position() const override {
    const off_t position = lseek(fd_.get(), 0, SEEK_CUR);
    return position < 0 ? 0 : static_cast<uint64_t>(position);  // pipes have none
  }
  uint64_t Length() const override { return length_; }
  absl::Status Close() override {
    if (fd_.get() >= 0) close(fd_.release());
    return absl::OkStatus();
  }

 private:
  UniqueFd fd_;
  const std::string path_;
  const uint64_t length_;
};

class LocalOutput final : public OutputStream {
 public:
  LocalOutput(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  absl::Status Write(std::string_view data) override {
    DOLMEN_RETURN_IF_ERROR(WriteAll(fd_.get(), data, path_));
    written_ += data.size();
    return absl::OkStatus();
  }
  absl::Status Flush() override { return absl::OkStatus(); }
  absl::Status Sync() override {
    return fdatasync(fd_.get()) == 0 || errno == EINVAL ? absl::OkStatus() : LocalError(path_, errno);
  }
  absl::Status Close() override {
    if (fd_.get() < 0) return absl::OkStatus();
    return close(fd_.release()) == 0 ? absl::OkStatus() : LocalError(path_, errno);
  }
  void Abort() override { Close().IgnoreError(); }
  uint64_t Position() const override { return written_; }

 private:
  UniqueFd fd_;
  const std::string path_;
  uint64_t written_ = 0;
};

class LocalFileSystem final : public FileSystemClient {
 public:
  LocalFileSystem() : tree_(MakeLocalTree({})), user_(UserName(geteuid())) {}

  absl::Status Mkdirs(const std::string& path, uint16_t permission, bool create_parents) override {
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<NodeInfo> info, tree_->Stat(path));
    if (info.has_value() && info->is_directory) return absl::OkStatus();
    if (create_parents) DOLMEN_RETURN_IF_ERROR(tree_->MakeDirectory(std::string(ParentPath(path))));
    return mkdir(path.c_str(), permission) == 0 ? absl::OkStatus() : LocalError(path, errno);
  }

  absl::StatusOr<std::unique_ptr<OutputStream>> Create(const std::string& path, const CreateOptions& options) override {
    if (options.create_parents) DOLMEN_RETURN_IF_ERROR(tree_->MakeDirectory(std::string(ParentPath(path))));
    const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (options.overwrite ? O_TRUNC : O_EXCL);
    return OpenToWrite(path, flags, options.permission);
  }

  absl::StatusOr<std::unique_ptr<InputStream>> Open(const std::string& path) override {
    DOLMEN_ASSIGN_OR_RETURN(const NodeInfo info, Existing(path));
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return LocalError(path, errno);
    return std::make_unique<LocalInput>(fd, path, info.length);
  }

  absl::StatusOr<std::unique_ptr<OutputStream>> Append(const std::string& path, const AppendOptions&) override {
    DOLMEN_RETURN_IF_ERROR(Existing(path).status());
    return OpenToWrite(path, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
  }

  absl::StatusOr<bool> Truncate(const std::string& path, uint64_t length) override {
    DOLMEN_ASSIGN_OR_RETURN(const NodeInfo info, Existing(path));
    if (length > info.length) {
      return MakeError(ErrorReason::kIllegalArgument,
                       absl::StrCat("Cannot truncate to a larger file size. Current size: ", info.length,
                                    ", truncate size: ", length, "."));
    }
    if (truncate(path.c_str(), static_cast<off_t>(length)) != 0) return LocalError(path, errno);
    return true;
  }

  absl::Status Concat(const std::string&, const std::vector<std::string>&) override { return ClusterOnly(); }
  absl::StatusOr<bool> SetReplication(const std::string& path, uint32_t) override {
    DOLMEN_ASSIGN_OR_RETURN(const NodeInfo info, Existing(path));
    return !info.is_directory;
  }
  absl::StatusOr<bool> RecoverLease(const std::string&) override { return ClusterOnly(); }
  absl::StatusOr<bool> IsFileClosed(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(Existing(path).status());
    return true;
  }

  // Links to directories are not entered: they could lead in a circle.
  absl::StatusOr<ContentSummary> GetContentSummary(const std::string& path) override {
    DOLMEN_ASSIGN_OR_RETURN(const NodeInfo info, Existing(path));
    ContentSummary summary;
    if (!info.is_directory) {
      return ContentSummary{.length = info.length, .file_count = 1, .space_consumed = info.length};
    }
    summary.directory_count = 1;
    std::error_code error;
    std::filesystem::recursive_directory_iterator entry(path, error);
    for (; !error && entry != std::filesystem::recursive_directory_iterator(); entry.increment(error)) {
      struct stat st {};
      if (lstat(entry->path().c_str(), &st) != 0) continue;  // it is gone
      if (S_ISDIR(st.st_mode)) {
        ++summary.directory_count;
        continue;
      }
      ++summary.file_count;
      if (stat(entry->path().c_str(), &st) == 0 && S_ISREG(st.st_mode)) {
        summary.length += static_cast<uint64_t>(st.st_size);
      }
    }
    if (error) return LocalError(path, error.value());
    summary.space_consumed = summary.length;
    return summary;
  }

  absl::StatusOr<FileChecksum> GetFileChecksum(const std::string&, uint64_t) override { return ClusterOnly(); }
  absl::Status ListOpenFiles(const std::string&, const std::function<bool(const OpenFile&)>&) override {
    return ClusterOnly();
  }
  absl::Status CheckFiles(const std::string&, const std::function<bool(const CheckedEntry&)>&) override {
    return ClusterOnly();
  }

  absl::StatusOr<bool> Rename(const std::string& source, const std::string& destination) override {
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<NodeInfo> from, tree_->Stat(source));
    if (!from.has_value()) return false;
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<NodeInfo> to, tree_->Stat(destination));
    const bool into = to.has_value() && to->is_directory;
    const std::string target = into ? ChildPath(destination, BaseName(source)) : destination;
    if (RenameNoReplace(source, target) == 0) return true;
    if (errno == EEXIST) return false;
    return LocalError(target, errno);
  }

  absl::Status RenameExact(const std::string& source, const std::string& destination, bool overwrite) override {
    return tree_->Rename(Node{.shown = source, .path = source}, Node{.shown = destination, .path = destination},
                         overwrite);
  }

  absl::StatusOr<bool> Delete(const std::string& path, bool recursive) override {
    struct stat st {};
    if (path == "/" || lstat(path.c_str(), &st) != 0) return false;
    std::error_code error;
    if (recursive) {
      std::filesystem::remove_all(path, error);
      if (error) return LocalError(path, error.value());
      return true;
    }
    DOLMEN_RETURN_IF_ERROR(tree_->Remove(Node{.shown = path, .path = path}));
    return true;
  }

  absl::StatusOr<std::optional<FileStatus>> GetFileInfo(const std::string& path) override {
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<NodeInfo> info, tree_->Stat(path));
    if (!info.has_value()) return std::nullopt;
    return StatusOf(std::string(BaseName(path)), *info);
  }

  absl::Status List(const std::string& path, const std::function<bool(const FileStatus&)>& visit) override {
    DOLMEN_ASSIGN_OR_RETURN(const NodeInfo info, Existing(path));
    if (!info.is_directory) {
      visit(StatusOf("", info));
      return absl::OkStatus();
    }
    DOLMEN_ASSIGN_OR_RETURN(const std::vector<NamedInfo> entries, tree_->List(path));
    for (const NamedInfo& entry : entries) {
      // Links that lead nowhere are not there, as in Java.
      if (entry.info.has_value() && !visit(StatusOf(entry.name, *entry.info))) break;
    }
    return absl::OkStatus();
  }

  // No blocks; but an error if the file can't be opened.
  absl::StatusOr<std::vector<BlockLocation>> GetBlockLocations(const std::string& path, uint64_t, uint64_t) override {
    DOLMEN_RETURN_IF_ERROR(Existing(path).status());
    if (access(path.c_str(), R_OK) == 0) return std::vector<BlockLocation>{};
    if (errno != EACCES) return LocalError(path, errno);
    return MakeError(ErrorReason::kAccessControl, absl::StrCat(path, " (Permission denied)"));
  }

  absl::Status SetPermission(const std::string& path, uint16_t permission) override {
    return SetLocalMode(path, permission);
  }
  absl::Status SetOwner(const std::string& path, const std::string& owner, const std::string& group) override {
    return SetLocalOwner(path, owner, group);
  }
  absl::Status SetTimes(const std::string& path, std::optional<int64_t> modified_ms,
                        std::optional<int64_t> accessed_ms) override {
    return SetLocalTimes(path, modified_ms, accessed_ms);
  }

  absl::StatusOr<ClusterStats> GetStats() override {
    struct statvfs fs {};
    if (statvfs("/", &fs) != 0) return LocalError("/", errno);
    ClusterStats stats;
    stats.capacity_bytes = uint64_t{fs.f_blocks} * fs.f_frsize;
    stats.remaining_bytes = uint64_t{fs.f_bavail} * fs.f_frsize;
    stats.used_bytes = stats.capacity_bytes - uint64_t{fs.f_bfree} * fs.f_frsize;
    return stats;
  }
  absl::StatusOr<std::vector<DatanodeReport>> GetDatanodeReport() override { return ClusterOnly(); }
  absl::StatusOr<DatanodeLocalInfo> GetDatanodeLocalInfo(const std::string&) override { return ClusterOnly(); }
  absl::StatusOr<ServerDefaults> GetServerDefaults() override { return ClusterOnly(); }
  absl::StatusOr<bool> SetSafeMode(SafeMode) override { return ClusterOnly(); }

  const std::string& user() const override { return user_; }
  std::string HomeDirectory() const override { return AbsoluteLocalPath("."); }
  const std::string& authority() const override { return authority_; }

 private:
  absl::StatusOr<NodeInfo> Existing(const std::string& path) {
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<NodeInfo> info, tree_->Stat(path));
    if (!info.has_value()) return Missing(path);
    return *info;
  }

  static absl::StatusOr<std::unique_ptr<OutputStream>> OpenToWrite(const std::string& path, int flags, uint16_t mode) {
    const int fd = open(path.c_str(), flags, mode);
    if (fd < 0) return LocalError(path, errno);
    return std::make_unique<LocalOutput>(fd, path);
  }

  FileStatus StatusOf(std::string name, const NodeInfo& info) {
    const NodeInfo named = tree_->WithOwnerNames(info);
    return FileStatus{.inode = named.inode,
                      .is_directory = named.is_directory,
                      .name = std::move(name),
                      .length = named.length,
                      .permission = named.permission,
                      .owner = named.owner,
                      .group = named.group,
                      .modified_ms = named.modified_ms,
                      .accessed_ms = named.accessed_ms,
                      .replication = 1,
                      .block_bytes = kBlockBytes};
  }

  const std::unique_ptr<Tree> tree_;
  const std::string user_;
  const std::string authority_;
};

}  // namespace

std::unique_ptr<FileSystemClient> MakeLocalFileSystem() { return std::make_unique<LocalFileSystem>(); }

}  // namespace dolmen::cli
