// Who a call comes from, as the server establishes it: the user name is claimed ("simple" security), groups and the
// superuser role come from this machine or a file on it, never from the client.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "namenode/core/operation.h"
#include "namenode/service/group_mapping.h"

namespace dolmen::namenode {

// Thread-safe. Answers are cached for a while; at most kMaxCached users.
class CallerResolver {
 public:
  // `superuser`: who formatted the namespace; members of `supergroup` are superusers too.
  // `mapping`: says more of some users than the OS does; may be none.
  CallerResolver(const Clock* clock, std::string superuser, std::string supergroup,
                 std::unique_ptr<GroupMappingFile> mapping = nullptr);

  // May take long: it asks the OS, which may ask a directory service. Errors: kAccessControl for an empty or malformed
  // user name.
  absl::StatusOr<Caller> Resolve(const std::string& user, const std::string& host);
  // The same from the cache, without waiting; nothing when the OS would have to be asked or the file to be read.
  std::optional<Caller> Known(const std::string& user, const std::string& host);

  static constexpr std::chrono::minutes kCacheFor{5};
  static constexpr size_t kMaxCached = 10'000;

 private:
  Caller MakeCaller(const std::string& user, const std::string& host, std::vector<std::string> groups) const;

  struct Cached {
    std::vector<std::string> groups;
    MonotonicTime until;
  };
  const Clock* const clock_;
  const std::string superuser_;
  const std::string supergroup_;
  const std::unique_ptr<GroupMappingFile> mapping_;
  Mutex mutex_;
  uint64_t mapping_version_ ABSL_GUARDED_BY(mutex_) = 0;  // what was found out under an older one is not kept
  std::map<std::string, Cached> cache_ ABSL_GUARDED_BY(mutex_);
};

// The groups of a user on this machine; empty for a user it does not know.
std::vector<std::string> GroupsFromOs(const std::string& user);
// The name of the user this process runs as; "uid<number>" when it has none.
std::string ProcessUser();

}  // namespace dolmen::namenode
