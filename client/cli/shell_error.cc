#include "client/cli/shell_error.h"

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

// Marks of this library's own failures; they never leave the process.
constexpr char kUsageMark[] = "dolmen.cli/usage";
constexpr char kFatalMark[] = "dolmen.cli/fatal";
constexpr char kInterruptedMark[] = "dolmen.cli/interrupted";

absl::Status Marked(absl::StatusCode code, std::string_view message, const char* mark) {
  absl::Status status(code, ToAbsl(message));
  status.SetPayload(mark, absl::Cord("1"));
  return status;
}

}  // namespace

absl::Status UsageError(std::string_view message) {
  return Marked(absl::StatusCode::kInvalidArgument, message, kUsageMark);
}
bool IsUsageError(const absl::Status& status) { return status.GetPayload(kUsageMark).has_value(); }

absl::Status FatalError(std::string_view message) {
  return Marked(absl::StatusCode::kUnimplemented, message, kFatalMark);
}
bool IsFatalError(const absl::Status& status) { return status.GetPayload(kFatalMark).has_value(); }

absl::Status InterruptedError() { return Marked(absl::StatusCode::kCancelled, "Interrupted", kInterruptedMark); }
bool IsInterrupted(const absl::Status& status) { return status.GetPayload(kInterruptedMark).has_value(); }

std::string FormatPathMessage(const PathMessage& message) {
  std::string text;
  if (!message.operation.empty()) absl::StrAppend(&text, message.operation, " ");
  absl::StrAppend(&text, "`", message.path, "'");
  if (!message.target.empty()) absl::StrAppend(&text, " to `", message.target, "'");
  absl::StrAppend(&text, ": ", message.error);
  if (!message.qualified.empty() && message.qualified != message.path) {
    absl::StrAppend(&text, ": `", message.qualified, "'");
  }
  return text;
}

absl::Status PathError(const PathMessage& message) {
  return MakeError(absl::StatusCode::kFailedPrecondition, ErrorReason::kIo, FormatPathMessage(message));
}
absl::Status PathError(std::string_view path, std::string_view error) {
  return PathError(PathMessage{.path = std::string(path), .error = std::string(error)});
}
absl::Status NoSuchFile(std::string_view path, std::string_view qualified) {
  return PathError(PathMessage{
      .path = std::string(path), .error = "No such file or directory", .qualified = std::string(qualified)});
}
absl::Status FileExists(std::string_view path) { return PathError(path, "File exists"); }
absl::Status IsADirectory(std::string_view path) { return PathError(path, "Is a directory"); }
absl::Status IsNotADirectory(std::string_view path) { return PathError(path, "Is not a directory"); }
absl::Status InputOutputError(std::string_view path) { return PathError(path, "Input/output error"); }

std::string ShownMessage(const absl::Status& status) {
  const std::string_view message = MessageOf(status);
  std::string first(message.substr(0, message.find('\n')));
  if (first.empty()) first = absl::StatusCodeToString(status.code());
  return first;
}

}  // namespace dolmen::cli
