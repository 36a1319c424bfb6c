#include "namenode/core/report_processor.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/block_health.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode {
namespace {

using protocol::Block;
using protocol::FullReportSlice;
using protocol::IncrementalReportRequest;
using protocol::ReplicaState;
using protocol::ReportedReplica;

absl::Status CheckShape(const FullReportSlice& slice) {
  bool good = slice.first_id <= slice.last_id && slice.replicas.size() <= ReportProcessor::kMaxSliceReplicas;
  for (size_t i = 0; good && i < slice.replicas.size(); ++i) {
    const BlockId id = slice.replicas[i].block.id;
    good = slice.first_id <= id && id <= slice.last_id && (i == 0 || slice.replicas[i - 1].block.id < id);
  }
  if (good) return absl::OkStatus();
  return MakeError(
      ErrorReason::kIllegalArgument,
      absl::StrCat("slice ", slice.slice_index, " of round ", slice.round, " from datanode ", slice.datanode.value(),
                   ": replicas must be <= ", ReportProcessor::kMaxSliceReplicas, ", distinct, ascending and within [",
                   slice.first_id.ToString(), ", ", slice.last_id.ToString(), "]"));
}

bool MatchesRecord(const ReplicaRecord& replica, const BlockRecord& record) {
  return replica.state == ReplicaState::kFinalized && replica.stamp == record.stamp &&
         (record.state == BlockState::kUnderConstruction || replica.length == record.length);
}

}  // namespace

absl::StatusOr<ReportProcessor::Context> ReportProcessor::Begin(const MetaReader& published, MonotonicTime now) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<std::string> bytes, published.Get(Family::kMeta, keys::kCounters));
  if (!bytes.has_value()) return MakeError(ErrorReason::kDamaged, "the namespace has no counters; restore a backup");
  DOLMEN_ASSIGN_OR_RETURN(Counters limits, DecodeCounters(*bytes));
  return Context{.published = published, .now = now, .limits = limits};
}

absl::Status ReportProcessor::Finish(Context* context) {
  DOLMEN_RETURN_IF_ERROR(map_.Flush());
  for (BlockId block : context->to_judge) {
    DOLMEN_RETURN_IF_ERROR(planner_.Judge(block, context->published, context->now));
  }
  return absl::OkStatus();
}

bool ReportProcessor::IsPresent(const DatanodeUuid& datanode, uint64_t session) {
  const Datanode* const found = registry_.Find(datanode);
  if (found != nullptr && found->session != 0 && found->session == session) return true;
  ++counters_.old_sessions;
  return false;
}

absl::StatusOr<ReportOutcome> ReportProcessor::OnIncremental(const IncrementalReportRequest& request,
                                                             const MetaReader& published, MonotonicTime now) {
  if (!IsPresent(request.datanode, request.session)) return ReportOutcome{.must_register = true};
  if (request.entries.size() > kMaxIncrementalEntries) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat("incremental report of ", request.entries.size(), " entries from datanode ",
                                  request.datanode.value(), "; at most ", kMaxIncrementalEntries, " are allowed"));
  }
  DOLMEN_ASSIGN_OR_RETURN(Context context, Begin(published, now));
  for (const IncrementalReportRequest::Entry& entry : request.entries) {
    const DatanodeStorage* const storage = registry_.FindStorage(request.datanode, entry.storage);
    if (storage == nullptr || storage->session != request.session) continue;  // failed: it has no say
    if (entry.replica.frozen_by.has_value()) {
      context.outcome.frozen.push_back({request.datanode, entry.storage, entry.replica});
      // "Nothing is here": not that a replica was deleted.
      if (entry.replica.state == ReplicaState::kDeleted) continue;
    }
    if (entry.replica.state == ReplicaState::kDeleted) {
      DOLMEN_RETURN_IF_ERROR(OnDeleted(*storage, entry.replica.block, &context));
    } else {
      DOLMEN_RETURN_IF_ERROR(OnPresent(*storage, entry.replica, &context));
    }
  }
  DOLMEN_RETURN_IF_ERROR(Finish(&context));
  return std::move(context.outcome);
}

