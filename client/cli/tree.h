// A file tree that can be copied from and to: the local one and Dolmen's look the same to the copy code.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dolmen::cli {

struct NodeInfo {
  bool is_directory = false;
  bool is_regular = true;  // false: pipe, socket, device (local only)
  uint64_t length = 0;
  uint16_t permission = 0;
  std::string owner;  // "" for local nodes until WithOwnerNames
  std::string group;
  int64_t modified_ms = 0;
  int64_t accessed_ms = 0;
  uint64_t device = 0;  // with `inode`: which directory this is, to notice loops of links
  uint64_t inode = 0;
  uint32_t uid = 0;  // local only
  uint32_t gid = 0;
};

// What a copy keeps of its source beside the content.
struct AttributeSet {
  bool times = false;
  bool owner = false;  // and group
  bool mode = false;
  bool any() const { return times || owner || mode; }
  static constexpr AttributeSet All() { return AttributeSet{.times = true, .owner = true, .mode = true}; }
};

// A place in a tree, whether or not something is there.
struct Node {
  std::string shown;             // as typed
  std::string path;              // what the tree's calls take
  std::optional<NodeInfo> info;  // nothing: does not exist
};

// One thread at a time.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual absl::StatusOr<size_t> Read(std::span<char> out) = 0;  // 0: the end
};

// One thread at a time. Destroyed without Close: the file's content is undefined.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual absl::Status Write(std::string_view data) = 0;
  virtual absl::Status Close() = 0;
  virtual void Abort() = 0;  // gives up; the caller then discards the file
};

struct NamedInfo {
  std::string name;
  std::optional<NodeInfo> info;  // nothing: a link that leads nowhere
};

// Thread-safe. Status texts are ready to be shown after "put: ".
class Tree {
 public:
  virtual ~Tree() = default;

  virtual absl::StatusOr<std::optional<NodeInfo>> Stat(const std::string& path) = 0;
  // Entries in byte order of names.
  virtual absl::StatusOr<std::vector<NamedInfo>> List(const std::string& path) = 0;
  virtual absl::StatusOr<std::unique_ptr<Reader>> Open(const std::string& path) = 0;
  // Creates or overwrites. `lazy_persist`: one replica, not necessarily on disk at Close.
  virtual absl::StatusOr<std::unique_ptr<Writer>> Create(const std::string& path, bool lazy_persist) = 0;
  virtual absl::Status MakeDirectory(const std::string& path) = 0;  // and its parents; OK if it exists
  // Gives a finished temporary its final name. `overwrite`: a file of that name is replaced; else that is an error,
  // also if it came since the target was looked up.
  virtual absl::Status Rename(const Node& temporary, const Node& target, bool overwrite) = 0;
  // Removes a temporary that was given up because of `why`. Best effort: not tried where `why` tells that it is in
  // vain.
  virtual void Discard(const std::string& path, const absl::Status& why) = 0;
  // Removes a file or an empty directory that was moved elsewhere.
  virtual absl::Status Remove(const Node& node) = 0;
  // Times, then owner and group, then mode.
  virtual absl::Status SetAttributes(const std::string& path, const NodeInfo& info, AttributeSet which) = 0;
  // Fills in owner and group, which Stat and List leave out where looking them up costs.
  virtual NodeInfo WithOwnerNames(const NodeInfo& info) = 0;

  // Absolute and normalised; the last component of it is the name a copy gets.
  virtual std::string AbsolutePath(const std::string& path) const = 0;
  // Absolute with scheme: "dolmen://host:port/x", "file:///x".
  virtual std::string Qualified(const std::string& path) const = 0;
};

Node ChildNode(const Node& directory, std::string_view name);

}  // namespace dolmen::cli
