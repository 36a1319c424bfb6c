#include "client/core/file_writer.h"

#include <algorithm>
#include <utility>

#include "client/core/retry_policy.h"
#include "client/core/text.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/error.h"

namespace dolmen::client {
namespace {

// The namenode may grant it when asked again shortly: a block not reported yet, a full queue, a restart's safe mode.
bool MayBeGrantedLater(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case ErrorReason::kNotReplicatedYet:
    case ErrorReason::kRecoveryInProgress:
    case ErrorReason::kBusy:
    case ErrorReason::kSafeMode:
      return true;
    default:
      return false;
  }
}

// What a datanode that ended its stream is blamed for.
absl::Status Ended(const absl::Status& status) {
  return status.ok() ? MakeError(ErrorReason::kPipelineFailed, "it ended the stream early") : status;
}

}  // namespace

FileWriter::FileWriter(WriterFile file, WriterSettings settings, Random random)
    : file_(std::move(file)),
      settings_(settings),
      random_(random),
      state_(file_.last.has_value() ? State::kReopening : State::kIdle),
      acknowledged_bytes_(file_.length),
      persisted_blocks_(file_.last.has_value() ? 1 : 0) {}

std::vector<WriteAction> FileWriter::Step(WriteEvent event, MonotonicTime now) {
  now_ = std::max(now_, now);
  std::visit([this](auto&& one) { On(std::forward<decltype(one)>(one)); }, std::move(event));
  Advance();
  EmitWake();
  return std::exchange(actions_, {});
}

// ---- events -------------------------------------------------------------------------------------------------------

void FileWriter::On(write_event::AddPacket event) {
  if (!status_.ok()) return;
  DOLMEN_CHECK(!close_asked_, "a packet after close");
  DOLMEN_CHECK(HasRoom(), "a packet beyond the window");
  queue_.push_back(std::move(event.packet));
  ++packets_added_;
}

void FileWriter::On(write_event::Flush event) {
  if (!status_.ok()) return Emit(write_action::OperationDone{event.operation, status_});
  operations_.push_back({.id = event.operation, .is_close = false, .packets = packets_added_});
}

void FileWriter::On(write_event::Reopen event) {
  if (!status_.ok()) return Emit(write_action::OperationDone{event.operation, status_});
  DOLMEN_CHECK(state_ == State::kReopening, "only a last block that was there before is reopened, once");
  reopen_operation_ = event.operation;
  block_ = file_.last->block;
  protocol::WriteSetup setup = BeginPipeline();
  setup.append_to = file_.last->stamp_before;
  acknowledged_in_block_ = block_.block.length;
  block_acknowledged_ = flushed_in_block_ = true;
  Emit(write_action::OpenStream{stream_, block_.locations.front(), std::move(setup)});
}

void FileWriter::On(write_event::Close event) {
  if (!status_.ok() || state_ == State::kClosed) return Emit(write_action::OperationDone{event.operation, status_});
  close_asked_ = true;
  operations_.push_back({.id = event.operation, .is_close = true, .packets = packets_added_});
}

void FileWriter::On(write_event::Abort) {
  if (state_ == State::kClosed || state_ == State::kFailed) return;
  const bool has_block = state_ == State::kSettingUp || state_ == State::kStreaming;
  if (has_block && !flushed_in_block_) {
    CloseStream(/*cancel=*/true);
    AbandonCurrentBlock(NewTag());
  }
  Fail(MakeError(ErrorReason::kCancelled, absl::StrCat(file_.path, ": the stream was aborted")));
}

void FileWriter::On(const write_event::LeaseLost& event) {
  if (state_ != State::kClosed) Fail(Annotate(event.why, file_.path));
}

void FileWriter::On(write_event::NamenodeAnswer event) {
  if (event.tag == fsync_tag_ && fsync_tag_ != 0) return OnFsync(event.answer);
  if (event.tag != call_tag_ || call_tag_ == 0) return;  // nobody waits for it any more
  call_tag_ = 0;
  switch (state_) {
    case State::kAdding:
      return OnAddBlock(std::move(event.answer));
    case State::kAbandoning:
      return OnAbandoned(event.answer);
    case State::kClosing:
      return OnComplete(std::move(event.answer));
    default:
      return;
  }
}

