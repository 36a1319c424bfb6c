#include "datanode/service/write_stream.h"

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/rpc/frames.h"
#include "common/rpc/status_grpc.h"
#include "spdlog/spdlog.h"

namespace dolmen::datanode {
namespace {

// Reserved for a block whose sender does not say how long it may become (HDFS's default block).
constexpr uint64_t kDefaultExpectedBytes = 128 << 20;
// A stream that does not say what it wants for so long is ended (limit for handshakes: 10 s).
constexpr Duration kSetupWait = std::chrono::seconds(10);
// Acks may wait for the sender to take them: those of its window, and as many again for packets sent twice. A sender
// that repeats packets and takes no acks would fill the memory with them.
constexpr size_t kAckWindows = 2;

}  // namespace

WriteStream* WriteStream::Begin(Node* node, grpc::CallbackServerContext* context) {
  std::shared_ptr<WriteStream> stream(new WriteStream(node, context));
  node->Add(stream);
  MutexLock lock(&stream->mutex_);
  stream->self_ = stream;
  stream->StartRead(&stream->incoming_);
  return stream.get();
}

void WriteStream::Feed(HopEvent event) {
  MutexLock lock(&mutex_);
  FeedLocked(std::move(event));
}

void WriteStream::FeedLocked(HopEvent event) {
  events_.push_back(std::move(event));
  if (stepping_) return;  // the step under way takes it, too
  stepping_ = true;
  while (!events_.empty()) {
    HopEvent next = std::move(events_.front());
    events_.pop_front();
    for (HopAction& action : hop_.Step(std::move(next), node_->clock().Now())) {
      std::visit([this](auto& one) ABSL_NO_THREAD_SAFETY_ANALYSIS { Do(one); }, action);
    }
  }
  stepping_ = false;
}

// ---- gRPC --------------------------------------------------------------------------------------------------------

void WriteStream::OnReadDone(bool ok) {
  if (!ok) return Feed(hop_event::UpstreamEnded{absl::OkStatus()});
  auto frame = rpc::DecodeWriteFrame(std::exchange(incoming_, {}));
  MutexLock lock(&mutex_);
  if (!frame.ok()) {
    FeedLocked(hop_event::UpstreamEnded{frame.status()});
  } else if (auto* packet = std::get_if<protocol::Packet>(&*frame)) {
    FeedLocked(hop_event::PacketReceived{std::move(*packet)});
  } else {
    set_up_ = true;
    FeedLocked(hop_event::SetupReceived{std::move(std::get<protocol::WriteSetup>(*frame)), node_->keys(),
                                        node_->clock().WallNow()});
  }
  // Senders keep to their window, so what is read here is bounded by it.
  if (!finished_) StartRead(&incoming_);
}

void WriteStream::OnWriteDone(bool ok) {
  MutexLock lock(&mutex_);
  writing_ = false;
  outgoing_.pop_front();
  if (!ok) broken_ = true;
  WriteNext();
}

void WriteStream::WriteNext() {
  if (writing_ || finished_) return;
  if (broken_) outgoing_.clear();
  if (!outgoing_.empty()) {
    writing_ = true;
    writing_since_ = node_->clock().Now();
    StartWrite(&outgoing_.front());
    return;
  }
  if (!last_word_.has_value()) return;
  finished_ = true;
  Finish(rpc::ToGrpc(*last_word_));
}

void WriteStream::OnCancel() {
  MutexLock lock(&mutex_);
  broken_ = true;
  FeedLocked(hop_event::UpstreamEnded{MakeError(ErrorReason::kCancelled, "the sender is gone")});
}

void WriteStream::OnDone() {
  std::shared_ptr<WriteStream> last;  // maybe the last reference; outlives the lock
  MutexLock lock(&mutex_);
  context_ = nullptr;
  last.swap(self_);
}

WriteStream::~WriteStream() {
  {
    MutexLock lock(&mutex_);
    writer_.reset();
    slot_.reset();
  }
  node_->Remove(this);  // the node may be gone after this
}

void WriteStream::Tick(MonotonicTime now) {
  MutexLock lock(&mutex_);
  if (!set_up_ && now - begun_ >= kSetupWait) {
    return FeedLocked(hop_event::UpstreamEnded{MakeError(ErrorReason::kCancelled, "no setup came")});
  }
  if (writing_ && now - writing_since_ >= node_->options().reader_timeout && context_ != nullptr) {
    context_->TryCancel();  // the sender takes no acks
  }
  const std::optional<MonotonicTime> deadline = hop_.NextDeadline();
  if (deadline.has_value() && now >= *deadline) FeedLocked(hop_event::Tick{});
}

void WriteStream::Cancel() {
  MutexLock lock(&mutex_);
  FeedLocked(hop_event::UpstreamEnded{MakeError(ErrorReason::kCancelled, "the datanode is stopping")});
  if (downstream_ != nullptr) downstream_->Cancel();  // a block that is complete waits for nobody's ack any more
  if (context_ != nullptr) context_->TryCancel();
}

void WriteStream::BlockFrozen(BlockId block, GenerationStamp recovery, const absl::Status& why) {
  Feed(hop_event::BlockFrozen{.block = block, .recovery = recovery, .why = why});
}

// ---- actions -----------------------------------------------------------------------------------------------------

void WriteStream::Do(hop_action::OpenLocal& action) {
  const uint64_t bytes = action.expected_bytes == 0 ? kDefaultExpectedBytes : action.expected_bytes;
  absl::StatusOr<StorageId> storage = absl::UnknownError("not chosen");
  if (!action.append_to.has_value()) {
    storage = node_->ChooseVolume(action.storage, bytes);
  } else if (const std::optional<StorageId> held = node_->store().StorageOf(action.block.id); held.has_value()) {
    storage = *held;
  } else {
    storage = MakeError(ErrorReason::kReplicaNotFound,
                        absl::StrCat("no replica of ", action.block.id.ToString(), " is here to be appended to"));
  }
  absl::Status refused = storage.status();
  if (refused.ok()) {
    absl::StatusOr<std::shared_ptr<Node::Slot>> slot = node_->Acquire(StreamKind::kWrite, *storage);
    refused = slot.status();
    if (slot.ok()) slot_ = *std::move(slot);
  }
  if (refused.ok()) {
    workers_ = node_->WorkersOf(*storage);
    WorkQueue& queue = action.append_to.has_value() ? workers_->syncs() : workers_->writes();
    const bool taken = queue.TryPost([self = shared_from_this(), action, storage = *storage, bytes] {
      BlockStore& store = self->node_->store();
      absl::StatusOr<std::unique_ptr<ReplicaWriter>> writer =
          action.append_to.has_value()
              ? store.ReopenReplica({.block = action.block, .from = *action.append_to, .expected_bytes = bytes})
              : store.CreateReplica(
                    {.block = action.block, .storage = storage, .is_copy = action.is_copy, .expected_bytes = bytes});
      // The bytes at the end were found not to match: whether more of it is bad, the namenode is told.
      if (action.append_to.has_value() && ReasonOf(writer.status()) == ErrorReason::kChecksum)
        self->node_->Suspect({.id = action.block.id, .stamp = *action.append_to});
      MutexLock lock(&self->mutex_);
      if (!writer.ok()) return self->FeedLocked(hop_event::LocalOpened{writer.status()});
      self->writer_ = *std::move(writer);
      self->FeedLocked(hop_event::LocalOpened{self->writer_->storage(), self->writer_->tail()});
    });
    if (taken) return;
    refused = MakeError(ErrorReason::kBusy, "busy: too much waits for this volume; retry shortly");
  }
  slot_.reset();
  FeedLocked(hop_event::LocalOpened{refused});
}

void WriteStream::Do(hop_action::ConnectDownstream& action) {
  const std::shared_ptr<WriteStream> self = shared_from_this();
  downstream_ = PipelineStream::Open(
      &node_->peers(), action.target, action.setup, node_->options().connect_timeout, node_->clock().Now(),
      {.ack = [self](protocol::Ack ack) { self->Feed(hop_event::DownstreamAck{std::move(ack)}); },
       .ended = [self](absl::Status status) { self->Feed(hop_event::DownstreamEnded{std::move(status)}); }});
}

void WriteStream::Do(hop_action::SendDownstream& action) { downstream_->Send(action.packet); }

void WriteStream::Do(hop_action::CloseDownstream& action) {
  if (action.cancel) {
    downstream_->Cancel();
  } else {
    downstream_->CloseSending();
  }
}

void WriteStream::Do(hop_action::WriteLocal& action) {
  workers_->writes().Post(
      [self = shared_from_this(), writer = writer_, workers = workers_, packet = std::move(action.packet)]() mutable {
        const MonotonicTime begun = self->node_->clock().Now();
        const auto answer = [self, begun, sequence = packet.sequence](const absl::Status& status) {
          const auto took = std::chrono::duration_cast<std::chrono::microseconds>(self->node_->clock().Now() - begun);
          self->Feed(hop_event::LocalWritten{
              .sequence = sequence, .status = status, .service_micros = static_cast<uint32_t>(took.count())});
        };
        const absl::Status written = writer->Write(packet);
        packet.payload.Clear();
        if (!written.ok() || !packet.sync) return answer(written);
        workers->Sync(std::move(writer), answer);
      });
}

void WriteStream::Do(hop_action::SetVisible& action) {
  // While it is being finalized it is left alone; then all of it is visible.
  if (writer_ != nullptr) writer_->SetVisibleLength(action.length);
}

void WriteStream::Do(hop_action::FinalizeLocal& action) {
  // Through the queue of writes, so that it comes after them.
  workers_->writes().Post([self = shared_from_this(), writer = std::exchange(writer_, nullptr), workers = workers_,
                           durable = action.durable]() mutable {
    workers->Finalize(std::move(writer), durable,
                      [self](const absl::Status& status) { self->Feed(hop_event::LocalFinalized{status}); });
  });
}

void WriteStream::Do(hop_action::CloseLocal& action) {
  workers_->writes().Post([writer = std::exchange(writer_, nullptr), discard = action.discard]() mutable {
    if (discard) writer->Discard();
    writer.reset();
  });
}

void WriteStream::Do(hop_action::SendUpstream& action) {
  if (finished_ || broken_) return;
  if (outgoing_.size() >= kAckWindows * node_->options().hop.window_packets) {
    spdlog::warn("a sender takes no acks but makes {} wait; its stream is ended", outgoing_.size());
    broken_ = true;
    if (context_ != nullptr) context_->TryCancel();
    return;
  }
  outgoing_.push_back(rpc::EncodeAck(action.ack));
  WriteNext();
}

void WriteStream::Do(hop_action::FinishUpstream& action) {
  last_word_ = std::move(action.status);
  WriteNext();
}

void WriteStream::Do(hop_action::ReportReplica& action) { node_->Report(action.storage, action.replica); }

}  // namespace dolmen::datanode
