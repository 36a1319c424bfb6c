#include "common/power_loss_tracker.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/error.h"

namespace dolmen {
namespace {

// Files whose removal or replacement is not stable yet wait under such names in their directory.
constexpr std::string_view kSidePrefix = ".dolmen-undo-";
constexpr uint64_t kCopyBytes = 1 << 20;

bool IsBelow(std::string_view path, std::string_view directory) {
  return path.size() > directory.size() && path.substr(0, directory.size()) == directory &&
         (directory.back() == '/' || path[directory.size()] == '/');
}

}  // namespace

std::shared_ptr<TrackedFile> PowerLossTracker::Track(const std::string& path) {
  auto& file = files_[path];
  if (file == nullptr) file = std::make_shared<TrackedFile>(TrackedFile{.path = path});
  return file;
}

void PowerLossTracker::Release(const std::shared_ptr<TrackedFile>& file) {
  const auto found = files_.find(file->path);
  // Left: the map's share and this one.
  if (found != files_.end() && found->second == file && file.use_count() == 2 && file->undo.empty()) {
    files_.erase(found);
  }
}

absl::Status PowerLossTracker::BeforeWrite(TrackedFile& tracked, const File& file, uint64_t offset, uint64_t length) {
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t size, file.Size());
  ContentUndo undo{.offset = offset, .old_size = size};
  if (offset < size) {
    undo.old_bytes.resize(std::min(length, size - offset));
    DOLMEN_ASSIGN_OR_RETURN(const size_t got, file.ReadAt(offset, undo.old_bytes));
    undo.old_bytes.resize(got);
  }
  tracked.undo.push_back(std::move(undo));
  return absl::OkStatus();
}

absl::Status PowerLossTracker::BeforeTruncate(TrackedFile& tracked, const File& file, uint64_t size) {
  return BeforeWrite(tracked, file, size, UINT64_MAX);
}

void PowerLossTracker::Synced(TrackedFile& tracked) {
  if (!tracked.sync_failed) tracked.undo.clear();
}

absl::Status PowerLossTracker::CreateDirectories(const std::string& path) {
  std::vector<std::string> missing;
  for (std::string level = path;; level = DirectoryOf(level)) {
    DOLMEN_ASSIGN_OR_RETURN(const bool exists, base_->Exists(level));
    if (exists || level == "/" || level == ".") break;
    missing.push_back(level);
  }
  DOLMEN_RETURN_IF_ERROR(base_->CreateDirectories(path));
  for (size_t i = missing.size(); i-- > 0;) {
    names_.push_back({.kind = NameUndo::Kind::kCreateDirectory, .path = missing[i]});
  }
  return absl::OkStatus();
}

absl::Status PowerLossTracker::Rename(const std::string& from, const std::string& to) {
  if (from == to) return base_->Rename(from, to);
  NameUndo undo{.kind = NameUndo::Kind::kRename, .path = from, .to = to};
  const bool directory = base_->List(from).ok();
  DOLMEN_ASSIGN_OR_RETURN(const bool replaces, base_->Exists(to));
  if (directory) {
    // Names inside move with it: they are made stable first, so that every record keeps its true path.
    DOLMEN_RETURN_IF_ERROR(MakeStableBelow(from));
  } else if (replaces && !base_->List(to).ok()) {
    // A copy and not a rename of the old file, so that `to` exists at every moment.
    undo.side = NextSide(to);
    DOLMEN_RETURN_IF_ERROR(Copy(to, undo.side));
  }
  if (absl::Status renamed = base_->Rename(from, to); !renamed.ok()) {
    if (!undo.side.empty()) LogIfError(base_->RemoveFile(undo.side), "the rename's error is what counts");
    return renamed;
  }
  if (directory && replaces) names_.push_back({.kind = NameUndo::Kind::kRemoveDirectory, .path = to});
  if (!undo.side.empty()) Moved(to, undo.side);
  Moved(from, to);
  names_.push_back(std::move(undo));
  return absl::OkStatus();
}

absl::Status PowerLossTracker::RemoveFile(const std::string& path) {
  if (base_->List(path).ok()) return base_->RemoveFile(path);  // a directory: let it say so
  const std::string side = NextSide(path);
  DOLMEN_RETURN_IF_ERROR(base_->Rename(path, side), "removing");
  Moved(path, side);
  names_.push_back({.kind = NameUndo::Kind::kRemove, .path = path, .side = side});
  return absl::OkStatus();
}

absl::Status PowerLossTracker::RemoveDirectory(const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string> names, base_->List(path));
  const bool empty = std::all_of(names.begin(), names.end(), IsSide);
  // What was removed from it waits inside it and has to go first.
  if (empty) DOLMEN_RETURN_IF_ERROR(MakeStableBelow(path));
  DOLMEN_RETURN_IF_ERROR(base_->RemoveDirectory(path));
  names_.push_back({.kind = NameUndo::Kind::kRemoveDirectory, .path = path});
  return absl::OkStatus();
}

absl::Status PowerLossTracker::DirectorySynced(const std::string& directory) {
  return MakeStable([&](const NameUndo& undo) { return undo.In(directory); });
}

