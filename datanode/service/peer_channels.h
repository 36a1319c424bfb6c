// Connections to other datanodes, kept open. A datanode has several addresses, and the same address may lead to another
// datanode from here than from elsewhere (localhost does): so who answers is asked first.
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
  static constexpr Duration kHeadStart{std::chrono::milliseconds(250)};  // of an address over the next (RFC 8305)

  // Beyond `max_channels` the oldest are closed.
  explicit PeerChannels(size_t max_channels = 1024) : max_channels_(max_channels) {}

  // Answers with a channel that is connected to this very datanode; at once when it can, otherwise (and always with an
  // error) from a later Poll. Error: kUnreachable, naming every address and its state, when each of them has failed, or
  // none is found within `timeout`.
  void Pick(const protocol::DatanodeInfo& datanode, Duration timeout, MonotonicTime now, Picked picked);
  // Called often while Pick has unanswered calls.
  void Poll(MonotonicTime now);
  // Answers all waiting calls with kCancelled and closes the channels.
  void Close();

 private:
  // Who answers at one address.
  struct Peer;
  struct Candidate {
    std::string address;
    std::shared_ptr<Peer> peer;
  };
  struct Waiting {
    protocol::DatanodeInfo datanode;
    std::vector<Candidate> candidates;
    MonotonicTime begun;
    MonotonicTime deadline;
    Picked picked;
  };

  std::shared_ptr<Peer> PeerAt(const std::string& address, const protocol::Address& place)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A channel; nullptr: not found yet; an error: each address has failed.
  static absl::StatusOr<std::shared_ptr<grpc::Channel>> Look(const Waiting& waiting, MonotonicTime now);
  static absl::Status Unreachable(const Waiting& waiting);

  const size_t max_channels_;

  Mutex mutex_;
  std::map<std::string, std::shared_ptr<Peer>> peers_ ABSL_GUARDED_BY(mutex_);  // by host:port
  std::deque<std::string> order_ ABSL_GUARDED_BY(mutex_);                       // oldest first
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dolmen::datanode
