// A file system in memory behind the client's interface: for tests of code that only uses FileSystemClient.
// It follows HDFS's rules as far as such tests need them: no permissions, no leases, no blocks.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/dolmen/client.h"
#include "common/error.h"
#include "common/mutex.h"

namespace dolmen::testing {

// Thread-safe.
class FakeFileSystemClient final : public FileSystemClient {
 public:
  explicit FakeFileSystemClient(std::string user = "ann", std::string authority = "localhost:7020")
      : user_(std::move(user)), authority_(std::move(authority)) {
    nodes_["/"] = NewNode("/", /*directory=*/true, 0755);
  }

  // Called first in every operation with its name ("Create") and path; a failure is returned to the caller.
  std::function<absl::Status(const std::string& operation, const std::string& path)> fail;
  ClusterStats stats;
  std::vector<DatanodeReport> datanodes;
  std::map<std::string, DatanodeLocalInfo> local_infos;  // by address; no others answer
  std::vector<CreateOptions> created;                    // the options of every Create, in order
  std::vector<AppendOptions> appended;                   // and of every Append
  bool truncates_later = false;                          // Truncate answers false and leaves the file open
  FileChecksum checksum;                                 // of every file
  std::vector<OpenFile> open_files;
  std::map<std::string, std::vector<BlockLocation>> locations;      // by path of the file
  std::map<std::string, std::vector<CheckedBlock>> checked_blocks;  // by path of the file

  // ---- what tests set up and look at ----
  void PutFile(const std::string& path, std::string content, int64_t modified_ms = 1'619'345'472'000) {
    MutexLock lock(&mutex_);
    MakeParents(path);
    Node node = NewNode(path, /*directory=*/false, 0644);
    node.status.modified_ms = modified_ms;
    node.status.length = content.size();
    node.content = std::move(content);
    nodes_[path] = std::move(node);
  }
  void PutDirectory(const std::string& path) {
    MutexLock lock(&mutex_);
    MakeParents(path + "/x");
  }
  void Change(const std::string& path, const std::function<void(FileStatus&)>& change) {
    MutexLock lock(&mutex_);
    change(nodes_.at(path).status);
  }
  // All paths but "/", in byte order; directories end in '/'.
  std::vector<std::string> Paths() {
    MutexLock lock(&mutex_);
    std::vector<std::string> paths;
    for (const auto& [path, node] : nodes_) {
      if (path != "/") paths.push_back(node.status.is_directory ? path + "/" : path);
    }
    return paths;
  }
  std::string Content(const std::string& path) {
    MutexLock lock(&mutex_);
    const auto node = nodes_.find(path);
    return node == nodes_.end() ? "(missing)" : node->second.content;
  }
  FileStatus Status(const std::string& path) {
    MutexLock lock(&mutex_);
    return nodes_.at(path).status;
  }

