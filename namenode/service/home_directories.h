// Home directories, /user/NAME, made by the namenode for users it has not met before.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "common/clock.h"
#include "common/mutex.h"
#include "namenode/core/settings.h"
#include "namenode/service/core_thread.h"

namespace dolmen::namenode {

// Thread-safe. A user whose home is there is remembered and costs nothing any more, at most kMaxKnown of them; one
// whose home could not be made is tried again after kRetryAfter.
class HomeDirectories {
 public:
  // `core` and `clock` outlive this. `superuser` becomes the owner of /user when that is missing too.
  HomeDirectories(CoreThread* core, const Clock* clock, const CoreSettings& settings, std::string superuser);

  // Nothing is to be done for this user now.
  bool IsSettled(const std::string& user) const;
  // Makes the home if it is missing: mode 0700, owned by the user; /user before it, mode 0755. Then `then`, whatever
  // came of it: at once, or from the core thread after the commit. Reads the namespace: not for the threads that take
  // calls. Making one that exists changes nothing, so two at a time are harmless.
  void Make(const std::string& user, const std::string& host, std::function<void()> then);

  static constexpr size_t kMaxKnown = 100'000;
  static constexpr std::chrono::seconds kRetryAfter{10};

 private:
  absl::StatusOr<bool> Exists(const std::string& path) const;
  void Settle(const std::string& user, const absl::Status& made);

  CoreThread* const core_;
  const Clock* const clock_;
  const CoreSettings settings_;
  const std::string superuser_;
  mutable Mutex mutex_;
  std::map<std::string, std::optional<MonotonicTime>> known_ ABSL_GUARDED_BY(mutex_);  // when to try again; or never
  MonotonicTime next_warning_ ABSL_GUARDED_BY(mutex_){};
};

}  // namespace dolmen::namenode
