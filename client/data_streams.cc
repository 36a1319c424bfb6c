#include "client/data_streams.h"

#include <utility>

#include "client/transport_error.h"
#include "common/error.h"
#include "common/rpc/status_grpc.h"

namespace dolmen::client {

StreamCall::StreamCall(EventLoop* loop, std::shared_ptr<grpc::Channel> channel, Receiving receiving, Handlers handlers)
    : loop_(loop),
      channel_(std::move(channel)),
      receiving_(receiving),
      handlers_(std::make_shared<const Handlers>(std::move(handlers))) {}

std::shared_ptr<StreamCall> StreamCall::Start(EventLoop* loop, std::shared_ptr<grpc::Channel> channel,
                                              const char* method, Receiving receiving, Handlers handlers) {
  std::shared_ptr<StreamCall> call(new StreamCall(loop, std::move(channel), receiving, std::move(handlers)));
  if (!loop->Enter(call)) {
    std::shared_ptr<const Handlers> told;
    {
      MutexLock lock(&call->mutex_);
      call->over_ = call->finishing_ = true;
      told.swap(call->handlers_);
    }
    told->on_end(MakeError(ErrorReason::kCancelled, "the client is shutting down"));
    return call;
  }
  MutexLock lock(&call->mutex_);
  call->stream_ = grpc::GenericStub(call->channel_).PrepareCall(&call->context_, method, loop->queue());
  call->stream_->StartCall(call->started_step_.tag());
  return call;
}

void StreamCall::Write(grpc::ByteBuffer message) {
  MutexLock lock(&mutex_);
  if (over_ || cannot_write_) return;
  outgoing_.push_back(std::move(message));
  PumpLocked();
}

void StreamCall::WritesDone() {
  MutexLock lock(&mutex_);
  writes_done_ = true;
  PumpLocked();
}

void StreamCall::Receive() {
  MutexLock lock(&mutex_);
  ++receives_;
  PumpLocked();
}

void StreamCall::Cancel() { Abandon(/*silently=*/true); }

void StreamCall::Abandon(bool silently) {
  std::shared_ptr<const Handlers> dropped;  // outside of the lock: it may own much
  MutexLock lock(&mutex_);
  if (silently) dropped.swap(handlers_);
  if (finishing_) return;
  over_ = true;
  outgoing_.clear();
  context_.TryCancel();
  PumpLocked();
}

void StreamCall::PumpLocked() {
  if (!started_ || finishing_) return;
  if (!over_ && !writing_ && !cannot_write_) {
    if (!outgoing_.empty()) {
      writing_ = true;
      grpc::ByteBuffer message;
      message.Swap(&outgoing_.front());
      outgoing_.pop_front();
      stream_->Write(message, written_step_.tag());
    } else if (writes_done_ && !writes_done_sent_) {
      writing_ = writes_done_sent_ = true;
      stream_->WritesDone(written_step_.tag());
    }
  }
  if (!over_ && !reading_ && (receiving_ == Receiving::kAlways || receives_ > 0)) {
    if (receives_ > 0) --receives_;
    reading_ = true;
    stream_->Read(&incoming_, read_step_.tag());
  }
  if (over_ && !reading_ && !writing_) {
    finishing_ = true;
    stream_->Finish(&status_, finished_step_.tag());
  }
}

void StreamCall::OnStarted(bool ok) {
  MutexLock lock(&mutex_);
  started_ = true;
  if (!ok) over_ = true;
  PumpLocked();
}

void StreamCall::OnWritten(bool ok) {
  MutexLock lock(&mutex_);
  writing_ = false;
  // A write that failed: the peer has ended the stream. What it still has to say comes by the reads.
  if (!ok) {
    cannot_write_ = true;
    outgoing_.clear();
    if (receiving_ == Receiving::kWhenAsked) over_ = true;
  }
  PumpLocked();
}

void StreamCall::OnRead(bool ok) {
  grpc::ByteBuffer message;
  std::shared_ptr<const Handlers> handlers;
  {
    MutexLock lock(&mutex_);
    reading_ = false;
    if (ok) {
      message.Swap(&incoming_);
      incoming_.Clear();
      handlers = handlers_;
    } else {
      over_ = true;
      outgoing_.clear();
    }
    PumpLocked();
  }
  if (handlers != nullptr) handlers->on_message(message);
}

void StreamCall::OnFinished(bool) {
  std::shared_ptr<const Handlers> handlers;
  absl::Status status;
  const std::shared_ptr<StreamCall> self = shared_from_this();
  {
    MutexLock lock(&mutex_);
    handlers.swap(handlers_);
    status = FromTransport(rpc::FromGrpc(status_));
  }
  if (handlers != nullptr) handlers->on_end(std::move(status));
  loop_->Leave(self);
}

}  // namespace dolmen::client
