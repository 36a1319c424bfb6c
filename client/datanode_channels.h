// Connections to datanodes. A datanode advertises every address it can be reached at; the first use tries them in
// order, each with a short head start over the next, makes sure who answers, and remembers the way that worked. A
// datanode that can't be reached at any is reached through another one (common/rpc/relay.h).
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/event_loop.h"
#include "common/mutex.h"
#include "common/protocol/types.h"
#include "common/random.h"
#include "common/rpc/unary_client.h"
#include "grpcpp/channel.h"
#include "proto/data_transfer.grpc.pb.h"

namespace dolmen::client {

// Thread-safe.
class DatanodeChannels {
 public:
  // What it needs of the client; all outlives this.
  struct Environment {
    std::function<rpc::UnaryClient*()> unary;  // for trial calls
    // Asks the namenode for its live datanodes, to find one that passes calls on. Answers once, on any thread.
    std::function<void(std::function<void(absl::StatusOr<std::vector<protocol::DatanodeInfo>>)>)> live_datanodes;
  };
  DatanodeChannels(EventLoop* loop, Environment environment, uint64_t seed)
      : loop_(loop), environment_(std::move(environment)), random_(seed) {}

  using Channel = std::shared_ptr<grpc::Channel>;
  using Done = std::function<void(absl::StatusOr<Channel>)>;
  // A channel to the datanode. `done` runs once, maybe at once on the calling thread; it must not block.
  // Error: kUnreachable listing each way that was tried and why it is none.
  void Connect(const protocol::DatanodeInfo& datanode, Done done) { Connect(datanode, Ways::kAny, std::move(done)); }
  // A call on its channel found nobody: the next Connect tries all ways again.
  void Forget(const DatanodeUuid& datanode);

 private:
  static constexpr std::chrono::milliseconds kHeadStart{250};        // as browsers do (RFC 8305)
  static constexpr std::chrono::milliseconds kRelayHeadStart{1000};  // of all addresses over relays (chosen)
  static constexpr std::chrono::milliseconds kTrialTimeout{5000};    // of one way
  // Then the addresses are tried again: whatever was in the way may be gone (chosen).
  static constexpr std::chrono::minutes kRelayedFor{5};
  // As long nobody is looked for again who passes calls on to a datanode that nobody reached (chosen).
  static constexpr std::chrono::seconds kNoRelayFor{30};
  static constexpr size_t kMaxRelays = 8;      // of each kind, tried for one datanode (chosen)
  static constexpr size_t kMaxChannels = 256;  // kept open; the least recently used goes first

  enum class Ways : uint8_t { kDirect, kAny };
  // One way to a datanode.
  struct Way {
    protocol::Address address;  // of the datanode itself, or of the one that passes calls on
    bool relayed = false;
    MonotonicTime found;
  };
  struct Race;
  struct Cached {
    std::string name;
    Channel channel;
  };

  void Connect(const protocol::DatanodeInfo& datanode, Ways ways, Done done);
  Channel ChannelLocked(const protocol::DatanodeInfo& datanode, const Way& way) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the way that worked last is still to be gone.
  bool IsGood(const protocol::DatanodeInfo& datanode, Ways ways, const Way& way) const;
  void TryNext(const std::shared_ptr<Race>& race);
  // Asks whoever answers that way who it is. `relay`: nobody, or who passes the call on.
  void Try(const std::shared_ptr<Race>& race, const Way& way, const DatanodeUuid& relay,
           const std::shared_ptr<v1::DataTransfer::Stub>& stub);
  void Worked(const std::shared_ptr<Race>& race, const Way& way);
  // One way less is awaited; `why` says that it is none. An OK status: there is nothing to say.
  void Failed(const std::shared_ptr<Race>& race, const absl::Status& why);
  // Goes on to those that could pass calls on: first the ones it has reached itself, then those the namenode knows.
  void FindRelays(const std::shared_ptr<Race>& race);
  bool MayRelayLocked(const Race& race) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TryRelays(const std::shared_ptr<Race>& race, absl::StatusOr<std::vector<protocol::DatanodeInfo>> datanodes);
  void OnRelay(const std::shared_ptr<Race>& race, const protocol::DatanodeInfo& relay, const absl::Status& reached);

  EventLoop* const loop_;
  const Environment environment_;

  Mutex mutex_;
  Random random_ ABSL_GUARDED_BY(mutex_);
  std::list<Cached> channels_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  std::map<std::string, std::list<Cached>::iterator> by_name_ ABSL_GUARDED_BY(mutex_);
  std::map<DatanodeUuid, Way> worked_ ABSL_GUARDED_BY(mutex_);
  std::map<DatanodeUuid, protocol::DatanodeInfo> direct_ ABSL_GUARDED_BY(mutex_);  // reached at an address of theirs
  std::map<DatanodeUuid, MonotonicTime> no_relay_until_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<DatanodeUuid, Ways>, std::shared_ptr<Race>> races_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dolmen::client
