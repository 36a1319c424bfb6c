// The simulated network. Two kinds of traffic, as over gRPC:
//   - calls: a request and its answer are single messages, each of which can be lost, delayed or delivered twice;
//   - streams: ordered messages between two processes; a lost message breaks the stream at both ends, as TCP does.
// A node is a machine; a process that dies takes its streams with it, and messages to an old process are dropped.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "common/random.h"
#include "tests/sim/event_queue.h"

namespace dolmen::sim {

using NodeId = int;

struct NetworkOptions {
  Duration min_latency = std::chrono::microseconds(50);
  Duration max_latency = std::chrono::milliseconds(5);
  uint64_t lose_one_in = 0;  // 0: never
  uint64_t repeat_one_in = 0;
  uint64_t delay_one_in = 0;  // by up to max_delay
  Duration max_delay = std::chrono::seconds(2);
};

struct NetworkCounts {
  uint64_t sent = 0;
  uint64_t lost = 0;
  uint64_t repeated = 0;
  uint64_t delayed = 0;
  uint64_t cut = 0;  // dropped because the link or process was down
};

class Network {
 public:
  Network(EventQueue* events, uint64_t seed) : events_(*events), random_(seed) {}

  void SetOptions(const NetworkOptions& options) { options_ = options; }
  const NetworkOptions& options() const { return options_; }
  const NetworkCounts& counts() const { return counts_; }

  // A process starts on a node: messages sent to earlier processes of the node no longer arrive.
  void Start(NodeId node) {
    ++incarnations_[node];
    up_.insert(node);
  }
  void Stop(NodeId node) {
    ++incarnations_[node];
    up_.erase(node);
  }
  bool IsUp(NodeId node) const { return up_.contains(node); }
  uint64_t Incarnation(NodeId node) const {
    auto found = incarnations_.find(node);
    return found == incarnations_.end() ? 0 : found->second;
  }

  // One direction of a link.
  void Cut(NodeId from, NodeId to) { cut_.insert({from, to}); }
  void Heal(NodeId from, NodeId to) { cut_.erase({from, to}); }
  void HealAll() { cut_.clear(); }
  bool IsCut(NodeId from, NodeId to) const { return cut_.contains({from, to}); }

  // A single message: `deliver` runs at the receiver zero, one or two times.
  void Send(NodeId from, NodeId to, std::function<void()> deliver) {
    ++counts_.sent;
    if (Lost()) return;
    Deliver(from, to, Latency(), deliver);
    if (options_.repeat_one_in > 0 && random_.OneIn(options_.repeat_one_in)) {
      ++counts_.repeated;
      Deliver(from, to, Latency() + Latency(), deliver);
    }
  }

  // One direction of a stream. Ordered; breaks instead of losing.
  struct Pipe {
    NodeId from = 0;
    NodeId to = 0;
    uint64_t from_incarnation = 0;
    uint64_t to_incarnation = 0;
    MonotonicTime last_arrival{};
    bool broken = false;
  };
  std::shared_ptr<Pipe> OpenPipe(NodeId from, NodeId to) {
    auto pipe = std::make_shared<Pipe>();
    *pipe = {from, to, Incarnation(from), Incarnation(to), events_.now(), false};
    return pipe;
  }
  // Delivers after everything sent before on the pipe, or breaks it and runs `broke` (once, after a while).
  void SendOnPipe(const std::shared_ptr<Pipe>& pipe, std::function<void()> deliver, std::function<void()> broke) {
    ++counts_.sent;
    if (pipe->broken) return;
    if (Lost()) {
      pipe->broken = true;
      events_.After(options_.max_latency * 4, std::move(broke));
      return;
    }
    const MonotonicTime arrival = std::max(events_.now() + Latency(), pipe->last_arrival);
    pipe->last_arrival = arrival;
    events_.At(arrival, [this, pipe, deliver = std::move(deliver), broke = std::move(broke)] {
      if (pipe->broken) return;
      if (IsCut(pipe->from, pipe->to) || Incarnation(pipe->to) != pipe->to_incarnation || !IsUp(pipe->to)) {
        ++counts_.cut;
        pipe->broken = true;
        broke();
        return;
      }
      deliver();
    });
  }

 private:
  bool Lost() {
    if (options_.lose_one_in == 0 || !random_.OneIn(options_.lose_one_in)) return false;
    ++counts_.lost;
    return true;
  }
  Duration Latency() {
    const Duration spread = options_.max_latency - options_.min_latency;
    Duration latency = options_.min_latency + Duration(random_.Uniform(static_cast<uint64_t>(spread.count()) + 1));
    if (options_.delay_one_in > 0 && random_.OneIn(options_.delay_one_in)) {
      ++counts_.delayed;
      latency += Duration(random_.Uniform(static_cast<uint64_t>(options_.max_delay.count()) + 1));
    }
    return latency;
  }
  void Deliver(NodeId from, NodeId to, Duration latency, std::function<void()> deliver) {
    const uint64_t to_incarnation = Incarnation(to);
    events_.After(latency, [this, from, to, to_incarnation, deliver = std::move(deliver)] {
      if (IsCut(from, to) || !IsUp(to) || Incarnation(to) != to_incarnation) {
        ++counts_.cut;
        return;
      }
      deliver();
    });
  }

  EventQueue& events_;
  Random random_;
  NetworkOptions options_;
  NetworkCounts counts_;
  std::map<NodeId, uint64_t> incarnations_;
  std::set<NodeId> up_;
  std::set<std::pair<NodeId, NodeId>> cut_;
};

}  // namespace dolmen::sim
