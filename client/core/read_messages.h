// What the reading machines (FileOpener, FileReader) are told and what they answer.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "common/clock.h"
#include "common/protocol/client_namenode.h"
#include "common/protocol/data_transfer.h"

namespace dolmen::client {

namespace read_event {

// ---- from the application (FileReader only)

// Read [offset, offset + length), cut at the file's end. Bytes come in order as Deliver; then OperationDone.
// `demand`: how many of them may come for now; see Demand. Operation ids are never used twice.
struct Read {
  uint64_t operation = 0;
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t demand = UINT64_MAX;
};
// Now so many bytes of the operation, counted from its start, may come. What comes may be more by one message.
struct Demand {
  uint64_t operation = 0;
  uint64_t bytes = 0;
};
// Nothing of the operation is wanted any more; it is not answered.
struct Cancel {
  uint64_t operation = 0;
};

// ---- from outside

// The final outcome of a call (retries are the channel's business).
struct NamenodeAnswer {
  uint64_t tag = 0;
  absl::StatusOr<protocol::QueryReply> answer;
};
struct VisibleLengthAnswer {
  uint64_t tag = 0;
  absl::StatusOr<protocol::VisibleLengthReply> answer;
};
struct ChunkArrived {
  uint64_t stream = 0;
  protocol::ReadChunk chunk;
};
// The stream could not be opened, broke (not OK), or the datanode sent all it has of the range (OK).
struct StreamEnded {
  uint64_t stream = 0;
  absl::Status status;
};
// Time has passed. Harmless when early or repeated.
struct Tick {};

}  // namespace read_event
using ReadEvent = std::variant<read_event::Read, read_event::Demand, read_event::Cancel, read_event::NamenodeAnswer,
                               read_event::ChunkArrived, read_event::StreamEnded, read_event::Tick>;

namespace read_action {

// Call the namenode, with retries; answer with NamenodeAnswer{tag}. An answer nobody waits for is ignored.
struct CallNamenode {
  uint64_t tag = 0;
  protocol::Query request;
};
// Ask one datanode, with a deadline; answer with VisibleLengthAnswer{tag}.
struct AskVisibleLength {
  uint64_t tag = 0;
  protocol::ReplicaLocation target;
  protocol::VisibleLengthRequest request;
};
// Open a read stream. Nothing is received before Receive.
struct OpenStream {
  uint64_t stream = 0;
  protocol::ReplicaLocation target;
  protocol::ReadRequest request;
};
// Take one more message from the stream: answered with ChunkArrived or StreamEnded.
struct Receive {
  uint64_t stream = 0;
};
// Cancel it; nothing from it is wanted any more.
struct CloseStream {
  uint64_t stream = 0;
};
// Verified bytes, following those delivered before.
struct Deliver {
  uint64_t operation = 0;
  absl::Cord bytes;
};
struct OperationDone {
  uint64_t operation = 0;
  absl::Status status;
};
// Step with Tick at this time; replaces the time given before.
struct WakeAt {
  MonotonicTime at;
};

}  // namespace read_action
using ReadAction = std::variant<read_action::CallNamenode, read_action::AskVisibleLength, read_action::OpenStream,
                                read_action::Receive, read_action::CloseStream, read_action::Deliver,
                                read_action::OperationDone, read_action::WakeAt>;

struct ReaderSettings {
  Duration stream_timeout =
      std::chrono::seconds(60);  // a datanode that owes a message and is silent for so long failed
  // The same while another replica has not been tried; never more than stream_timeout (chosen; HDFS waits 60 s).
  Duration silence_with_others = std::chrono::seconds(5);
  // When every replica failed, locations are fetched anew so many times; before time f (0, 1, ...) the reader waits
  // refresh_wait * f plus a random part of refresh_wait * (f + 1) (HDFS: 3 times, 3 s).
  uint32_t refreshes = 3;
  Duration refresh_wait = std::chrono::seconds(3);
  // Locations asked for at once, in bytes of the file (HDFS: 10 blocks).
  uint64_t locate_bytes = uint64_t{10} * (128 << 20);
  // Pause before the datanodes of an open file's last block are asked again for its length (HDFS: 3 times, 4 s).
  Duration visible_length_wait = std::chrono::seconds(4);
  uint32_t max_operations = 1024;  // under way in one reader
};

}  // namespace dolmen::client
