#include "common/memory_file_system.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/memory_disk.h"

namespace dolmen {
namespace {

class MemoryFile final : public File {
 public:
  MemoryFile(std::shared_ptr<MemoryDisk> disk, MemoryNodePtr node, std::string path, bool writable)
      : disk_(std::move(disk)),
        node_(std::move(node)),
        path_(std::move(path)),
        writable_(writable),
        generation_(disk_->generation) {
    disk_->AddOpen(*node_, 1);
  }
  ~MemoryFile() override {
    if (generation_ == disk_->generation) disk_->AddOpen(*node_, -1);
  }

  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const override {
    DOLMEN_RETURN_IF_ERROR(CheckAlive("pread"));
    const std::string& content = node_->content.visible();
    if (offset >= content.size()) return 0;
    const size_t size = std::min<uint64_t>(out.size(), content.size() - offset);
    if (size > 0) std::memcpy(out.data(), content.data() + offset, size);
    return size;
  }

  absl::Status WriteAt(uint64_t offset, std::string_view data) override {
    return WriteAt(offset, std::span<const std::string_view>(&data, 1));
  }

  absl::Status WriteAt(uint64_t offset, std::span<const std::string_view> pieces) override {
    DOLMEN_RETURN_IF_ERROR(CheckWritable("pwritev"));
    uint64_t length = 0;
    for (const std::string_view piece : pieces) length += piece.size();
    if (length == 0) return absl::OkStatus();
    DOLMEN_RETURN_IF_ERROR(Resize("pwritev", std::max(node_->content.visible().size(), offset + length)));
    node_->content.Write(offset, pieces, length);
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    DOLMEN_RETURN_IF_ERROR(CheckAlive("fdatasync"));
    node_->content.Sync();
    return absl::OkStatus();
  }

  void StartWriteback(uint64_t /*offset*/, uint64_t /*length*/) override {}

  absl::Status Truncate(uint64_t size) override {
    DOLMEN_RETURN_IF_ERROR(CheckWritable("ftruncate"));
    DOLMEN_RETURN_IF_ERROR(Resize("ftruncate", size));
    node_->content.Truncate(size);
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() const override {
    DOLMEN_RETURN_IF_ERROR(CheckAlive("fstat"));
    return node_->content.visible().size();
  }

 private:
  absl::Status CheckAlive(const char* call) const {
    if (generation_ == disk_->generation) return absl::OkStatus();
    return DiskError(ErrorReason::kIo, call, path_, "opened before a crash; open it again");
  }

  absl::Status CheckWritable(const char* call) const {
    DOLMEN_RETURN_IF_ERROR(CheckAlive(call));
    return writable_ ? absl::OkStatus() : DiskError(ErrorReason::kIo, call, path_, "Bad file descriptor");
  }

  // Takes or gives back the space for a size of `size`.
  absl::Status Resize(const char* call, uint64_t size) {
    const uint64_t old_size = node_->content.visible().size();
    if (size > old_size && size - old_size > disk_->capacity - std::min(disk_->used, disk_->capacity)) {
      return DiskError(ErrorReason::kNoSpace, call, path_, "No space left on device");
    }
    disk_->used = disk_->used - old_size + size;
    return absl::OkStatus();
  }

  const std::shared_ptr<MemoryDisk> disk_;
  const MemoryNodePtr node_;
  const std::string path_;
  const bool writable_;
  const uint64_t generation_;
};

class MemoryLock final : public FileLock {
 public:
  MemoryLock(std::shared_ptr<MemoryDisk> disk, MemoryNodePtr node)
      : disk_(std::move(disk)), node_(std::move(node)), generation_(disk_->generation) {
    node_->locked_in = generation_;
  }
  ~MemoryLock() override {
    if (node_->locked_in == generation_) node_->locked_in = 0;
  }

 private:
  const std::shared_ptr<MemoryDisk> disk_;
  const MemoryNodePtr node_;
  const uint64_t generation_;
};

}  // namespace

struct MemoryFileSystem::State {
  std::shared_ptr<MemoryDisk> disk;

