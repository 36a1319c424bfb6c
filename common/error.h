// One error type for the whole system: absl::Status plus a reason that callers can act on (common/dolmen/error.h, which
// applications see). Here is what makes and passes on errors.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/dolmen/error.h"

namespace dolmen {

// `code` must not be kOk. The reason travels as a payload and survives the wire (common/rpc/status_grpc.h).
absl::Status MakeError(absl::StatusCode code, ErrorReason reason, std::string_view message);
// The status code that goes with a reason.
absl::StatusCode CodeFor(ErrorReason reason);
// Same, with the code that goes with the reason (CodeFor).
absl::Status MakeError(ErrorReason reason, std::string_view message);
// Same code and reason, `context` + ": " before the message. OK stays OK.
absl::Status Annotate(const absl::Status& status, std::string_view context);
// std::string_view of a status message (Debian's absl::string_view is not std::string_view).
inline std::string_view MessageOf(const absl::Status& status) {
  return std::string_view(status.message().data(), status.message().size());
}
inline absl::string_view ToAbsl(std::string_view text) { return absl::string_view(text.data(), text.size()); }
inline std::string_view FromAbsl(absl::string_view text) { return std::string_view(text.data(), text.size()); }

// Logs a failure that is dropped on purpose; `why` says why that is right.
void LogIfError(const absl::Status& status, std::string_view why);

}  // namespace dolmen

#define DOLMEN_CONCAT_INNER_(a, b) a##b
#define DOLMEN_CONCAT_(a, b) DOLMEN_CONCAT_INNER_(a, b)
// DOLMEN_RETURN_IF_ERROR(expr) or DOLMEN_RETURN_IF_ERROR(expr, context): returns the failed status, annotated.
#define DOLMEN_RETURN_IF_ERROR(expr, ...)                                                             \
  do {                                                                                                \
    if (absl::Status dolmen_status_ = (expr); !dolmen_status_.ok()) [[unlikely]]                      \
      return ::dolmen::internal::MaybeAnnotate(std::move(dolmen_status_) __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)
// DOLMEN_ASSIGN_OR_RETURN(lhs, expr) or with a context.
#define DOLMEN_ASSIGN_OR_RETURN(lhs, expr, ...) \
  DOLMEN_ASSIGN_OR_RETURN_IMPL_(DOLMEN_CONCAT_(dolmen_statusor_, __LINE__), lhs, expr __VA_OPT__(, ) __VA_ARGS__)
#define DOLMEN_ASSIGN_OR_RETURN_IMPL_(var, lhs, expr, ...)                                        \
  auto var = (expr);                                                                              \
  if (!var.ok()) [[unlikely]]                                                                     \
    return ::dolmen::internal::MaybeAnnotate(std::move(var).status() __VA_OPT__(, ) __VA_ARGS__); \
  lhs = *std::move(var)

namespace dolmen::internal {
inline absl::Status MaybeAnnotate(absl::Status status) { return status; }
inline absl::Status MaybeAnnotate(const absl::Status& status, std::string_view context) {
  return Annotate(status, context);
}
}  // namespace dolmen::internal
