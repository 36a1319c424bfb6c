// The machine's own files as a Tree.
#pragma once

#include <memory>
#include <string>

#include "client/cli/tree.h"

namespace dolmen::cli {

struct LocalTreeOptions {
  bool write_checksum_files = false;  // ".name.crc" beside each file, as Hadoop's local file system writes them
};

// Links are followed. Thread-safe.
std::unique_ptr<Tree> MakeLocalTree(LocalTreeOptions options);

// The node a local path argument names: a plain path, "file:/x" or "file:///x". Looks it up.
// Error (usage): another scheme ("Wrong FS: ..., expected: file:///").
absl::StatusOr<Node> LookUpLocal(Tree& tree, const std::string& typed);

// Reads an open descriptor, e.g. standard input; `fd` is not owned. A signal in the middle of a read is an
// interruption.
class FdReader final : public Reader {
 public:
  FdReader(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
  absl::StatusOr<size_t> Read(std::span<char> out) override;

 private:
  const int fd_;
  const std::string name_;
};

}  // namespace dolmen::cli
