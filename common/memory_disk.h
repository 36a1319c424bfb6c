// The disk under MemoryFileSystem: what processes see of files and names, and what stable storage holds of both.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/error.h"
#include "common/random.h"

namespace dolmen {

// Errors in the words of a real disk: "open /a/b: No such file or directory".
absl::Status DiskError(ErrorReason reason, const char* call, std::string_view path, const char* text);
inline absl::Status NotFound(const char* call, std::string_view path) {
  return DiskError(ErrorReason::kFileNotFound, call, path, "No such file or directory");
}
inline absl::Status IsDirectory(const char* call, std::string_view path) {
  return DiskError(ErrorReason::kIo, call, path, "Is a directory");
}
inline absl::Status NotDirectory(const char* call, std::string_view path) {
  return DiskError(ErrorReason::kIo, call, path, "Not a directory");
}

// The names of a path of this disk, outermost first; "" and "." are left out, ".." is a bug of the caller.
std::vector<std::string_view> SplitPath(std::string_view path);

// What processes see of one file, and a log that leads back to what stable storage holds. Appends, the common case,
// are logged without a copy of their bytes.
class MemoryContent {
 public:
  const std::string& visible() const { return visible_; }

  void Write(uint64_t offset, std::span<const std::string_view> pieces, uint64_t length);
  void Truncate(uint64_t size);
  void Sync() { unsynced_.clear(); }

  void FlipBit(uint64_t bit_index);

  // Goes back to the stable content, then lets `random` decide for each unsynced change.
  void LosePower(Random& random);

 private:
  struct Change {
    bool truncate = false;
    uint64_t offset = 0;  // truncate: the new size
    uint64_t length = 0;
    uint64_t old_size = 0;
    std::string old_bytes;  // what was at `offset` and is gone
  };

  void Put(uint64_t offset, std::string_view bytes);

  // Each sector of the file that the write touches arrived or not.
  void Tear(uint64_t offset, std::string_view bytes, Random& random);

  std::string visible_;
  std::vector<Change> unsynced_;  // since the last Sync, oldest first
};

// A file or a directory.
struct MemoryNode {
  explicit MemoryNode(bool is_directory) : directory(is_directory) {}

  using Entries = std::map<std::string, std::shared_ptr<MemoryNode>, std::less<>>;

  const bool directory;
  // File.
  MemoryContent content;
  bool named = false;       // visible under some name
  uint32_t open_files = 0;  // of the present generation
  uint64_t locked_in = 0;   // generation of the holder; 0: nobody
  // Directory.
  Entries visible;
  Entries stable;
  std::set<uint64_t> pending;                            // numbers of unsynced operations on entries of this
  std::map<std::string, uint64_t, std::less<>> last_of;  // name -> last unsynced operation on it
};
using MemoryNodePtr = std::shared_ptr<MemoryNode>;

// One name of one directory before and after; null: absent.
struct EntryChange {
  MemoryNodePtr directory;
  std::string name;
  MemoryNodePtr now;
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

// The disk itself; open files and locks share it, so that they may be destroyed after the filesystem.
class MemoryDisk {
 public:
  explicit MemoryDisk(uint64_t capacity) : capacity(capacity), root(std::make_shared<MemoryNode>(true)) {}

  // Where a path leads: the directory that holds (or would hold) its last name, and what is there.
  struct Place {
    MemoryNodePtr directory;
    std::string name;
    MemoryNodePtr node;  // null: nothing
  };

  absl::StatusOr<Place> Find(const char* call, const std::string& path) const;

  // Unsynced operations on the names that lead to the last one of `path`.
  std::vector<uint64_t> PendingOnTheWayTo(const std::string& path) const;

  // Makes the changes visible and remembers them until they are synced.
  void Change(std::vector<EntryChange> changes, const MemoryNode* removed_directory = nullptr,
              std::vector<uint64_t> needs = {});

  // Adds what the operations need, transitively.
  std::set<uint64_t> WithNeeds(const std::set<uint64_t>& wanted) const;

  // Makes the operations stable, in the order they were made.
  void MakeStable(const std::set<uint64_t>& numbers);
  void Forget(std::map<uint64_t, EntryOperation>::iterator operation);

  // Bytes of a file count while it has a name or is open.
  static bool Counts(const MemoryNode& node) { return node.named || node.open_files > 0; }

  void SetNamed(MemoryNode& node, bool named);
  void AddOpen(MemoryNode& node, int by);
  void Recount(const MemoryNode& node, bool counted_before);

  // Open files of the old generation are dead.
  void EndGeneration();

  // Counts all named files afresh, with nothing open.
  void Revive(MemoryNode& directory);
  void LosePower(Random& random);
  void ShowStable(MemoryNode& directory, Random& random);

  uint64_t capacity;
  uint64_t used = 0;
  uint64_t generation = 1;
  uint64_t last_operation = 0;
  MemoryNodePtr root;
  std::map<uint64_t, EntryOperation> unsynced;  // by number, that is in the order they were made
};

}  // namespace dolmen
