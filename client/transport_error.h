// What gRPC's own failures mean: a connection that never was is told from one that broke.
#pragma once

#include "absl/status/status.h"

namespace dolmen::client {

// A failure without a reason that says no connection could be made becomes kUnreachable with a short cause ("Connection
// refused"): the request surely was not sent. Everything else stays as it is.
absl::Status FromTransport(const absl::Status& status);

}  // namespace dolmen::client
