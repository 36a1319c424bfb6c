#include "client/cli/remote_tree.h"

#include <utility>

#include "client/cli/local_tree.h"
#include "client/cli/path_text.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

class RemoteReader final : public Reader {
 public:
  explicit RemoteReader(std::unique_ptr<InputStream> stream) : stream_(std::move(stream)) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override { return stream_->Read(out); }

 private:
  const std::unique_ptr<InputStream> stream_;
};

class RemoteWriter final : public Writer {
 public:
  explicit RemoteWriter(std::unique_ptr<OutputStream> stream) : stream_(std::move(stream)) {}
  absl::Status Write(std::string_view data) override { return stream_->Write(data); }
  absl::Status Close() override { return stream_->Close(); }
  void Abort() override { stream_->Abort(); }

 private:
  const std::unique_ptr<OutputStream> stream_;
};

class RemoteTree final : public Tree {
 public:
  RemoteTree(FileSystemClient& fs, const ShellSettings& settings)
      : fs_(fs), umask_(settings.umask), replication_(settings.replication), block_bytes_(settings.block_bytes) {}

  absl::StatusOr<std::optional<NodeInfo>> Stat(const std::string& path) override {
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<FileStatus> status, fs_.GetFileInfo(path));
    if (!status.has_value()) return std::nullopt;
    return InfoOf(*status);
  }

  absl::StatusOr<std::vector<NamedInfo>> List(const std::string& path) override {
    std::vector<NamedInfo> entries;
    DOLMEN_RETURN_IF_ERROR(fs_.List(path, [&entries](const FileStatus& status) {
      entries.push_back(NamedInfo{.name = status.name, .info = InfoOf(status)});
      return true;
    }));
    return entries;
  }

  absl::StatusOr<std::unique_ptr<Reader>> Open(const std::string& path) override {
    DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<InputStream> stream, fs_.Open(path));
    return std::make_unique<RemoteReader>(std::move(stream));
  }

  absl::StatusOr<std::unique_ptr<Writer>> Create(const std::string& path, bool lazy_persist) override {
    const CreateOptions options{.overwrite = true,
                                .create_parents = true,
                                .permission = static_cast<uint16_t>(0666 & ~umask_),
                                .replication = lazy_persist ? 1 : replication_,
                                .block_bytes = block_bytes_,
                                .sync_on_close = !lazy_persist};
    DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<OutputStream> stream, fs_.Create(path, options));
    return std::make_unique<RemoteWriter>(std::move(stream));
  }

  absl::Status MakeDirectory(const std::string& path) override {
    return fs_.Mkdirs(path, static_cast<uint16_t>(0777 & ~umask_), /*create_parents=*/true);
  }

  absl::Status Rename(const Node& temporary, const Node& target, bool overwrite) override {
    const absl::Status status = fs_.RenameExact(temporary.path, target.path, overwrite);
    if (ReasonOf(status) != ErrorReason::kFileAlreadyExists) return status;
    // Somebody else made the target since we looked.
    return PathError(PathMessage{
        .operation = "rename", .path = temporary.shown, .target = target.shown, .error = "Input/output error"});
  }

  void Discard(const std::string& path, const absl::Status& why) override {
    if (ReasonOf(why) == ErrorReason::kUnreachable) return;  // the namenode was tried for long enough
    LogIfError(fs_.Delete(path, /*recursive=*/false).status(), "a leftover temporary file does no harm");
  }

  absl::Status Remove(const Node& node) override {
    DOLMEN_ASSIGN_OR_RETURN(const bool removed, fs_.Delete(node.path, /*recursive=*/false));
    if (removed) return absl::OkStatus();
    return PathError(PathMessage{.operation = "remove", .path = node.shown, .error = "Input/output error"});
  }

  absl::Status SetAttributes(const std::string& path, const NodeInfo& info, AttributeSet which) override {
    if (which.times) DOLMEN_RETURN_IF_ERROR(fs_.SetTimes(path, info.modified_ms, info.accessed_ms));
    if (which.owner) DOLMEN_RETURN_IF_ERROR(fs_.SetOwner(path, info.owner, info.group));
    if (which.mode) DOLMEN_RETURN_IF_ERROR(fs_.SetPermission(path, info.permission));
    return absl::OkStatus();
  }

  NodeInfo WithOwnerNames(const NodeInfo& info) override { return info; }

  std::string AbsolutePath(const std::string& path) const override { return path; }
  std::string Qualified(const std::string& path) const override { return QualifiedPath(fs_, path); }

 private:
  FileSystemClient& fs_;
  const uint16_t umask_;
  const uint32_t replication_;
  const uint64_t block_bytes_;
};

}  // namespace

NodeInfo InfoOf(const FileStatus& status) {
  return NodeInfo{.is_directory = status.is_directory,
                  .length = status.length,
                  .permission = status.permission,
                  .owner = status.owner,
                  .group = status.group,
                  .modified_ms = status.modified_ms,
                  .accessed_ms = status.accessed_ms,
                  .inode = status.inode};
}

std::unique_ptr<Tree> MakeTree(FileSystemClient& fs, const ShellSettings& settings) {
  if (IsLocal(fs)) return MakeLocalTree({});
  return std::make_unique<RemoteTree>(fs, settings);
}

std::unique_ptr<Writer> MakeWriter(std::unique_ptr<OutputStream> stream) {
  return std::make_unique<RemoteWriter>(std::move(stream));
}

std::unique_ptr<Reader> MakeReader(std::unique_ptr<InputStream> stream) {
  return std::make_unique<RemoteReader>(std::move(stream));
}

}  // namespace dolmen::cli
