// The failures of the shell and their wording: HDFS's scripts read them, so every character counts.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace dolmen::cli {

// A bad command line (HDFS's IllegalArgumentException): printed as "-cmd: message", then the usage; exit code 255.
absl::Status UsageError(std::string_view message);
bool IsUsageError(const absl::Status& status);

// Something this build can't do at all: printed as "-cmd: Fatal internal error" and the message; exit code 255.
absl::Status FatalError(std::string_view message);
bool IsFatalError(const absl::Status& status);

// The person at the keyboard stopped the command: "cmd: Interrupted", exit code 130.
absl::Status InterruptedError();
bool IsInterrupted(const absl::Status& status);

// What a message about a path is made of; empty parts are left out.
struct PathMessage {
  std::string operation;  // "rename"
  std::string path;       // as typed
  std::string target;
  std::string error;      // "File exists"
  std::string qualified;  // "dolmen://host:7020/x"; left out when equal to `path`
};
// [operation ]`path'[ to `target']: error[: `qualified']
std::string FormatPathMessage(const PathMessage& message);

// An ordinary failure (HDFS's PathIOException): printed as "cmd: text", exit code 1, other arguments go on.
absl::Status PathError(const PathMessage& message);
absl::Status PathError(std::string_view path, std::string_view error);
absl::Status NoSuchFile(std::string_view path, std::string_view qualified = {});
absl::Status FileExists(std::string_view path);
absl::Status IsADirectory(std::string_view path);
absl::Status IsNotADirectory(std::string_view path);
absl::Status InputOutputError(std::string_view path);

// The text shown for a failed status: its first line, never empty.
std::string ShownMessage(const absl::Status& status);

}  // namespace dolmen::cli
