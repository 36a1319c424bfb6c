#include "common/memory_file_system.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "common/check.h"
#include "common/error.h"

namespace dolmen {
namespace {

constexpr uint64_t kSectorBytes = 512;  // the unit a disk writes as a whole (specified: F-071)

absl::Status DiskError(ErrorReason reason, const char* call, std::string_view path, const char* text) {
  return MakeError(reason, absl::StrCat(call, " ", ToAbsl(path), ": ", text));
}
absl::Status NotFound(const char* call, std::string_view path) {
  return DiskError(ErrorReason::kFileNotFound, call, path, "No such file or directory");
}
absl::Status IsDirectory(const char* call, std::string_view path) {
  return DiskError(ErrorReason::kIo, call, path, "Is a directory");
}
absl::Status NotDirectory(const char* call, std::string_view path) {
  return DiskError(ErrorReason::kIo, call, path, "Not a directory");
}

// What processes see of one file, and a log that leads back to what stable storage holds. Appends, the common case,
// are logged without a copy of their bytes.
class FileContent {
 public:
  const std::string& visible() const { return visible_; }

  void Write(uint64_t offset, std::span<const std::string_view> pieces, uint64_t length) {
    const uint64_t old_size = visible_.size();
    const uint64_t end = offset + length;
    Change change{.offset = offset, .length = length, .old_size = old_size};
    if (offset < old_size) change.old_bytes = visible_.substr(offset, length);
    unsynced_.push_back(std::move(change));
    if (offset == old_size) {
      for (const std::string_view piece : pieces) visible_.append(piece);
      return;
    }
    if (end > old_size) visible_.resize(end);
    for (const std::string_view piece : pieces) {
      std::memcpy(visible_.data() + offset, piece.data(), piece.size());
      offset += piece.size();
    }
  }

  void Truncate(uint64_t size) {
    if (size == visible_.size()) return;
    Change change{.truncate = true, .offset = size, .old_size = visible_.size()};
    if (size < visible_.size()) change.old_bytes = visible_.substr(size);
    unsynced_.push_back(std::move(change));
    visible_.resize(size);
  }

  void Sync() { unsynced_.clear(); }

  void FlipBit(uint64_t bit_index) {
    const uint64_t byte = bit_index / 8;
    const char mask = static_cast<char>(1 << (bit_index % 8));
    visible_[byte] = static_cast<char>(visible_[byte] ^ mask);
    for (Change& change : unsynced_) {
      if (byte >= change.offset && byte - change.offset < change.old_bytes.size()) {
        char& old = change.old_bytes[byte - change.offset];
        old = static_cast<char>(old ^ mask);
      }
    }
  }

  // Goes back to the stable content, then lets `random` decide for each unsynced change.
  void LosePower(Random& random) {
    if (unsynced_.empty()) return;
    std::vector<std::string> written(unsynced_.size());
    for (size_t i = unsynced_.size(); i-- > 0;) {
      const Change& change = unsynced_[i];
      if (!change.truncate) written[i] = visible_.substr(change.offset, change.length);
      visible_.resize(change.old_size);
      if (!change.old_bytes.empty()) visible_.replace(change.offset, change.old_bytes.size(), change.old_bytes);
    }
    for (size_t i = 0; i < unsynced_.size(); ++i) {
      const Change& change = unsynced_[i];
      if (change.truncate) {
        if (random.OneIn(2)) visible_.resize(change.offset);
        continue;
      }
      switch (random.Uniform(4)) {
        case 0:  // dropped; the size may have reached the disk all the same, then zeros are inside
          if (random.OneIn(4)) Put(change.offset + change.length, {});
          break;
        case 1:
          Tear(change.offset, written[i], random);
          break;
        default:
          Put(change.offset, written[i]);
          break;
      }
    }
    unsynced_.clear();
  }

