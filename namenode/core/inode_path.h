// A path and the inodes on it, as far as they exist: what permission checks and operations work on.
#pragma once

#include <string>
#include <vector>

#include "namenode/core/records.h"

namespace dolmen::namenode {

struct InodePath {
  std::vector<std::string> names;   // every component below the root
  std::vector<InodeRecord> inodes;  // [0] the root, [i] named names[i - 1]; only those that exist, never empty

  bool IsRoot() const { return names.empty(); }
  bool Exists() const { return inodes.size() == names.size() + 1; }
  // Not for the root.
  bool ParentExists() const { return inodes.size() >= names.size(); }
  // Of an existing path.
  const InodeRecord& Target() const { return inodes.back(); }
  InodeRecord& Target() { return inodes.back(); }
  // When ParentExists().
  const InodeRecord& Parent() const { return inodes[names.size() - 1]; }
  InodeRecord& Parent() { return inodes[names.size() - 1]; }

  // The first `depth` components as a path; "/" for 0.
  std::string PathTo(size_t depth) const {
    if (depth == 0) return "/";
    std::string path;
    for (size_t i = 0; i < depth; ++i) path.append("/").append(names[i]);
    return path;
  }
  std::string ToString() const { return PathTo(names.size()); }
  // Ids of the first `count` inodes, the root first.
  std::vector<InodeId> Ids(size_t count) const {
    std::vector<InodeId> ids;
    ids.reserve(count);
    for (size_t i = 0; i < count; ++i) ids.push_back(inodes[i].id);
    return ids;
  }
};

}  // namespace dolmen::namenode
