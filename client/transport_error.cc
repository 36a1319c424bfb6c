#include "client/transport_error.h"

#include <string_view>

#include "common/error.h"

namespace dolmen::client {

absl::Status FromTransport(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kUnavailable || ReasonOf(status) != ErrorReason::kNone) return status;
  // gRPC 1.51 says this of calls that were never given to a connection, with the cause at the end:
  //   failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to remote host:
  //   Connection refused DNS resolution failed for nowhere:1: C-ares status is not ARES_SUCCESS qtype=A name=nowhere
  //   is_balancer=0: Domain name not found
  const std::string_view text = MessageOf(status);
  const bool never_sent = text.starts_with("failed to connect to all addresses") ||
                          text.starts_with("DNS resolution failed") || text.starts_with("empty address list");
  if (!never_sent) return status;
  const size_t cause = text.rfind(": ");
  return MakeError(ErrorReason::kUnreachable, cause == std::string_view::npos ? text : text.substr(cause + 2));
}

}  // namespace dolmen::client