 private:
  struct Change {
    bool truncate = false;
    uint64_t offset = 0;  // truncate: the new size
    uint64_t length = 0;
    uint64_t old_size = 0;
    std::string old_bytes;  // what was at `offset` and is gone
  };

  void Put(uint64_t offset, std::string_view bytes) {
    if (offset + bytes.size() > visible_.size()) visible_.resize(offset + bytes.size());
    visible_.replace(offset, bytes.size(), bytes);
  }

  // Each sector of the file that the write touches arrived or not.
  void Tear(uint64_t offset, std::string_view bytes, Random& random) {
    const bool only_front = random.OneIn(2);
    const uint64_t sectors = (offset + bytes.size() + kSectorBytes - 1) / kSectorBytes - offset / kSectorBytes;
    const uint64_t front = random.Uniform(sectors + 1);
    for (uint64_t sector = 0; !bytes.empty(); ++sector) {
      const uint64_t take = std::min<uint64_t>(bytes.size(), kSectorBytes - offset % kSectorBytes);
      if (only_front ? sector < front : random.OneIn(2)) Put(offset, bytes.substr(0, take));
      offset += take;
      bytes.remove_prefix(take);
    }
  }

  std::string visible_;
  std::vector<Change> unsynced_;  // since the last Sync, oldest first
};

// A file or a directory.
struct Node {
  explicit Node(bool is_directory) : directory(is_directory) {}

  using Entries = std::map<std::string, std::shared_ptr<Node>, std::less<>>;

  const bool directory;
  // File.
  FileContent content;
  bool named = false;       // visible under some name
  uint32_t open_files = 0;  // of the present generation
  uint64_t locked_in = 0;   // generation of the holder; 0: nobody
  // Directory.
  Entries visible;
  Entries stable;
  std::set<uint64_t> pending;                            // numbers of unsynced operations on entries of this
  std::map<std::string, uint64_t, std::less<>> last_of;  // name -> last unsynced operation on it
};
using NodePtr = std::shared_ptr<Node>;

// One name of one directory before and after; null: absent.
struct EntryChange {
  NodePtr directory;
  std::string name;
  NodePtr now;
};

// One creation, removal or rename that no SyncDirectory covers yet. Kept or dropped as a whole, since a journaling
// filesystem keeps a rename atomic, also between directories.
struct EntryOperation {
  std::vector<EntryChange> changes;
  // Operations without which this one makes no sense: earlier ones on the same names; for the removal of a directory
  // those inside it; for a move between directories those that brought the target directory to its place (or a stable
  // file would be lost by a crash). Different names are independent: they may persist in any order (fault F-086).
  std::vector<uint64_t> needs;
};

std::vector<std::string_view> SplitPath(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    if (part.empty() || part == ".") continue;
    DOLMEN_CHECK(part != "..", "the memory filesystem takes no '..'");
    parts.push_back(part);
  }
  return parts;
}

// The disk itself; open files and locks share it, so that they may be destroyed after the filesystem.
class MemoryDisk {
 public:
  explicit MemoryDisk(uint64_t capacity) : capacity(capacity), root(std::make_shared<Node>(true)) {}

  // Where a path leads: the directory that holds (or would hold) its last name, and what is there.
  struct Place {
    NodePtr directory;
    std::string name;
    NodePtr node;  // null: nothing
  };

  absl::StatusOr<Place> Find(const char* call, const std::string& path) const {
    const std::vector<std::string_view> parts = SplitPath(path);
    if (parts.empty()) return Place{.node = root};
    NodePtr directory = root;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = directory->visible.find(parts[i]);
      if (found == directory->visible.end()) return NotFound(call, path);
      if (!found->second->directory) return NotDirectory(call, path);
      directory = found->second;
    }
    const auto found = directory->visible.find(parts.back());
    return Place{directory, std::string(parts.back()), found == directory->visible.end() ? nullptr : found->second};
  }

