// Connections to datanodes. A datanode advertises every address it can be reached at; the first use tries them in
// order, each with a short head start over the next, and remembers the one that answered.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/event_loop.h"
#include "common/mutex.h"
#include "common/protocol/types.h"
#include "common/rpc/unary_client.h"
#include "grpcpp/channel.h"

namespace dolmen::client {

// Thread-safe.
class DatanodeChannels {
 public:
  // `unary` gives the client for trial calls; both outlive this.
  DatanodeChannels(EventLoop* loop, std::function<rpc::UnaryClient*()> unary) : loop_(loop), unary_(std::move(unary)) {}

  using Done = std::function<void(absl::StatusOr<std::shared_ptr<grpc::Channel>>)>;
  // A channel to the datanode. `done` runs once, maybe at once on the calling thread; it must not block. A datanode
  // with one address is not tried: calls on the channel find out.
  // Error: kUnreachable listing each address and why.
  void Connect(const protocol::DatanodeInfo& datanode, Done done);
  // A call on its channel found nobody: the next Connect tries all addresses again.
  void Forget(const DatanodeUuid& datanode);

 private:
  static constexpr std::chrono::milliseconds kHeadStart{250};      // as browsers do (RFC 8305)
  static constexpr std::chrono::milliseconds kTrialTimeout{5000};  // of one address
  static constexpr size_t kMaxChannels = 256;                      // kept open; the least recently used goes first

  struct Race;
  struct Cached {
    std::string address;
    std::shared_ptr<grpc::Channel> channel;
  };

  std::shared_ptr<grpc::Channel> ChannelToLocked(const protocol::Address& address)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TryNext(const std::shared_ptr<Race>& race);
  void OnTrial(const std::shared_ptr<Race>& race, size_t index, const absl::Status& answer);

  EventLoop* const loop_;
  const std::function<rpc::UnaryClient*()> unary_;

  Mutex mutex_;
  std::list<Cached> channels_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  std::map<std::string, std::list<Cached>::iterator> by_address_ ABSL_GUARDED_BY(mutex_);
  std::map<DatanodeUuid, protocol::Address> worked_ ABSL_GUARDED_BY(mutex_);
  std::map<DatanodeUuid, std::shared_ptr<Race>> races_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dolmen::client