absl::Status PowerLossTracker::DropUnsynced() {
  absl::Status first;
  for (auto& [path, file] : files_) first.Update(RollBack(*file));
  files_.clear();
  while (!names_.empty()) {
    first.Update(Undo(names_.back()));
    names_.pop_back();
  }
  return first;
}

bool PowerLossTracker::IsSide(const std::string& name) {
  return std::string_view(name).substr(0, kSidePrefix.size()) == kSidePrefix;
}

std::string PowerLossTracker::NextSide(const std::string& path) {
  return JoinPath(DirectoryOf(path), absl::StrCat(ToAbsl(kSidePrefix), ++sides_));
}

absl::Status PowerLossTracker::Copy(const std::string& from, const std::string& to) {
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<File> source, base_->Open(from, OpenMode::kRead));
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<File> copy, base_->Open(to, OpenMode::kCreateOrOpen));
  DOLMEN_RETURN_IF_ERROR(copy->Truncate(0));
  std::string buffer(kCopyBytes, '\0');
  for (uint64_t offset = 0;;) {
    DOLMEN_ASSIGN_OR_RETURN(const size_t got, source->ReadAt(offset, buffer));
    if (got == 0) return absl::OkStatus();
    DOLMEN_RETURN_IF_ERROR(copy->WriteAt(offset, std::string_view(buffer).substr(0, got)));
    offset += got;
  }
}

void PowerLossTracker::Moved(const std::string& from, const std::string& to) {
  std::vector<std::shared_ptr<TrackedFile>> moved;
  for (auto file = files_.begin(); file != files_.end();) {
    if (file->first == from || IsBelow(file->first, from)) {
      moved.push_back(std::move(file->second));
      file = files_.erase(file);
    } else {
      ++file;
    }
  }
  for (std::shared_ptr<TrackedFile>& file : moved) {
    file->path = to + file->path.substr(from.size());
    files_[file->path] = std::move(file);
  }
}

absl::Status PowerLossTracker::MakeStableBelow(const std::string& directory) {
  return MakeStable([&](const NameUndo& undo) {
    return IsBelow(undo.path, directory) || (!undo.to.empty() && IsBelow(undo.to, directory));
  });
}

template <typename Wanted>
absl::Status PowerLossTracker::MakeStable(Wanted wanted) {
  std::set<std::string> settled;
  std::vector<NameUndo> kept;
  absl::Status first;
  for (size_t i = names_.size(); i-- > 0;) {
    NameUndo& undo = names_[i];
    if (!wanted(undo) && !settled.contains(undo.path) && !settled.contains(undo.to)) {
      kept.push_back(std::move(undo));
      continue;
    }
    settled.insert(undo.path);
    if (!undo.to.empty()) {
      settled.insert(undo.to);
      // A stable move between directories needs the way to its target.
      if (DirectoryOf(undo.to) != DirectoryOf(undo.path)) {
        for (std::string way = DirectoryOf(undo.to); way != DirectoryOf(way); way = DirectoryOf(way)) {
          settled.insert(way);
        }
      }
    }
    if (undo.side.empty()) continue;
    first.Update(base_->RemoveFile(undo.side));
    files_.erase(undo.side);
  }
  names_.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
  return first;
}

absl::Status PowerLossTracker::RollBack(TrackedFile& tracked) {
  if (tracked.undo.empty()) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<File>> file = base_->Open(tracked.path, OpenMode::kReadWrite);
  if (absl::IsNotFound(file.status())) return absl::OkStatus();  // removed for good
  DOLMEN_RETURN_IF_ERROR(file.status());
  for (size_t i = tracked.undo.size(); i-- > 0;) {
    const ContentUndo& undo = tracked.undo[i];
    DOLMEN_RETURN_IF_ERROR((*file)->Truncate(undo.old_size));
    if (!undo.old_bytes.empty()) DOLMEN_RETURN_IF_ERROR((*file)->WriteAt(undo.offset, undo.old_bytes));
  }
  tracked.undo.clear();
  return (*file)->Sync();
}

absl::Status PowerLossTracker::RemoveTree(const std::string& directory) {
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string> names, base_->List(directory));
  for (const std::string& name : names) {
    const std::string path = JoinPath(directory, name);
    DOLMEN_RETURN_IF_ERROR(base_->List(path).ok() ? RemoveTree(path) : base_->RemoveFile(path));
  }
  return base_->RemoveDirectory(directory);
}

absl::Status PowerLossTracker::Undo(const NameUndo& undo) {
  switch (undo.kind) {
    case NameUndo::Kind::kCreate:
      return base_->RemoveFile(undo.path);
    case NameUndo::Kind::kRemove:
      return base_->Rename(undo.side, undo.path);
    case NameUndo::Kind::kRename:
      DOLMEN_RETURN_IF_ERROR(base_->Rename(undo.to, undo.path));
      return undo.side.empty() ? absl::OkStatus() : base_->Rename(undo.side, undo.to);
    case NameUndo::Kind::kCreateDirectory:
      return RemoveTree(undo.path);
    case NameUndo::Kind::kRemoveDirectory:
      return base_->CreateDirectories(undo.path);
  }
  return absl::OkStatus();
}
}  // namespace dolmen
