// Writes one file: takes packets (PacketBuilder makes them), gets blocks from the namenode, sends the packets down each
// block's pipeline, and completes the file. `Step(event, now)` answers with actions; it has no threads, clocks or
// connections, so that the gRPC shell and the simulation drive the same code.
//
// Also goes on with a file that was closed before (FileAppender takes it): a last block that has room is reopened first
// (Reopen), with a new stamp and the bytes it has; otherwise the first packet gets a new block as ever.
//
// What it promises:
// - At most `window_packets` packets are kept, sent or not; every packet is kept until the whole pipeline acknowledged
// it.
// - A block whose pipeline fails before any of its packets was acknowledged is abandoned and written again elsewhere,
//   without the datanode that failed (`block_retries` times; a datanode that is merely busy is asked again first).
// - A block whose pipeline fails later ends the stream: kPipelineFailed names the datanode and how much of the file was
//   acknowledged; those bytes stay (the lease's recovery closes the file). So does a reopened block, at any time.
// - A block that held bytes before, or for whose bytes a flush was answered, is never abandoned.
// - The first failure stays; every operation after it is answered with it.
// - Every wait has an end: setup and acknowledgements by their timeouts, the namenode's "not yet" by
// `namenode_retries`;
//   calls to the namenode end by the caller's own deadline.
//
//   state        waits for                    then
//   reopening    Reopen                       setting up (its failure is final)
//   idle         packets, or close            adding, closing
//   adding       AddBlock's answer, or time   setting up
//   setting up   the setup acknowledgement    streaming; abandoning when it fails
//   streaming    acknowledgements             idle after the block's last; abandoning or failed when the pipeline fails
//   abandoning   AbandonBlock's answer        adding
//   closing      Complete's answer, or time   closed
//   closed, failed: final
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/core/packet_builder.h"
#include "common/clock.h"
#include "common/protocol/client_namenode.h"
#include "common/protocol/data_transfer.h"
#include "common/random.h"