absl::StatusOr<ReportOutcome> ReportProcessor::OnSlice(const FullReportSlice& slice, const MetaReader& published,
                                                       MonotonicTime now) {
  if (!IsPresent(slice.datanode, slice.session)) return ReportOutcome{.must_register = true};
  DOLMEN_RETURN_IF_ERROR(CheckShape(slice));
  const DatanodeStorage* const known = registry_.FindStorage(slice.datanode, slice.storage);
  if (known == nullptr || known->session != slice.session) return ReportOutcome();
  DatanodeStorage& storage = *registry_.MutableStorage(known->number);
  if (!storage.progress.Begin(slice.round)) {
    ++counters_.old_rounds;
    return ReportOutcome();
  }
  DOLMEN_ASSIGN_OR_RETURN(Context context, Begin(published, now));
  context.is_slice = true;

  // Both lists are by id. `covered`: how far the slice was handled.
  const size_t limit = kMaxRemovalsPerSlice + kMaxSliceReplicas;
  DOLMEN_ASSIGN_OR_RETURN(std::vector<BlockId> recorded,
                          map_.OfStorage(storage.number, slice.first_id, slice.last_id, limit));
  const bool cut_short = recorded.size() >= limit;
  const BlockId covered = cut_short ? recorded.back() : slice.last_id;
  auto listed = slice.replicas.begin();
  for (BlockId block : recorded) {
    while (listed != slice.replicas.end() && listed->block.id < block) {
      DOLMEN_RETURN_IF_ERROR(OnPresent(storage, *listed++, &context));
    }
    if (listed != slice.replicas.end() && listed->block.id == block) {
      DOLMEN_RETURN_IF_ERROR(OnPresent(storage, *listed++, &context));
    } else {
      DOLMEN_RETURN_IF_ERROR(OnMissing(storage, block, &context));
    }
  }
  while (listed != slice.replicas.end() && listed->block.id <= covered) {
    DOLMEN_RETURN_IF_ERROR(OnPresent(storage, *listed++, &context));
  }
  planner_.SliceSeen(storage, slice.first_id, covered, slice.replicas);
  if (cut_short) reports_wanted_.insert(slice.datanode);
  DOLMEN_RETURN_IF_ERROR(map_.Flush());
  if (storage.progress.Cover(slice.first_id.value(), covered.value())) {
    registry_.FullReportComplete(storage.number, now);
    planner_.OnFreshness();
  }
  DOLMEN_RETURN_IF_ERROR(Finish(&context));
  return std::move(context.outcome);
}

bool ReportProcessor::IsOutranked(const DatanodeStorage& storage, const ReplicaRecord& known,
                                  const ReportedReplica& reported, const Context& context) const {
  if (!storage.Confirms(known.session)) return false;  // what an earlier session said weighs nothing
  const GenerationStamp stamp = reported.block.stamp;
  if (stamp > known.stamp) return false;  // stamps never fall on a datanode
  // A slice that may be older than what is known changes nothing.
  if (context.is_slice && !storage.progress.Contradicts(known.evidence)) return true;
  if (known.state == ReplicaState::kDeleted) {
    // By an incremental report it comes back as good only if a copy was ordered there; bad news is always believed.
    return !context.is_slice && reported.state != ReplicaState::kCorrupt &&
           !(reported.state == ReplicaState::kFinalized &&
             planner_.ExpectsCopy(reported.block.id, storage.datanode->info.uuid));
  }
  if (stamp < known.stamp) return !context.is_slice;
  // The datanode itself found it corrupt: only a deletion ends that within a session.
  if (known.state == ReplicaState::kCorrupt) return reported.state != ReplicaState::kCorrupt;
  return !context.is_slice && known.state == ReplicaState::kFinalized && reported.state == ReplicaState::kBeingWritten;
}

