// `dolmen dfs -put - PATH` as a process of its own, fed from a file.
#pragma once

#include <fstream>
#include <memory>
#include <string>

#include "tests/support/external_cluster.h"
#include "tests/support/pattern.h"

namespace dolmen::testing {

// Writes `size` bytes of the pattern to a local file.
inline void WriteSource(const std::string& file, const Pattern& pattern, uint64_t size) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  constexpr uint64_t kPiece = 1 << 20;
  for (uint64_t at = 0; at < size; at += kPiece) {
    const std::string piece = pattern.Bytes(at, std::min(kPiece, size - at));
    out.write(piece.data(), static_cast<std::streamsize>(piece.size()));
  }
  out.flush();
  EXPECT_TRUE(out.good()) << "writing " << file;
}

inline std::unique_ptr<ChildProcess> StartPut(const ExternalCluster& cluster, const std::string& source,
                                              const std::string& target, uint64_t block_bytes, const std::string& log) {
  return std::make_unique<ChildProcess>(
      std::vector<std::string>{"/bin/bash", "-c", "exec \"$0\" \"$@\" < '" + source + "'",
                               ExternalCluster::Binary("dolmen"), "dfs", "-fs", cluster.uri(), "-D",
                               absl::StrCat("dfs.blocksize=", block_bytes), "-put", "-", target},
      log);
}

// Where put writes before it renames.
inline std::string CopyingName(const std::string& target) { return target + "._COPYING_"; }

}  // namespace dolmen::testing
