// Renews the client's lease while files are open for writing, and tells their streams when it is lost.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "client/core/lease_renewal.h"
#include "client/event_loop.h"
#include "client/namenode_channel.h"
#include "common/mutex.h"

namespace dolmen::client {

// Thread-safe.
class LeaseKeeper {
 public:
  // Both outlive this, and are shut down before it goes away.
  LeaseKeeper(EventLoop* loop, NamenodeChannel* namenode, std::string holder)
      : loop_(loop), namenode_(namenode), holder_(std::move(holder)) {}

  // `on_lost` runs at most once, on a thread of the client, and must not block. Returns a handle.
  uint64_t FileOpened(std::function<void(absl::Status)> on_lost);
  // on_lost may still run when it is about to at this moment.
  void FileClosed(uint64_t file);
  void SetSoftLimit(Duration soft_limit);
  const std::string& holder() const { return holder_; }

 private:
  void Arm();
  void OnTimer();

  EventLoop* const loop_;
  NamenodeChannel* const namenode_;
  const std::string holder_;

  Mutex mutex_;
  LeaseRenewal renewal_ ABSL_GUARDED_BY(mutex_){LeaseRenewal::Settings()};
  Duration soft_limit_ ABSL_GUARDED_BY(mutex_) = LeaseRenewal::Settings().soft_limit;
  std::map<uint64_t, std::function<void(absl::Status)>> files_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_file_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t timer_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace dolmen::client
