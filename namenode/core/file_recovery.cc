#include "namenode/core/file_recovery.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode {

void FileRecovery::Add(InodeId inode) { Wait(inode, MonotonicTime{}); }

void FileRecovery::Wait(InodeId inode, MonotonicTime not_before) {
  waiting_.push_back({.inode = inode, .not_before = not_before});
}

void FileRecovery::Remove(InodeId inode) {
  std::erase_if(waiting_, [&](const Waiting& one) { return one.inode == inode; });
  if (const auto attempt = attempts_.find(inode); attempt != attempts_.end()) {
    attempted_.erase(attempt->second.plan().block);
    attempts_.erase(attempt);
  }
  truncations_.erase(inode);
}

absl::Status FileRecovery::Started(InodeId inode, const MetaReader& published, MonotonicTime now) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<OpenRecord> open, GetOpen(published, inode));
  DOLMEN_ASSIGN_OR_RETURN(std::optional<InodeRecord> file, GetInodeById(published, inode));
  if (!open.has_value() || !file.has_value() || !open->recovery.has_value()) return absl::OkStatus();
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(published, *file, 1));
  if (!last.has_value()) return absl::OkStatus();
  Remove(inode);
  if (under_way() >= kMaxUnderWay || attempts_.size() >= kMaxAttempts) {
    // For its turn, and another attempt. Somebody asked for this file: before the others.
    waiting_.push_front({.inode = inode, .not_before = now});
    return absl::OkStatus();
  }
  attempted_[last->id] = inode;
  attempts_.emplace(inode, BlockRecovery({.block = last->id,
                                          .stamp = last->record.stamp,
                                          .oldest_stamp = open->stamp_before_append.value_or(last->record.stamp),
                                          .length_before = last->record.length,
                                          .max_length = file->block_bytes,
                                          .recovery = *open->recovery,
                                          .targets = open->last_pipeline,
                                          .min_replication = settings_.min_replication},
                                         now));
  return absl::OkStatus();
}

void FileRecovery::OnAnswers(const std::vector<FrozenReplica>& answers, MonotonicTime now) {
  for (const FrozenReplica& answer : answers) {
    const auto attempted = attempted_.find(answer.replica.block.id);
    if (attempted == attempted_.end()) continue;
    attempts_.at(attempted->second).OnAnswer(answer.datanode, answer.storage, answer.replica, now);
  }
}

size_t FileRecovery::under_way() const {
  const auto waits = [](const auto& attempt) { return attempt.second.waits(); };
  const auto waiting = static_cast<size_t>(std::count_if(attempts_.begin(), attempts_.end(), waits));
  return attempts_.size() - waiting + truncations_.size();
}

void FileRecovery::Tick(const MetaReader& published, MonotonicTime now, bool may_begin) {
  // After a pause (safe mode, a stopped process) nobody's patience ran out: they were not asked meanwhile.
  if (last_tick_.has_value() && now - *last_tick_ > 2 * BlockRecovery::kRepeat) {
    std::vector<InodeId> interrupted;
    for (const auto& [inode, attempt] : attempts_)
      if (attempt.waits()) interrupted.push_back(inode);
    for (InodeId inode : interrupted) {
      Remove(inode);
      Wait(inode, now);
    }
  }
  last_tick_ = now;
  if (may_begin) BeginWaiting(published, now);
  StepAttempts(now, may_begin);
  StepTruncations(now, may_begin);
}

void FileRecovery::StepAttempts(MonotonicTime now, bool may_begin) {
  std::vector<InodeId> failed;
  for (auto& [inode, attempt] : attempts_) {
    if (attempt.decided().has_value() && !attempt.outcome().has_value()) {
      for (const protocol::ReplicaLocation& at : replicas_.ConfirmedLocations(*attempt.decided(), false))
        attempt.OnFinished(at.datanode.uuid, now);
    }
    for (CommandFor& order : attempt.Step(now)) commands_.push_back(std::move(order));
    if (attempt.failed(now)) {
      failed.push_back(inode);
    } else if (attempt.outcome().has_value() && may_begin) {
      // Again and again until the file is closed: the operation may be dropped, or find the replicas gone.
      operations_.emplace_back(EndRecovery{inode, attempt.plan().recovery, *attempt.outcome()});
    }
  }
  for (InodeId inode : failed) {
    Remove(inode);
    Wait(inode, now);
  }
}

