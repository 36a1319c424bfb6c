// absl::Status <-> grpc::Status. The code goes by one table used both ways, the message as it is, the ErrorReason in
// the status details (message ErrorDetails). Nothing else travels.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/error.h"
#include "grpcpp/support/status.h"

namespace dolmen::rpc {

// Longer messages are cut, so that a status always fits the metadata limit of our channels even when every byte of it
// must be escaped. Room for two paths of full length and a sentence.
inline constexpr size_t kMaxStatusMessageBytes = 20 << 10;

grpc::Status ToGrpc(const absl::Status& status);
// A reason this build does not know becomes kNone: the code still says what to do.
absl::Status FromGrpc(const grpc::Status& status);

grpc::StatusCode ToGrpcCode(absl::StatusCode code);
// kUnknown for numbers outside the table.
absl::StatusCode FromGrpcCode(grpc::StatusCode code);
// kNone for numbers this build does not know.
ErrorReason ReasonFromWire(uint64_t number);

// At most `max_bytes` (>= 3) of `text`, cut between UTF-8 sequences; "..." marks a cut.
std::string Shortened(std::string_view text, size_t max_bytes);

}  // namespace dolmen::rpc
