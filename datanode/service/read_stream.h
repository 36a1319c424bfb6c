// One outgoing read stream: while a chunk is on its way the next one is read, and no more than that.
#pragma once

#include <memory>
#include <optional>

#include "common/mutex.h"
#include "common/protocol/data_transfer.h"
#include "datanode/core/read_plan.h"
#include "datanode/service/node.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"

namespace dolmen::datanode {

// Thread-safe; nothing blocks. Lives until gRPC and the disk are done with it.
class ReadStream final : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                         public LiveStream,
                         public std::enable_shared_from_this<ReadStream> {
 public:
  // Answers the reactor of a new call. `node` outlives the server.
  static ReadStream* Begin(Node* node, grpc::CallbackServerContext* context, const grpc::ByteBuffer& request);
  ~ReadStream() override;

  void Tick(MonotonicTime now) override;
  void Cancel() override;

 private:
  ReadStream(Node* node, grpc::CallbackServerContext* context) : node_(node), context_(context) {}

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  absl::Status Start(const grpc::ByteBuffer& request);
  void End(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Starts whatever can be started.
  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReadNext();  // on a reader thread

  Node* const node_;
  protocol::ReadRequest request_;     // constant once read
  VolumeWorkers* workers_ = nullptr;  // constant once started

  Mutex mutex_;
  grpc::CallbackServerContext* context_ ABSL_GUARDED_BY(mutex_);  // nullptr after OnDone
  std::shared_ptr<ReadStream> self_ ABSL_GUARDED_BY(mutex_);      // until OnDone
  std::shared_ptr<Node::Slot> slot_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<ReplicaReader> reader_ ABSL_GUARDED_BY(mutex_);  // used by one reader thread at a time
  std::optional<ReadPlan> plan_ ABSL_GUARDED_BY(mutex_);
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool all_read_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::ByteBuffer> ready_ ABSL_GUARDED_BY(mutex_);  // the next to be sent
  grpc::ByteBuffer sending_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  MonotonicTime writing_since_ ABSL_GUARDED_BY(mutex_){};
  std::optional<absl::Status> last_word_ ABSL_GUARDED_BY(mutex_);
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace dolmen::datanode
