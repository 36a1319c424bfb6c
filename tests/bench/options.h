// The command line of dolmen-bench.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace dolmen::bench {

inline constexpr int kDatanodes = 3;

struct Options {
  std::string command;    // meta, io, restart, growth
  std::string directory;  // the run's own directory is made below it; empty: the system's temporary directory
  std::string json_file;  // empty: none
  uint64_t repeats = 5;
  std::chrono::seconds time_limit{3600};
  bool drop_caches = true;           // restart: where the user may
  uint64_t operations = 16'384;      // meta: per measurement with 64 or more outstanding
  uint64_t outstanding = 0;          // meta: only this level; 0: all
  uint64_t file_bytes = 1ull << 30;  // io
  uint64_t small_files = 10'000;     // io
  uint64_t small_bytes = 4096;       // io
  uint64_t threads = 16;             // io: that write small files
  uint64_t files = 1'000'000;        // restart, growth
};

// What `dolmen-bench --help` prints.
std::string UsageText();

// `args` without the program's name; "--name=value" and "--name value" are the same. Errors: kInvalidArgument, one line
// that names the argument and what it may be.
absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& args);

}  // namespace dolmen::bench
