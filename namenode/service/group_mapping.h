// Who belongs to which groups, as a file says. For the users it names the file is all there is; others are asked from
// the OS.
//
//   # comments and empty lines are skipped
//   ann=staff,ops
//   guest=             no groups at all
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/file_system.h"
#include "common/mutex.h"

namespace dolmen::namenode {

using GroupMapping = std::map<std::string, std::vector<std::string>>;  // groups by user

// `file` is its name, for errors. Errors: kIllegalArgument "<file>:<line>: <what is wrong and what would be right>".
absl::StatusOr<GroupMapping> ParseGroupMapping(std::string_view text, std::string_view file);

// The file, looked at again from time to time. Thread-safe.
class GroupMappingFile {
 public:
  // Errors: ParseGroupMapping's; kIllegalArgument for more than kMaxFileBytes; those of reading. `fs` and `clock`
  // outlive the mapping.
  static absl::StatusOr<std::unique_ptr<GroupMappingFile>> Open(FileSystem* fs, std::string path, const Clock* clock);

  // It was not looked at for kLookInterval.
  bool IsDue() const;
  // When due, reads the file. True: the mapping changed. A file that is gone or wrong is told to the log, once, and the
  // mapping stays what it was.
  bool Refresh();
  // Nothing: the file does not name the user.
  std::optional<std::vector<std::string>> GroupsOf(const std::string& user) const;

  static constexpr std::chrono::seconds kLookInterval{2};
  static constexpr uint64_t kMaxFileBytes = 16 << 20;

 private:
  GroupMappingFile(FileSystem* fs, std::string path, const Clock* clock)
      : fs_(*fs), path_(std::move(path)), clock_(*clock) {}
  absl::StatusOr<std::string> Read() const;

  FileSystem& fs_;
  const std::string path_;
  const Clock& clock_;
  std::atomic<int64_t> next_look_ns_{0};
  mutable Mutex mutex_;
  std::string text_ ABSL_GUARDED_BY(mutex_);     // as it was read last
  std::string problem_ ABSL_GUARDED_BY(mutex_);  // with the file as it is now; empty: none
  GroupMapping mapping_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dolmen::namenode