namespace dolmen::client {

// ---- what happened ------------------------------------------------------------------------------------------------
namespace write_event {

// The next packet of the file. Only while HasRoom().
struct AddPacket {
  BuiltPacket packet;
};
// Answered with OperationDone when every packet added so far is acknowledged by its whole pipeline (and, once per
// block, the namenode has made the block list durable).
struct Flush {
  uint64_t operation = 0;
};
// Sets up the pipeline of the last block, WriterFile::last; first of all, once. Answered when every datanode of the
// pipeline has it open, or with the failure: then `culprit` is the datanode to do without, and the block's replicas
// that were opened have no writer until the lease of the file is recovered.
struct Reopen {
  uint64_t operation = 0;
};
// All packets of the file were added (the last one with `last`). Answered when the file is complete.
struct Close {
  uint64_t operation = 0;
};
// Gives the file up. The block being written is abandoned unless it held bytes before or a flush was answered for bytes
// in it.
struct Abort {};
// The lease can't be held any longer: fails with `why`.
struct LeaseLost {
  absl::Status why;
};
// The final outcome of a call (retries are the channel's business).
struct NamenodeAnswer {
  uint64_t tag = 0;
  absl::StatusOr<protocol::MutationReply> answer;
};
struct AckArrived {
  uint64_t stream = 0;
  protocol::Ack ack;
};
// The stream could not be opened, broke, or was ended by the datanode. Nothing comes from it any more.
struct StreamEnded {
  uint64_t stream = 0;
  absl::Status status;
};
// Time has passed. Harmless when early or repeated.
struct Tick {};

}  // namespace write_event
using WriteEvent = std::variant<write_event::AddPacket, write_event::Flush, write_event::Reopen, write_event::Close,
                                write_event::Abort, write_event::LeaseLost, write_event::NamenodeAnswer,
                                write_event::AckArrived, write_event::StreamEnded, write_event::Tick>;

// ---- what to do, in order -----------------------------------------------------------------------------------------
namespace write_action {

// Call the namenode, with retries; answer with NamenodeAnswer{tag}. An answer nobody waits for is ignored.
struct CallNamenode {
  uint64_t tag = 0;
  protocol::Mutation request;
};
// Open a write stream to `target`; `setup` is its first message. No answer yet: the setup acknowledgement is an
// AckArrived with sequence kSetupAck, a failure is StreamEnded.
struct OpenStream {
  uint64_t stream = 0;
  protocol::ReplicaLocation target;
  protocol::WriteSetup setup;
};
struct SendPacket {
  uint64_t stream = 0;
  protocol::Packet packet;
};
// Nothing more is sent or wanted. `cancel`: the pipeline must drop what it has in hand; otherwise the block's last
// packet was acknowledged and the stream ends by itself.
struct CloseStream {
  uint64_t stream = 0;
  bool cancel = false;
};
// Step with Tick at this time; replaces the time given before.
struct WakeAt {
  MonotonicTime at;
};
struct OperationDone {
  uint64_t operation = 0;
  absl::Status status;
  std::optional<DatanodeUuid> culprit;  // of a Reopen that failed; nothing: no datanode is to blame
};

}  // namespace write_action
using WriteAction = std::variant<write_action::CallNamenode, write_action::OpenStream, write_action::SendPacket,
                                 write_action::CloseStream, write_action::WakeAt, write_action::OperationDone>;

struct WriterSettings {
  uint32_t window_packets = 16;                       // 1..64
  Duration setup_timeout = std::chrono::seconds(20);  // of a pipeline of no hops; see per_hop_extension
  Duration ack_timeout =
      std::chrono::seconds(60);  // a pipeline that owes an acknowledgement and is silent for so long failed
  // More patience per hop, so that the hop before the silent one speaks first and names it (HDFS: 5 s).
  Duration per_hop_extension = std::chrono::seconds(5);
  uint32_t block_retries = 3;  // HDFS: 3: new blocks asked for after a pipeline failed before its first acknowledgement
  uint32_t busy_retries = 5;   // of these pauses, per block, when a datanode only said "busy"
  uint32_t namenode_retries = 10;                        // while AddBlock or Complete says "not yet"
  Duration first_wait = std::chrono::milliseconds(100);  // before these retries; doubles, with jitter
  Duration longest_wait = std::chrono::seconds(5);
  Duration exclusion = std::chrono::minutes(10);  // how long a datanode that failed is not asked for (HDFS)
};

// A last block that is filled up, as Append answered it: with its new stamp and the bytes it has.
struct ReopenedBlock {
  protocol::LocatedBlock block;
  GenerationStamp stamp_before;
};

// The file as Create or Append answered it.
struct WriterFile {
  std::string path;
  InodeId inode;
  std::string holder;  // lease holder
  uint64_t block_bytes = 0;
  bool sync_on_close = true;
  uint64_t length = 0;                // bytes it has already
  std::optional<ReopenedBlock> last;  // nothing: the next byte begins a new block
};

// One thread only.
class FileWriter {
 public:
  FileWriter(WriterFile file, WriterSettings settings, Random random);

  std::vector<WriteAction> Step(WriteEvent event, MonotonicTime now);

  // Whether one more packet may be added.
  bool HasRoom() const { return queue_.size() < settings_.window_packets; }
  // The failure that stays; OK while there is none.
  const absl::Status& status() const { return status_; }
  bool closed() const { return state_ == State::kClosed; }
  // What Complete said the file is; once closed.
  const protocol::FileStatus& final_status() const { return final_status_; }
  // Packets that left the window: packets added less this many are kept.
  uint64_t packets_acknowledged() const { return packets_acknowledged_; }
  // Bytes of the file that every datanode of their pipelines acknowledged, those it had before included.
  uint64_t acknowledged_bytes() const { return acknowledged_bytes_; }

 private:
  enum class State { kReopening, kIdle, kAdding, kSettingUp, kStreaming, kAbandoning, kClosing, kClosed, kFailed };
  struct Operation {
    uint64_t id = 0;
    bool is_close = false;
    uint64_t packets = 0;  // done when so many packets of the file are acknowledged
  };

  void On(write_event::AddPacket event);
  void On(write_event::Flush event);
  void On(write_event::Reopen event);
  void On(write_event::Close event);
  void On(write_event::Abort event);
  void On(const write_event::LeaseLost& event);
  void On(write_event::NamenodeAnswer event);
  void On(const write_event::AckArrived& event);
  void On(const write_event::StreamEnded& event);
  void On(write_event::Tick event);

  void OnAddBlock(absl::StatusOr<protocol::MutationReply> answer);
  void OnAbandoned(const absl::StatusOr<protocol::MutationReply>& answer);
  void OnComplete(absl::StatusOr<protocol::MutationReply> answer);
  void OnFsync(const absl::StatusOr<protocol::MutationReply>& answer);

