#include "namenode/service/core_thread.h"

#include <spdlog/spdlog.h>

#include "common/error.h"
#include "common/fault_point.h"

namespace dolmen::namenode {
namespace {

absl::Status ShuttingDown() {
  return MakeError(ErrorReason::kStopped, "the namenode is shutting down; retry when it is back");
}

absl::Status BeforeReply() {
  DOLMEN_FAULT_POINT("namenode.commit.before_reply");
  return absl::OkStatus();
}

}  // namespace

CoreThread::CoreThread(std::unique_ptr<NamenodeCore> core, MetaStore* store, const Clock* clock, GuardedBoard* board,
                       std::function<void(absl::Status)> on_stop)
    : clock_(clock), store_(store), board_(board), on_stop_(std::move(on_stop)), core_(std::move(core)) {
  Publish();
}

CoreThread::~CoreThread() { Stop(); }

void CoreThread::Start() {
  thread_ = std::thread([this] { Run(); });
}

void CoreThread::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.SignalAll();
  if (thread_.joinable()) thread_.join();
}

void CoreThread::Submit(ClientMutation operation, Done done) {
  auto shared = std::make_shared<std::pair<ClientMutation, Done>>(std::move(operation), std::move(done));
  const bool posted = Post([this, shared](NamenodeCore& core, MonotonicTime now) {
    const uint64_t ticket = next_ticket_++;
    if (absl::Status queued = core.Submit(ticket, std::move(shared->first), now); !queued.ok()) {
      shared->second(queued, CommitNumber());
      return;
    }
    waiting_.emplace(ticket, std::move(shared->second));
  });
  if (!posted) {
    shared->second(MakeError(ErrorReason::kBusy, absl::StrCat("the namenode's queue is full (", kMaxQueuedTasks,
                                                              ") or it is shutting down; retry after a pause")),
                   CommitNumber());
  }
}

bool CoreThread::Post(Task task) {
  bool was_empty = false;
  {
    MutexLock lock(&mutex_);
    if (stopping_ || tasks_.size() >= kMaxQueuedTasks) return false;
    was_empty = tasks_.empty();
    tasks_.push_back(std::move(task));
  }
  if (was_empty) wake_.SignalOne();
  return true;
}

PublishedState CoreThread::published() const {
  MutexLock lock(&mutex_);
  return published_;
}

std::map<uint32_t, uint64_t> CoreThread::batch_size_histogram() const {
  MutexLock lock(&mutex_);
  return histogram_;
}

void CoreThread::Publish() {
  PublishedState state = core_->published();
  std::map<uint32_t, uint64_t> histogram = core_->queue().batch_size_histogram();
  MutexLock lock(&mutex_);
  std::swap(published_, state);  // the old view is released after the lock
  std::swap(histogram_, histogram);
}

void CoreThread::Run() {
  std::vector<Task> tasks;
  while (true) {
    {
      MutexLock lock(&mutex_);
      while (tasks_.empty() && !stopping_) {
        const Duration until_tick = next_tick_ - clock_->Now();
        if (until_tick <= Duration::zero() || core_->queue().queued() > 0) break;
        wake_.WaitFor(&mutex_, until_tick);
      }
      if (stopping_ && tasks_.empty()) break;
      tasks.swap(tasks_);
    }
    const MonotonicTime now = clock_->Now();
    for (Task& task : tasks) task(*core_, now);
    tasks.clear();
    Turn(now);
  }
  for (auto& [ticket, done] : waiting_) done(ShuttingDown(), CommitNumber());
  waiting_.clear();
}

void CoreThread::Turn(MonotonicTime now) {
  if (now >= next_tick_) {
    next_tick_ = now + kTickInterval;
    CheckSpace(now);
    AnswerAll(core_->Tick(now));
    for (const Notice& notice : core_->TakeNotices()) {
      spdlog::log(notice.trouble ? spdlog::level::warn : spdlog::level::info, "{}", notice.text);
    }
    {
      MutexLock lock(&board_->mutex);
      core_->Exchange(&board_->board, now);
    }
    Publish();
  }
  while (std::optional<CommitBatch> batch = core_->BeginBatch(now, clock_->WallNow())) {
    const absl::Status committed = store_->Commit(*batch);
    std::vector<Finished> finished =
        core_->FinishBatch(committed, committed.ok() ? store_->View() : nullptr, clock_->Now());
    Publish();
    if (!committed.ok()) spdlog::critical("commit {} failed: {}", batch->number.value(), MessageOf(committed));
    LogIfError(BeforeReply(), "only a fault point ever fails here, to end the process between commit and answer");
    AnswerAll(std::move(finished));
    MutexLock lock(&mutex_);
    if (!tasks_.empty()) break;  // what arrived meanwhile joins the next batch
  }
  if (!reported_stop_ && (core_->stopped() || core_->fenced())) {
    reported_stop_ = true;
    on_stop_(
        core_->fenced()
            ? MakeError(ErrorReason::kStaleEpoch, "datanodes follow another namenode of a higher epoch; this one stops")
            : MakeError(ErrorReason::kStopped, "a commit failed and what is on disk is unknown: restart the namenode"));
  }
}

void CoreThread::AnswerAll(std::vector<Finished> finished) {
  for (Finished& one : finished) {
    auto found = waiting_.find(one.ticket);
    if (found == waiting_.end()) continue;
    Done done = std::move(found->second);
    waiting_.erase(found);
    done(std::move(one.answer), one.commit);
  }
}

void CoreThread::CheckSpace(MonotonicTime now) {
  if (now < next_space_check_) return;
  next_space_check_ = now + kSpaceCheckInterval;
  absl::StatusOr<uint64_t> free_bytes = store_->FreeBytes();
  if (!free_bytes.ok()) {
    LogIfError(free_bytes.status(), "asked again in a second");
    return;
  }
  core_->SetLowSpace(*free_bytes < core_->settings().free_space_floor_bytes, now);
}

}  // namespace dolmen::namenode