void FileRecovery::StepTruncations(MonotonicTime now, bool may_begin) {
  std::vector<InodeId> failed;
  for (auto& [inode, truncation] : truncations_) {
    std::set<DatanodeUuid> done;
    for (const protocol::ReplicaLocation& at : replicas_.ConfirmedLocations(truncation.target, false))
      done.insert(at.datanode.uuid);
    if (done.size() > truncation.copies) truncation.progress = now;
    truncation.copies = done.size();
    const bool is_due = !truncation.ordered.has_value() || now - *truncation.ordered >= BlockRecovery::kRepeat;
    // The old block is there to be read, so the others are worth waiting for.
    const bool all_done = done.size() >= truncation.wanted;
    const size_t enough = std::min<size_t>(settings_.min_replication, replicas_.LiveDatanodes());
    if (done.size() >= std::max<size_t>(enough, 1)) {  // what FinishTruncation asks for
      truncation.enough = truncation.enough.value_or(now);
      if (all_done || now - *truncation.enough >= BlockRecovery::kPatience) {
        if (!may_begin || (truncation.ended.has_value() && now - *truncation.ended < BlockRecovery::kRepeat)) continue;
        truncation.ended = now;
        operations_.emplace_back(EndTruncation{inode, truncation.target.id});
        continue;
      }
    }
    if (now - truncation.progress >= BlockRecovery::kNoProgress) {
      failed.push_back(inode);  // others may have more luck meanwhile
      continue;
    }
    if (!is_due) continue;
    truncation.ordered = now;
    for (const protocol::ReplicaLocation& source : replicas_.ConfirmedLocations(truncation.source, false)) {
      if (done.contains(source.datanode.uuid)) continue;
      commands_.emplace_back(source.datanode.uuid,
                             protocol::CopyPrefixCommand{source.storage, truncation.source, truncation.target});
    }
  }
  for (InodeId inode : failed) {
    Remove(inode);
    Wait(inode, now);
  }
}

void FileRecovery::BeginWaiting(const MetaReader& published, MonotonicTime now) {
  // Every file once at most, those that may not be looked at yet included.
  const size_t busy = under_way();
  const size_t truncations = truncations_.size();
  size_t looks = 0;
  for (size_t left = waiting_.size(); left != 0; --left) {
    const size_t begun = operations_.size() + truncations_.size() - truncations;
    if (busy + begun >= kMaxUnderWay || attempts_.size() + begun >= kMaxAttempts || looks >= kLooksPerTick) return;
    const InodeId inode = waiting_.front().inode;
    const bool is_due = waiting_.front().not_before <= now;
    waiting_.push_back(waiting_.front());
    waiting_.pop_front();
    if (!is_due) continue;
    ++looks;
    // Unless it becomes a truncation, or an attempt.
    waiting_.back().not_before = now + kLookAgain;
    LogIfError(Begin(inode, published, now), absl::StrCat(inode.ToString(), " stays open; tried again"));
  }
}

bool FileRecovery::IsAnybodyThere(const OpenRecord& open) const {
  return std::any_of(open.last_pipeline.begin(), open.last_pipeline.end(),
                     [&](const OpenRecord::Target& target) { return replicas_.IsRegistered(target.datanode); });
}

// The file at the end of those that wait.
absl::Status FileRecovery::Begin(InodeId inode, const MetaReader& published, MonotonicTime now) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<OpenRecord> open, GetOpen(published, inode));
  if (open.has_value() && open->truncation.has_value()) return BeginTruncation(inode, *open, published, now);
  if (open.has_value() && open->recovery.has_value() && !IsAnybodyThere(*open)) {
    // No datanode to be asked: another attempt would find nothing out.
    waiting_.back().not_before = now + kNobodyThere;
    return absl::OkStatus();
  }
  operations_.emplace_back(RecoverFile{inode});
  return absl::OkStatus();
}

absl::Status FileRecovery::BeginTruncation(InodeId inode, const OpenRecord& open, const MetaReader& published,
                                           MonotonicTime now) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<InodeRecord> file, GetInodeById(published, inode));
  if (!file.has_value()) return absl::OkStatus();
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(published, *file, 1));
  DOLMEN_ASSIGN_OR_RETURN(std::optional<BlockRecord> copy, GetBlock(published, open.truncation->copy));
  if (!last.has_value() || !copy.has_value()) return absl::OkStatus();
  const size_t sources = replicas_.ConfirmedLocations(last->AsBlock(), /*live_only=*/true).size();
  Remove(inode);
  truncations_[inode] = {.source = last->AsBlock(),
                         .target = {open.truncation->copy, copy->stamp, open.truncation->length},
                         .progress = now,
                         .wanted = std::max<size_t>(sources, 1)};
  return absl::OkStatus();
}

}  // namespace dolmen::namenode
