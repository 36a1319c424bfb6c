#include "datanode/core/pipeline_hop.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/error.h"

namespace dolmen::datanode {
namespace {

constexpr uint64_t kMaxId = (uint64_t{1} << 63) - 1;

absl::Status ProtocolError(const protocol::WriteSetup& setup, std::string_view text) {
  return MakeError(ErrorReason::kIllegalArgument, absl::StrCat(setup.block.id.ToString(), ": ", ToAbsl(text)));
}

std::string NameOf(const protocol::ReplicaLocation& hop) {
  std::string name = absl::StrCat("datanode ", hop.datanode.uuid.value());
  for (const protocol::Address& address : hop.datanode.addresses) {
    absl::StrAppend(&name, " ", address.host, ":", address.port);
    break;
  }
  return name;
}

// The first status that is not OK.
absl::Status CulpritOf(const std::vector<protocol::HopStatus>& hops) {
  for (const protocol::HopStatus& hop : hops) {
    if (!hop.status.ok()) return Annotate(hop.status, absl::StrCat("datanode ", hop.datanode.value()));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<HopAction> PipelineHop::Step(HopEvent event, MonotonicTime now) {
  now_ = now;
  std::visit([this](auto& one) { On(std::move(one)); }, event);
  return std::exchange(actions_, {});
}

std::optional<MonotonicTime> PipelineHop::NextDeadline() const {
  const auto hops = static_cast<int64_t>(setup_.downstream.size());
  switch (state_) {
    case State::kSettingUp: {
      const MonotonicTime disk = setup_since_ + options_.disk_timeout;
      if (!HasDownstream() || downstream_setup_.has_value()) return disk;
      const MonotonicTime hop = setup_since_ + options_.setup_timeout * hops;
      return local_open_ ? hop : std::min(disk, hop);
    }
    case State::kStreaming:
    case State::kClosing: {
      if (pending_.empty()) return last_heard_ + options_.idle_timeout;
      const Pending& front = pending_.front();
      const bool disk_owes = !front.written || (front.last && !finalized_);
      const bool hop_owes = HasDownstream() && !front.downstream.has_value();
      if (disk_owes && hop_owes) return front.since + std::min(options_.disk_timeout, options_.ack_timeout * hops);
      return front.since + (disk_owes ? options_.disk_timeout : options_.ack_timeout * hops);
    }
    default:
      return std::nullopt;
  }
}

// ---- setup -------------------------------------------------------------------------------------------------------

absl::Status PipelineHop::CheckSetup(const hop_event::SetupReceived& event) const {
  const protocol::WriteSetup& setup = event.setup;
  DOLMEN_RETURN_IF_ERROR(event.keys.Verify(setup.token, setup.block.id,
                                           setup.is_copy ? BlockAccess::kCopy : BlockAccess::kWrite, event.wall_now));
  if (setup.block.id.is_none() || setup.block.id.value() > kMaxId || setup.block.stamp.is_none() ||
      setup.block.stamp.value() > kMaxId) {
    return ProtocolError(setup, "the setup names no block id and generation stamp");
  }
  if (setup.append_to.has_value()) {
    if (setup.is_copy) return ProtocolError(setup, "a copy can't append");
    if (setup.append_to->is_none() || *setup.append_to >= setup.block.stamp) {
      return ProtocolError(setup, absl::StrCat("an append to ", setup.append_to->ToString(), " can't have ",
                                               setup.block.stamp.ToString()));
    }
    if (setup.expected_bytes != 0 && setup.block.length > setup.expected_bytes) {
      return ProtocolError(setup, absl::StrCat("the replica to be appended to has ", setup.block.length,
                                               " bytes, the block may have ", setup.expected_bytes));
    }
  }
  if (setup.downstream.size() > options_.max_hops) {
    return ProtocolError(setup, absl::StrCat("the pipeline has ", setup.downstream.size(),
                                             " hops behind this one, at most ", options_.max_hops, " are allowed"));
  }
  for (const protocol::ReplicaLocation& hop : setup.downstream) {
    if (hop.datanode.uuid == options_.self) return ProtocolError(setup, "this datanode is in the pipeline twice");
  }
  return absl::OkStatus();
}

void PipelineHop::On(hop_event::SetupReceived event) {
  if (state_ != State::kNew) return FailSelf(ProtocolError(setup_, "a second setup in one stream"));
  state_ = State::kSettingUp;
  setup_since_ = now_;
  last_heard_ = now_;
  setup_ = event.setup;
  if (absl::Status checked = CheckSetup(event); !checked.ok()) return FailSelf(std::move(checked));
  if (IsAppend()) received_ = visible_ = setup_.block.length;
  ++local_calls_;
  Do(hop_action::OpenLocal{.block = {.id = setup_.block.id, .stamp = setup_.block.stamp, .length = received_},
                           .storage = setup_.storage,
                           .is_copy = setup_.is_copy,
                           .expected_bytes = setup_.expected_bytes,
                           .append_to = setup_.append_to});
  if (!HasDownstream()) return;
  protocol::WriteSetup next = setup_;
  next.storage = setup_.downstream.front().storage;
  next.downstream.erase(next.downstream.begin());
  downstream_open_ = true;
  Do(hop_action::ConnectDownstream{.target = setup_.downstream.front(), .setup = std::move(next)});
}

void PipelineHop::On(hop_event::LocalOpened event) {
  DOLMEN_CHECK(local_calls_ > 0);
  --local_calls_;
  if (!event.storage.ok()) {
    if (state_ == State::kSettingUp) FailSelf(event.storage.status());
    return;
  }
  local_open_ = true;
  storage_ = *std::move(event.storage);
  if (state_ != State::kSettingUp) return CloseLocal();  // given up meanwhile
  if (IsAppend() && event.tail.size() != received_ % kBytesPerChecksum) {
    return FailSelf(
        MakeError(ErrorReason::kChecksum, absl::StrCat(setup_.block.id.ToString(), ": the replica ends with ",
                                                       event.tail.size(), " bytes in its last chunk")));
  }
  tail_ = std::move(event.tail);
  SetupAnswerIfReady();
}

void PipelineHop::SetupAnswerIfReady() {
  if (state_ != State::kSettingUp || !local_open_ || (HasDownstream() && !downstream_setup_.has_value())) return;
  protocol::Ack ack{.sequence = protocol::kSetupAck, .storage = storage_};
  ack.hops.push_back(Self(absl::OkStatus()));
  if (downstream_setup_.has_value())
    ack.hops.insert(ack.hops.end(), downstream_setup_->begin(), downstream_setup_->end());
  if (!ack.ok()) return FailDownstream(*downstream_setup_);
  state_ = State::kStreaming;
  setup_acked_ = true;
  last_heard_ = now_;
  Do(hop_action::SendUpstream{std::move(ack)});
}

// ---- packets -----------------------------------------------------------------------------------------------------

absl::Status PipelineHop::CheckPacket(const protocol::Packet& packet) const {
  const std::string name = absl::StrCat("packet ", packet.sequence);
  if (packet.sequence != next_sequence_) {
    return ProtocolError(setup_, absl::StrCat(name, " instead of packet ", next_sequence_));
  }
  const uint64_t size = packet.payload.size();
  if (size > protocol::kMaxPacketBytes) {
    return ProtocolError(setup_, absl::StrCat(name, " has ", size, " bytes, at most ", protocol::kMaxPacketBytes));
  }
  const uint64_t start = received_ - received_ % kBytesPerChecksum;
  const bool fits = size == 0 ? packet.offset == start || packet.offset == received_
                              : packet.offset == start && packet.EndOffset() >= received_;
  if (!fits) {
    return ProtocolError(setup_, absl::StrCat(name, " covers bytes ", packet.offset, " to ", packet.offset + size,
                                              ", but ", received_, " were received"));
  }
  if (setup_.expected_bytes != 0 && size > 0 && packet.EndOffset() > setup_.expected_bytes) {
    return ProtocolError(setup_, absl::StrCat(name, " ends at ", packet.EndOffset(), ", the block may have ",
                                              setup_.expected_bytes, " bytes"));
  }
  if (packet.checksums.size() != ChecksumBytesFor(size)) {
    return ProtocolError(
        setup_, absl::StrCat(name, " has ", packet.checksums.size(), " checksum bytes for ", size, " bytes of data"));
  }
  if (pending_.size() >= options_.window_packets || pending_bytes_ + size > options_.window_bytes) {
    return ProtocolError(setup_, absl::StrCat(name, " is beyond the window: ", pending_.size(), " packets with ",
                                              pending_bytes_, " bytes are not acknowledged yet"));
  }
  if (const int64_t bad = FirstBadChunk(packet.payload, packet.checksums); bad >= 0) {
    return MakeError(ErrorReason::kChecksum,
                     absl::StrCat(setup_.block.id.ToString(), ": ", name, " arrived with a bad checksum at offset ",
                                  packet.offset + static_cast<uint64_t>(bad) * kBytesPerChecksum));
  }
  if (size > 0 && !packet.payload.StartsWith(ToAbsl(tail_))) {
    return ProtocolError(setup_, absl::StrCat(name, " changes bytes that were sent before"));
  }
  return absl::OkStatus();
}

void PipelineHop::On(hop_event::PacketReceived event) {
  last_heard_ = now_;
  if (state_ == State::kFinished || state_ == State::kFailed) return;  // crossed our last word
  const protocol::Packet& packet = event.packet;
  const bool streaming = state_ == State::kStreaming || state_ == State::kClosing;
  if (streaming && packet.sequence < next_sequence_) {
    if (packet.EndOffset() > received_) return FailSelf(ProtocolError(setup_, "a packet sent again has other bytes"));
    return AckAgain(packet.sequence);
  }
  if (state_ == State::kClosing) return FailSelf(ProtocolError(setup_, "a packet after the last"));
  if (!streaming) return FailSelf(ProtocolError(setup_, "a packet before the setup was acknowledged"));
  if (absl::Status checked = CheckPacket(packet); !checked.ok()) return FailSelf(std::move(checked));
  Accept(std::move(event.packet));
}

void PipelineHop::AckAgain(uint64_t sequence) {
  // One that is under way will be acknowledged in its turn.
  if (!pending_.empty() && sequence >= pending_.front().sequence) return;
  protocol::Ack ack{.sequence = sequence};
  ack.hops.push_back(Self(absl::OkStatus()));
  for (const protocol::ReplicaLocation& hop : setup_.downstream) ack.hops.push_back({.datanode = hop.datanode.uuid});
  Do(hop_action::SendUpstream{std::move(ack)});
}

void PipelineHop::Accept(protocol::Packet packet) {
  Pending pending{.sequence = packet.sequence,
                  .end = received_,
                  .bytes = packet.payload.size(),
                  .last = packet.last,
                  .since = now_};
  if (pending.bytes > 0) {
    received_ = packet.EndOffset();
    const size_t partial = received_ % kBytesPerChecksum;
    tail_ = std::string(packet.payload.Subcord(packet.payload.size() - partial, partial));
    pending.end = received_;
  }
  ++next_sequence_;
  pending_bytes_ += pending.bytes;
  const bool last = packet.last;
  const bool touches_disk = pending.bytes > 0 || (packet.sync && !last);
  pending.written = !touches_disk;
  pending_.push_back(std::move(pending));

  if (HasDownstream()) {
    Do(hop_action::SendDownstream{packet});
    if (last) Do(hop_action::CloseDownstream{.cancel = false});
  }
  if (touches_disk) {
    ++local_calls_;
    if (last) packet.sync = false;  // the finalize syncs
    Do(hop_action::WriteLocal{std::move(packet)});
  }
  if (last) {
    state_ = State::kClosing;
    local_open_ = false;  // the finalize closes it
    ++local_calls_;
    // What was durable before an append stays so.
    Do(hop_action::FinalizeLocal{.durable = setup_.sync_on_close || IsAppend()});
  }
  AckWhatIsReady();
}

void PipelineHop::On(hop_event::LocalWritten event) {
  DOLMEN_CHECK(local_calls_ > 0);
  --local_calls_;
  if (state_ != State::kStreaming && state_ != State::kClosing) return;
  if (ReasonOf(event.status) == ErrorReason::kRecoveryInProgress) taken_ = true;
  if (!event.status.ok()) return FailSelf(std::move(event.status));
  for (Pending& pending : pending_) {
    if (pending.sequence != event.sequence) continue;
    pending.written = true;
    pending.service_micros = event.service_micros;
    break;
  }
  AckWhatIsReady();
}

void PipelineHop::On(hop_event::LocalFinalized event) {
  DOLMEN_CHECK(local_calls_ > 0);
  --local_calls_;
  if (ReasonOf(event.status) == ErrorReason::kRecoveryInProgress) taken_ = true;
  if (event.status.ok()) {
    Report(protocol::ReplicaState::kFinalized);
  } else if (!setup_.is_copy && !taken_) {
    Report(protocol::ReplicaState::kBeingWritten);
  }
  if (state_ != State::kClosing) return;
  if (!event.status.ok()) return FailSelf(std::move(event.status));
  finalized_ = true;
  AckWhatIsReady();
}

void PipelineHop::On(hop_event::BlockFrozen event) {
  // A finalize under way succeeds or not, as the store had it first: its answer says which.
  if (state_ != State::kSettingUp && state_ != State::kStreaming) return;
  if (setup_.is_copy || setup_.block.id != event.block || setup_.block.stamp >= event.recovery) return;
  taken_ = true;
  FailSelf(std::move(event.why));
}

void PipelineHop::AckWhatIsReady() {
  while (!pending_.empty()) {
    Pending& front = pending_.front();
    if (!front.written || (front.last && !finalized_) || (HasDownstream() && !front.downstream.has_value())) return;
    protocol::Ack ack{.sequence = front.sequence};
    ack.hops.push_back(Self(absl::OkStatus(), front.service_micros));
    if (front.downstream.has_value())
      ack.hops.insert(ack.hops.end(), front.downstream->begin(), front.downstream->end());
    if (front.end > visible_) {
      visible_ = front.end;
      if (!front.last) Do(hop_action::SetVisible{.length = visible_});
    }
    const bool last = front.last;
    pending_bytes_ -= front.bytes;
    pending_.pop_front();
    if (!pending_.empty()) pending_.front().since = now_;  // its wait begins when it comes to the front
    Do(hop_action::SendUpstream{std::move(ack)});
    if (!last) continue;
    state_ = State::kFinished;
    Do(hop_action::FinishUpstream{});
    return;
  }
}

// ---- the next hop ------------------------------------------------------------------------------------------------

void PipelineHop::On(hop_event::DownstreamAck event) {
  const protocol::Ack& ack = event.ack;
  if (state_ == State::kSettingUp) {
    if (ack.sequence != protocol::kSetupAck || ack.hops.size() > setup_.downstream.size()) {
      return FailDownstream(
          NextHop(MakeError(ErrorReason::kPipelineFailed, "it answered the setup with something else")));
    }
    downstream_setup_ = ack.hops;
    // Refused behind us: what was opened here is undone without waiting for more.
    if (!ack.ok()) return FailDownstream(*downstream_setup_);
    if (ack.hops.size() != setup_.downstream.size()) {
      return FailDownstream(NextHop(MakeError(ErrorReason::kPipelineFailed, "its setup ack lacks a hop")));
    }
    return SetupAnswerIfReady();
  }
  if (state_ != State::kStreaming && state_ != State::kClosing) return;
  if (!ack.ok()) return FailDownstream(ack.hops);
  if (ack.sequence < next_downstream_ack_) return;  // acknowledged again
  if (ack.sequence != next_downstream_ack_ || ack.sequence >= next_sequence_) {
    return FailDownstream(
        NextHop(MakeError(ErrorReason::kPipelineFailed, absl::StrCat("it acknowledged packet ", ack.sequence,
                                                                     " instead of ", next_downstream_ack_))));
  }
  ++next_downstream_ack_;
  for (Pending& pending : pending_) {
    if (pending.sequence == ack.sequence) pending.downstream = std::move(event.ack.hops);
  }
  AckWhatIsReady();
}

void PipelineHop::On(hop_event::DownstreamEnded event) {
  downstream_open_ = false;
  if (state_ == State::kFinished || state_ == State::kFailed) return;
  // All of it was acknowledged: an end as it should be.
  if (state_ == State::kClosing && next_downstream_ack_ == next_sequence_) return;
  absl::Status why = std::move(event.status);
  if (why.ok()) why = MakeError(ErrorReason::kPipelineFailed, "it ended the stream early");
  FailDownstream(NextHop(std::move(why)));
}

// ---- ends --------------------------------------------------------------------------------------------------------

void PipelineHop::On(hop_event::UpstreamEnded event) {
  switch (state_) {
    case State::kNew:
      state_ = State::kFailed;
      Do(hop_action::FinishUpstream{MakeError(ErrorReason::kCancelled, "the stream ended before its setup")});
      return;
    case State::kFinished:
    case State::kFailed:
      return;
    case State::kClosing:
      // The block is complete; it is finalized even if nobody hears the ack any more.
      return;
    case State::kSettingUp:
    case State::kStreaming:
      break;
  }
  absl::Status why = event.status.ok() ? ProtocolError(setup_, "the sender ended the stream before its last packet")
                                       : std::move(event.status);
  Undo();
  state_ = State::kFailed;
  Do(hop_action::FinishUpstream{std::move(why)});
}

void PipelineHop::On(hop_event::Tick /*event*/) {
  const std::optional<MonotonicTime> deadline = NextDeadline();
  if (!deadline.has_value()) return;
  if (state_ == State::kSettingUp) {
    const auto waited = now_ - setup_since_;
    const auto hops = static_cast<int64_t>(setup_.downstream.size());
    if (HasDownstream() && !downstream_setup_.has_value() && waited >= options_.setup_timeout * hops) {
      return FailDownstream(NextHop(MakeError(ErrorReason::kUnreachable, "it did not answer the setup in time")));
    }
    if (!local_open_ && waited >= options_.disk_timeout) {
      return FailSelf(
          MakeError(ErrorReason::kIo, absl::StrCat(setup_.block.id.ToString(), ": the disk did not answer")));
    }
    return;
  }
  if (now_ < *deadline) return;
  if (pending_.empty()) {
    return FailSelf(MakeError(ErrorReason::kCancelled,
                              absl::StrCat(setup_.block.id.ToString(), ": nothing was sent for too long")));
  }
  const Pending& front = pending_.front();
  const bool disk_owes = !front.written || (front.last && !finalized_);
  if (disk_owes && now_ - front.since >= options_.disk_timeout) {
    return FailSelf(MakeError(ErrorReason::kIo, absl::StrCat(setup_.block.id.ToString(), ": the disk did not answer")));
  }
  FailDownstream(NextHop(MakeError(ErrorReason::kUnreachable,
                                   absl::StrCat("it did not acknowledge packet ", front.sequence, " in time"))));
}

protocol::HopStatus PipelineHop::Self(absl::Status status, uint32_t micros) const {
  return {.datanode = options_.self, .status = std::move(status), .service_micros = micros};
}

std::vector<protocol::HopStatus> PipelineHop::NextHop(absl::Status status) const {
  const protocol::ReplicaLocation& next = setup_.downstream.front();
  const ErrorReason reason = ReasonOf(status);
  // A connection that broke is the next hop's; what it said of itself stays as it is.
  absl::Status named = reason == ErrorReason::kNone
                           ? MakeError(ErrorReason::kUnreachable, absl::StrCat(NameOf(next), ": ", status.message()))
                           : Annotate(status, NameOf(next));
  return {{.datanode = next.datanode.uuid, .status = std::move(named)}};
}

void PipelineHop::FailSelf(absl::Status status) {
  std::vector<protocol::HopStatus> hops{Self(status)};
  Fail(std::move(hops), status);
}

void PipelineHop::FailDownstream(std::vector<protocol::HopStatus> hops) {
  const absl::Status why = CulpritOf(hops);
  hops.insert(hops.begin(), Self(absl::OkStatus()));
  Fail(std::move(hops), why);
}

void PipelineHop::Fail(std::vector<protocol::HopStatus> hops, const absl::Status& why) {
  const uint64_t sequence = !setup_acked_       ? protocol::kSetupAck
                            : !pending_.empty() ? pending_.front().sequence
                                                : next_sequence_;
  Undo();
  state_ = State::kFailed;
  Do(hop_action::SendUpstream{{.sequence = sequence, .hops = std::move(hops)}});
  Do(hop_action::FinishUpstream{why});
}

void PipelineHop::Undo() {
  if (downstream_open_) Do(hop_action::CloseDownstream{.cancel = true});
  downstream_open_ = false;
  if (local_open_) CloseLocal();
  pending_.clear();
  pending_bytes_ = 0;
}

void PipelineHop::CloseLocal() {
  // A replica without a byte is of use to nobody, and in the way when the client tries again.
  const bool discard = !taken_ && !IsAppend() && (setup_.is_copy || received_ == 0);
  Do(hop_action::CloseLocal{.discard = discard});
  if (!discard && !taken_) Report(protocol::ReplicaState::kBeingWritten);
  local_open_ = false;
}

void PipelineHop::Report(protocol::ReplicaState state) {
  Do(hop_action::ReportReplica{
      .storage = storage_,
      .replica = {.block = {.id = setup_.block.id, .stamp = setup_.block.stamp, .length = received_}, .state = state}});
}

}  // namespace dolmen::datanode