  // Unsynced operations on the names that lead to the last one of `path`.
  std::vector<uint64_t> PendingOnTheWayTo(const std::string& path) const {
    const std::vector<std::string_view> parts = SplitPath(path);
    std::vector<uint64_t> numbers;
    NodePtr directory = root;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto last = directory->last_of.find(parts[i]);
      if (last != directory->last_of.end()) numbers.push_back(last->second);
      directory = directory->visible.find(parts[i])->second;
    }
    return numbers;
  }

  // Makes the changes visible and remembers them until they are synced.
  void Change(std::vector<EntryChange> changes, const Node* removed_directory = nullptr,
              std::vector<uint64_t> needs = {}) {
    const uint64_t number = ++last_operation;
    EntryOperation operation{.needs = std::move(needs)};
    if (removed_directory != nullptr) {
      operation.needs.insert(operation.needs.end(), removed_directory->pending.begin(),
                             removed_directory->pending.end());
    }
    for (const EntryChange& change : changes) {
      if (change.now != nullptr) {
        change.directory->visible[change.name] = change.now;
      } else {
        change.directory->visible.erase(change.name);
      }
      change.directory->pending.insert(number);
      const auto [last, first] = change.directory->last_of.try_emplace(change.name, number);
      if (!first) operation.needs.push_back(std::exchange(last->second, number));
    }
    operation.changes = std::move(changes);
    unsynced.emplace(number, std::move(operation));
  }

  // Adds what the operations need, transitively.
  std::set<uint64_t> WithNeeds(const std::set<uint64_t>& wanted) const {
    std::set<uint64_t> all;
    std::vector<uint64_t> open(wanted.begin(), wanted.end());
    while (!open.empty()) {
      const uint64_t number = open.back();
      open.pop_back();
      const auto found = unsynced.find(number);
      if (found == unsynced.end() || !all.insert(number).second) continue;
      open.insert(open.end(), found->second.needs.begin(), found->second.needs.end());
    }
    return all;
  }

  // Makes the operations stable, in the order they were made.
  void MakeStable(const std::set<uint64_t>& numbers) {
    for (const uint64_t number : WithNeeds(numbers)) {
      const auto found = unsynced.find(number);
      for (const EntryChange& change : found->second.changes) {
        if (change.now != nullptr) {
          change.directory->stable[change.name] = change.now;
        } else {
          change.directory->stable.erase(change.name);
        }
      }
      Forget(found);
    }
  }

  void Forget(std::map<uint64_t, EntryOperation>::iterator operation) {
    for (const EntryChange& change : operation->second.changes) {
      change.directory->pending.erase(operation->first);
      const auto last = change.directory->last_of.find(change.name);
      if (last != change.directory->last_of.end() && last->second == operation->first) {
        change.directory->last_of.erase(last);
      }
    }
    unsynced.erase(operation);
  }

  // Bytes of a file count while it has a name or is open.
  static bool Counts(const Node& node) { return node.named || node.open_files > 0; }

  void SetNamed(Node& node, bool named) {
    if (node.directory) return;
    const bool counted = Counts(node);
    node.named = named;
    Recount(node, counted);
  }

  void AddOpen(Node& node, int by) {
    const bool counted = Counts(node);
    node.open_files += static_cast<uint32_t>(by);
    Recount(node, counted);
  }

  void Recount(const Node& node, bool counted_before) {
    if (Counts(node) == counted_before) return;
    if (counted_before) {
      used -= node.content.visible().size();
    } else {
      used += node.content.visible().size();
    }
  }

  // Open files of the old generation are dead.
  void EndGeneration() {
    ++generation;
    used = 0;
    Revive(*root);
  }

  // Counts all named files afresh, with nothing open.
  void Revive(Node& directory) {
    for (auto& [name, node] : directory.visible) {
      if (node->directory) {
        Revive(*node);
        continue;
      }
      node->named = true;
      node->open_files = 0;
      used += node->content.visible().size();
    }
  }

  void LosePower(Random& random) {
    std::set<uint64_t> kept;
    for (const auto& [number, operation] : unsynced) {
      if (random.OneIn(2)) kept.insert(number);
    }
    MakeStable(kept);
    while (!unsynced.empty()) Forget(std::prev(unsynced.end()));
    ShowStable(*root, random);
    EndGeneration();
  }

  void ShowStable(Node& directory, Random& random) {
    directory.visible = directory.stable;
    for (auto& [name, node] : directory.visible) {
      if (node->directory) {
        ShowStable(*node, random);
      } else {
        node->content.LosePower(random);
      }
    }
  }

  uint64_t capacity;
  uint64_t used = 0;
  uint64_t generation = 1;
  uint64_t last_operation = 0;
  NodePtr root;
  std::map<uint64_t, EntryOperation> unsynced;  // by number, that is in the order they were made
};