void FileWriter::On(const write_event::AckArrived& event) {
  if (event.stream != stream_ || stream_ == 0) return;
  for (size_t hop = 0; hop < event.ack.hops.size(); ++hop) {
    const protocol::HopStatus& answer = event.ack.hops[hop];
    if (answer.status.ok()) {
      if (hop >= block_.locations.size() || block_.locations[hop].datanode.uuid == answer.datanode) continue;
      return PipelineFailed(hop, MakeError(ErrorReason::kPipelineFailed,
                                           absl::StrCat("datanode ", answer.datanode.value(), " answers instead")));
    }
    size_t blamed = std::min(hop, block_.locations.size() - 1);
    for (size_t i = 0; i < block_.locations.size(); ++i) {
      if (block_.locations[i].datanode.uuid == answer.datanode) blamed = i;
    }
    return PipelineFailed(blamed, answer.status);
  }
  if (event.ack.hops.size() != block_.locations.size()) {
    return PipelineFailed(
        0, MakeError(ErrorReason::kPipelineFailed, absl::StrCat("it acknowledged for ", event.ack.hops.size(), " of ",
                                                                block_.locations.size(), " datanodes")));
  }
  owed_since_ = now_;
  if (event.ack.sequence == protocol::kSetupAck) {
    if (state_ != State::kSettingUp) return;
    state_ = State::kStreaming;
    if (reopen_operation_.has_value()) {
      Emit(write_action::OperationDone{*std::exchange(reopen_operation_, std::nullopt), absl::OkStatus()});
    }
    return;
  }
  if (state_ != State::kStreaming || event.ack.sequence < next_ack_) return;  // a repetition
  if (event.ack.sequence > next_ack_ || sent_ == 0) {
    return PipelineFailed(
        0, MakeError(ErrorReason::kPipelineFailed,
                     absl::StrCat("it acknowledged packet ", event.ack.sequence, " while ", next_ack_, " was due")));
  }
  ++next_ack_;
  --sent_;
  const BuiltPacket packet = std::move(queue_.front());
  queue_.pop_front();
  ++packets_acknowledged_;
  acknowledged_bytes_ = packet.file_end;
  acknowledged_in_block_ = packet.EndOffset();
  block_acknowledged_ = true;
  blocks_seen_ = packet.block_index + 1;
  if (!packet.last) return;
  previous_ = block_.block;
  previous_->length = packet.EndOffset();
  ++finished_blocks_;
  CloseStream(/*cancel=*/false);
  state_ = State::kIdle;
  attempts_.clear();
  block_failures_ = busy_answers_ = 0;
}

void FileWriter::On(const write_event::StreamEnded& event) {
  if (event.stream != stream_ || stream_ == 0) return;
  PipelineFailed(0, Ended(event.status));
}

void FileWriter::On(write_event::Tick) {
  const bool owes_setup = state_ == State::kSettingUp;
  const bool owes_ack = state_ == State::kStreaming && sent_ > 0;
  if (!owes_setup && !owes_ack) return;
  const Duration patience = (owes_setup ? settings_.setup_timeout : settings_.ack_timeout) + ExtraPatience();
  if (now_ - owed_since_ < patience) return;
  PipelineFailed(0,
                 MakeError(absl::StatusCode::kDeadlineExceeded, ErrorReason::kPipelineFailed,
                           absl::StrCat(owes_setup ? "no answer to the pipeline setup for " : "no acknowledgement for ",
                                        SecondsText(now_ - owed_since_))));
}

// ---- answers of the namenode --------------------------------------------------------------------------------------

void FileWriter::OnAddBlock(absl::StatusOr<protocol::MutationReply> answer) {
  if (!answer.ok()) {
    if (MayBeGrantedLater(answer.status()) && AskAgainLater()) return;
    if (ReasonOf(answer.status()) == ErrorReason::kNoDatanodes) {
      // Better those that failed a block ago than nobody.
      const auto long_ago = [this](const Excluded& one) { return one.finished_blocks < finished_blocks_; };
      if (std::erase_if(excluded_, long_ago) > 0) return;  // asked again at once
    }
    const std::string context =
        absl::StrCat("Unable to add a block to ", file_.path, attempts_.empty() ? "" : " after ", AttemptsText());
    return Fail(Annotate(answer.status(), context));
  }
  auto* reply = std::get_if<protocol::AddBlockReply>(&*answer);
  if (reply == nullptr || reply->block.locations.empty()) {
    return Fail(MakeError(ErrorReason::kNoDatanodes, absl::StrCat("Unable to add a block to ", file_.path,
                                                                  ": the namenode named no datanode for it")));
  }
  namenode_waits_ = 0;
  block_ = std::move(reply->block);
  OpenPipeline();
}

