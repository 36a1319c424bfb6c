// How soon a namenode that is being started answers: each question asked over and over until it is answered, by a
// thread of its own.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace dolmen::bench {

struct StartTimes {
  double first_stat = 0;    // seconds from the call, of a path deep in the tree
  double first_create = 0;  // durable
  double first_read = 0;    // of a whole file; 0 when none was asked for
};

// `uri` of the namenode; `stat_path` must exist, `create_path` must not, `read_path` is a file with data (empty: no
// read). Error: one of them not within `limit_seconds`; the text says which and why.
absl::StatusOr<StartTimes> ProbeStart(const std::string& uri, const std::string& stat_path,
                                      const std::string& create_path, const std::string& read_path,
                                      double limit_seconds);

}  // namespace dolmen::bench
