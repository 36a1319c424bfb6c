#include "namenode/core/block_recovery.h"

#include <algorithm>

#include "common/check.h"

namespace dolmen::namenode {

using protocol::ReplicaState;
using protocol::ReportedReplica;

BlockRecovery::BlockRecovery(RecoveryPlan plan, MonotonicTime now) : plan_(std::move(plan)), progress_(now) {
  for (const OpenRecord::Target& target : plan_.targets) targets_[target.datanode].storage = target.storage;
}

BlockRecovery::Kind BlockRecovery::KindOf(const ReportedReplica& replica) const {
  const GenerationStamp stamp = replica.block.stamp;
  const uint64_t length = replica.block.length;
  if (replica.state == ReplicaState::kDeleted) return Kind::kMissing;
  if (stamp < plan_.oldest_stamp || stamp > plan_.recovery || length < plan_.length_before ||
      length > plan_.max_length) {
    return Kind::kUseless;
  }
  if (replica.state == ReplicaState::kFinalized) {
    if (stamp >= plan_.stamp) return Kind::kFinalized;
    // As it was before the append.
    return length == plan_.length_before ? Kind::kRunning : Kind::kUseless;
  }
  if (replica.state != ReplicaState::kBeingWritten || stamp < plan_.stamp) return Kind::kUseless;
  return replica.after_restart ? Kind::kRestarted : Kind::kRunning;
}

void BlockRecovery::OnAnswer(const DatanodeUuid& datanode, const StorageId& storage, const ReportedReplica& replica,
                             MonotonicTime now) {
  const auto found = targets_.find(datanode);
  if (found == targets_.end()) return;
  if (replica.block.id != plan_.block || replica.frozen_by != plan_.recovery) return;
  Target& target = found->second;
  if (target.answer.has_value()) return;
  target.answer = replica;
  target.storage = storage;  // the datanode may have put it elsewhere
  progress_ = now;
  const Kind kind = KindOf(replica);
  if (kind == Kind::kFinalized || kind == Kind::kRunning) first_telling_ = first_telling_.value_or(now);
  if (kind == Kind::kRestarted) first_restarted_ = first_restarted_.value_or(now);
  if (!decided_.has_value()) return;
  if (guessed_ && (kind == Kind::kFinalized || kind == Kind::kRunning) && replica.block.length > decided_->length) {
    superseded_ = true;
  } else {
    TakePart(&target);  // it may have what was decided
    target.ordered.reset();
    target.repeat = kRepeat;
  }
}

void BlockRecovery::OnFinished(const DatanodeUuid& datanode, MonotonicTime now) {
  const auto found = targets_.find(datanode);
  if (found == targets_.end() || !decided_.has_value() || found->second.finished) return;
  found->second.takes_part = true;
  found->second.finished = true;
  progress_ = now;
}

void BlockRecovery::TakePart(Target* target) const {
  const Kind kind = KindOf(*target->answer);
  target->takes_part =
      kind != Kind::kMissing && kind != Kind::kUseless && target->answer->block.length >= decided_->length;
}

void BlockRecovery::DecideLength(uint64_t length, MonotonicTime now) {
  DOLMEN_CHECK(length >= plan_.length_before && length <= plan_.max_length, "a length that the block can't have");
  progress_ = now;
  if (length == 0) {
    outcome_ = RecoveryOutcome{.kind = RecoveryOutcome::Kind::kNothingThere};
    return;
  }
  decided_ = protocol::Block{plan_.block, plan_.recovery, length};
  for (auto& [uuid, target] : targets_) {
    if (target.answer.has_value()) TakePart(&target);
    target.ordered.reset();  // the second order is due at once
    target.repeat = kRepeat;
  }
}

void BlockRecovery::Decide(MonotonicTime now) {
  bool all_answered = true;
  bool all_missing = true;
  bool damaged = false;
  uint64_t visible = 0;
  std::optional<uint64_t> finalized;  // the longest
  std::optional<uint64_t> running;    // the shortest
  std::optional<uint64_t> restarted;  // the longest
  for (const auto& [uuid, target] : targets_) {
    if (!target.answer.has_value()) {
      all_answered = false;
      continue;
    }
    const uint64_t length = target.answer->block.length;
    const Kind kind = KindOf(*target.answer);
    all_missing = all_missing && kind == Kind::kMissing;
    damaged = damaged || kind == Kind::kUseless;
    if (kind == Kind::kFinalized) finalized = std::max(finalized.value_or(0), length);
    if (kind == Kind::kRunning) {
      running = std::min(running.value_or(length), length);
      visible = std::max(visible, std::min(target.answer->visible_length, length));
    }
    if (kind == Kind::kRestarted) restarted = std::max(restarted.value_or(0), length);
  }
  const auto waited = [&](std::optional<MonotonicTime> since, Duration patience) {
    return all_answered || (since.has_value() && now - *since >= patience);
  };
  if (finalized.has_value() || running.has_value()) {
    if (!waited(first_telling_, kPatience)) return;
    DecideLength(std::max({finalized.value_or(0), running.value_or(0), visible}), now);
  } else if (restarted.has_value()) {
    if (!waited(first_restarted_, kLongPatience)) return;
    if (*restarted == 0 && damaged) return;
    guessed_ = true;
    DecideLength(*restarted, now);
  } else if (all_answered && plan_.length_before > 0) {
    progress_ = now;
    outcome_ = RecoveryOutcome{.kind = RecoveryOutcome::Kind::kNothingUsable};
  } else if (all_answered && all_missing) {
    progress_ = now;
    outcome_ = RecoveryOutcome{.kind = RecoveryOutcome::Kind::kNothingThere};
  }
}

std::vector<CommandFor> BlockRecovery::Step(MonotonicTime now) {
  std::vector<CommandFor> orders;
  if (outcome_.has_value() || superseded_) return orders;
  if (!decided_.has_value()) Decide(now);
  if (outcome_.has_value()) return orders;

  size_t part = 0;
  size_t finished = 0;
  for (const auto& [uuid, target] : targets_) {
    part += target.takes_part ? 1 : 0;
    finished += target.finished ? 1 : 0;
  }
  if (finished != 0 && finished >= std::min<size_t>(plan_.min_replication, part)) {
    enough_finished_ = enough_finished_.value_or(now);
    if (finished == part || now - *enough_finished_ >= kFinishPatience) {
      outcome_ = Recovered(decided_->length);
      return orders;
    }
  }

  for (auto& [uuid, target] : targets_) {
    const bool asks = !target.answer.has_value();
    const bool finishes = target.takes_part && !target.finished;
    if (!asks && !finishes) continue;
    if (target.ordered.has_value() && now - *target.ordered < target.repeat) continue;
    if (asks && target.ordered.has_value()) target.repeat = std::min<Duration>(2 * target.repeat, kLongestRepeat);
    target.ordered = now;
    if (asks) {
      orders.emplace_back(uuid, protocol::FreezeReplicaCommand{target.storage, plan_.block, plan_.recovery});
    } else {
      orders.emplace_back(uuid, protocol::FinishRecoveryCommand{target.storage, *decided_});
    }
  }
  return orders;
}

bool BlockRecovery::waits() const {
  if (decided_ || outcome_ || !(first_telling_ || first_restarted_)) return false;
  return std::any_of(targets_.begin(), targets_.end(), [](const auto& one) { return !one.second.answer.has_value(); });
}

bool BlockRecovery::failed(MonotonicTime now) const {
  if (superseded_ && !outcome_.has_value()) return true;
  return !waits() && now - progress_ >= kNoProgress;
}

std::vector<DatanodeUuid> BlockRecovery::participants() const {
  std::vector<DatanodeUuid> participants;
  for (const auto& [uuid, target] : targets_)
    if (target.takes_part) participants.push_back(uuid);
  return participants;
}

}  // namespace dolmen::namenode
