#include "namenode/core/commit_queue.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/meta_batch.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/retry_sessions.h"

namespace dolmen::namenode {
namespace {

// Wall clocks may lag the last commit by so much before the namespace's time follows them back (DESIGN).
constexpr int64_t kMaxClockLagMs = 10'000;

absl::Status StoppedError() {
  return MakeError(ErrorReason::kStopped,
                   "the namenode stopped changing the namespace because a commit failed and what is on its disk is "
                   "unknown; see its log, mend the disk and restart it");
}

// The file a parked operation waits for; none when it was named by path only.
InodeId FileOf(const protocol::Mutation& request) {
  if (const auto* complete = std::get_if<protocol::CompleteRequest>(&request)) return complete->inode;
  if (const auto* add_block = std::get_if<protocol::AddBlockRequest>(&request)) return add_block->inode;
  return InodeId{};
}

// The answer of one that waited in vain. It is not stored: the caller asks again with a new call.
Answer WaitedInVain(const protocol::Mutation& request, const absl::Status& refused) {
  if (std::holds_alternative<protocol::CompleteRequest>(request))
    return protocol::MutationReply(protocol::CompleteReply{});
  if (std::holds_alternative<protocol::RecoverLeaseRequest>(request))
    return protocol::MutationReply(protocol::RecoverLeaseReply{});
  if (std::holds_alternative<protocol::AppendRequest>(request)) return refused;
  return MakeError(ErrorReason::kNotReplicatedYet,
                   "Not replicated yet: too few datanodes have reported the block before "
                   "the last one; ask again");
}

}  // namespace

absl::Status SafeModeRefusal(const protocol::Mutation& request, const std::string& tip) {
  struct Prefix {
    std::string operator()(const protocol::MkdirsRequest& r) const { return "Cannot create directory " + r.path; }
    std::string operator()(const protocol::CreateRequest& r) const { return "Cannot create file" + r.path; }
    std::string operator()(const protocol::AddBlockRequest& r) const { return "Cannot add block to " + r.path; }
    std::string operator()(const protocol::AbandonBlockRequest& r) const {
      return "Cannot abandon block " + r.block.id.ToString() + " for file" + r.path;
    }
    std::string operator()(const protocol::CompleteRequest& r) const { return "Cannot complete file " + r.path; }
    std::string operator()(const protocol::RenameRequest& r) const { return "Cannot rename " + r.source; }
    std::string operator()(const protocol::DeleteRequest& r) const { return "Cannot delete " + r.path; }
    std::string operator()(const protocol::SetAttributesRequest& r) const {
      if (r.permission.has_value()) return "Cannot set permission for " + r.path;
      if (r.owner.has_value() || r.group.has_value()) return "Cannot set owner for " + r.path;
      return "Cannot set times " + r.path;
    }
    std::string operator()(const protocol::FsyncRequest& r) const { return "Cannot fsync file " + r.path; }
    std::string operator()(const protocol::ConcatRequest& r) const { return "Cannot concat " + r.target; }
    std::string operator()(const protocol::SetReplicationRequest& r) const {
      return "Cannot set replication for " + r.path;
    }
    std::string operator()(const protocol::AppendRequest& r) const { return "Cannot append to file" + r.path; }
    std::string operator()(const protocol::TruncateRequest& r) const { return "Cannot truncate for " + r.path; }
    std::string operator()(const protocol::RecoverLeaseRequest& r) const {
      return "Cannot recover the lease of " + r.path;
    }
  };
  return MakeError(ErrorReason::kSafeMode,
                   absl::StrCat(std::visit(Prefix{}, request), ". Name node is in safe mode.\n", tip));
}

CommitQueue::CommitQueue(const CoreSettings* settings, const NamespaceInfo* info, const ReplicaView* replicas,
                         const LeaseView* leases, Counters counters, CommitNumber last_commit, uint64_t seed)
    : settings_(*settings),
      info_(*info),
      replicas_(*replicas),
      leases_(*leases),
      random_(seed),
      counters_(std::move(counters)),
      last_commit_(last_commit) {}

absl::Status CommitQueue::Enqueue(uint64_t ticket, ClientMutation operation, MonotonicTime now) {
  if (!stopped_.ok()) return stopped_;
  if (queue_.size() + parked_count_ >= settings_.max_queued_operations) {
    return MakeError(ErrorReason::kBusy, absl::StrCat("the namenode's queue is full (", settings_.max_queued_operations,
                                                      " operations); retry after a pause"));
  }
  queue_.push_back({ticket, std::move(operation), now});
  return absl::OkStatus();
}

void CommitQueue::Enqueue(InternalOperation operation) {
  if (stopped_.ok()) internal_.push_back(std::move(operation));
}

void CommitQueue::ReplicasConfirmed(InodeId inode) {
  for (InodeId key : {inode, InodeId{}}) {
    auto found = parked_.find(key);
    if (found == parked_.end()) continue;
    parked_count_ -= found->second.size();
    for (Waiting& waiting : found->second) queue_.push_back(std::move(waiting));
    parked_.erase(found);
  }
}

std::vector<Finished> CommitQueue::ExpireParked(MonotonicTime now) {
  std::vector<Finished> expired;
  for (auto entry = parked_.begin(); entry != parked_.end();) {
    std::erase_if(entry->second, [&](const Waiting& waiting) {
      if (now - waiting.enqueued < settings_.replica_wait) return false;
      expired.push_back({waiting.ticket, WaitedInVain(waiting.operation.request, waiting.refused), last_commit_});
      return true;
    });
    entry = entry->second.empty() ? parked_.erase(entry) : std::next(entry);
  }
  parked_count_ -= expired.size();
  return expired;
}

WallTime CommitQueue::CommitTime(WallTime wall) const {
  const WallTime last = counters_.last_commit_time;
  return wall < last && last.ms - wall.ms < kMaxClockLagMs ? last : wall;
}

void CommitQueue::NoteCommitTime(MonotonicTime now, WallTime time) {
  if (period_began_.has_value() && now - *period_began_ >= settings_.retry_retention) {
    last_period_floor_ = period_floor_;
    period_began_.reset();
  }
  if (!period_began_.has_value()) {
    period_began_ = now;
    period_floor_ = time;
  }
  period_floor_ = std::min(period_floor_, time);
}

std::optional<WallTime> CommitQueue::SessionsUnusedSince() const {
  if (!last_period_floor_.has_value()) return std::nullopt;
  return std::min(*last_period_floor_, period_floor_);
}

std::optional<CommitBatch> CommitQueue::Begin(const MetaReader& published, MonotonicTime now, WallTime wall,
                                              const std::optional<std::string>& safe_mode_tip) {
  if (in_flight_ || !stopped_.ok() || (queue_.empty() && internal_.empty())) return std::nullopt;
  MetaBatch batch(&published);
  next_counters_ = counters_;
  effects_.clear();
  answers_.clear();
  deleted_something_ = false;
  replication_begun_ = false;
  counters_raised_ = false;
  std::vector<LeaseClosed> overdue;
  OperationContext context{.batch = &batch,
                           .counters = &next_counters_,
                           .effects = &effects_,
                           .settings = &settings_,
                           .info = &info_,
                           .replicas = &replicas_,
                           .leases = &leases_,
                           .random = &random_,
                           .now = CommitTime(wall),
                           .commit = last_commit_.Next(),
                           .overdue = &overdue,
                           .reap = &reap_backlog_};
  NoteCommitTime(now, context.now);

  // Before anything takes an id.
  for (const InternalOperation& operation : internal_)
    if (std::holds_alternative<RaiseCounters>(operation)) DecideInternal(operation, context);
  std::erase_if(internal_, [](const InternalOperation& one) { return std::holds_alternative<RaiseCounters>(one); });

  RetrySessions sessions(&published, &settings_, context.now);
  for (uint32_t decided = 0; !queue_.empty() && decided < settings_.max_batch_operations &&
                             batch.write_bytes() + sessions.bytes() < settings_.max_batch_bytes;
       ++decided) {
    Waiting waiting = std::move(queue_.front());
    queue_.pop_front();
    Decide(std::move(waiting), context, sessions, safe_mode_tip);
  }
  sessions.WriteTo(&batch);

  for (LeaseClosed& lease : overdue) internal_.push_back(CloseExpiredLease{std::move(lease.holder), lease.inode});
  // Own work after the clients', in safe mode not at all: nothing is lost by waiting.
  if (safe_mode_tip.has_value()) internal_.clear();
  // At least one step, however much the clients wrote.
  for (bool first = true; !internal_.empty() && (first || batch.write_bytes() < settings_.max_batch_bytes);
       first = false, internal_.pop_front())
    DecideInternal(internal_.front(), context);

  if (answers_.empty() && batch.write_count() == 0 && effects_.empty() && !counters_raised_) return std::nullopt;
  clock_jumped_ = clock_jumped_ || context.now < counters_.last_commit_time;
  next_counters_.last_commit_time = context.now;
  batch.Put(Family::kMeta, std::string(keys::kCounters), EncodeCounters(next_counters_));
  CommitBatch out{
      .number = context.commit, .epoch = counters_.epoch, .time = context.now, .writes = batch.TakeWrites()};
  deleted_something_ = std::any_of(out.writes.begin(), out.writes.end(), [](const MetaWrite& write) {
    return write.family == Family::kDetached && write.value.has_value();
  });
  replication_begun_ = std::any_of(out.writes.begin(), out.writes.end(), [](const MetaWrite& write) {
    return write.family == Family::kMeta && write.value.has_value() && write.key.starts_with(keys::kReplicationStart);
  });
  in_flight_ = true;
  if (!answers_.empty()) ++histogram_[std::bit_floor(static_cast<uint32_t>(answers_.size()))];
  return out;
}

void CommitQueue::Decide(Waiting waiting, OperationContext& context, RetrySessions& sessions,
                         const std::optional<std::string>& safe_mode_tip) {
  const ClientMutation& operation = waiting.operation;
  auto answer_with = [&](Answer answer) { answers_.push_back({waiting.ticket, std::move(answer), context.commit}); };

  absl::StatusOr<RetryLookup> lookup = sessions.LookUp(operation.id, operation.request);
  if (!lookup.ok()) return answer_with(lookup.status());
  if (lookup->answer.has_value()) return answer_with(*std::move(lookup->answer));
  if (safe_mode_tip.has_value()) return answer_with(SafeModeRefusal(operation.request, *safe_mode_tip));

  const Counters counters_before = *context.counters;
  const size_t effects_before = context.effects->size();
  context.batch->BeginOperation();
  context.waits_for = FileOf(operation.request);
  Answer answer = std::visit(
      [&](const auto& request) -> Answer {
        auto reply = ops::Decide(context, operation.caller, request);
        if (!reply.ok()) return reply.status();
        return protocol::MutationReply(*std::move(reply));
      },
      operation.request);
  if (answer.ok()) {
    context.batch->KeepOperation();
  } else {
    context.batch->UndoOperation();
    *context.counters = counters_before;
    context.effects->resize(effects_before);
    if (ReasonOf(answer.status()) == ErrorReason::kNotReplicatedYet) {
      if (parked_count_ >= settings_.max_waiting_operations)
        return answer_with(WaitedInVain(operation.request, answer.status()));
      ++parked_count_;
      waiting.refused = answer.status();
      parked_[context.waits_for].push_back(std::move(waiting));
      return;
    }
    // Not decided at all: the caller retries with the same id, and the retry is executed.
    if (AdviceFor(answer.status()) == RetryAdvice::kRetry) return answer_with(std::move(answer));
    // Other refusals are stored, too: a late duplicate of a refused call must not be executed after the refusal was
    // given.
  }
  sessions.Store(operation.id, operation.request, answer);
  answer_with(std::move(answer));
}

void CommitQueue::DecideInternal(const InternalOperation& operation, OperationContext& context) {
  const Counters counters_before = *context.counters;
  const size_t effects_before = context.effects->size();
  context.batch->BeginOperation();
  struct Run {
    CommitQueue* queue;
    OperationContext& context;
    absl::Status operator()(const CloseExpiredLease& lease) const {
      return ops::ReleaseExpired(context, lease.inode, lease.holder);
    }
    absl::Status operator()(const RecoverFile& file) const { return ops::ContinueRecovery(context, file.inode); }
    absl::Status operator()(const EndRecovery& end) const {
      return ops::FinishRecovery(context, end.inode, end.recovery, end.outcome);
    }
    absl::Status operator()(const EndTruncation& end) const {
      return ops::FinishTruncation(context, end.inode, end.copy);
    }
    absl::Status operator()(const ReapStep&) const {
      DOLMEN_ASSIGN_OR_RETURN(queue->reap_left_, ops::ReapDetached(context));
      return absl::OkStatus();
    }
    absl::Status operator()(const ReplicationStep&) const {
      DOLMEN_ASSIGN_OR_RETURN(queue->replication_left_, ops::ContinueSetReplication(context));
      return absl::OkStatus();
    }
    absl::Status operator()(const ExpireSessionsStep&) const {
      const std::optional<WallTime> unused_since = queue->SessionsUnusedSince();
      if (!unused_since.has_value()) return absl::OkStatus();  // too early after the start to know
      DOLMEN_ASSIGN_OR_RETURN(queue->many_sessions_expired_,
                              ops::ExpireSessions(context, &queue->session_cursor_, unused_since));
      return absl::OkStatus();
    }
    absl::Status operator()(const RaiseCounters& raise) const {
      Counters& counters = *context.counters;
      if (counters.next_block < raise.next_block || counters.next_stamp < raise.next_stamp)
        queue->counters_raised_ = true;
      counters.next_block = std::max(counters.next_block, raise.next_block);
      counters.next_stamp = std::max(counters.next_stamp, raise.next_stamp);
      for (const MetaWrite& write : raise.quarantined) {
        if (write.value.has_value()) {
          context.batch->Put(write.family, write.key, *write.value);
        } else {
          context.batch->Delete(write.family, write.key);
        }
      }
      return absl::OkStatus();
    }
  };
  if (absl::Status done = std::visit(Run{this, context}, operation); !done.ok()) {
    context.batch->UndoOperation();
    *context.counters = counters_before;
    context.effects->resize(effects_before);
    // It may have got ahead of what is stored.
    if (std::holds_alternative<ReapStep>(operation)) reap_backlog_ = ReapBacklog();
    LogIfError(done, "the namenode's own work is tried again at a later tick");
    return;
  }
  context.batch->KeepOperation();
}

CommitQueue::Outcome CommitQueue::Finish(const absl::Status& committed) {
  DOLMEN_CHECK(in_flight_, "Finish without a batch in flight");
  in_flight_ = false;
  Outcome outcome;
  outcome.answers = std::move(answers_);
  answers_.clear();
  if (committed.ok()) {
    counters_ = next_counters_;
    last_commit_ = last_commit_.Next();
    outcome.effects = std::move(effects_);
    outcome.deleted_something = deleted_something_;
    reap_left_ = reap_left_ || deleted_something_;
    replication_left_ = replication_left_ || replication_begun_;
  } else {
    for (Finished& finished : outcome.answers) finished = {finished.ticket, StoppedError(), last_commit_};
    for (Finished& waiting : Stop(StoppedError())) outcome.answers.push_back(std::move(waiting));
  }
  effects_.clear();
  return outcome;
}

std::vector<Finished> CommitQueue::Stop(absl::Status why) {
  if (stopped_.ok()) stopped_ = std::move(why);
  std::vector<Finished> refused;
  for (const Waiting& waiting : queue_) refused.push_back({waiting.ticket, stopped_, last_commit_});
  for (const auto& [inode, group] : parked_)
    for (const Waiting& waiting : group) refused.push_back({waiting.ticket, stopped_, last_commit_});
  internal_.clear();
  queue_.clear();
  parked_.clear();
  parked_count_ = 0;
  return refused;
}

}  // namespace dolmen::namenode
