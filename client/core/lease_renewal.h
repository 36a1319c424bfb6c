// When the client tells the namenode that it is alive, so that its open files stay its own. HDFS's rule: renew when
// half the soft limit has passed since the last success, ask again every second while that fails, and once it failed
// for the hard limit give all open files up: the namenode has closed them by then.
//
// One thread only.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "common/clock.h"

namespace dolmen::client {

class LeaseRenewal {
 public:
  struct Settings {
    Duration soft_limit = std::chrono::seconds(60);  // the namenode's (GetServerDefaults); HDFS: 60 s
    Duration hard_limit = std::chrono::minutes(20);  // HDFS: 20 min
    Duration retry_interval = std::chrono::seconds(1);
  };
  explicit LeaseRenewal(Settings settings) : settings_(settings) {}

  // A file was created (that gave the lease or renewed it).
  void FileOpened(MonotonicTime now);
  // A file was closed or given up. The lease of the last one needs no renewal.
  void FileClosed();
  // Changes the soft limit once the namenode told it.
  void SetSoftLimit(Duration soft_limit) { settings_.soft_limit = soft_limit; }

  // When to renew next; nothing while no file is open or a renewal is under way.
  std::optional<MonotonicTime> NextRenewal() const;
  void OnSent(MonotonicTime now);
  // The answer to the renewal sent last.
  void OnAnswer(const absl::Status& status, MonotonicTime now);

  // Not OK once the lease is surely lost: all open streams must be aborted with this status.
  absl::Status Verdict(MonotonicTime now) const;
  uint32_t open_files() const { return open_files_; }

 private:
  Settings settings_;
  uint32_t open_files_ = 0;
  bool under_way_ = false;
  MonotonicTime sent_at_;
  MonotonicTime last_success_;  // when the renewal that succeeded was sent
  std::optional<MonotonicTime> last_failure_;
};

}  // namespace dolmen::client