  // Does what the state allows: asks for a block, sends, answers operations, completes.
  void Advance();
  void AskForBlock();
  void OpenPipeline();
  void SendWhatFits();
  void AnswerFlushes();
  void AskToComplete();
  protocol::WriteSetup BeginPipeline();
  // Whether it may be asked once more, at wait_until_.
  bool AskAgainLater();
  // The pipeline of the current block failed. `hop`: index of the datanode to blame in block_.locations.
  void PipelineFailed(size_t hop, const absl::Status& why);
  void ReopenFailed(const protocol::ReplicaLocation& culprit, const absl::Status& why);
  std::string AttemptText(const std::string& named, const absl::Status& why) const;
  void RetryElsewhere(const DatanodeUuid& culprit, const std::string& named, const absl::Status& why);
  void CloseStream(bool cancel);
  void AbandonCurrentBlock(uint64_t tag);
  void Fail(absl::Status status);
  void Emit(WriteAction action) { actions_.push_back(std::move(action)); }
  void EmitWake();
  uint64_t NewTag() { return next_tag_++; }
  bool SentBytesChangedHere() const;
  std::string AttemptsText() const;
  Duration ExtraPatience() const { return settings_.per_hop_extension * static_cast<int64_t>(block_.locations.size()); }

  const WriterFile file_;
  const WriterSettings settings_;
  Random random_;

  State state_;
  absl::Status status_;
  MonotonicTime now_;
  std::vector<WriteAction> actions_;
  protocol::FileStatus final_status_;

  // Packets not acknowledged yet, in order; the first sent_ of them are under way on the current stream.
  std::deque<BuiltPacket> queue_;
  size_t sent_ = 0;
  uint64_t packets_added_ = 0;
  uint64_t packets_acknowledged_ = 0;
  uint64_t acknowledged_bytes_;
  std::deque<Operation> operations_;
  std::optional<uint64_t> reopen_operation_;  // while its pipeline is being set up
  std::optional<DatanodeUuid> reopen_culprit_;
  bool close_asked_ = false;

  // The block being written (kSettingUp, kStreaming, kAbandoning).
  protocol::LocatedBlock block_;
  uint64_t finished_blocks_ = 0;
  std::optional<protocol::Block> previous_;  // the last finished block, with its length
  uint64_t stream_ = 0;                      // 0: none open
  uint64_t next_stream_ = 1;
  uint64_t next_sequence_ = 0;          // of the next packet sent on the stream
  uint64_t next_ack_ = 0;               // sequence the next acknowledgement must have
  uint64_t acknowledged_in_block_ = 0;  // length the whole pipeline has
  bool block_acknowledged_ = false;     // some packet of the block was, or it held bytes before
  bool flushed_in_block_ = false;       // a flush was answered for bytes in it, or it held bytes before
  MonotonicTime owed_since_;            // since when the pipeline owes the next acknowledgement

  // Attempts to get the current block written.
  std::vector<std::string> attempts_;  // what went wrong, one text each
  uint32_t block_failures_ = 0;
  uint32_t busy_answers_ = 0;
  struct Excluded {
    DatanodeUuid datanode;
    MonotonicTime since;
    uint64_t finished_blocks = 0;  // when it failed
  };
  std::vector<Excluded> excluded_;

  // Calls to the namenode under way, and waits for the next one.
  uint64_t next_tag_ = 1;
  uint64_t call_tag_ = 0;      // AddBlock, AbandonBlock or Complete; 0: none
  uint64_t fsync_tag_ = 0;     // 0: none
  uint64_t fsync_blocks_ = 0;  // blocks 0..n-1 are covered by the Fsync under way
  uint64_t persisted_blocks_;  // blocks 0..n-1 are durable in the namenode's list
  uint32_t fsync_waits_ = 0;   // "not yet" answers to Fsync in a row
  std::optional<MonotonicTime> fsync_wait_until_;
  uint64_t blocks_seen_ = 0;     // 1 + index of the block of the last acknowledged packet
  uint32_t namenode_waits_ = 0;  // "not yet" answers in a row
  std::optional<MonotonicTime> wait_until_;
  std::optional<MonotonicTime> wake_emitted_;
};

}  // namespace dolmen::client
