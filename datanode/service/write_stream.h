// One incoming write stream: connects a PipelineHop to its two neighbours and to the volume's threads.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "common/mutex.h"
#include "datanode/core/pipeline_hop.h"
#include "datanode/service/node.h"
#include "datanode/service/pipeline_stream.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"

namespace dolmen::datanode {

// Thread-safe; nothing blocks. Lives until gRPC, the disk and the next hop are done with it.
class WriteStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                          public LiveStream,
                          public std::enable_shared_from_this<WriteStream> {
 public:
  // Answers the reactor of a new call. `node` outlives the server.
  static WriteStream* Begin(Node* node, grpc::CallbackServerContext* context);

  ~WriteStream() override;

  void Tick(MonotonicTime now) override;
  void Cancel() override;
  void BlockFrozen(BlockId block, GenerationStamp recovery, const absl::Status& why) override;

 private:
  WriteStream(Node* node, grpc::CallbackServerContext* context)
      : node_(node), begun_(node->clock().Now()), context_(context), hop_(node->options().hop) {}

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  void Feed(HopEvent event);
  void FeedLocked(HopEvent event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Do(hop_action::OpenLocal& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(hop_action::ConnectDownstream& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(hop_action::SendDownstream& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(hop_action::CloseDownstream& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(hop_action::WriteLocal& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(hop_action::SetVisible& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(hop_action::FinalizeLocal& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(hop_action::CloseLocal& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(hop_action::SendUpstream& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(hop_action::FinishUpstream& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(hop_action::ReportReplica& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Node* const node_;
  const MonotonicTime begun_;
  grpc::ByteBuffer incoming_;  // of the read side alone

  // Taken before the locks of queues, the node and the next stream; never held across a disk call.
  Mutex mutex_;
  grpc::CallbackServerContext* context_ ABSL_GUARDED_BY(mutex_);  // nullptr after OnDone
  std::shared_ptr<WriteStream> self_ ABSL_GUARDED_BY(mutex_);     // until OnDone
  PipelineHop hop_ ABSL_GUARDED_BY(mutex_);
  std::deque<HopEvent> events_ ABSL_GUARDED_BY(mutex_);
  bool stepping_ ABSL_GUARDED_BY(mutex_) = false;
  bool set_up_ ABSL_GUARDED_BY(mutex_) = false;

  VolumeWorkers* workers_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::shared_ptr<Node::Slot> slot_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<ReplicaWriter> writer_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<PipelineStream> downstream_ ABSL_GUARDED_BY(mutex_);

  std::deque<grpc::ByteBuffer> outgoing_ ABSL_GUARDED_BY(mutex_);  // acks; the front is being written
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  MonotonicTime writing_since_ ABSL_GUARDED_BY(mutex_){};
  std::optional<absl::Status> last_word_ ABSL_GUARDED_BY(mutex_);
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;  // Finish was called: start nothing more
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;    // the sender is gone: acks lead nowhere
};

}  // namespace dolmen::datanode