  // ---- FileSystemClient ----
  absl::Status Mkdirs(const std::string& path, uint16_t permission, bool create_parents) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("Mkdirs", path));
    MutexLock lock(&mutex_);
    if (const Node* node = Find(path); node != nullptr) {
      if (node->status.is_directory) return absl::OkStatus();
      return MakeError(ErrorReason::kFileAlreadyExists, absl::StrCat("Path is not a directory: ", path));
    }
    if (!create_parents && Find(Parent(path)) == nullptr) {
      return MakeError(ErrorReason::kFileNotFound, absl::StrCat("Parent directory doesn't exist: ", Parent(path)));
    }
    MakeParents(path);
    nodes_[path] = NewNode(path, /*directory=*/true, permission);
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<OutputStream>> Create(const std::string& path, const CreateOptions& options) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("Create", path));
    MutexLock lock(&mutex_);
    created.push_back(options);
    if (const Node* node = Find(path); node != nullptr) {
      if (node->status.is_directory) {
        return MakeError(ErrorReason::kFileAlreadyExists, absl::StrCat(path, " already exists as a directory"));
      }
      if (!options.overwrite) {
        return MakeError(ErrorReason::kFileAlreadyExists, absl::StrCat(path, " for client 127.0.0.1 already exists"));
      }
    }
    MakeParents(path);
    nodes_[path] = NewNode(path, /*directory=*/false, options.permission);
    return std::make_unique<Output>(this, path);
  }

  absl::StatusOr<std::unique_ptr<InputStream>> Open(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("Open", path));
    MutexLock lock(&mutex_);
    const Node* node = Find(path);
    if (node == nullptr) return MakeError(ErrorReason::kFileNotFound, absl::StrCat("File does not exist: ", path));
    if (node->status.is_directory) {
      return MakeError(ErrorReason::kFileNotFound, absl::StrCat("Path is not a file: ", path));
    }
    return std::make_unique<Input>(this, path, node->content);
  }

  absl::StatusOr<std::unique_ptr<OutputStream>> Append(const std::string& path, const AppendOptions& options) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("Append", path));
    MutexLock lock(&mutex_);
    DOLMEN_ASSIGN_OR_RETURN(const Node* node, FindFile(path));
    appended.push_back(options);
    return std::make_unique<Output>(this, path, node->content);
  }
  absl::StatusOr<bool> Truncate(const std::string& path, uint64_t length) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("Truncate", path));
    MutexLock lock(&mutex_);
    DOLMEN_RETURN_IF_ERROR(FindFile(path).status());
    Node& node = nodes_.at(path);
    if (length > node.content.size()) {
      return MakeError(ErrorReason::kIllegalArgument,
                       absl::StrCat("Cannot truncate to a larger file size. Current size: ", node.content.size(),
                                    ", truncate size: ", length, "."));
    }
    node.content.resize(length);
    node.status.length = length;
    node.status.under_construction = truncates_later;
    return !truncates_later;
  }
  absl::Status Concat(const std::string& target, const std::vector<std::string>& sources) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("Concat", target));
    MutexLock lock(&mutex_);
    DOLMEN_RETURN_IF_ERROR(FindFile(target).status());
    for (const std::string& source : sources) {
      DOLMEN_ASSIGN_OR_RETURN(const Node* node, FindFile(source));
      nodes_.at(target).content += node->content;
      Remove(source);
    }
    nodes_.at(target).status.length = nodes_.at(target).content.size();
    return absl::OkStatus();
  }
  absl::StatusOr<bool> SetReplication(const std::string& path, uint32_t replication) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("SetReplication", path));
    MutexLock lock(&mutex_);
    const auto node = nodes_.find(path);
    if (node == nodes_.end() || node->second.status.is_directory) return false;
    node->second.status.replication = replication;
    return true;
  }
  absl::StatusOr<bool> RecoverLease(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("RecoverLease", path));
    MutexLock lock(&mutex_);
    DOLMEN_RETURN_IF_ERROR(FindFile(path).status());
    nodes_.at(path).status.under_construction = false;
    return true;
  }
  absl::StatusOr<bool> IsFileClosed(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("IsFileClosed", path));
    MutexLock lock(&mutex_);
    DOLMEN_ASSIGN_OR_RETURN(const Node* node, FindFile(path));
    return !node->status.under_construction;
  }
  absl::StatusOr<ContentSummary> GetContentSummary(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("GetContentSummary", path));
    MutexLock lock(&mutex_);
    if (Find(path) == nullptr) {
      return MakeError(ErrorReason::kFileNotFound, absl::StrCat("File does not exist: ", path));
    }
    ContentSummary summary;
    for (const auto& [other, node] : nodes_) {
      if (other != path && !other.starts_with(path == "/" ? path : path + "/")) continue;
      if (node.status.is_directory) {
        ++summary.directory_count;
      } else {
        ++summary.file_count;
        summary.length += node.status.length;
        summary.space_consumed += node.status.length * node.status.replication;
      }
    }
    return summary;
  }
  absl::StatusOr<FileChecksum> GetFileChecksum(const std::string& path, uint64_t) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("GetFileChecksum", path));
    MutexLock lock(&mutex_);
    DOLMEN_RETURN_IF_ERROR(FindFile(path).status());
    return checksum;
  }
  absl::Status ListOpenFiles(const std::string& path, const std::function<bool(const OpenFile&)>& visit) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("ListOpenFiles", path));
    for (const OpenFile& file : open_files) {
      if (file.path != path && !file.path.starts_with(path == "/" ? path : path + "/")) continue;
      if (!visit(file)) break;
    }
    return absl::OkStatus();
  }
  absl::Status CheckFiles(const std::string& path, const std::function<bool(const CheckedEntry&)>& visit) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("CheckFiles", path));
    std::vector<CheckedEntry> entries;
    {
      MutexLock lock(&mutex_);
      if (Find(path) == nullptr) {
        return MakeError(ErrorReason::kFileNotFound, absl::StrCat("File ", path, " does not exist."));
      }
      for (const auto& [other, node] : nodes_) {
        if (other != path && !other.starts_with(path == "/" ? path : path + "/")) continue;
        const auto blocks = checked_blocks.find(other);
        entries.push_back({.path = other, .status = node.status});
        if (blocks != checked_blocks.end()) entries.back().blocks = blocks->second;
      }
    }
    for (const CheckedEntry& entry : entries) {
      if (!visit(entry)) break;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Rename(const std::string& source, const std::string& destination) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("Rename", source));
    MutexLock lock(&mutex_);
    std::string target = destination;
    if (const Node* node = Find(destination); node != nullptr && node->status.is_directory) {
      target = (destination == "/" ? "" : destination) + "/" + Name(source);
    }
    if (source == "/" || Find(source) == nullptr) return false;
    if (target == source) return true;
    if (target.starts_with(source + "/") || Find(target) != nullptr || Find(Parent(target)) == nullptr) return false;
    Move(source, target);
    return true;
  }

  absl::Status RenameExact(const std::string& source, const std::string& destination, bool overwrite) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("RenameExact", source));
    MutexLock lock(&mutex_);
    if (Find(source) == nullptr) {
      return MakeError(ErrorReason::kFileNotFound, absl::StrCat("rename source ", source, " is not found."));
    }
    if (Find(destination) != nullptr) {
      if (!overwrite) {
        return MakeError(ErrorReason::kFileAlreadyExists,
                         absl::StrCat("rename destination ", destination, " already exists"));
      }
      Remove(destination);
    }
    Move(source, destination);
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Delete(const std::string& path, bool recursive) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("Delete", path));
    MutexLock lock(&mutex_);
    const Node* node = Find(path);
    if (node == nullptr || path == "/") return false;
    if (node->status.is_directory && !recursive && HasChildren(path)) {
      return MakeError(ErrorReason::kDirectoryNotEmpty,
                       absl::StrCat("`", path, " is non empty': Directory is not empty"));
    }
    Remove(path);
    return true;
  }

  absl::StatusOr<std::optional<FileStatus>> GetFileInfo(const std::string& path) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("GetFileInfo", path));
    MutexLock lock(&mutex_);
    const Node* node = Find(path);
    if (node == nullptr) return std::nullopt;
    return node->status;
  }

  absl::Status List(const std::string& path, const std::function<bool(const FileStatus&)>& visit) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("List", path));
    std::vector<FileStatus> entries;
    {
      MutexLock lock(&mutex_);
      const Node* node = Find(path);
      if (node == nullptr)
        return MakeError(ErrorReason::kFileNotFound, absl::StrCat("File ", path, " does not exist."));
      if (node->status.is_directory) {
        for (const auto& [child, child_node] : nodes_) {
          if (child != "/" && Parent(child) == path) entries.push_back(child_node.status);
        }
      } else {
        entries.push_back(node->status);
        entries.back().name.clear();
      }
    }
    std::sort(entries.begin(), entries.end(), [](const FileStatus& a, const FileStatus& b) { return a.name < b.name; });
    for (const FileStatus& entry : entries) {
      if (!visit(entry)) break;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<BlockLocation>> GetBlockLocations(const std::string& path, uint64_t, uint64_t) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("GetBlockLocations", path));
    const auto found = locations.find(path);
    return found == locations.end() ? std::vector<BlockLocation>{} : found->second;
  }

  absl::Status SetPermission(const std::string& path, uint16_t permission) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("SetPermission", path));
    Change(path, [&](FileStatus& status) { status.permission = permission; });
    return absl::OkStatus();
  }
  absl::Status SetOwner(const std::string& path, const std::string& owner, const std::string& group) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("SetOwner", path));
    Change(path, [&](FileStatus& status) {
      if (!owner.empty()) status.owner = owner;
      if (!group.empty()) status.group = group;
    });
    return absl::OkStatus();
  }
  absl::Status SetTimes(const std::string& path, std::optional<int64_t> modified_ms,
                        std::optional<int64_t> accessed_ms) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("SetTimes", path));
    Change(path, [&](FileStatus& status) {
      status.modified_ms = modified_ms.value_or(status.modified_ms);
      status.accessed_ms = accessed_ms.value_or(status.accessed_ms);
    });
    return absl::OkStatus();
  }

  absl::StatusOr<ClusterStats> GetStats() override {
    DOLMEN_RETURN_IF_ERROR(MayFail("GetStats", ""));
    return stats;
  }
  absl::StatusOr<std::vector<DatanodeReport>> GetDatanodeReport() override { return datanodes; }
  absl::StatusOr<DatanodeLocalInfo> GetDatanodeLocalInfo(const std::string& address) override {
    const auto info = local_infos.find(address);
    if (info == local_infos.end()) {
      return MakeError(ErrorReason::kUnreachable, absl::StrCat(address, ": Connection refused"));
    }
    return info->second;
  }
  absl::StatusOr<ServerDefaults> GetServerDefaults() override { return ServerDefaults{}; }
  absl::StatusOr<bool> SetSafeMode(SafeMode action) override {
    DOLMEN_RETURN_IF_ERROR(MayFail("SetSafeMode", ""));
    if (action != SafeMode::kGet) stats.safe_mode = action == SafeMode::kEnter;
    return stats.safe_mode;
  }

  const std::string& user() const override { return user_; }
  std::string HomeDirectory() const override { return "/user/" + user_; }
  const std::string& authority() const override { return authority_; }

 private:
  struct Node {
    FileStatus status;
    std::string content;
  };

  class Input final : public InputStream {
   public:
    Input(FakeFileSystemClient* fs, std::string path, std::string content)
        : fs_(fs), path_(std::move(path)), content_(std::move(content)) {}
    absl::StatusOr<size_t> Read(std::span<char> out) override {
      DOLMEN_ASSIGN_OR_RETURN(const size_t count, ReadAt(position_, out));
      position_ += count;
      return count;
    }
    absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) override {
      DOLMEN_RETURN_IF_ERROR(fs_->MayFail("Read", path_));
      if (offset >= content_.size()) return 0;
      return content_.copy(out.data(), out.size(), offset);
    }
    absl::Status Seek(uint64_t offset) override {
      position_ = offset;
      return absl::OkStatus();
    }
    uint64_t Position() const override { return position_; }
    uint64_t Length() const override { return content_.size(); }
    absl::Status Close() override { return absl::OkStatus(); }

   private:
    FakeFileSystemClient* const fs_;
    const std::string path_;
    const std::string content_;
    uint64_t position_ = 0;
  };

  class Output final : public OutputStream {
   public:
    Output(FakeFileSystemClient* fs, std::string path, std::string content = "")
        : fs_(fs), path_(std::move(path)), written_(std::move(content)) {}
    absl::Status Write(std::string_view data) override {
      DOLMEN_RETURN_IF_ERROR(fs_->MayFail("Write", path_));
      written_ += data;
      return absl::OkStatus();
    }
    absl::Status Flush() override { return absl::OkStatus(); }
    absl::Status Sync() override { return absl::OkStatus(); }
    absl::Status Close() override {
      DOLMEN_RETURN_IF_ERROR(fs_->MayFail("Close", path_));
      MutexLock lock(&fs_->mutex_);
      Node& node = fs_->nodes_.at(path_);
      node.status.length = written_.size();
      node.content = written_;
      return absl::OkStatus();
    }
    void Abort() override {}
    uint64_t Position() const override { return written_.size(); }

   private:
    FakeFileSystemClient* const fs_;
    const std::string path_;
    std::string written_;
  };

  static std::string Parent(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == 0 ? "/" : path.substr(0, slash);
  }
  static std::string Name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

  Node NewNode(const std::string& path, bool directory, uint16_t permission) {
    Node node;
    node.status.inode = next_inode_++;
    node.status.is_directory = directory;
    node.status.name = Name(path);
    node.status.permission = permission;
    node.status.owner = user_;
    node.status.group = "supergroup";
    node.status.modified_ms = 1'619'345'472'000;  // 2021-04-25 10:11:12 UTC
    node.status.replication = directory ? 0 : 3;
    node.status.block_bytes = directory ? 0 : 128 << 20;
    return node;
  }

  absl::Status MayFail(const std::string& operation, const std::string& path) {
    return fail ? fail(operation, path) : absl::OkStatus();
  }
  const Node* Find(const std::string& path) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto node = nodes_.find(path);
    return node == nodes_.end() ? nullptr : &node->second;
  }
  absl::StatusOr<const Node*> FindFile(const std::string& path) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Node* node = Find(path);
    if (node == nullptr) return MakeError(ErrorReason::kFileNotFound, absl::StrCat("File does not exist: ", path));
    if (node->status.is_directory) {
      return MakeError(ErrorReason::kFileNotFound, absl::StrCat("Path is not a file: ", path));
    }
    return node;
  }
  void MakeParents(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      const std::string parent = path.substr(0, slash);
      if (Find(parent) == nullptr) nodes_[parent] = NewNode(parent, /*directory=*/true, 0755);
    }
  }
  bool HasChildren(const std::string& path) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto next = nodes_.lower_bound(path + "/");
    return next != nodes_.end() && next->first.starts_with(path + "/");
  }
  void Remove(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::erase_if(nodes_,
                  [&](const auto& entry) { return entry.first == path || entry.first.starts_with(path + "/"); });
  }
  void Move(const std::string& source, const std::string& target) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::map<std::string, Node> moved;
    for (auto& [path, node] : nodes_) {
      if (path != source && !path.starts_with(source + "/")) continue;
      const std::string new_path = target + path.substr(source.size());
      node.status.name = Name(new_path);
      moved[new_path] = node;
    }
    Remove(source);
    nodes_.merge(moved);
  }

  const std::string user_;
  const std::string authority_;
  mutable Mutex mutex_;
  std::map<std::string, Node> nodes_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_inode_ = 16385;
};

}  // namespace dolmen::testing
