// One stream to a datanode, of bytes as they are on the wire (common/rpc/frames.h): messages go out in order, one at a
// time, and come in as they are asked for. Never blocks.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "client/event_loop.h"
#include "common/mutex.h"
#include "common/rpc/handoff.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"

namespace dolmen::client {

// Thread-safe. Lives until gRPC is done with it, however soon the owner lets go; an owner that lets go Cancels first.
class StreamCall final : public EventLoop::Call, public std::enable_shared_from_this<StreamCall> {
 public:
  // Run on the loop's thread, one at a time; on_end is the last and runs once (on the calling thread of Start when the
  // loop is shutting down). Neither runs once Cancel was called, except one that is running already.
  struct Handlers {
    std::function<void(grpc::ByteBuffer)> on_message;
    std::function<void(absl::Status)> on_end;
  };
  enum class Receiving { kAlways, kWhenAsked };

  // `method` is one of the names in common/rpc/frames.h.
  static std::shared_ptr<StreamCall> Start(EventLoop* loop, std::shared_ptr<grpc::Channel> channel, const char* method,
                                           Receiving receiving, Handlers handlers);

  // Queued behind earlier ones; the caller bounds how many.
  void Write(grpc::ByteBuffer message);
  // No more writes; what was queued still goes out.
  void WritesDone();
  // One more message, please (kWhenAsked).
  void Receive();
  void Cancel();
  void CancelForShutdown() override { Abandon(/*silently=*/false); }

 private:
  // A tag that calls a member.
  class Step final : public EventLoop::Tag {
   public:
    Step(StreamCall* call, void (StreamCall::*done)(bool)) : call_(call), done_(done) {}
    void Done(bool ok) override { (call_->*done_)(ok); }
    // What gRPC gets for an operation that begins now.
    void* tag() {
      rpc::GiveToGrpc(static_cast<Tag*>(this));
      return static_cast<Tag*>(this);
    }

   private:
    StreamCall* const call_;
    void (StreamCall::*const done_)(bool);
  };

  StreamCall(EventLoop* loop, std::shared_ptr<grpc::Channel> channel, Receiving receiving, Handlers handlers);
  void OnStarted(bool ok);
  void OnRead(bool ok);
  void OnWritten(bool ok);
  void OnFinished(bool ok);
  void Abandon(bool silently);
  // Starts whatever may be started.
  void PumpLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  EventLoop* const loop_;
  const std::shared_ptr<grpc::Channel> channel_;
  const Receiving receiving_;
  Step started_step_{this, &StreamCall::OnStarted};
  Step read_step_{this, &StreamCall::OnRead};
  Step written_step_{this, &StreamCall::OnWritten};
  Step finished_step_{this, &StreamCall::OnFinished};
  grpc::ClientContext context_;

  Mutex mutex_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Handlers> handlers_ ABSL_GUARDED_BY(mutex_);  // nothing: silent
  std::deque<grpc::ByteBuffer> outgoing_ ABSL_GUARDED_BY(mutex_);
  grpc::ByteBuffer incoming_;  // gRPC's while a read is pending
  grpc::Status status_;        // gRPC's while finishing
  uint32_t receives_ ABSL_GUARDED_BY(mutex_) = 0;
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool writes_done_ ABSL_GUARDED_BY(mutex_) = false;  // asked for
  bool writes_done_sent_ ABSL_GUARDED_BY(mutex_) = false;
  bool cannot_write_ ABSL_GUARDED_BY(mutex_) = false;  // a write failed: the peer takes no more
  bool over_ ABSL_GUARDED_BY(mutex_) = false;          // broken, ended or cancelled: only the end is left
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace dolmen::client
