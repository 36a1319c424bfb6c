#include "common/memory_disk.h"

#include <algorithm>
#include <cstring>

#include "common/check.h"
#include "common/error.h"

namespace dolmen {
namespace {

constexpr uint64_t kSectorBytes = 512;  // the unit a disk writes as a whole (specified: F-071)

}  // namespace

absl::Status DiskError(ErrorReason reason, const char* call, std::string_view path, const char* text) {
  return MakeError(reason, absl::StrCat(call, " ", ToAbsl(path), ": ", text));
}

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

void MemoryContent::Write(uint64_t offset, std::span<const std::string_view> pieces, uint64_t length) {
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

void MemoryContent::Truncate(uint64_t size) {
  if (size == visible_.size()) return;
  Change change{.truncate = true, .offset = size, .old_size = visible_.size()};
  if (size < visible_.size()) change.old_bytes = visible_.substr(size);
  unsynced_.push_back(std::move(change));
  visible_.resize(size);
}

void MemoryContent::FlipBit(uint64_t bit_index) {
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

void MemoryContent::LosePower(Random& random) {
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

void MemoryContent::Put(uint64_t offset, std::string_view bytes) {
  if (offset + bytes.size() > visible_.size()) visible_.resize(offset + bytes.size());
  visible_.replace(offset, bytes.size(), bytes);
}

void MemoryContent::Tear(uint64_t offset, std::string_view bytes, Random& random) {
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
absl::StatusOr<MemoryDisk::Place> MemoryDisk::Find(const char* call, const std::string& path) const {
  const std::vector<std::string_view> parts = SplitPath(path);
  if (parts.empty()) return Place{.node = root};
  MemoryNodePtr directory = root;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const auto found = directory->visible.find(parts[i]);
    if (found == directory->visible.end()) return NotFound(call, path);
    if (!found->second->directory) return NotDirectory(call, path);
    directory = found->second;
  }
  const auto found = directory->visible.find(parts.back());
  return Place{directory, std::string(parts.back()), found == directory->visible.end() ? nullptr : found->second};
}

std::vector<uint64_t> MemoryDisk::PendingOnTheWayTo(const std::string& path) const {
  const std::vector<std::string_view> parts = SplitPath(path);
  std::vector<uint64_t> numbers;
  MemoryNodePtr directory = root;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const auto last = directory->last_of.find(parts[i]);
    if (last != directory->last_of.end()) numbers.push_back(last->second);
    directory = directory->visible.find(parts[i])->second;
  }
  return numbers;
}

void MemoryDisk::Change(std::vector<EntryChange> changes, const MemoryNode* removed_directory,
                        std::vector<uint64_t> needs) {
  const uint64_t number = ++last_operation;
  EntryOperation operation{.needs = std::move(needs)};
  if (removed_directory != nullptr) {
    operation.needs.insert(operation.needs.end(), removed_directory->pending.begin(), removed_directory->pending.end());
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

std::set<uint64_t> MemoryDisk::WithNeeds(const std::set<uint64_t>& wanted) const {
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

void MemoryDisk::MakeStable(const std::set<uint64_t>& numbers) {
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

void MemoryDisk::Forget(std::map<uint64_t, EntryOperation>::iterator operation) {
  for (const EntryChange& change : operation->second.changes) {
    change.directory->pending.erase(operation->first);
    const auto last = change.directory->last_of.find(change.name);
    if (last != change.directory->last_of.end() && last->second == operation->first) {
      change.directory->last_of.erase(last);
    }
  }
  unsynced.erase(operation);
}

void MemoryDisk::SetNamed(MemoryNode& node, bool named) {
  if (node.directory) return;
  const bool counted = Counts(node);
  node.named = named;
  Recount(node, counted);
}

void MemoryDisk::AddOpen(MemoryNode& node, int by) {
  const bool counted = Counts(node);
  node.open_files += static_cast<uint32_t>(by);
  Recount(node, counted);
}

void MemoryDisk::Recount(const MemoryNode& node, bool counted_before) {
  if (Counts(node) == counted_before) return;
  if (counted_before) {
    used -= node.content.visible().size();
  } else {
    used += node.content.visible().size();
  }
}

void MemoryDisk::EndGeneration() {
  ++generation;
  used = 0;
  Revive(*root);
}

void MemoryDisk::Revive(MemoryNode& directory) {
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

void MemoryDisk::LosePower(Random& random) {
  std::set<uint64_t> kept;
  for (const auto& [number, operation] : unsynced) {
    if (random.OneIn(2)) kept.insert(number);
  }
  MakeStable(kept);
  while (!unsynced.empty()) Forget(std::prev(unsynced.end()));
  ShowStable(*root, random);
  EndGeneration();
}

void MemoryDisk::ShowStable(MemoryNode& directory, Random& random) {
  directory.visible = directory.stable;
  for (auto& [name, node] : directory.visible) {
    if (node->directory) {
      ShowStable(*node, random);
    } else {
      node->content.LosePower(random);
    }
  }
}
}  // namespace dolmen
