#include "common/rpc/shape.h"

#include "absl/strings/str_cat.h"
#include "common/rpc/status_grpc.h"
#include "common/utf8.h"

namespace dolmen::rpc {
namespace {

constexpr size_t kQuotedBytes = 100;

bool HasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

// What is wrong with `text` as text, or "".
std::string TextProblem(std::string_view text) {
  if (HasNul(text)) return absl::StrCat(Quoted(text), " contains a NUL byte; remove it");
  if (!ValidUtf8(text)) return absl::StrCat(Quoted(text), " is not valid UTF-8; encode it as UTF-8");
  return "";
}

absl::Status TooLong(std::string_view field, size_t size, size_t max_bytes, ErrorReason reason) {
  return ShapeError(field, absl::StrCat(size, " bytes are too long; at most ", max_bytes, " are accepted"), reason);
}

}  // namespace

std::string Quoted(std::string_view value) {
  return absl::StrCat("\"", Printable(Shortened(value, kQuotedBytes)), "\"");
}

absl::Status ShapeError(std::string_view field, std::string_view problem, ErrorReason reason) {
  return MakeError(absl::StatusCode::kInvalidArgument, reason, absl::StrCat(ToAbsl(field), ": ", ToAbsl(problem)));
}

absl::Status CheckPath(std::string_view field, std::string_view path) {
  if (path.empty()) return ShapeError(field, "is empty; give an absolute path", ErrorReason::kInvalidPath);
  if (path.size() > kMaxPathBytes) return TooLong(field, path.size(), kMaxPathBytes, ErrorReason::kNameTooLong);
  if (path.front() != '/') {
    return ShapeError(field, absl::StrCat(Quoted(path), " is not absolute; it must begin with \"/\""),
                      ErrorReason::kInvalidPath);
  }
  if (std::string problem = TextProblem(path); !problem.empty()) {
    return ShapeError(field, problem, ErrorReason::kInvalidPath);
  }
  return absl::OkStatus();
}

absl::Status CheckComponent(std::string_view field, std::string_view name) {
  if (name.size() > kMaxPathBytes) return TooLong(field, name.size(), kMaxPathBytes, ErrorReason::kNameTooLong);
  if (name.find('/') != std::string_view::npos) {
    return ShapeError(field, absl::StrCat(Quoted(name), " contains a slash; give one name"), ErrorReason::kInvalidPath);
  }
  if (std::string problem = TextProblem(name); !problem.empty()) {
    return ShapeError(field, problem, ErrorReason::kInvalidPath);
  }
  return absl::OkStatus();
}

absl::Status CheckText(std::string_view field, std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) return TooLong(field, text.size(), max_bytes, ErrorReason::kIllegalArgument);
  if (std::string problem = TextProblem(text); !problem.empty()) return ShapeError(field, problem);
  return absl::OkStatus();
}

absl::Status CheckName(std::string_view field, std::string_view text) {
  if (text.empty()) return ShapeError(field, "is empty; it must be given");
  return CheckText(field, text);
}

absl::Status CheckBytes(std::string_view field, std::string_view bytes, size_t max_bytes) {
  if (bytes.size() > max_bytes) return TooLong(field, bytes.size(), max_bytes, ErrorReason::kIllegalArgument);
  return absl::OkStatus();
}

absl::Status CheckId(std::string_view field, uint64_t value) {
  if (value == 0) return ShapeError(field, "0 is missing; an id from 1 to 2^63-1 must be given");
  return CheckSize(field, value);
}

absl::Status CheckSize(std::string_view field, uint64_t value) {
  if (value >= kIdLimit) return ShapeError(field, absl::StrCat(value, " is out of range; it must be below 2^63"));
  return absl::OkStatus();
}

absl::Status CheckBetween(std::string_view field, uint64_t value, uint64_t low, uint64_t high) {
  if (value < low || value > high) {
    return ShapeError(field, absl::StrCat(value, " is out of range; it must be ", low, " to ", high));
  }
  return absl::OkStatus();
}

absl::Status CheckNotNegative(std::string_view field, int64_t value) {
  if (value < 0) return ShapeError(field, absl::StrCat(value, " is negative; it must be 0 or more"));
  return absl::OkStatus();
}

absl::Status CheckCount(std::string_view field, size_t count, size_t most) {
  if (count > most) return ShapeError(field, absl::StrCat(count, " entries are too many; at most ", most));
  return absl::OkStatus();
}

}  // namespace dolmen::rpc
