// Connections to other datanodes, kept open. A datanode has several addresses; the first that answers is used and
// remembered.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "common/protocol/types.h"
#include "grpcpp/channel.h"

namespace dolmen::datanode {

// Thread-safe.
class PeerChannels {
 public:
  using Picked = std::function<void(absl::StatusOr<std::shared_ptr<grpc::Channel>>)>;
  static constexpr size_t kMaxChannels = 1024;  // the oldest are closed beyond; chosen

  // Answers with a channel that is connected, or with the only one there is; at once when it can, otherwise (and always
  // with an error) from a later Poll. Error: kUnreachable, naming every address and its state, when none is connected
  // after `timeout`.
  void Pick(const protocol::DatanodeInfo& datanode, Duration timeout, MonotonicTime now, Picked picked);
  // Called often while Pick has unanswered calls.
  void Poll(MonotonicTime now);
  // Answers all waiting calls with kCancelled and closes the channels.
  void Close();

 private:
  struct Candidate {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
  };
  struct Waiting {
    std::string datanode;
    std::vector<Candidate> candidates;
    MonotonicTime deadline;
    Picked picked;
  };

  Candidate ChannelFor(const protocol::Address& address) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // nullptr: none is connected yet.
  static std::shared_ptr<grpc::Channel> Connected(const std::vector<Candidate>& candidates);

  Mutex mutex_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_ ABSL_GUARDED_BY(mutex_);  // by host:port
  std::deque<std::string> order_ ABSL_GUARDED_BY(mutex_);                                   // oldest first
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dolmen::datanode