absl::Status ReportProcessor::OnPresent(const DatanodeStorage& storage, const ReportedReplica& reported,
                                        Context* context) {
  const Block& block = reported.block;
  const DatanodeUuid& uuid = storage.datanode->info.uuid;
  if (reported.state == ReplicaState::kTemporary || reported.state == ReplicaState::kDeleted) return absl::OkStatus();
  if (block.id >= context->limits.next_block || block.stamp >= context->limits.next_stamp) {
    quarantine_.Saw(uuid, storage.number, block, "its id or generation stamp was never handed out by this namespace");
    return absl::OkStatus();
  }
  DOLMEN_ASSIGN_OR_RETURN(std::optional<BlockRecord> record, GetBlock(context->published, block.id));
  if (!record.has_value()) {
    if (quarantine_.Covers(block.id)) {
      quarantine_.Saw(uuid, storage.number, block, "its id is of a history that this namespace does not have");
      return absl::OkStatus();
    }
    ++counters_.unknown_blocks;
    // When there is no room to note it, the next full report lists it again.
    (void)planner_.Unwanted(storage.number, block);
    return absl::OkStatus();
  }

  DOLMEN_ASSIGN_OR_RETURN(std::optional<ReplicaRecord> before, map_.Find(block.id, storage.number));
  if (before.has_value() && IsOutranked(storage, *before, reported, *context)) {
    const bool says_the_same =
        before->stamp == block.stamp && before->length == block.length && before->state == reported.state;
    counters_.late_claims += says_the_same ? 0 : 1;
    return absl::OkStatus();
  }
  if (context->is_slice) planner_.ReplicaSeen(block.id, storage);
  ReplicaRecord after{
      .stamp = block.stamp, .length = block.length, .state = reported.state, .session = storage.session};
  const bool confirmed_before = before.has_value() && storage.Confirms(before->session);
  if (!context->is_slice) {
    after.evidence = storage.progress.IncrementalEvidence();
  } else {
    after.evidence = storage.progress.SliceEvidence();
    const bool same = confirmed_before && before->stamp == after.stamp && before->length == after.length &&
                      before->state == after.state;
    // Evidence alone is not worth a write: older evidence of the same fact only protects it a round less.
    if (same) return absl::OkStatus();
  }
  if (MatchesRecord(after, *record)) {
    planner_.ReplicaArrived(block.id, storage.number);
    if (!confirmed_before || !MatchesRecord(*before, *record)) context->outcome.newly_confirmed.push_back(block.id);
  }
  return Change(storage, block.id, record, before, after, context);
}

absl::Status ReportProcessor::OnDeleted(const DatanodeStorage& storage, const Block& block, Context* context) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<ReplicaRecord> before, map_.Find(block.id, storage.number));
  if (before.has_value() && storage.Confirms(before->session) && before->stamp > block.stamp) {
    ++counters_.late_claims;
    return absl::OkStatus();
  }
  planner_.ReplicaGone(block.id, storage.number);
  DOLMEN_ASSIGN_OR_RETURN(std::optional<BlockRecord> record, GetBlock(context->published, block.id));
  std::optional<ReplicaRecord> after;
  if (record.has_value()) {
    after = {.stamp = block.stamp,
             .length = block.length,
             .state = ReplicaState::kDeleted,
             .session = storage.session,
             .evidence = storage.progress.IncrementalEvidence()};
  }
  return Change(storage, block.id, record, before, after, context);
}

absl::Status ReportProcessor::OnMissing(const DatanodeStorage& storage, BlockId block, Context* context) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<ReplicaRecord> before, map_.Find(block, storage.number));
  if (!before.has_value()) return absl::OkStatus();
  if (storage.Confirms(before->session) && !storage.progress.Contradicts(before->evidence)) {
    if (before->state != ReplicaState::kDeleted) ++counters_.late_claims;
    return absl::OkStatus();
  }
  planner_.ReplicaGone(block, storage.number);
  DOLMEN_ASSIGN_OR_RETURN(std::optional<BlockRecord> record, GetBlock(context->published, block));
  return Change(storage, block, record, before, std::nullopt, context);
}

absl::Status ReportProcessor::Change(const DatanodeStorage& storage, BlockId block,
                                     const std::optional<BlockRecord>& record,
                                     const std::optional<ReplicaRecord>& before,
                                     const std::optional<ReplicaRecord>& after, Context* context) {
  const bool committed = record.has_value() && record->state == BlockState::kCommitted;
  if (committed && safe_mode_.starting_up()) {
    const Block exact{block, record->stamp, record->length};
    const auto accounted = [&](const std::optional<ReplicaRecord>& replica) {
      return replica.has_value() && IsExactly(*replica, exact) && storage.Accounts(block, replica->session);
    };
    if (accounted(before) != accounted(after)) {
      DOLMEN_ASSIGN_OR_RETURN(std::vector<StoredReplica> replicas, map_.OfBlock(block));
      safe_mode_.AddSafeBlocks(
          SafeCountChange(exact, replicas, storage.number, accounted(before), accounted(after), registry_));
    }
  }
  if (committed && !safe_mode_.starting_up()) context->to_judge.insert(block);
  return map_.Replace(block, storage.number, before, after);
}

}  // namespace dolmen::namenode