void FileWriter::OnAbandoned(const absl::StatusOr<protocol::MutationReply>& answer) {
  if (!answer.ok()) {
    return Fail(Annotate(answer.status(), absl::StrCat("Unable to abandon ", block_.block.id.ToString(), " of ",
                                                       file_.path, " after ", AttemptsText())));
  }
  state_ = State::kAdding;  // at once, or at wait_until_
}

void FileWriter::OnComplete(absl::StatusOr<protocol::MutationReply> answer) {
  const std::string block = previous_.has_value() ? previous_->id.ToString() : "none";
  const absl::Status not_yet = MakeError(ErrorReason::kNotReplicatedYet,
                                         absl::StrCat("Unable to close file ", file_.path, " because the last block ",
                                                      block, " does not have enough number of replicas."));
  if (!answer.ok()) {
    if (MayBeGrantedLater(answer.status()) && AskAgainLater()) return;
    const bool waited = ReasonOf(answer.status()) == ErrorReason::kNotReplicatedYet;
    return Fail(waited ? not_yet : Annotate(answer.status(), absl::StrCat("Unable to close file ", file_.path)));
  }
  const auto* reply = std::get_if<protocol::CompleteReply>(&*answer);
  if (reply == nullptr || !reply->closed) {
    if (!AskAgainLater()) Fail(not_yet);
    return;
  }
  final_status_ = reply->status;
  state_ = State::kClosed;
  for (const Operation& operation : std::exchange(operations_, {})) {
    Emit(write_action::OperationDone{operation.id, absl::OkStatus()});
  }
}

void FileWriter::OnFsync(const absl::StatusOr<protocol::MutationReply>& answer) {
  fsync_tag_ = 0;
  if (!answer.ok()) {
    if (MayBeGrantedLater(answer.status()) && ++fsync_waits_ <= settings_.namenode_retries) {
      fsync_wait_until_ = now_ + JitteredBackoff(settings_.first_wait, settings_.longest_wait, fsync_waits_, &random_);
      return;
    }
    return Fail(Annotate(answer.status(), absl::StrCat("Unable to persist blocks in hflush for ", file_.path)));
  }
  fsync_waits_ = 0;
  persisted_blocks_ = std::max(persisted_blocks_, fsync_blocks_);
}

bool FileWriter::AskAgainLater() {
  if (++namenode_waits_ > settings_.namenode_retries) return false;
  wait_until_ = now_ + JitteredBackoff(settings_.first_wait, settings_.longest_wait, namenode_waits_, &random_);
  return true;
}

// ---- going on -----------------------------------------------------------------------------------------------------

void FileWriter::Advance() {
  if (state_ == State::kClosed || state_ == State::kFailed) return;
  if (wait_until_.has_value()) {
    if (state_ == State::kAbandoning || now_ < *wait_until_) {
      AnswerFlushes();
      return;
    }
    wait_until_.reset();
  }
  if (state_ == State::kIdle && !queue_.empty()) state_ = State::kAdding;
  if (state_ == State::kAdding && call_tag_ == 0) AskForBlock();
  if (state_ == State::kStreaming) SendWhatFits();
  AnswerFlushes();
  const bool only_close_left = close_asked_ && queue_.empty() && operations_.size() == 1;
  if (state_ == State::kIdle && only_close_left) {
    state_ = State::kClosing;
    namenode_waits_ = 0;
  }
  if (state_ == State::kClosing && call_tag_ == 0) AskToComplete();
}

void FileWriter::AskForBlock() {
  std::erase_if(excluded_, [this](const Excluded& one) { return now_ - one.since >= settings_.exclusion; });
  protocol::AddBlockRequest request{
      .path = file_.path, .inode = file_.inode, .holder = file_.holder, .previous = previous_};
  for (const Excluded& one : excluded_) request.excluded.push_back(one.datanode);
  call_tag_ = NewTag();
  Emit(write_action::CallNamenode{call_tag_, std::move(request)});
}

