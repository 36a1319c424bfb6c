#include "datanode/service/read_stream.h"

#include "common/error.h"
#include "common/rpc/frames.h"
#include "common/rpc/status_grpc.h"

namespace dolmen::datanode {

ReadStream* ReadStream::Begin(Node* node, grpc::CallbackServerContext* context, const grpc::ByteBuffer& request) {
  std::shared_ptr<ReadStream> stream(new ReadStream(node, context));
  node->Add(stream);
  MutexLock lock(&stream->mutex_);
  stream->self_ = stream;
  if (absl::Status started = stream->Start(request); !started.ok()) stream->End(std::move(started));
  return stream.get();
}

absl::Status ReadStream::Start(const grpc::ByteBuffer& request) {
  DOLMEN_ASSIGN_OR_RETURN(request_, rpc::DecodeReadRequest(request));
  DOLMEN_RETURN_IF_ERROR(
      node_->keys().Verify(request_.token, request_.block.id, BlockAccess::kRead, node_->clock().WallNow()));
  const std::optional<StorageId> storage = node_->store().StorageOf(request_.block.id);
  if (!storage.has_value()) {
    return MakeError(ErrorReason::kReplicaNotFound,
                     absl::StrCat("no replica of ", request_.block.id.ToString(), " is here"));
  }
  DOLMEN_ASSIGN_OR_RETURN(std::shared_ptr<Node::Slot> slot, node_->Acquire(StreamKind::kRead, *storage));
  workers_ = node_->WorkersOf(*storage);
  reading_ = true;
  if (!workers_->reads().TryPost([self = shared_from_this()] { self->ReadNext(); })) {
    reading_ = false;
    return MakeError(ErrorReason::kBusy, "busy: too many reads wait for this volume; retry shortly");
  }
  slot_ = std::move(slot);
  return absl::OkStatus();
}

// The first time it opens the replica.
void ReadStream::ReadNext() {
  ReplicaReader* reader = nullptr;
  std::optional<ReadPlan::Piece> piece;
  {
    MutexLock lock(&mutex_);
    if (last_word_.has_value()) {
      reading_ = false;
      return;
    }
    reader = reader_.get();
    if (plan_.has_value()) piece = plan_->Next();
  }
  absl::Status status;
  std::unique_ptr<ReplicaReader> opened;
  std::optional<ReadPlan> plan;
  if (reader == nullptr) {
    absl::StatusOr<std::unique_ptr<ReplicaReader>> open = node_->store().OpenReader(request_.block);
    status = open.status();
    if (status.ok()) {
      opened = *std::move(open);
      reader = opened.get();
      absl::StatusOr<ReadPlan> made = ReadPlan::Make(request_, reader->Length(), reader->finalized());
      status = made.status();
      if (status.ok()) {
        plan = *std::move(made);
        piece = plan->Next();
      }
    }
  }
  std::optional<grpc::ByteBuffer> frame;
  if (status.ok() && piece.has_value()) {
    absl::StatusOr<protocol::ReadChunk> chunk = reader->Read(piece->offset, piece->length, ReplicaReader::Check::kNone);
    status = chunk.status();
    if (status.ok()) frame = rpc::EncodeReadChunk(*chunk);
  }
  // Files that are missing or too short: the replica is looked at as a whole, and reported.
  if (ReasonOf(status) == ErrorReason::kChecksum) node_->Suspect(request_.block);

  MutexLock lock(&mutex_);
  reading_ = false;
  if (opened != nullptr) reader_ = std::move(opened);
  if (plan.has_value()) plan_ = plan;
  if (!status.ok()) return End(std::move(status));
  if (frame.has_value()) {
    ready_ = std::move(frame);
  } else {
    all_read_ = true;
  }
  Advance();
}

void ReadStream::Advance() {
  if (finished_) return;
  if (!writing_ && ready_.has_value() && !last_word_.has_value()) {
    sending_ = *std::move(ready_);
    ready_.reset();
    writing_ = true;
    writing_since_ = node_->clock().Now();
    StartWrite(&sending_);
  }
  if (!reading_ && !all_read_ && !ready_.has_value() && !last_word_.has_value()) {
    reading_ = true;
    // At most one for each of the counted streams.
    workers_->reads().Post([self = shared_from_this()] { self->ReadNext(); });
  }
  if (all_read_ && !ready_.has_value() && !writing_ && !last_word_.has_value()) last_word_ = absl::OkStatus();
  if (!last_word_.has_value() || writing_) return;
  finished_ = true;
  Finish(rpc::ToGrpc(*last_word_));
}

void ReadStream::End(absl::Status status) {
  if (!last_word_.has_value()) last_word_ = std::move(status);
  Advance();
}

void ReadStream::OnWriteDone(bool ok) {
  MutexLock lock(&mutex_);
  writing_ = false;
  sending_.Clear();
  if (!ok) return End(MakeError(ErrorReason::kCancelled, "the reader is gone"));
  Advance();
}

void ReadStream::OnCancel() {
  MutexLock lock(&mutex_);
  End(MakeError(ErrorReason::kCancelled, "the reader is gone"));
}

void ReadStream::OnDone() {
  std::shared_ptr<ReadStream> last;  // maybe the last reference; outlives the lock
  MutexLock lock(&mutex_);
  context_ = nullptr;
  last.swap(self_);
}

ReadStream::~ReadStream() {
  {
    MutexLock lock(&mutex_);
    reader_.reset();
    slot_.reset();
  }
  node_->Remove(this);  // the node may be gone after this
}

void ReadStream::Tick(MonotonicTime now) {
  MutexLock lock(&mutex_);
  if (!writing_ || now - writing_since_ < node_->options().reader_timeout) return;
  End(MakeError(ErrorReason::kCancelled, "the reader took nothing for too long"));
  if (context_ != nullptr) context_->TryCancel();  // ends the write that hangs
}

void ReadStream::Cancel() {
  MutexLock lock(&mutex_);
  End(MakeError(ErrorReason::kCancelled, "the datanode is stopping"));
  if (context_ != nullptr) context_->TryCancel();
}

}  // namespace dolmen::datanode
