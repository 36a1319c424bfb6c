#include "datanode/service/node.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "datanode/service/copy_task.h"
#include "spdlog/spdlog.h"

namespace dolmen::datanode {
namespace {

// Replicas of one volume unlinked per round of housekeeping: paced, so that a big deletion does not keep a disk busy
// (chosen).
constexpr size_t kPurgedAtOnce = 200;

}  // namespace

Node::Node(BlockStore* store, NodeOptions options, const Clock* clock, uint64_t seed)
    : store_(store),
      options_(std::move(options)),
      clock_(clock),
      started_(clock->Now()),
      limits_(options_.limits),
      chooser_(Random(seed)) {
  for (const protocol::StorageReport& storage : store_->StorageReports()) {
    workers_[storage.id] = std::make_unique<VolumeWorkers>(store_, storage.id, options_.workers, clock_);
  }
}

Node::~Node() { StopWorkers(); }

void Node::StopWorkers() {
  for (auto& [storage, workers] : workers_) workers->Stop();
}

VolumeWorkers* Node::WorkersOf(const StorageId& storage) {
  const auto found = workers_.find(storage);
  return found == workers_.end() ? nullptr : found->second.get();
}

absl::StatusOr<StorageId> Node::ChooseVolume(const StorageId& wanted, uint64_t bytes) {
  const std::vector<protocol::StorageReport> reports = store_->StorageReports();
  std::vector<VolumeCandidate> candidates;
  candidates.reserve(reports.size());
  MutexLock lock(&limits_mutex_);
  for (const protocol::StorageReport& report : reports) {
    candidates.push_back({.storage = report.id,
                          .online = !report.failed,
                          .remaining_bytes = report.remaining_bytes,
                          .writers = limits_.writers(report.id)});
  }
  return chooser_.Choose(candidates, wanted, bytes);
}

absl::StatusOr<std::shared_ptr<Node::Slot>> Node::Acquire(StreamKind kind, const StorageId& storage) {
  {
    MutexLock lock(&limits_mutex_);
    DOLMEN_RETURN_IF_ERROR(limits_.Acquire(kind, storage));
  }
  return std::make_shared<Slot>(this, kind, storage);
}

void Node::Release(StreamKind kind, const StorageId& storage) {
  MutexLock lock(&limits_mutex_);
  limits_.Release(kind, storage);
}

uint32_t Node::ActiveStreams() const {
  MutexLock lock(&limits_mutex_);
  return limits_.streams();
}

uint32_t Node::ActiveTransfers() const {
  MutexLock lock(&limits_mutex_);
  return limits_.transfers();
}

TokenKeys Node::keys() const {
  MutexLock lock(&keys_mutex_);
  return keys_;
}

void Node::AddKey(const TokenKey& key) {
  MutexLock lock(&keys_mutex_);
  keys_.Add(key);
}

void Node::SetReporter(ReportFunction report) { report_ = std::move(report); }

void Node::Report(const StorageId& storage, const protocol::ReportedReplica& replica) {
  if (report_) report_(storage, replica);
}

void Node::Suspect(const protocol::Block& block) {
  const std::optional<StorageId> storage = store_->StorageOf(block.id);
  if (!storage.has_value()) return;
  WorkersOf(*storage)->background().TryPost([this, block, storage = *storage] {
    const absl::StatusOr<Verified> verified = store_->Verify(block);
    if (verified.ok() && verified->outcome == VerifyOutcome::kCorrupt) {
      Report(storage, {.block = verified->block, .state = protocol::ReplicaState::kCorrupt});
    }
  });
}

void Node::Verify(const protocol::Block& block) {
  const std::optional<StorageId> storage = store_->StorageOf(block.id);
  if (!storage.has_value()) return;
  const bool taken = WorkersOf(*storage)->background().TryPost([this, block, storage = *storage] {
    const absl::StatusOr<Verified> verified = store_->Verify(block);
    if (!verified.ok()) return LogIfError(verified.status(), "the namenode asks for verification again");
    const bool good = verified->outcome == VerifyOutcome::kGood;
    spdlog::log(good ? spdlog::level::info : spdlog::level::warn, "verified {}: {}", block.id.ToString(),
                good ? "good" : "corrupt");
    Report(storage, {.block = verified->block,
                     .state = good ? protocol::ReplicaState::kFinalized : protocol::ReplicaState::kCorrupt});
  });
  if (!taken) spdlog::warn("too busy to verify {}; the namenode will ask again", block.id.ToString());
}

void Node::Delete(const protocol::DeleteReplicasCommand& command) {
  // Each on its own volume's thread, whatever storage the command names: a disk that hangs must hold up nobody else.
  // But accepted here: what is reported from now on, maybe in another session, must not vouch for these replicas.
  for (const protocol::Block& block : command.blocks) {
    const std::optional<StorageId> storage = store_->StorageOf(block.id);
    if (!storage.has_value()) {
      Report(command.storage, {.block = block, .state = protocol::ReplicaState::kDeleted});
      continue;
    }
    const absl::Status begun = store_->BeginDelete(block);
    if (ReasonOf(begun) == ErrorReason::kReplicaNotFound) {
      Report(*storage, {.block = block, .state = protocol::ReplicaState::kDeleted});
      continue;
    }
    if (!begun.ok()) {
      LogIfError(begun, "the namenode orders the deletion again");
      continue;
    }
    const bool taken = WorkersOf(*storage)->background().TryPost([this, block, storage = *storage] {
      const absl::Status deleted = store_->FinishDelete(block, clock_->Now());
      if (!deleted.ok()) return LogIfError(deleted, "the namenode orders the deletion again");
      Report(storage, {.block = block, .state = protocol::ReplicaState::kDeleted});
    });
    if (taken) continue;
    store_->CancelDelete(block);
    spdlog::warn("too busy to delete {}; the namenode will order it again", block.id.ToString());
  }
}

bool Node::InBackground(const StorageId& storage, Order order, BlockId block, std::function<void()> work) {
  {
    MutexLock lock(&orders_mutex_);
    if (!orders_.insert({order, block}).second) return true;
  }
  const auto done = [this, order, block] {
    MutexLock lock(&orders_mutex_);
    orders_.erase({order, block});
  };
  const bool taken = WorkersOf(storage)->background().TryPost([work = std::move(work), done] {
    work();
    done();
  });
  if (!taken) done();
  return taken;
}

void Node::ReportIfCorrupt(const StorageId& storage, BlockId block) {
  for (const protocol::ReportedReplica& replica : store_->ListRange(storage, block, 1)) {
    if (replica.block.id == block && replica.state == protocol::ReplicaState::kCorrupt) Report(storage, replica);
  }
}

void Node::Freeze(const protocol::FreezeReplicaCommand& command) {
  const BlockId block = command.block;
  if (const absl::Status begun = store_->BeginFreeze(block, command.recovery); !begun.ok()) {
    return LogIfError(begun, "the namenode asks again, or has a newer recovery");
  }
  // The replica takes nothing more. Its writer hears of it now, also when its disk hangs or it has nothing to write.
  const absl::Status why =
      MakeError(ErrorReason::kRecoveryInProgress,
                absl::StrCat(block.ToString(), ": block recovery with ", command.recovery.ToString(),
                             " has taken the replica from its writer"));
  for (const std::shared_ptr<LiveStream>& stream : LiveStreams()) stream->BlockFrozen(block, command.recovery, why);
  const auto finish = [this, block, named = command.storage] {
    const absl::StatusOr<FrozenReplica> frozen = store_->FinishFreeze(block);
    if (!frozen.ok()) return LogIfError(frozen.status(), "the namenode asks again");
    Report(frozen->storage.is_none() ? named : frozen->storage, frozen->replica);
  };
  const std::optional<StorageId> storage = store_->StorageOf(block);
  if (!storage.has_value()) return finish();  // from memory
  if (!InBackground(*storage, Order::kFreeze, block, finish)) {
    spdlog::warn("too busy to freeze {}; the namenode will ask again", block.ToString());
  }
}

void Node::FinishRecovery(const protocol::FinishRecoveryCommand& command) {
  const protocol::Block block = command.block;
  const std::optional<StorageId> storage = store_->StorageOf(block.id);
  if (!storage.has_value()) {
    return spdlog::warn("no replica of {} is here any more, its recovery goes on without", block.id.ToString());
  }
  const bool taken = InBackground(*storage, Order::kFinishRecovery, block.id, [this, block, storage = *storage] {
    const absl::Status finished = store_->FinishRecovery(block);
    if (finished.ok()) return Report(storage, {.block = block, .state = protocol::ReplicaState::kFinalized});
    LogIfError(finished, "the namenode decides again");
    ReportIfCorrupt(storage, block.id);
  });
  if (!taken) spdlog::warn("too busy to finish the recovery of {}; the namenode will ask again", block.id.ToString());
}

void Node::CopyPrefix(const protocol::CopyPrefixCommand& command) {
  const std::optional<StorageId> storage = store_->StorageOf(command.source.id);
  if (!storage.has_value()) {
    return spdlog::warn("no replica of {} is here to be copied to {}", command.source.id.ToString(),
                        command.target.id.ToString());
  }
  const bool taken = InBackground(*storage, Order::kCopyPrefix, command.target.id, [this, command] {
    const absl::Status copied = store_->CopyPrefix(command.source, command.target);
    if (!copied.ok()) {
      LogIfError(copied, "the namenode asks again, or others");
      if (ReasonOf(copied) == ErrorReason::kChecksum) Suspect(command.source);
      return;
    }
    const std::optional<StorageId> at = store_->StorageOf(command.target.id);
    if (at.has_value()) Report(*at, {.block = command.target, .state = protocol::ReplicaState::kFinalized});
  });
  if (!taken)
    spdlog::warn("too busy to copy a prefix of {}; the namenode will ask again", command.source.id.ToString());
}

void Node::Copy(const protocol::CopyReplicaCommand& command) {
  MutexLock lock(&orders_mutex_);
  if (copies_.Put(command, clock_->Now())) return;
  spdlog::warn("too busy to copy {}; the namenode will order it again", command.block.id.ToString());
}

void Node::StartCopies(MonotonicTime now) {
  while (ActiveTransfers() < options_.limits.transfers) {
    std::optional<protocol::CopyReplicaCommand> next;
    {
      MutexLock lock(&orders_mutex_);
      next = copies_.Take(now);
    }
    if (!next.has_value()) return;
    LogIfError(CopyTask::Begin(this, *next), "the namenode orders the copy again");
  }
}

void Node::Add(const std::shared_ptr<LiveStream>& stream) {
  MutexLock lock(&streams_mutex_);
  streams_[stream.get()] = stream;
}

void Node::Remove(const LiveStream* stream) {
  MutexLock lock(&streams_mutex_);
  streams_.erase(stream);
  streams_changed_.SignalAll();
}

size_t Node::live_streams() const {
  MutexLock lock(&streams_mutex_);
  return streams_.size();
}

std::vector<std::shared_ptr<LiveStream>> Node::LiveStreams() const {
  std::vector<std::shared_ptr<LiveStream>> all;
  MutexLock lock(&streams_mutex_);
  for (const auto& [stream, weak] : streams_) {
    if (std::shared_ptr<LiveStream> alive = weak.lock()) all.push_back(std::move(alive));
  }
  return all;
}

void Node::CancelAll() {
  {
    MutexLock lock(&orders_mutex_);
    copies_.Clear();
  }
  for (const std::shared_ptr<LiveStream>& stream : LiveStreams()) stream->Cancel();
}

bool Node::WaitUntilQuiet(Duration timeout) {
  const MonotonicTime deadline = clock_->Now() + timeout;
  MutexLock lock(&streams_mutex_);
  while (!streams_.empty()) {
    const MonotonicTime now = clock_->Now();
    if (now >= deadline) return false;
    streams_changed_.WaitFor(&streams_mutex_, deadline - now);
  }
  return true;
}

void Node::Tick() {
  const MonotonicTime now = clock_->Now();
  peers_.Poll(now);
  relay_peers_.Poll(now);
  for (const std::shared_ptr<LiveStream>& stream : LiveStreams()) stream->Tick(now);
  StartCopies(now);
}

void Node::Housekeeping() {
  for (auto& [storage, workers] : workers_) {
    if (!store_->IsOnline(storage)) continue;
    if (workers->LongestRunning() > options_.disk_hang_timeout) {
      store_->FailVolume(storage, "a disk call does not come back");
      continue;
    }
    {
      MutexLock lock(&housekeeping_mutex_);
      if (!refreshing_.insert(storage).second) continue;  // the last round is not through yet
    }
    workers->background().Post([this, storage = storage] {
      store_->RefreshSpace(storage);
      LogIfError(store_->PurgeTrash(storage, clock_->Now(), kPurgedAtOnce).status(), "tried again in the next round");
      MutexLock lock(&housekeeping_mutex_);
      refreshing_.erase(storage);
    });
  }
}

}  // namespace dolmen::datanode