void FileWriter::OpenPipeline() {
  protocol::WriteSetup setup = BeginPipeline();
  setup.block.length = 0;
  // A file whose end is known already needs no more room than that.
  for (const BuiltPacket& packet : queue_) {
    if (packet.block_index == queue_.front().block_index && packet.last) setup.expected_bytes = packet.EndOffset();
  }
  Emit(write_action::OpenStream{stream_, block_.locations.front(), std::move(setup)});
}

// A new stream for block_.
protocol::WriteSetup FileWriter::BeginPipeline() {
  stream_ = next_stream_++;
  next_sequence_ = next_ack_ = 0;
  sent_ = 0;
  acknowledged_in_block_ = 0;
  block_acknowledged_ = flushed_in_block_ = false;
  owed_since_ = now_;
  state_ = State::kSettingUp;

  protocol::WriteSetup setup;
  setup.block = block_.block;
  setup.storage = block_.locations.front().storage;
  setup.downstream.assign(block_.locations.begin() + 1, block_.locations.end());
  setup.token = block_.token;
  setup.client_name = file_.holder;
  setup.sync_on_close = file_.sync_on_close;
  setup.expected_bytes = file_.block_bytes;
  return setup;
}

void FileWriter::SendWhatFits() {
  while (sent_ < queue_.size() && sent_ < settings_.window_packets) {
    const BuiltPacket& next = queue_[sent_];
    if (next.block_index != queue_.front().block_index) return;  // the next block's
    if (sent_ == 0) owed_since_ = now_;
    protocol::Packet packet;
    packet.sequence = next_sequence_++;
    packet.offset = next.offset;
    packet.last = next.last;
    packet.sync = next.sync;
    packet.visible_length = acknowledged_in_block_;
    packet.checksums = next.checksums;
    packet.payload = next.payload;
    ++sent_;
    const bool was_last = next.last;
    Emit(write_action::SendPacket{stream_, std::move(packet)});
    if (was_last) return;
  }
}

void FileWriter::AnswerFlushes() {
  while (!operations_.empty() && !operations_.front().is_close &&
         packets_acknowledged_ >= operations_.front().packets) {
    if (persisted_blocks_ < blocks_seen_) {
      if (fsync_tag_ != 0 || (fsync_wait_until_.has_value() && now_ < *fsync_wait_until_)) return;
      fsync_wait_until_.reset();
      fsync_tag_ = NewTag();
      fsync_blocks_ = blocks_seen_;
      Emit(write_action::CallNamenode{
          fsync_tag_, protocol::FsyncRequest{.path = file_.path, .inode = file_.inode, .holder = file_.holder}});
      return;
    }
    if (block_acknowledged_) flushed_in_block_ = true;
    Emit(write_action::OperationDone{operations_.front().id, absl::OkStatus()});
    operations_.pop_front();
  }
}

void FileWriter::AskToComplete() {
  call_tag_ = NewTag();
  Emit(write_action::CallNamenode{
      call_tag_,
      protocol::CompleteRequest{.path = file_.path, .inode = file_.inode, .holder = file_.holder, .last = previous_}});
}

// ---- failures -----------------------------------------------------------------------------------------------------

// Whether some packet under way no longer matches its own checksums: then this machine's memory is to blame, and
// no datanode.
bool FileWriter::SentBytesChangedHere() const {
  for (size_t i = 0; i < sent_; ++i) {
    if (FirstBadChunk(queue_[i].payload, queue_[i].checksums) != -1) return true;
  }
  return false;
}

std::string FileWriter::AttemptsText() const {
  std::string text;
  for (size_t i = 0; i < attempts_.size(); ++i)
    absl::StrAppend(&text, i > 0 ? "; " : "", "attempt ", i + 1, ": ", attempts_[i]);
  return text;
}

void FileWriter::PipelineFailed(size_t hop, const absl::Status& why) {
  const protocol::ReplicaLocation& culprit = block_.locations[hop];
  const std::string named = AddressText(culprit.datanode);
  const std::string message(why.message());
  if (ReasonOf(why) == ErrorReason::kChecksum && SentBytesChangedHere()) {
    return Fail(
        MakeError(ErrorReason::kChecksum,
                  absl::StrCat("Writing ", file_.path, ": bytes changed in this client's memory before datanode ",
                               named, " refused them: ", message)));
  }
  CloseStream(/*cancel=*/true);
  if (reopen_operation_.has_value()) return ReopenFailed(culprit, why);
  if (!block_acknowledged_) return RetryElsewhere(culprit.datanode.uuid, named, why);
  const uint64_t written = queue_.empty() ? acknowledged_bytes_ : queue_.back().file_end;
  Fail(MakeError(
      ErrorReason::kPipelineFailed,
      absl::StrCat(
          "Writing ", file_.path, ": datanode ", named, " of the pipeline ", PipelineText(block_.locations), " of ",
          block_.block.id.ToString(), " failed: ", message, "; ", acknowledged_bytes_, " of ", written,
          " bytes were acknowledged and are kept; the file is closed when its lease expires or is recovered")));
}

