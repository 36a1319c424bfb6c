#include "client/cli/local_io.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "client/cli/path_text.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr size_t kUserEntryBytes = 4096;
constexpr size_t kGroupEntryBytes = 16384;  // its members' names are in it

absl::Status OwnerError(const std::string& path, const std::string& why) {
  return MakeError(absl::StatusCode::kFailedPrecondition, ErrorReason::kIo,
                   absl::StrCat("changing ownership of '", AbsoluteLocalPath(path), "': ", why));
}

std::optional<uid_t> FindUser(const std::string& name) {
  std::array<char, kUserEntryBytes> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return std::nullopt;
  }
  return found->pw_uid;
}

std::optional<gid_t> FindGroup(const std::string& name) {
  std::array<char, kGroupEntryBytes> buffer{};
  group entry{};
  group* found = nullptr;
  if (getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return std::nullopt;
  }
  return found->gr_gid;
}

timespec TimeOf(std::optional<int64_t> ms) {
  if (!ms.has_value()) return timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT};
  const int64_t seconds = *ms >= 0 ? *ms / 1000 : -((999 - *ms) / 1000);
  return timespec{.tv_sec = seconds, .tv_nsec = (*ms - seconds * 1000) * 1'000'000};
}

}  // namespace

std::string AbsoluteLocalPath(const std::string& path) {
  if (path.starts_with('/')) return LexicallyNormal(path);
  std::error_code ignored;  // without a working directory names are taken from the root
  const std::string directory = std::filesystem::current_path(ignored).string();
  return LexicallyNormal(absl::StrCat(directory, "/", path));
}

absl::Status LocalError(const std::string& path, int error) {
  return MakeError(absl::StatusCode::kFailedPrecondition, ErrorReason::kIo,
                   absl::StrCat(AbsoluteLocalPath(path), " (", std::strerror(error), ")"));
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) close(fd_);
}

absl::Status WriteAll(int fd, std::string_view data, const std::string& path) {
  while (!data.empty()) {
    const ssize_t count = write(fd, data.data(), data.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return LocalError(path, errno);
    }
    data.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

int RenameNoReplace(const std::string& from, const std::string& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  // Not every file system can do it in one step.
  struct stat st {};
  if (lstat(to.c_str(), &st) == 0) {
    errno = EEXIST;
    return -1;
  }
  return errno == ENOENT ? rename(from.c_str(), to.c_str()) : -1;
}

std::string UserName(uint32_t uid) {
  std::array<char, kUserEntryBytes> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->pw_name;
  return std::to_string(uid);
}

std::string GroupName(uint32_t gid) {
  std::array<char, kGroupEntryBytes> buffer{};
  group entry{};
  group* found = nullptr;
  if (getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->gr_name;
  return std::to_string(gid);
}

absl::Status SetLocalOwner(const std::string& path, const std::string& owner, const std::string& group) {
  struct stat st {};
  if (stat(path.c_str(), &st) != 0) return LocalError(path, errno);
  const bool same_owner = owner.empty() || UserName(st.st_uid) == owner;
  const bool same_group = group.empty() || GroupName(st.st_gid) == group;
  if (same_owner && same_group) return absl::OkStatus();
  const std::optional<uid_t> uid = owner.empty() ? st.st_uid : FindUser(owner);
  if (!uid.has_value()) return OwnerError(path, absl::StrCat("invalid user: '", owner, "'"));
  const std::optional<gid_t> gid = group.empty() ? st.st_gid : FindGroup(group);
  if (!gid.has_value()) return OwnerError(path, absl::StrCat("invalid group: '", group, "'"));
  if (chown(path.c_str(), *uid, *gid) != 0) return OwnerError(path, std::strerror(errno));
  return absl::OkStatus();
}

absl::Status SetLocalTimes(const std::string& path, std::optional<int64_t> modified_ms,
                           std::optional<int64_t> accessed_ms) {
  const timespec times[2] = {TimeOf(accessed_ms), TimeOf(modified_ms)};
  return utimensat(AT_FDCWD, path.c_str(), times, 0) == 0 ? absl::OkStatus() : LocalError(path, errno);
}

absl::Status SetLocalMode(const std::string& path, uint16_t permission) {
  return chmod(path.c_str(), permission) == 0 ? absl::OkStatus() : LocalError(path, errno);
}

}  // namespace dolmen::cli
