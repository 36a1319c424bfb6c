// What all streams of one client share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "client/datanode_channels.h"
#include "client/dolmen/client.h"
#include "client/event_loop.h"
#include "client/lease_keeper.h"
#include "client/namenode_channel.h"
#include "client/packet_pool.h"
#include "client/waiter.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "common/random.h"

namespace dolmen::client {

// Thread-safe. Everything is shut down before anything goes away.
class Runtime {
 public:
  Runtime(ClientOptions options, NamenodeChannel::Options namenode_options, std::string holder, uint64_t seed)
      : options_(std::move(options)),
        random_(seed),
        loop_(&clock_),
        namenode_(std::move(namenode_options), &loop_, NextSeed()),
        datanodes_(&loop_,
                   {.unary = [this] { return namenode_.unary(); },
                    .live_datanodes = [this](LiveDatanodes done) { AskForDatanodes(std::move(done)); }},
                   NextSeed()),
        leases_(&loop_, &namenode_, std::move(holder)),
        packets_(options_.packet_bytes, kIdlePacketBytes / options_.packet_bytes) {}
  ~Runtime() {
    namenode_.Shutdown();
    loop_.Shutdown();
  }

  const ClientOptions& options() const { return options_; }
  const Clock& clock() const { return clock_; }
  EventLoop* loop() { return &loop_; }
  NamenodeChannel* namenode() { return &namenode_; }
  DatanodeChannels* datanodes() { return &datanodes_; }
  LeaseKeeper* leases() { return &leases_; }
  PacketMemory* packets() { return &packets_; }
  const std::string& authority() const { return namenode_.authority(); }
  // Returns at once when the client is shutting down.
  void WaitUntil(MonotonicTime at) {
    const auto woken = std::make_shared<Waiter<bool>>();
    if (loop_.RunAt(at, [woken] { woken->Set(true); }) != 0) woken->Get();
  }
  uint64_t NextSeed() {
    MutexLock lock(&mutex_);
    return random_.Next();
  }

 private:
  using LiveDatanodes = std::function<void(absl::StatusOr<std::vector<protocol::DatanodeInfo>>)>;
  void AskForDatanodes(LiveDatanodes done);

  // Payload memory kept for reuse: two full windows (chosen).
  static constexpr size_t kIdlePacketBytes = 32 << 20;

  const ClientOptions options_;
  Mutex mutex_;
  Random random_ ABSL_GUARDED_BY(mutex_);
  SystemClock clock_;
  EventLoop loop_;
  NamenodeChannel namenode_;
  DatanodeChannels datanodes_;
  LeaseKeeper leases_;
  PacketPool packets_;
};

}  // namespace dolmen::client
