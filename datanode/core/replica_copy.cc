#include "datanode/core/replica_copy.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/crc32c.h"
#include "common/error.h"

namespace dolmen::datanode {

std::vector<CopyAction> ReplicaCopy::Step(CopyEvent event, MonotonicTime now) {
  now_ = now;
  std::visit([this](auto& one) { On(std::move(one)); }, event);
  return std::exchange(actions_, {});
}

std::optional<MonotonicTime> ReplicaCopy::NextDeadline() const {
  const auto hops = static_cast<int64_t>(command_.targets.size());
  if (state_ == State::kConnecting) return heard_ + options_.setup_timeout * hops;
  if (state_ == State::kSending && next_sequence_ > acked_) return heard_ + options_.ack_timeout * hops;
  return std::nullopt;
}

void ReplicaCopy::On(copy_event::Start /*event*/) {
  if (state_ != State::kOpening || opening_) return;
  if (command_.targets.empty()) return Finish(MakeError(ErrorReason::kIllegalArgument, "the order names no target"));
  opening_ = true;
  actions_.push_back(copy_action::OpenSource{command_.block});
}

void ReplicaCopy::On(copy_event::SourceOpened event) {
  opening_ = false;
  if (state_ != State::kOpening) return;
  if (!event.length.ok()) return Finish(event.length.status());
  length_ = *event.length;
  if (length_ != command_.block.length) {
    return Finish(
        MakeError(ErrorReason::kReplicaNotFound,
                  absl::StrCat("the replica here has ", length_, " bytes, the order says ", command_.block.length)));
  }
  state_ = State::kConnecting;
  heard_ = now_;
  pipeline_open_ = true;
  protocol::WriteSetup setup{.block = {.id = command_.block.id, .stamp = command_.block.stamp},
                             .storage = command_.targets.front().storage,
                             .downstream = {command_.targets.begin() + 1, command_.targets.end()},
                             .token = command_.token,
                             .client_name = "copy",
                             .is_copy = true,
                             .sync_on_close = options_.sync_on_close,
                             .expected_bytes = length_};
  actions_.push_back(copy_action::ConnectPipeline{.target = command_.targets.front(), .setup = std::move(setup)});
}

void ReplicaCopy::ReadMore() {
  if (state_ != State::kSending || reading_ || sent_last_ || next_sequence_ - acked_ >= options_.window_packets) return;
  if (length_ == 0) return Send({});
  reading_ = true;
  actions_.push_back(copy_action::ReadSource{
      .offset = next_offset_, .length = std::min<uint64_t>(options_.packet_bytes, length_ - next_offset_)});
}

void ReplicaCopy::On(copy_event::ChunkRead event) {
  reading_ = false;
  if (state_ != State::kSending) return;
  absl::Status read = event.chunk.status();
  if (read.ok()) {
    const protocol::ReadChunk& chunk = *event.chunk;
    const bool whole = chunk.offset == next_offset_ && !chunk.payload.empty() &&
                       chunk.offset + chunk.payload.size() <= length_ &&
                       chunk.checksums.size() == ChecksumBytesFor(chunk.payload.size());
    const int64_t bad = whole ? FirstBadChunk(chunk.payload, chunk.checksums) : 0;
    if (bad < 0) return Send(*std::move(event.chunk));
    read =
        MakeError(ErrorReason::kChecksum, absl::StrCat("the replica here is corrupt at offset ",
                                                       next_offset_ + static_cast<uint64_t>(bad) * kBytesPerChecksum));
  }
  if (ReasonOf(read) == ErrorReason::kChecksum) actions_.push_back(copy_action::ReportCorrupt{command_.block});
  Finish(std::move(read));
}

void ReplicaCopy::Send(protocol::ReadChunk chunk) {
  protocol::Packet packet{.sequence = next_sequence_++, .offset = next_offset_};
  next_offset_ += chunk.payload.size();
  packet.last = sent_last_ = next_offset_ == length_;
  packet.checksums = std::move(chunk.checksums);
  packet.payload = std::move(chunk.payload);
  if (next_sequence_ - acked_ == 1) heard_ = now_;  // the wait for acks begins
  actions_.push_back(copy_action::SendPacket{std::move(packet)});
  if (sent_last_) actions_.push_back(copy_action::ClosePipeline{.cancel = false});
  ReadMore();
}

void ReplicaCopy::On(copy_event::AckArrived event) {
  if (state_ != State::kConnecting && state_ != State::kSending) return;
  heard_ = now_;
  for (const protocol::HopStatus& hop : event.ack.hops) {
    if (!hop.status.ok()) return Finish(Annotate(hop.status, absl::StrCat("datanode ", hop.datanode.value())));
  }
  if (state_ == State::kConnecting) {
    if (event.ack.sequence != protocol::kSetupAck) {
      return Finish(MakeError(ErrorReason::kPipelineFailed, "the target answered the setup with something else"));
    }
    state_ = State::kSending;
    return ReadMore();
  }
  if (event.ack.sequence < acked_) return;  // acknowledged again
  if (event.ack.sequence != acked_ || acked_ >= next_sequence_) {
    return Finish(MakeError(ErrorReason::kPipelineFailed, absl::StrCat("the target acknowledged packet ",
                                                                       event.ack.sequence, " instead of ", acked_)));
  }
  ++acked_;
  if (sent_last_ && acked_ == next_sequence_) {
    pipeline_open_ = false;  // it ends by itself
    return Finish(absl::OkStatus());
  }
  ReadMore();
}

void ReplicaCopy::On(copy_event::PipelineEnded event) {
  pipeline_open_ = false;
  if (state_ != State::kConnecting && state_ != State::kSending) return;
  Finish(event.status.ok() ? MakeError(ErrorReason::kPipelineFailed, "the target ended the stream early")
                           : std::move(event.status));
}

void ReplicaCopy::On(copy_event::Tick /*event*/) {
  const std::optional<MonotonicTime> deadline = NextDeadline();
  if (!deadline.has_value() || now_ < *deadline) return;
  Finish(MakeError(
      ErrorReason::kUnreachable,
      absl::StrCat("the target ", command_.targets.front().datanode.uuid.value(), " did not answer in time")));
}

void ReplicaCopy::Finish(absl::Status status) {
  if (state_ == State::kDone) return;
  state_ = State::kDone;
  if (pipeline_open_) actions_.push_back(copy_action::ClosePipeline{.cancel = true});
  pipeline_open_ = false;
  actions_.push_back(copy_action::Finished{Annotate(status, absl::StrCat("copying ", command_.block.id.ToString()))});
}

}  // namespace dolmen::datanode
