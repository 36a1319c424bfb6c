// The sending end of a write stream to another datanode.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "common/mutex.h"
#include "common/protocol/data_transfer.h"
#include "datanode/service/peer_channels.h"
#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/client_callback.h"

namespace dolmen::datanode {

// Thread-safe; no call blocks. Lives until the stream has ended, whoever lets go of it.
class PipelineStream final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                             public std::enable_shared_from_this<PipelineStream> {
 public:
  // Called on gRPC's threads, or on that of PeerChannels::Poll, never from within Open, Send, CloseSending or Cancel
  // (but maybe beside them). `ended` is the last call.
  struct Listener {
    std::function<void(protocol::Ack)> ack;
    std::function<void(absl::Status)> ended;
  };

  // Connects within `timeout` and sends the setup. `listener` is dropped after `ended`.
  static std::shared_ptr<PipelineStream> Open(PeerChannels* channels, const protocol::ReplicaLocation& target,
                                              const protocol::WriteSetup& setup, Duration timeout, MonotonicTime now,
                                              Listener listener);
  // What is queued is bounded by the caller's window.
  void Send(const protocol::Packet& packet);
  // Nothing more will be sent.
  void CloseSending();
  void Cancel();

 private:
  explicit PipelineStream(Listener listener) : listener_(std::move(listener)) {}

  void Start(absl::StatusOr<std::shared_ptr<grpc::Channel>> channel);
  void Enqueue(grpc::ByteBuffer frame);
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  grpc::ClientContext context_;
  std::unique_ptr<grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer>> stub_;
  grpc::ByteBuffer incoming_;
  absl::Status broken_;  // why this end gave up, if it did; of the read side alone
  Listener listener_;
  std::shared_ptr<PipelineStream> self_;  // while the call runs

  Mutex mutex_;
  std::deque<grpc::ByteBuffer> outgoing_ ABSL_GUARDED_BY(mutex_);  // the front is being written
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;  // no more is queued
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;   // half-closed towards the peer
  bool over_ ABSL_GUARDED_BY(mutex_) = false;     // nothing may be started any more
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace dolmen::datanode
