#include "datanode/core/copy_backlog.h"

#include <algorithm>
#include <utility>

namespace dolmen::datanode {

bool CopyBacklog::Put(protocol::CopyReplicaCommand command, MonotonicTime now) {
  const auto earlier = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& waiting) {
    return waiting.command.block.id == command.block.id;
  });
  if (earlier != waiting_.end()) waiting_.erase(earlier);
  if (waiting_.size() >= kMost) return false;
  waiting_.push_back({std::move(command), now});
  return true;
}

std::optional<protocol::CopyReplicaCommand> CopyBacklog::Take(MonotonicTime now) {
  while (!waiting_.empty()) {
    Waiting oldest = std::move(waiting_.front());
    waiting_.pop_front();
    if (now - oldest.since < kLongestWait) return std::move(oldest.command);
  }
  return std::nullopt;
}

}  // namespace dolmen::datanode
