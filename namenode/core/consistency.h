// A full check of the stored namespace, for tests and the simulation: reads everything into memory.
#pragma once

#include "absl/status/status.h"
#include "namenode/core/meta_store.h"

namespace dolmen::namenode {

// Checks that: there is one root; every inode has one parent, which is a directory; `inodes` and `ids` agree;
// everything hangs below the root or below a deleted root; child counts and totals equal a recount; `file_blocks` and
// `blocks` agree, indexes have no gaps, only the last block of an open file is under construction; lengths are the sums
// of the blocks'; `open` holds exactly the files under construction; ids are unique and below the counters, block
// counters equal a recount; every record decodes. Errors: kDamaged listing the first violations found.
absl::Status CheckConsistency(const MetaReader& reader);

}  // namespace dolmen::namenode
