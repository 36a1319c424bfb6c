// One hop of a write pipeline: `Step(event, now)` answers with actions; no threads, clocks or connections, so that the
// gRPC shell and the simulation drive the same code.
//
//   state        waits for                                      then
//   new          the setup                                      setting up; failed when it is refused
//   setting up   the local replica AND the next hop's setup     streaming, after the setup ack; failed, with everything
//                ack (both asked for at once)                   undone, when either says no or the time is over
//   streaming    packets, local writes, the next hop's acks     closing after the packet with `last`; failed
//   closing      the rest, the local finalize AND the next      finished, after the final ack; failed
//                hop's final ack (side by side)
//   finished     -
//   failed       answers to what was asked of the local disk    -
//
// Rules:
// - A packet is verified, forwarded and written; it is acknowledged when its own write returned and the next hop
//   acknowledged it. What is acknowledged is the visible length. Acks leave in the order of the packets.
// - What the sender may have unacknowledged is bounded (`window_packets`, `window_bytes`); more is a protocol error.
// - An ack has one status per hop, this one first. The first that is not OK is the culprit:
//     kBusy, kNoSpace          this hop cannot take the replica now: another datanode
//     kChecksum                what arrived here does not match its checksums: the sender, the link or this host's
//     memory kIllegalArgument         the sender broke the protocol kIo                      this hop's disk failed
//     kUnreachable             the named next hop cannot be reached or does not answer
//     kPipelineFailed          the named next hop ended the stream without a reason
//     kRecoveryInProgress      a block recovery has taken the replica of this hop: the sender has lost its lease
// - After a failure the replica stays being written, for recovery; that of a copy, and one that never got a byte, is
//   removed. The namenode is told of one that stays: if its block was given up, nobody else would ever ask for it.
//   Of one that a recovery has taken, the recovery tells it.
// - An append (setup.append_to) begins at setup.block.length instead of 0, and never removes the replica.
// - A packet that was received before is not written again: it is acknowledged again, or will be (F-022).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/protocol/data_transfer.h"
#include "common/protocol/datanode_namenode.h"
#include "datanode/core/token_keys.h"

namespace dolmen::datanode {

// ---- what happened -----------------------------------------------------------------------------------------------
namespace hop_event {

// The first message of the stream. `keys` as they are now.
struct SetupReceived {
  protocol::WriteSetup setup;
  TokenKeys keys;
  WallTime wall_now;
};
struct PacketReceived {
  protocol::Packet packet;
};
// The sender has ended its side: OK after its last packet, an error when the stream broke or was cancelled.
struct UpstreamEnded {
  absl::Status status;
};
// Each local action is answered exactly once, in the order of the actions.
struct LocalOpened {
  absl::StatusOr<StorageId> storage;
  std::string tail;  // of a replica that was reopened: the bytes of its partial chunk
};
// A block recovery has frozen the replica of this block here, with a stamp above that of its writer. `why` names it.
struct BlockFrozen {
  BlockId block;
  GenerationStamp recovery;
  absl::Status why;
};
struct LocalWritten {
  uint64_t sequence = 0;
  absl::Status status;
  uint32_t service_micros = 0;
};
struct LocalFinalized {
  absl::Status status;
};
struct DownstreamAck {
  protocol::Ack ack;
};
// The stream to the next hop could not be opened, broke, or ended. Nothing comes from it any more.
struct DownstreamEnded {
  absl::Status status;
};
// Time has passed. Harmless when early or repeated.
struct Tick {};

}  // namespace hop_event
using HopEvent =
    std::variant<hop_event::SetupReceived, hop_event::PacketReceived, hop_event::UpstreamEnded, hop_event::LocalOpened,
                 hop_event::LocalWritten, hop_event::LocalFinalized, hop_event::BlockFrozen, hop_event::DownstreamAck,
                 hop_event::DownstreamEnded, hop_event::Tick>;

// ---- what to do, in order ----------------------------------------------------------------------------------------
namespace hop_action {

// Take a stream slot and create the replica, or reopen the one with stamp `append_to`, by try: kBusy when there is no
// slot. Answer: LocalOpened.
struct OpenLocal {
  protocol::Block block;  // length: what a replica to be reopened has
  StorageId storage;      // wished; empty: any
  bool is_copy = false;
  uint64_t expected_bytes = 0;
  std::optional<GenerationStamp> append_to;
};
// Open a stream to `target` and send `setup`. Answers: DownstreamAck, DownstreamEnded.
struct ConnectDownstream {
  protocol::ReplicaLocation target;
  protocol::WriteSetup setup;
};
struct SendDownstream {
  protocol::Packet packet;
};
// Nothing more will be sent. `cancel`: the hops behind must drop what they have in hand.
struct CloseDownstream {
  bool cancel = false;
};
// Write the packet, and sync when it says so. Answer: LocalWritten.
struct WriteLocal {
  protocol::Packet packet;
};
// Readers may see this much.
struct SetVisible {
  uint64_t length = 0;
};
// After all writes before it. Refused by the store when one of them failed. Answer: LocalFinalized; the local replica
// is closed then, either way.
struct FinalizeLocal {
  bool durable = true;
};
// After all writes before it; no answer. `discard`: remove the replica.
struct CloseLocal {
  bool discard = false;
};
struct SendUpstream {
  protocol::Ack ack;
};
// The stream to the sender ends with this status, after the acks before it.
struct FinishUpstream {
  absl::Status status;
};
// Tell the namenode, at once.
struct ReportReplica {
  StorageId storage;
  protocol::ReportedReplica replica;
};

}  // namespace hop_action
using HopAction = std::variant<hop_action::OpenLocal, hop_action::ConnectDownstream, hop_action::SendDownstream,
                               hop_action::CloseDownstream, hop_action::WriteLocal, hop_action::SetVisible,
                               hop_action::FinalizeLocal, hop_action::CloseLocal, hop_action::SendUpstream,
                               hop_action::FinishUpstream, hop_action::ReportReplica>;

struct HopOptions {
  DatanodeUuid self;
  uint32_t window_packets = 64;      // as many as a sender may keep; senders default to 16
  uint64_t window_bytes = 64 << 20;  // 64 packets of 1 MiB
  uint32_t max_hops = 16;            // behind this one
  // Per hop behind this one, so that the hop before the silent one speaks first and names it.
  Duration setup_timeout = std::chrono::seconds(10);
  Duration ack_timeout = std::chrono::seconds(30);
  // This hop's disk, per packet and for the finalize: then it failed.
  Duration disk_timeout = std::chrono::seconds(60);
  // A sender that owes nothing and is silent for so long is gone. Long, since files may be kept open while little is
  // written; broken connections are noticed by keepalive.
  Duration idle_timeout = std::chrono::hours(1);
};

// One thread only.
class PipelineHop {
 public:
  explicit PipelineHop(HopOptions options) : options_(std::move(options)) {}

