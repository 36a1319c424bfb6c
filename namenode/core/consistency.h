// A full check of the stored namespace: for `dolmen namenode --check`, for tests and for the simulation. Needs a fixed
// amount of memory however many files there are: it follows the records in the order of their keys and looks up what
// they refer to, about five look-ups per file.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "namenode/core/meta_store.h"

namespace dolmen::namenode {

struct ConsistencyReport {
  uint64_t files = 0;
  uint64_t directories = 0;
  uint64_t deleted_roots = 0;  // that await the reaper
  uint64_t blocks = 0;
  uint64_t open_files = 0;
  uint64_t violations = 0;
};

// Checks that: there is one root; every inode has one parent, which is a directory; `inodes` and `ids` agree;
// everything hangs below the root or below a deleted root; child counts and totals equal a recount; `file_blocks` and
// `blocks` agree, indexes have no gaps, only the last block of an open file is under construction; lengths are the sums
// of the blocks'; `open` holds exactly the files under construction; ids are unique and below the counters, block
// counters equal a recount; every record decodes. `found` gets each violation as one line. Errors: only those of the
// store; what was checked until then is not told.
absl::StatusOr<ConsistencyReport> CheckNamespace(const MetaReader& reader,
                                                 absl::FunctionRef<void(std::string_view line)> found);

// The same as one status. Errors: kDamaged listing the first violations found.
absl::Status CheckConsistency(const MetaReader& reader);

}  // namespace dolmen::namenode
