#include "namenode/service/caller_resolver.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/utf8.h"

namespace dolmen::namenode {
namespace {

constexpr size_t kMaxUserBytes = 255;
constexpr size_t kFirstBufferBytes = 16 << 10;
constexpr size_t kMaxBufferBytes = 16 << 20;  // an entry lists all members of a group

// Calls `look_up(buffer)`, one of the getXXX_r functions, with larger buffers until the entry fits.
template <typename LookUp>
bool WithBuffer(std::vector<char>* buffer, const LookUp& look_up) {
  if (buffer->empty()) buffer->resize(kFirstBufferBytes);
  int error = look_up(*buffer);
  for (; error == ERANGE && buffer->size() < kMaxBufferBytes; error = look_up(*buffer))
    buffer->resize(2 * buffer->size());
  return error == 0;
}

}  // namespace

std::vector<std::string> GroupsFromOs(const std::string& user) {
  std::vector<char> buffer;
  passwd entry{};
  passwd* found = nullptr;
  const bool asked = WithBuffer(&buffer, [&](std::vector<char>& room) {
    return getpwnam_r(user.c_str(), &entry, room.data(), room.size(), &found);
  });
  if (!asked || found == nullptr) return {};
  int count = 64;
  std::vector<gid_t> ids(count);
  if (getgrouplist(user.c_str(), entry.pw_gid, ids.data(), &count) < 0) {
    ids.resize(count);
    if (getgrouplist(user.c_str(), entry.pw_gid, ids.data(), &count) < 0) return {};
  }
  ids.resize(count);
  std::vector<std::string> names;
  for (gid_t id : ids) {
    group one{};
    group* group_found = nullptr;
    const bool group_asked = WithBuffer(
        &buffer, [&](std::vector<char>& room) { return getgrgid_r(id, &one, room.data(), room.size(), &group_found); });
    if (group_asked && group_found != nullptr) names.emplace_back(one.gr_name);
  }
  return names;
}

std::string ProcessUser() {
  std::vector<char> buffer;
  passwd entry{};
  passwd* found = nullptr;
  const bool asked = WithBuffer(&buffer, [&](std::vector<char>& room) {
    return getpwuid_r(geteuid(), &entry, room.data(), room.size(), &found);
  });
  if (asked && found != nullptr) return entry.pw_name;
  return "uid" + std::to_string(geteuid());
}

CallerResolver::CallerResolver(const Clock* clock, std::string superuser, std::string supergroup,
                               std::unique_ptr<GroupMappingFile> mapping)
    : clock_(clock),
      superuser_(std::move(superuser)),
      supergroup_(std::move(supergroup)),
      mapping_(std::move(mapping)) {}

Caller CallerResolver::MakeCaller(const std::string& user, const std::string& host,
                                  std::vector<std::string> groups) const {
  const bool in_supergroup = std::find(groups.begin(), groups.end(), supergroup_) != groups.end();
  return {.user = user, .groups = std::move(groups), .is_superuser = user == superuser_ || in_supergroup, .host = host};
}

std::optional<Caller> CallerResolver::Known(const std::string& user, const std::string& host) {
  if (mapping_ != nullptr && mapping_->IsDue()) return std::nullopt;
  const MonotonicTime now = clock_->Now();
  MutexLock lock(&mutex_);
  const auto found = cache_.find(user);
  if (found == cache_.end() || found->second.until <= now) return std::nullopt;
  return MakeCaller(user, host, found->second.groups);
}

absl::StatusOr<Caller> CallerResolver::Resolve(const std::string& user, const std::string& host) {
  if (mapping_ != nullptr && mapping_->Refresh()) {
    MutexLock lock(&mutex_);
    cache_.clear();
    ++mapping_version_;
  }
  if (std::optional<Caller> known = Known(user, host); known.has_value()) return *std::move(known);
  if (user.empty() || user.size() > kMaxUserBytes ||
      user.find_first_of(std::string_view("\0/\n:", 4)) != std::string::npos) {
    return MakeError(ErrorReason::kAccessControl,
                     absl::StrCat("the request names no valid user ('", Printable(user.substr(0, kMaxUserBytes)),
                                  "'): set DOLMEN_USER or run as a named user"));
  }
  uint64_t version = 0;
  {
    MutexLock lock(&mutex_);
    version = mapping_version_;
  }
  std::optional<std::vector<std::string>> mapped = mapping_ != nullptr ? mapping_->GroupsOf(user) : std::nullopt;
  std::vector<std::string> groups = mapped.has_value() ? *std::move(mapped) : GroupsFromOs(user);
  MutexLock lock(&mutex_);
  if (version == mapping_version_) {
    if (cache_.size() >= kMaxCached) cache_.clear();
    cache_[user] = {groups, clock_->Now() + kCacheFor};
  }
  return MakeCaller(user, host, std::move(groups));
}

}  // namespace dolmen::namenode
