#include "datanode/service/pipeline_stream.h"

#include "common/error.h"
#include "common/rpc/frames.h"
#include "common/rpc/handoff.h"
#include "common/rpc/status_grpc.h"

namespace dolmen::datanode {

std::shared_ptr<PipelineStream> PipelineStream::Open(PeerChannels* channels, const protocol::ReplicaLocation& target,
                                                     const protocol::WriteSetup& setup, Duration timeout,
                                                     MonotonicTime now, Listener listener) {
  std::shared_ptr<PipelineStream> stream(new PipelineStream(std::move(listener)));
  {
    MutexLock lock(&stream->mutex_);
    stream->outgoing_.push_back(rpc::EncodeWriteFrame(setup));
  }
  channels->Pick(target.datanode, timeout, now, [stream](absl::StatusOr<std::shared_ptr<grpc::Channel>> channel) {
    stream->Start(std::move(channel));
  });
  return stream;
}

void PipelineStream::Start(absl::StatusOr<std::shared_ptr<grpc::Channel>> channel) {
  {
    MutexLock lock(&mutex_);
    if (!cancelled_ && channel.ok()) {
      stub_ = std::make_unique<grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer>>(*std::move(channel));
      stub_->PrepareBidiStreamingCall(&context_, rpc::kWriteBlockMethod, {}, this);
      self_ = shared_from_this();
      started_ = true;
      AddHold();  // operations are started from other threads; given back when the read side ends
      WriteNext();
      rpc::GiveToGrpc(this);
      StartRead(&incoming_);
      StartCall();
      return;
    }
    over_ = true;
    outgoing_.clear();
  }
  Listener listener = std::exchange(listener_, {});
  listener.ended(channel.ok() ? MakeError(ErrorReason::kCancelled, "given up before it was connected")
                              : channel.status());
}

void PipelineStream::WriteNext() {
  if (!started_ || writing_ || over_) return;
  if (!outgoing_.empty()) {
    writing_ = true;
    StartWrite(&outgoing_.front());
    return;
  }
  if (closing_ && !closed_) {
    closed_ = true;
    StartWritesDone();
  }
}

void PipelineStream::Enqueue(grpc::ByteBuffer frame) {
  MutexLock lock(&mutex_);
  if (over_ || closing_) return;
  outgoing_.push_back(std::move(frame));
  WriteNext();
}

void PipelineStream::Send(const protocol::Packet& packet) { Enqueue(rpc::EncodePacket(packet)); }

void PipelineStream::CloseSending() {
  MutexLock lock(&mutex_);
  closing_ = true;
  WriteNext();
}

void PipelineStream::Cancel() {
  MutexLock lock(&mutex_);
  cancelled_ = true;
  if (started_) context_.TryCancel();
}

void PipelineStream::OnReadDone(bool ok) {
  rpc::TakeFromGrpc(this);
  if (!ok) {
    {
      MutexLock lock(&mutex_);
      over_ = true;
    }
    rpc::GiveToGrpc(this);
    RemoveHold();
    return;
  }
  absl::StatusOr<protocol::Ack> ack = rpc::DecodeAck(std::exchange(incoming_, {}));
  if (ack.ok()) {
    listener_.ack(*std::move(ack));
  } else {
    broken_ = ack.status();
    context_.TryCancel();
  }
  rpc::GiveToGrpc(this);
  StartRead(&incoming_);
}

void PipelineStream::OnWriteDone(bool ok) {
  MutexLock lock(&mutex_);
  writing_ = false;
  outgoing_.pop_front();
  if (ok) WriteNext();  // otherwise the stream is broken and its end will say why
}

void PipelineStream::OnDone(const grpc::Status& status) {
  rpc::TakeFromGrpc(this);
  {
    MutexLock lock(&mutex_);
    over_ = true;
    outgoing_.clear();
  }
  Listener listener = std::exchange(listener_, {});
  listener.ended(broken_.ok() ? rpc::FromGrpc(status) : broken_);
  self_.reset();  // maybe the last reference
}

}  // namespace dolmen::datanode
