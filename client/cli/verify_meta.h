// `dolmen debug verifyMeta`: looks at the two files of one replica, without a cluster.
#pragma once

#include <ostream>
#include <string>

namespace dolmen::cli {

// Prints the kind of checksums that the checksum file `meta` holds; with a `block` (a data file; may be empty) also
// whether all of its chunks match. Returns HDFS's exit codes: 0, or 1 when something is wrong. Reads in bounded pieces.
int VerifyMeta(const std::string& meta, const std::string& block, std::ostream& out, std::ostream& err);

}  // namespace dolmen::cli