  // The file at `path`, created if `create` and missing.
  absl::StatusOr<MemoryNodePtr> OpenNode(const std::string& path, bool create, bool must_be_new) const {
    DOLMEN_ASSIGN_OR_RETURN(MemoryDisk::Place place, disk->Find("open", path));
    if (place.node != nullptr) {
      if (must_be_new) return DiskError(ErrorReason::kFileAlreadyExists, "open", path, "File exists");
      if (place.node->directory) return IsDirectory("open", path);
      return place.node;
    }
    if (!create) return NotFound("open", path);
    auto node = std::make_shared<MemoryNode>(false);
    disk->Change({{place.directory, place.name, node}});
    disk->SetNamed(*node, true);
    return node;
  }
};

MemoryFileSystem::MemoryFileSystem(uint64_t capacity_bytes) : state_(std::make_unique<State>()) {
  state_->disk = std::make_shared<MemoryDisk>(capacity_bytes);
}

MemoryFileSystem::~MemoryFileSystem() = default;

void MemoryFileSystem::Crash() { state_->disk->EndGeneration(); }
void MemoryFileSystem::PowerLoss(Random& random) { state_->disk->LosePower(random); }
uint64_t MemoryFileSystem::used_bytes() const { return state_->disk->used; }
void MemoryFileSystem::set_capacity(uint64_t capacity_bytes) { state_->disk->capacity = capacity_bytes; }

absl::Status MemoryFileSystem::FlipBit(const std::string& path, uint64_t bit_index) {
  DOLMEN_ASSIGN_OR_RETURN(const MemoryNodePtr node, state_->OpenNode(path, false, false));
  if (bit_index / 8 >= node->content.visible().size()) {
    return MakeError(ErrorReason::kIllegalArgument, absl::StrCat("flip bit ", bit_index, " of ", path, ": it has only ",
                                                                 node->content.visible().size(), " bytes"));
  }
  node->content.FlipBit(bit_index);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<File>> MemoryFileSystem::Open(const std::string& path, OpenMode mode) {
  const bool create = mode == OpenMode::kCreateNew || mode == OpenMode::kCreateOrOpen;
  DOLMEN_ASSIGN_OR_RETURN(MemoryNodePtr node, state_->OpenNode(path, create, mode == OpenMode::kCreateNew));
  return std::make_unique<MemoryFile>(state_->disk, std::move(node), path, mode != OpenMode::kRead);
}

absl::Status MemoryFileSystem::Rename(const std::string& from, const std::string& to) {
  const std::string both = absl::StrCat(from, " to ", to);
  DOLMEN_ASSIGN_OR_RETURN(MemoryDisk::Place source, state_->disk->Find("rename", from));
  DOLMEN_ASSIGN_OR_RETURN(MemoryDisk::Place target, state_->disk->Find("rename", to));
  if (source.node == nullptr) return NotFound("rename", both);
  if (source.directory == nullptr || target.directory == nullptr) {
    return DiskError(ErrorReason::kIo, "rename", both, "Device or resource busy");
  }
  if (source.node == target.node) return absl::OkStatus();
  if (source.node->directory) {
    const std::vector<std::string_view> inner = SplitPath(to);
    const std::vector<std::string_view> outer = SplitPath(from);
    if (inner.size() > outer.size() && std::equal(outer.begin(), outer.end(), inner.begin())) {
      return DiskError(ErrorReason::kIo, "rename", both, "Invalid argument");
    }
  }
  const MemoryNode* replaced_directory = nullptr;
  if (target.node != nullptr) {
    if (target.node->directory && !source.node->directory) return IsDirectory("rename", both);
    if (!target.node->directory && source.node->directory) return NotDirectory("rename", both);
    if (!target.node->visible.empty()) return DiskError(ErrorReason::kIo, "rename", both, "Directory not empty");
    if (target.node->directory) replaced_directory = target.node.get();
    state_->disk->SetNamed(*target.node, false);
  }
  std::vector<uint64_t> needs;
  if (source.directory != target.directory) needs = state_->disk->PendingOnTheWayTo(to);
  state_->disk->Change({{source.directory, source.name, nullptr}, {target.directory, target.name, source.node}},
                       replaced_directory, std::move(needs));
  return absl::OkStatus();
}

absl::Status MemoryFileSystem::RemoveFile(const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(MemoryDisk::Place place, state_->disk->Find("unlink", path));
  if (place.node == nullptr) return NotFound("unlink", path);
  if (place.node->directory) return IsDirectory("unlink", path);
  state_->disk->SetNamed(*place.node, false);
  state_->disk->Change({{place.directory, place.name, nullptr}});
  return absl::OkStatus();
}

absl::Status MemoryFileSystem::RemoveDirectory(const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(MemoryDisk::Place place, state_->disk->Find("rmdir", path));
  if (place.node == nullptr) return NotFound("rmdir", path);
  if (!place.node->directory) return NotDirectory("rmdir", path);
  if (!place.node->visible.empty()) return DiskError(ErrorReason::kIo, "rmdir", path, "Directory not empty");
  if (place.directory == nullptr) return DiskError(ErrorReason::kIo, "rmdir", path, "Device or resource busy");
  state_->disk->Change({{place.directory, place.name, nullptr}}, place.node.get());
  return absl::OkStatus();
}

absl::Status MemoryFileSystem::CreateDirectories(const std::string& path) {
  MemoryNodePtr directory = state_->disk->root;
  const std::vector<std::string_view> parts = SplitPath(path);
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto found = directory->visible.find(parts[i]);
    if (found == directory->visible.end()) {
      auto created = std::make_shared<MemoryNode>(true);
      state_->disk->Change({{directory, std::string(parts[i]), created}});
      directory = std::move(created);
      continue;
    }
    if (!found->second->directory) {
      if (i + 1 < parts.size()) return NotDirectory("mkdir", path);
      return DiskError(ErrorReason::kFileAlreadyExists, "mkdir", path, "File exists");
    }
    directory = found->second;
  }
  return absl::OkStatus();
}

absl::Status MemoryFileSystem::SyncDirectory(const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(MemoryDisk::Place place, state_->disk->Find("fsync", path));
  if (place.node == nullptr) return NotFound("fsync", path);
  if (!place.node->directory) return NotDirectory("fsync", path);
  state_->disk->MakeStable(std::set<uint64_t>(place.node->pending));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> MemoryFileSystem::List(const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(MemoryDisk::Place place, state_->disk->Find("opendir", path));
  if (place.node == nullptr) return NotFound("opendir", path);
  if (!place.node->directory) return NotDirectory("opendir", path);
  std::vector<std::string> names;
  names.reserve(place.node->visible.size());
  for (const auto& [name, node] : place.node->visible) names.push_back(name);
  return names;
}

absl::StatusOr<bool> MemoryFileSystem::Exists(const std::string& path) {
  const absl::StatusOr<MemoryDisk::Place> place = state_->disk->Find("stat", path);
  return place.ok() && place->node != nullptr;
}

absl::StatusOr<uint64_t> MemoryFileSystem::FileSize(const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(MemoryDisk::Place place, state_->disk->Find("stat", path));
  if (place.node == nullptr) return NotFound("stat", path);
  if (place.node->directory) return IsDirectory("stat", path);
  return place.node->content.visible().size();
}

absl::StatusOr<DiskSpace> MemoryFileSystem::Space(const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(MemoryDisk::Place place, state_->disk->Find("statvfs", path));
  if (place.node == nullptr) return NotFound("statvfs", path);
  const MemoryDisk& disk = *state_->disk;
  return DiskSpace{.capacity_bytes = disk.capacity,
                   .available_bytes = disk.capacity - std::min(disk.used, disk.capacity)};
}

absl::StatusOr<std::unique_ptr<FileLock>> MemoryFileSystem::Lock(const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(MemoryNodePtr node, state_->OpenNode(path, true, false));
  if (node->locked_in == state_->disk->generation) {
    return MakeError(ErrorReason::kBusy, absl::StrCat("lock ", path, ": held already; release it first"));
  }
  return std::make_unique<MemoryLock>(state_->disk, std::move(node));
}

}  // namespace dolmen