  std::vector<HopAction> Step(HopEvent event, MonotonicTime now);

  // When to Step with Tick at the latest; nothing when no wait has an end.
  std::optional<MonotonicTime> NextDeadline() const;

  // True: no action will follow, and no answer to a local action is due. The stream may be forgotten.
  bool Done() const { return (state_ == State::kFinished || state_ == State::kFailed) && local_calls_ == 0; }
  uint64_t visible_length() const { return visible_; }
  uint64_t received_length() const { return received_; }

 private:
  enum class State { kNew, kSettingUp, kStreaming, kClosing, kFinished, kFailed };
  struct Pending {  // a packet received and not acknowledged
    uint64_t sequence = 0;
    uint64_t end = 0;
    uint64_t bytes = 0;
    bool last = false;
    bool written = false;
    uint32_t service_micros = 0;
    std::optional<std::vector<protocol::HopStatus>> downstream;  // of the hops behind, all OK
    MonotonicTime since;
  };
  using Actions = std::vector<HopAction>;

  void On(hop_event::SetupReceived event);
  void On(hop_event::PacketReceived event);
  void On(hop_event::UpstreamEnded event);
  void On(hop_event::LocalOpened event);
  void On(hop_event::LocalWritten event);
  void On(hop_event::LocalFinalized event);
  void On(hop_event::BlockFrozen event);
  void On(hop_event::DownstreamAck event);
  void On(hop_event::DownstreamEnded event);
  void On(hop_event::Tick event);

  absl::Status CheckSetup(const hop_event::SetupReceived& event) const;
  absl::Status CheckPacket(const protocol::Packet& packet) const;
  void Accept(protocol::Packet packet);
  void AckAgain(uint64_t sequence);
  void SetupAnswerIfReady();
  void AckWhatIsReady();
  bool HasDownstream() const { return !setup_.downstream.empty(); }
  bool IsAppend() const { return setup_.append_to.has_value(); }
  protocol::HopStatus Self(absl::Status status, uint32_t micros = 0) const;
  std::vector<protocol::HopStatus> NextHop(absl::Status status) const;

  // This hop is the culprit.
  void FailSelf(absl::Status status);
  // A hop behind is: `hops` are the statuses of the hops behind.
  void FailDownstream(std::vector<protocol::HopStatus> hops);
  void Fail(std::vector<protocol::HopStatus> hops, const absl::Status& why);
  void Undo();  // closes the local replica and the stream to the next hop
  void CloseLocal();
  void Report(protocol::ReplicaState state);
  template <typename Action>
  void Do(Action action) {
    actions_.emplace_back(std::move(action));
  }

  const HopOptions options_;
  State state_ = State::kNew;
  MonotonicTime now_{};
  Actions actions_;  // of the present step

  protocol::WriteSetup setup_;
  StorageId storage_;
  MonotonicTime setup_since_{};
  bool local_open_ = false;   // a replica exists that must be closed or finalized
  bool taken_ = false;        // by a block recovery
  uint32_t local_calls_ = 0;  // answers due from the local disk
  bool downstream_open_ = false;
  bool setup_acked_ = false;
  std::optional<std::vector<protocol::HopStatus>> downstream_setup_;

  uint64_t next_sequence_ = 0;
  uint64_t next_downstream_ack_ = 0;
  uint64_t received_ = 0;  // bytes of the block
  std::string tail_;       // the received bytes of the partial chunk at the end
  std::deque<Pending> pending_;
  uint64_t pending_bytes_ = 0;
  uint64_t visible_ = 0;
  bool finalized_ = false;
  MonotonicTime last_heard_{};
};

}  // namespace dolmen::datanode