void FileWriter::ReopenFailed(const protocol::ReplicaLocation& culprit, const absl::Status& why) {
  reopen_culprit_ = culprit.datanode.uuid;
  const bool busy = ReasonOf(why) == ErrorReason::kBusy;
  Fail(MakeError(busy ? ErrorReason::kBusy : ErrorReason::kPipelineFailed,
                 AttemptText(AddressText(culprit.datanode), why)));
}

std::string FileWriter::AttemptText(const std::string& named, const absl::Status& why) const {
  return absl::StrCat(block_.block.id.ToString(), " on ", PipelineText(block_.locations), ": datanode ", named, ": ",
                      why.message());
}

void FileWriter::RetryElsewhere(const DatanodeUuid& culprit, const std::string& named, const absl::Status& why) {
  attempts_.push_back(AttemptText(named, why));
  const bool busy = ReasonOf(why) == ErrorReason::kBusy && ++busy_answers_ <= settings_.busy_retries;
  if (!busy) {
    excluded_.push_back({culprit, now_, finished_blocks_});
    ++block_failures_;
  }
  sent_ = 0;
  call_tag_ = NewTag();
  AbandonCurrentBlock(call_tag_);
  if (block_failures_ > settings_.block_retries) {
    return Fail(MakeError(ErrorReason::kPipelineFailed,
                          absl::StrCat("Unable to create new block of ", file_.path, ": ", AttemptsText())));
  }
  state_ = State::kAbandoning;
  if (busy) wait_until_ = now_ + JitteredBackoff(settings_.first_wait, settings_.longest_wait, busy_answers_, &random_);
}

void FileWriter::AbandonCurrentBlock(uint64_t tag) {
  Emit(write_action::CallNamenode{
      tag, protocol::AbandonBlockRequest{
               .path = file_.path, .inode = file_.inode, .holder = file_.holder, .block = block_.block}});
}

void FileWriter::CloseStream(bool cancel) {
  if (stream_ == 0) return;
  Emit(write_action::CloseStream{stream_, cancel});
  stream_ = 0;
}

void FileWriter::Fail(absl::Status status) {
  if (state_ == State::kFailed) return;
  DOLMEN_CHECK(!status.ok());
  status_ = std::move(status);
  state_ = State::kFailed;
  CloseStream(/*cancel=*/true);
  queue_.clear();
  sent_ = 0;
  call_tag_ = fsync_tag_ = 0;
  wait_until_.reset();
  fsync_wait_until_.reset();
  if (reopen_operation_.has_value()) {
    Emit(write_action::OperationDone{*std::exchange(reopen_operation_, std::nullopt), status_, reopen_culprit_});
  }
  for (const Operation& operation : std::exchange(operations_, {})) {
    Emit(write_action::OperationDone{operation.id, status_});
  }
}

void FileWriter::EmitWake() {
  std::optional<MonotonicTime> next = wait_until_;
  const auto also = [&next](MonotonicTime at) { next = next.has_value() ? std::min(*next, at) : at; };
  if (state_ == State::kSettingUp) also(owed_since_ + settings_.setup_timeout + ExtraPatience());
  if (state_ == State::kStreaming && sent_ > 0) also(owed_since_ + settings_.ack_timeout + ExtraPatience());
  if (fsync_wait_until_.has_value()) also(*fsync_wait_until_);
  if (wake_emitted_.has_value() && *wake_emitted_ <= now_) wake_emitted_.reset();  // it is due: this Step was it
  if (!next.has_value()) return;
  // An earlier wake-up that was asked for already finds out that nothing is due yet, and asks anew.
  if (wake_emitted_.has_value() && *wake_emitted_ <= *next) return;
  wake_emitted_ = next;
  Emit(write_action::WakeAt{*next});
}

}  // namespace dolmen::client
