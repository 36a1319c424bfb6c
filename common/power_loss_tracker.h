// What a loss of power would undo on a real disk, for FaultyFileSystem.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/file_system.h"

namespace dolmen {

// A written range as it was before, or a truncation (then `offset` is the new size).
struct ContentUndo {
  uint64_t offset = 0;
  uint64_t old_size = 0;
  std::string old_bytes;
};

// One file with an open handle or unsynced bytes.
struct TrackedFile {
  std::string path;
  std::vector<ContentUndo> undo;  // oldest first
  // A sync failed: what was not stable then never will be, whatever a later sync says (contract C-18).
  bool sync_failed = false;
};

// One change of names that no SyncDirectory covers yet.
struct NameUndo {
  enum class Kind { kCreate, kRemove, kRename, kCreateDirectory, kRemoveDirectory };
  Kind kind = Kind::kCreate;
  std::string path;  // rename: from
  std::string to;    // rename only
  std::string side;  // where the removed or replaced file waits; empty: there was none

  bool In(const std::string& directory) const {
    return DirectoryOf(path) == directory || (!to.empty() && DirectoryOf(to) == directory);
  }
};

// Knows what a power loss would undo on `base`. Externally synchronised. Simple instead of fast: for tests.
class PowerLossTracker {
 public:
  explicit PowerLossTracker(FileSystem* base) : base_(base) {}

  std::shared_ptr<TrackedFile> Track(const std::string& path);

  // A handle was closed; `file` is its share.
  void Release(const std::shared_ptr<TrackedFile>& file);

  // To be called around each change: before those of contents, in place of those of names.
  absl::Status BeforeWrite(TrackedFile& tracked, const File& file, uint64_t offset, uint64_t length);
  absl::Status BeforeTruncate(TrackedFile& tracked, const File& file, uint64_t size);
  static void Synced(TrackedFile& tracked);
  void Created(const std::string& path) { names_.push_back({.kind = NameUndo::Kind::kCreate, .path = path}); }
  absl::Status CreateDirectories(const std::string& path);
  absl::Status Rename(const std::string& from, const std::string& to);
  absl::Status RemoveFile(const std::string& path);
  absl::Status RemoveDirectory(const std::string& path);
  absl::Status DirectorySynced(const std::string& directory);

  // Undoes all. Goes on after an error and returns the first.
  absl::Status DropUnsynced();

  // The name of a file that waits under it (NameUndo::side); nobody else should see it.
  static bool IsSide(const std::string& name);

 private:
  std::string NextSide(const std::string& path);
  absl::Status Copy(const std::string& from, const std::string& to);

  // Tracked files at or below `from` are now at `to`.
  void Moved(const std::string& from, const std::string& to);
  absl::Status MakeStableBelow(const std::string& directory);

  // Also the earlier changes of the same names: a later one that is stable has settled them.
  template <typename Wanted>
  absl::Status MakeStable(Wanted wanted);

  absl::Status RollBack(TrackedFile& tracked);

  // A directory whose name is lost takes what is in it along, however well that was synced.
  absl::Status RemoveTree(const std::string& directory);

  absl::Status Undo(const NameUndo& undo);

  FileSystem* const base_;
  std::map<std::string, std::shared_ptr<TrackedFile>> files_;  // by present path
  std::vector<NameUndo> names_;                                // oldest first
  uint64_t sides_ = 0;
};

}  // namespace dolmen
