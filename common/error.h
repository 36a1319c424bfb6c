// One error type for the whole system: absl::Status plus a reason that callers can act on.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace dolmen {

// Why something failed, beyond the status code. A reason exists only where some caller acts differently on it, or
// where HDFS clients expect a particular exception class. Numbers are on the wire and stored with answers: never reuse.
enum class ErrorReason : uint16_t {
  kNone = 0,                   // the code says it all
  kFileNotFound = 1,           // java.io.FileNotFoundException
  kFileAlreadyExists = 2,      // FileAlreadyExistsException
  kParentNotDirectory = 3,     // ParentNotDirectoryException
  kDirectoryNotEmpty = 4,      // PathIsNotEmptyDirectoryException
  kAccessControl = 5,          // AccessControlException
  kSafeMode = 6,               // SafeModeException
  kLeaseExpired = 7,           // LeaseExpiredException: the caller may no longer write this file
  kAlreadyBeingCreated = 8,    // AlreadyBeingCreatedException
  kRecoveryInProgress = 9,     // RecoveryInProgressException
  kNotReplicatedYet = 10,      // NotReplicatedYetException: ask again shortly
  kInvalidPath = 11,           // InvalidPathException / InvalidPathHandle
  kNameTooLong = 12,           // PathComponentTooLongException, path too long
  kDirectoryFull = 13,         // MaxDirectoryItemsExceededException
  kIllegalArgument = 14,       // HadoopIllegalArgumentException
  kIo = 15,                    // plain IOException
  kOutcomeUnknown = 16,        // the retry's record is gone: it may or may not have been executed
  kBusy = 17,                  // a bounded resource is full: retry after a pause
  kStopped = 18,               // the namenode stopped mutating after a failed commit; it must be restarted
  kNoSpace = 19,               // out of disk space (namenode floor or datanode volume)
  kChecksum = 20,              // bytes do not match their checksums
  kReplicaNotFound = 21,       // the datanode has no such replica
  kStaleGenerationStamp = 22,  // request carries another generation stamp than the replica
  kBadToken = 23,              // access token missing, forged, expired or for something else
  kWrongCluster = 24,          // peer belongs to another cluster
  kStaleEpoch = 25,            // namenode command of an older epoch or other incarnation
  kNotRegistered = 26,         // datanode must register (again) first
  kPipelineFailed = 27,        // a datanode of the write pipeline failed
  kUnreachable = 28,           // no connection to the named address
  kNoDatanodes = 29,           // too few datanodes could take a replica; the text lists each and why
  kBlockMissing = 30,          // no replica of a block could be read; the text lists each and why
  kDamaged = 31,               // stored metadata is damaged
  kCancelled = 32,             // the caller gave up or the stream was closed
};

// What a caller should do about a failure.
enum class RetryAdvice { kRetry, kRetryElsewhere, kGiveUp };

// `code` must not be kOk. The reason travels as a payload and survives the wire (common/rpc/status_grpc.h).
absl::Status MakeError(absl::StatusCode code, ErrorReason reason, std::string_view message);
// The status code that goes with a reason.
absl::StatusCode CodeFor(ErrorReason reason);
// Same, with the code that goes with the reason (CodeFor).
absl::Status MakeError(ErrorReason reason, std::string_view message);
// kNone for OK and for statuses without a reason.
ErrorReason ReasonOf(const absl::Status& status);
RetryAdvice AdviceFor(const absl::Status& status);
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
