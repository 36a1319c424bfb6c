// The names that metadata benchmarks work on.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace dolmen::bench {

// Spread over some directories below one root.
struct Workload {
  static constexpr uint64_t kDirectories = 16;
  static constexpr char kHolder[] = "dolmen-bench";

  std::string root;

  std::string Directory(uint64_t i) const { return absl::StrCat(root, "/d", i % kDirectories); }
  std::string File(uint64_t i) const { return absl::StrCat(Directory(i), "/file", i); }
  std::string Renamed(uint64_t i) const { return absl::StrCat(Directory(i), "/renamed", i); }
  std::string NewDirectory(uint64_t i) const { return absl::StrCat(Directory(i), "/new", i); }
};

// `count` files in a tree of directories: 100 files in each, 10 directories in each, so six levels for a million. Or
// all in one directory.
struct Tree {
  std::string root;
  uint64_t count = 0;
  bool flat = false;

  static constexpr uint64_t kFilesPerDirectory = 100;
  uint64_t Directories() const { return flat ? 1 : (count + kFilesPerDirectory - 1) / kFilesPerDirectory; }
  // All digits of the number are directories, the last one first: neighbours in number are far apart in the tree.
  std::string Directory(uint64_t number) const {
    std::string path = root;
    if (flat) return path;
    for (uint64_t left = number, size = Directories(); size > 1; left /= 10, size = (size + 9) / 10)
      absl::StrAppend(&path, "/", left % 10);
    return path;
  }
  std::string File(uint64_t i) const { return absl::StrCat(Directory(flat ? 0 : i / kFilesPerDirectory), "/file", i); }
};

}  // namespace dolmen::bench
