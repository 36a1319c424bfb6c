// Carries out one CopyReplicaCommand: connects a ReplicaCopy to the disk and to the first target.
#pragma once

#include <deque>
#include <memory>

#include "common/mutex.h"
#include "datanode/core/replica_copy.h"
#include "datanode/service/node.h"
#include "datanode/service/pipeline_stream.h"

namespace dolmen::datanode {

// Thread-safe; nothing blocks. Lives until the disk and the pipeline are done with it.
class CopyTask final : public LiveStream, public std::enable_shared_from_this<CopyTask> {
 public:
  // Returns at once. Error: kBusy, kReplicaNotFound; the namenode decides again.
  static absl::Status Begin(Node* node, const protocol::CopyReplicaCommand& command);
  ~CopyTask() override;

  void Tick(MonotonicTime now) override;
  void Cancel() override;

 private:
  CopyTask(Node* node, const protocol::CopyReplicaCommand& command, VolumeWorkers* workers,
           std::shared_ptr<Node::Slot> slot)
      : node_(node), workers_(workers), slot_(std::move(slot)), copy_(command, node->options().copy) {}

  void Feed(CopyEvent event);
  void FeedLocked(CopyEvent event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Do(copy_action::OpenSource& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(copy_action::ConnectPipeline& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(copy_action::ReadSource& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(copy_action::SendPacket& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(copy_action::ClosePipeline& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(copy_action::ReportCorrupt& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Do(copy_action::Finished& action) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Node* const node_;
  VolumeWorkers* const workers_;
  std::shared_ptr<Node::Slot> slot_;

  Mutex mutex_;
  ReplicaCopy copy_ ABSL_GUARDED_BY(mutex_);
  std::deque<CopyEvent> events_ ABSL_GUARDED_BY(mutex_);
  bool stepping_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<ReplicaReader> reader_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<PipelineStream> pipeline_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<CopyTask> self_ ABSL_GUARDED_BY(mutex_);  // until it is finished
};

}  // namespace dolmen::datanode
