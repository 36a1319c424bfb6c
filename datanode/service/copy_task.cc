#include "datanode/service/copy_task.h"

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "spdlog/spdlog.h"

namespace dolmen::datanode {

absl::Status CopyTask::Begin(Node* node, const protocol::CopyReplicaCommand& command) {
  const std::optional<StorageId> storage = node->store().StorageOf(command.block.id);
  if (!storage.has_value()) {
    return MakeError(ErrorReason::kReplicaNotFound,
                     absl::StrCat("no replica of ", command.block.id.ToString(), " is here"));
  }
  DOLMEN_ASSIGN_OR_RETURN(std::shared_ptr<Node::Slot> slot, node->Acquire(StreamKind::kTransfer, *storage));
  std::shared_ptr<CopyTask> task(new CopyTask(node, command, node->WorkersOf(*storage), std::move(slot)));
  node->Add(task);
  MutexLock lock(&task->mutex_);
  task->self_ = task;
  task->FeedLocked(copy_event::Start{});
  return absl::OkStatus();
}

CopyTask::~CopyTask() {
  {
    MutexLock lock(&mutex_);
    reader_.reset();
  }
  slot_.reset();
  node_->Remove(this);  // the node may be gone after this
}

void CopyTask::Feed(CopyEvent event) {
  const std::shared_ptr<CopyTask> alive = shared_from_this();
  MutexLock lock(&mutex_);
  FeedLocked(std::move(event));
}

void CopyTask::FeedLocked(CopyEvent event) {
  events_.push_back(std::move(event));
  if (stepping_) return;  // the step under way takes it, too
  stepping_ = true;
  while (!events_.empty()) {
    CopyEvent next = std::move(events_.front());
    events_.pop_front();
    for (CopyAction& action : copy_.Step(std::move(next), node_->clock().Now())) {
      std::visit([this](auto& one) ABSL_NO_THREAD_SAFETY_ANALYSIS { Do(one); }, action);
    }
  }
  stepping_ = false;
}

void CopyTask::Tick(MonotonicTime now) {
  MutexLock lock(&mutex_);
  const std::optional<MonotonicTime> deadline = copy_.NextDeadline();
  if (deadline.has_value() && now >= *deadline) FeedLocked(copy_event::Tick{});
}

void CopyTask::Cancel() {
  MutexLock lock(&mutex_);
  cancelled_ = true;
  if (pipeline_ != nullptr) pipeline_->Cancel();
}

void CopyTask::Do(copy_action::OpenSource& action) {
  const bool taken = workers_->reads().TryPost([self = shared_from_this(), block = action.block] {
    absl::StatusOr<std::unique_ptr<ReplicaReader>> reader = self->node_->store().OpenReader(block);
    if (reader.ok() && !(*reader)->finalized()) {
      reader = MakeError(ErrorReason::kNotReplicatedYet, absl::StrCat(block.id.ToString(), " is still being written"));
    }
    MutexLock lock(&self->mutex_);
    if (!reader.ok()) return self->FeedLocked(copy_event::SourceOpened{reader.status()});
    self->reader_ = *std::move(reader);
    self->FeedLocked(copy_event::SourceOpened{self->reader_->Length()});
  });
  if (!taken)
    FeedLocked(copy_event::SourceOpened{MakeError(ErrorReason::kBusy, "too many reads wait for this volume")});
}

void CopyTask::Do(copy_action::ConnectPipeline& action) {
  if (cancelled_) {
    return FeedLocked(copy_event::PipelineEnded{MakeError(ErrorReason::kCancelled, "the datanode is stopping")});
  }
  const std::shared_ptr<CopyTask> self = shared_from_this();
  pipeline_ = PipelineStream::Open(
      &node_->peers(), action.target, action.setup, node_->options().connect_timeout, node_->clock().Now(),
      {.ack = [self](protocol::Ack ack) { self->Feed(copy_event::AckArrived{std::move(ack)}); },
       .ended = [self](absl::Status status) { self->Feed(copy_event::PipelineEnded{std::move(status)}); }});
}

void CopyTask::Do(copy_action::ReadSource& action) {
  workers_->reads().Post([self = shared_from_this(), reader = reader_, action] {
    // The machine verifies what it gets.
    absl::StatusOr<protocol::ReadChunk> chunk = reader->Read(action.offset, action.length, ReplicaReader::Check::kNone);
    self->Feed(copy_event::ChunkRead{std::move(chunk)});
  });
}

void CopyTask::Do(copy_action::SendPacket& action) { pipeline_->Send(action.packet); }

void CopyTask::Do(copy_action::ClosePipeline& action) {
  if (action.cancel) {
    pipeline_->Cancel();
  } else {
    pipeline_->CloseSending();
  }
}

void CopyTask::Do(copy_action::ReportCorrupt& action) { node_->Suspect(action.block); }

void CopyTask::Do(copy_action::Finished& action) {
  if (action.status.ok()) {
    spdlog::info("copied {} to {} datanodes", copy_.command().block.id.ToString(), copy_.command().targets.size());
  } else {
    LogIfError(action.status, "the namenode orders the copy again");
  }
  self_.reset();  // the caller holds another reference
}

}  // namespace dolmen::datanode
