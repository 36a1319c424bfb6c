// Copies a finalized replica of this datanode to others, as the namenode ordered: reads it chunk by chunk, checks every
// chunk against its stored checksums, and sends it down a write pipeline that keeps a temporary replica until it is
// complete. `Step(event, now)` answers with actions; no threads, clocks or connections.
//
//   state        waits for                     then
//   opening      SourceOpened                  connecting; done
//   connecting   the setup ack                 sending; done
//   sending      chunks read, acks             done after the last ack
//   done         -
//
// A source that does not match its checksums is reported as corrupt: the targets, which would refuse it too, are not to
// blame (F-083). Whatever fails, the targets remove what they have, and the namenode decides again (F-025).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/protocol/data_transfer.h"
#include "common/protocol/datanode_namenode.h"

namespace dolmen::datanode {

namespace copy_event {

// The first event.
struct Start {};
// The length of the replica, or why it cannot be read.
struct SourceOpened {
  absl::StatusOr<uint64_t> length;
};
struct ChunkRead {
  absl::StatusOr<protocol::ReadChunk> chunk;
};
struct AckArrived {
  protocol::Ack ack;
};
// The stream could not be opened, broke, or ended. Nothing comes from it any more.
struct PipelineEnded {
  absl::Status status;
};
struct Tick {};

}  // namespace copy_event
using CopyEvent = std::variant<copy_event::Start, copy_event::SourceOpened, copy_event::ChunkRead,
                               copy_event::AckArrived, copy_event::PipelineEnded, copy_event::Tick>;

namespace copy_action {

// Answer: SourceOpened.
struct OpenSource {
  protocol::Block block;
};
// Open a stream to `target` and send `setup`. Answers: AckArrived, PipelineEnded.
struct ConnectPipeline {
  protocol::ReplicaLocation target;
  protocol::WriteSetup setup;
};
// Answer: ChunkRead. At most one is under way.
struct ReadSource {
  uint64_t offset = 0;
  uint64_t length = 0;
};
struct SendPacket {
  protocol::Packet packet;
};
// Nothing more will be sent. `cancel`: the targets must drop what they have.
struct ClosePipeline {
  bool cancel = false;
};
// The replica here is corrupt: never serve it again and tell the namenode.
struct ReportCorrupt {
  protocol::Block block;
};
// It is over; the source may be closed.
struct Finished {
  absl::Status status;
};

}  // namespace copy_action
using CopyAction = std::variant<copy_action::OpenSource, copy_action::ConnectPipeline, copy_action::ReadSource,
                                copy_action::SendPacket, copy_action::ClosePipeline, copy_action::ReportCorrupt,
                                copy_action::Finished>;

struct CopyOptions {
  uint32_t window_packets = 8;                        // of kMaxPacketBytes
  uint32_t packet_bytes = protocol::kMaxPacketBytes;  // multiple of the checksum chunk
  Duration setup_timeout = std::chrono::seconds(30);
  Duration ack_timeout = std::chrono::seconds(120);
  bool sync_on_close = true;
};

// One thread only.
class ReplicaCopy {
 public:
  ReplicaCopy(protocol::CopyReplicaCommand command, CopyOptions options)
      : command_(std::move(command)), options_(options) {}

  std::vector<CopyAction> Step(CopyEvent event, MonotonicTime now);
  // When to Step with Tick at the latest.
  std::optional<MonotonicTime> NextDeadline() const;
  bool Done() const { return state_ == State::kDone && !reading_ && !opening_; }
  const protocol::CopyReplicaCommand& command() const { return command_; }

 private:
  enum class State { kOpening, kConnecting, kSending, kDone };

  void On(copy_event::Start event);
  void On(copy_event::SourceOpened event);
  void On(copy_event::ChunkRead event);
  void On(copy_event::AckArrived event);
  void On(copy_event::PipelineEnded event);
  void On(copy_event::Tick event);
  void ReadMore();
  void Send(protocol::ReadChunk chunk);
  void Finish(absl::Status status);

  const protocol::CopyReplicaCommand command_;
  const CopyOptions options_;
  State state_ = State::kOpening;
  MonotonicTime now_{};
  std::vector<CopyAction> actions_;
  bool opening_ = false;
  bool reading_ = false;
  bool pipeline_open_ = false;
  uint64_t length_ = 0;
  uint64_t next_offset_ = 0;  // to be sent next
  uint64_t next_sequence_ = 0;
  uint64_t acked_ = 0;  // packets
  bool sent_last_ = false;
  MonotonicTime heard_{};
};

}  // namespace dolmen::datanode
