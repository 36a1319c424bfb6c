// The machine's own files by system call: what the local tree and the local file system have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace dolmen::cli {

// Absolute and normalised; relative names are taken from the working directory.
std::string AbsoluteLocalPath(const std::string& path);

// "<absolute path> (<why>)", as Java reports files that can't be opened.
absl::Status LocalError(const std::string& path, int error);

// Owns a file descriptor; -1: none.
class UniqueFd {
 public:
  explicit UniqueFd(int fd) : fd_(fd) {}
  ~UniqueFd();
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// All of `data`; signals don't end it. `path` is for the error.
absl::Status WriteAll(int fd, std::string_view data, const std::string& path);

// Like rename(2), but fails with EEXIST if there is something at `to`.
int RenameNoReplace(const std::string& from, const std::string& to);

// The name of an id, or the number if it has none. Thread-safe.
std::string UserName(uint32_t uid);
std::string GroupName(uint32_t gid);

// Empty: leave as it is. Error: "changing ownership of '<path>': ...".
absl::Status SetLocalOwner(const std::string& path, const std::string& owner, const std::string& group);
// Milliseconds since 1970; nothing: leave as it is.
absl::Status SetLocalTimes(const std::string& path, std::optional<int64_t> modified_ms,
                           std::optional<int64_t> accessed_ms);
absl::Status SetLocalMode(const std::string& path, uint16_t permission);

}  // namespace dolmen::cli