class MemoryFile final : public File {
 public:
  MemoryFile(std::shared_ptr<MemoryDisk> disk, NodePtr node, std::string path, bool writable)
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
  const NodePtr node_;
  const std::string path_;
  const bool writable_;
  const uint64_t generation_;
};

class MemoryLock final : public FileLock {
 public:
  MemoryLock(std::shared_ptr<MemoryDisk> disk, NodePtr node)
      : disk_(std::move(disk)), node_(std::move(node)), generation_(disk_->generation) {
    node_->locked_in = generation_;
  }
  ~MemoryLock() override {
    if (node_->locked_in == generation_) node_->locked_in = 0;
  }

 private:
  const std::shared_ptr<MemoryDisk> disk_;
  const NodePtr node_;
  const uint64_t generation_;
};

}  // namespace

struct MemoryFileSystem::State {
  std::shared_ptr<MemoryDisk> disk;

  // The file at `path`, created if `create` and missing.
  absl::StatusOr<NodePtr> OpenNode(const std::string& path, bool create, bool must_be_new) const {
    DOLMEN_ASSIGN_OR_RETURN(MemoryDisk::Place place, disk->Find("open", path));
    if (place.node != nullptr) {
      if (must_be_new) return DiskError(ErrorReason::kFileAlreadyExists, "open", path, "File exists");
      if (place.node->directory) return IsDirectory("open", path);
      return place.node;
    }
    if (!create) return NotFound("open", path);
    auto node = std::make_shared<Node>(false);
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
  DOLMEN_ASSIGN_OR_RETURN(const NodePtr node, state_->OpenNode(path, false, false));
  if (bit_index / 8 >= node->content.visible().size()) {
    return MakeError(ErrorReason::kIllegalArgument, absl::StrCat("flip bit ", bit_index, " of ", path, ": it has only ",
                                                                 node->content.visible().size(), " bytes"));
  }
  node->content.FlipBit(bit_index);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<File>> MemoryFileSystem::Open(const std::string& path, OpenMode mode) {
  const bool create = mode == OpenMode::kCreateNew || mode == OpenMode::kCreateOrOpen;
  DOLMEN_ASSIGN_OR_RETURN(NodePtr node, state_->OpenNode(path, create, mode == OpenMode::kCreateNew));
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
  const Node* replaced_directory = nullptr;
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
  NodePtr directory = state_->disk->root;
  const std::vector<std::string_view> parts = SplitPath(path);
  for (size_t i = 0; i < parts.size(); ++i) {
    const auto found = directory->visible.find(parts[i]);
    if (found == directory->visible.end()) {
      auto created = std::make_shared<Node>(true);
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
  DOLMEN_ASSIGN_OR_RETURN(NodePtr node, state_->OpenNode(path, true, false));
  if (node->locked_in == state_->disk->generation) {
    return MakeError(ErrorReason::kBusy, absl::StrCat("lock ", path, ": held already; release it first"));
  }
  return std::make_unique<MemoryLock>(state_->disk, std::move(node));
}

}  // namespace dolmen
