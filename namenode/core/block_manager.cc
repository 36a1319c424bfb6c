#include "namenode/core/block_manager.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/block_health.h"
#include "namenode/core/key_codec.h"

namespace dolmen::namenode {
namespace {

using protocol::Block;

absl::StatusOr<Counters> ReadCounters(const MetaReader& published) {
  DOLMEN_ASSIGN_OR_RETURN(std::optional<std::string> bytes, published.Get(Family::kMeta, keys::kCounters));
  if (!bytes.has_value()) return MakeError(ErrorReason::kDamaged, "the namespace has no counters; restore a backup");
  return DecodeCounters(*bytes);
}

int64_t Milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace

BlockManager::BlockManager(const CoreSettings* settings, ClusterId cluster, Epoch epoch, ReplicaStore* store,
                           uint64_t seed)
    : settings_(*settings),
      map_(store),
      registry_(settings, std::move(cluster), epoch, store),
      safe_mode_(settings),
      policy_(settings, &registry_, &scheduled_),
      planner_(settings, &registry_, &map_, &scheduled_, seed),
      reports_(&registry_, &map_, &planner_, &quarantine_, &safe_mode_),
      scanner_(&registry_, &map_, &planner_, &safe_mode_) {}

absl::Status BlockManager::Recover(const MetaReader& published, MonotonicTime now) {
  now_ = now;
  DOLMEN_ASSIGN_OR_RETURN(Counters counters, ReadCounters(published));
  safe_mode_.SetTotalBlocks(counters.committed_block_count);
  DOLMEN_RETURN_IF_ERROR(registry_.Recover(now), "reading the known storages");
  return Annotate(quarantine_.Recover(published), "reading the quarantined ranges");
}

absl::StatusOr<Registration> BlockManager::Register(const protocol::RegisterRequest& request, const Counters& newest,
                                                    MonotonicTime now) {
  now_ = std::max(now_, now);
  DOLMEN_ASSIGN_OR_RETURN(DatanodeRegistry::Registered registered, registry_.Register(request, now));
  OnChanges(registered.changes);
  // What it was doing belonged to its earlier session.
  planner_.OnDatanodeLost(request.info.uuid);

  Registration registration;
  registration.reply.session = registered.session;
  registration.reply.heartbeat_interval_ms = settings_.heartbeat_interval.count();
  registration.reply.full_report_interval_ms = settings_.full_report_interval.count();
  if (request.seen.block >= newest.next_block) {
    const BlockId highest = std::max(request.seen.block, request.bound.block);
    const BlockId next((highest.value() / kBlockIdStep + 1) * kBlockIdStep);
    registration.quarantined = quarantine_.AddRange(newest.next_block, next);
    registration.raise_next_block = next;
  }
  if (request.seen.stamp >= newest.next_stamp) {
    registration.raise_next_stamp = std::max(request.seen.stamp, request.bound.stamp).Next();
  }
  return registration;
}

void BlockManager::OnHeartbeat(const HeartbeatFacts& facts) { OnChanges(registry_.OnHeartbeat(facts)); }

void BlockManager::OnChanges(const StorageChanges& changes) {
  for (uint32_t storage : changes.lost) {
    planner_.OnStorageLost(storage);
    scanner_.SweepLost(storage);
    const DatanodeStorage* const found = registry_.FindStorage(storage);
    if (found != nullptr && found->datanode != nullptr) planner_.OnDatanodeLost(found->datanode->info.uuid);
  }
  for (uint32_t storage : changes.dropped) {
    planner_.OnStorageDropped(storage);
    scanner_.SweepDropped(storage);
  }
  reports_wanted_.insert(changes.reports_wanted.begin(), changes.reports_wanted.end());
}

absl::StatusOr<ReportOutcome> BlockManager::OnIncrementalReport(const protocol::IncrementalReportRequest& request,
                                                                const MetaReader& published, MonotonicTime now) {
  now_ = std::max(now_, now);
  return reports_.OnIncremental(request, published, now);
}

absl::StatusOr<ReportOutcome> BlockManager::OnFullReportSlice(const protocol::FullReportSlice& slice,
                                                              const MetaReader& published, MonotonicTime now) {
  now_ = std::max(now_, now);
  return reports_.OnSlice(slice, published, now);
}

void BlockManager::ReportBad(const protocol::ReportBadReplicaRequest& request) {
  const DatanodeStorage* const storage = registry_.FindStorage(request.datanode, request.storage);
  if (storage == nullptr || storage->session == 0 || verifications_.size() >= kMaxVerifications) return;
  const absl::StatusOr<std::optional<ReplicaRecord>> record = map_.Find(request.block.id, storage->number);
  LogIfError(record.status(), "a reader's hint; the reader will meet the replica again");
  if (!record.ok() || !record->has_value() || (*record)->stamp != request.block.stamp) return;
  const Block replica{request.block.id, (*record)->stamp, (*record)->length};
  verifications_.try_emplace({storage->number, request.block.id}, Verification{replica, std::nullopt});
}

void BlockManager::Apply(const Effect& effect) {
  if (const auto* committed = std::get_if<BlockCommitted>(&effect); committed != nullptr) {
    planner_.Committed(committed->block.id, now_);
  } else if (const auto* freed = std::get_if<BlockFreed>(&effect); freed != nullptr) {
    OnFreed(freed->block);
  } else if (const auto* changed = std::get_if<BlockReplicasChanged>(&effect); changed != nullptr) {
    planner_.WantedChanged(changed->block);
  }
}

void BlockManager::OnFreed(const Block& block) {
  planner_.Freed(block.id);
  absl::StatusOr<std::vector<StoredReplica>> replicas = map_.OfBlock(block.id);
  LogIfError(replicas.status(), "the scan finds the replicas of freed blocks");
  if (!replicas.ok()) return;
  for (const StoredReplica& replica : *replicas) {
    const DatanodeStorage* const storage = registry_.FindStorage(replica.storage);
    const bool is_there = storage != nullptr && storage->Confirms(replica.record.session) &&
                          replica.record.state != protocol::ReplicaState::kDeleted;
    if (is_there) {
      (void)planner_.Unwanted(replica.storage, {replica.block, replica.record.stamp, replica.record.length});
    } else {
      LogIfError(map_.Replace(replica.block, replica.storage, replica.record, std::nullopt),
                 "the scan erases hints of freed blocks");
    }
  }
  LogIfError(map_.Flush(), "the scan erases hints of freed blocks");
}

bool BlockManager::CountsAreSettled() const {
  if (scanner_.sweeping()) return false;
  // A datanode that registered again counts by what it said before, until it has said it again.
  for (const auto& [number, storage] : registry_.storages()) {
    if (storage.session != 0 && storage.accounted_from < storage.session) return false;
  }
  return true;
}

absl::Status BlockManager::Tick(MonotonicTime now, const MetaReader& published, bool work_allowed) {
  now_ = std::max(now_, now);
  OnChanges(registry_.Tick(now));
  DOLMEN_RETURN_IF_ERROR(scanner_.SweepStep(published, now, settings_.scan_blocks_per_tick), "sweeping a storage");

  safe_mode_.SetLiveDatanodes(registry_.live_count());
  safe_mode_.Tick(now, !safe_mode_.starting_up() || CountsAreSettled());
  if (!startup_is_over_ && !safe_mode_.starting_up()) {
    // From here on, whoever has not come back is missed.
    startup_is_over_ = true;
    for (const auto& [number, storage] : registry_.storages()) {
      if (storage.session == 0 && storage.datanode != nullptr) scanner_.SweepLost(number);
    }
  }
  if (now >= next_roll_) {
    next_roll_ = now + kScheduledRoll;
    scheduled_.Roll();
  }
  if (now < next_turn_) return absl::OkStatus();
  next_turn_ = now + settings_.redundancy_interval;

  if (startup_is_over_) {
    DOLMEN_RETURN_IF_ERROR(planner_.Tick(published, now));
    DOLMEN_RETURN_IF_ERROR(scanner_.ScanStep(published, now, settings_.scan_blocks_per_tick), "scanning replicas");
    if (work_allowed && !safe_mode_.on()) DOLMEN_RETURN_IF_ERROR(planner_.Plan(published, now, &commands_));
  }
  if (planner_.TakeOverflowed()) {
    overflowed_ = true;
    overflow_pass_ = scanner_.passes();
  } else if (overflowed_ && scanner_.passes() > overflow_pass_ + 1) {
    overflowed_ = false;
  }
  PlanVerifications(now);
  PlanReportRequests(now);
  return map_.Flush();
}

void BlockManager::PlanVerifications(MonotonicTime now) {
  std::map<DatanodeUuid, size_t> asked;
  for (auto at = verifications_.begin(); at != verifications_.end();) {
    const DatanodeStorage* const storage = registry_.FindStorage(at->first.first);
    Verification& verification = at->second;
    const bool is_over =
        storage == nullptr || storage->session == 0 ||
        (verification.asked.has_value() && now - *verification.asked >= settings_.pending_copy_timeout);
    if (is_over) {
      at = verifications_.erase(at);
      continue;
    }
    ++at;
    if (verification.asked.has_value()) continue;
    const DatanodeUuid& uuid = storage->datanode->info.uuid;
    if (++asked[uuid] > kVerificationsPerTurn) continue;
    verification.asked = now;
    commands_.emplace_back(uuid, protocol::VerifyReplicaCommand{storage->report.id, verification.block});
  }
}

void BlockManager::PlanReportRequests(MonotonicTime now) {
  reports_wanted_.merge(planner_.TakeReportsWanted());
  reports_wanted_.merge(reports_.TakeReportsWanted());
  for (auto at = reports_wanted_.begin(); at != reports_wanted_.end();) {
    const Datanode* const datanode = registry_.Find(*at);
    if (datanode == nullptr || datanode->session == 0) {
      at = reports_wanted_.erase(at);
      continue;
    }
    const auto last = reports_asked_.find(*at);
    if (last != reports_asked_.end() && now - last->second < kReportRequestInterval) {
      ++at;
      continue;
    }
    reports_asked_[*at] = now;
    commands_.emplace_back(*at, protocol::SendFullReportCommand());
    at = reports_wanted_.erase(at);
  }
  std::erase_if(reports_asked_, [&](const auto& item) { return now - item.second >= kReportRequestInterval; });
}

int BlockManager::ConfirmedReplicas(const Block& block) const {
  const absl::StatusOr<std::vector<StoredReplica>> replicas = map_.OfBlock(block.id);
  LogIfError(replicas.status(), "unreadable replicas count as unconfirmed; the caller waits or asks again");
  if (!replicas.ok()) return 0;
  return static_cast<int>(Assess(block, *replicas, registry_, planner_.deletions(), now_).good.size());
}

std::vector<protocol::ReplicaLocation> BlockManager::ConfirmedLocations(const Block& block, bool live_only) const {
  const absl::StatusOr<std::vector<StoredReplica>> replicas = map_.OfBlock(block.id);
  LogIfError(replicas.status(), "unreadable replicas count as unconfirmed; the caller waits or asks again");
  std::vector<protocol::ReplicaLocation> locations;
  if (!replicas.ok()) return locations;
  for (uint32_t number : Assess(block, *replicas, registry_, planner_.deletions(), now_).good) {
    const DatanodeStorage& storage = *registry_.FindStorage(number);
    if (!live_only || storage.datanode->IsLive()) locations.push_back(DatanodeRegistry::LocationOf(storage));
  }
  return locations;
}

absl::StatusOr<std::vector<protocol::ReplicaLocation>> BlockManager::ChooseTargets(const TargetRequest& request,
                                                                                   Random& random) const {
  DOLMEN_ASSIGN_OR_RETURN(std::vector<PlacementTarget> targets, policy_.Choose(request, random));
  std::vector<protocol::ReplicaLocation> locations;
  for (PlacementTarget& target : targets) {
    scheduled_.Add(target.storage, request.block_bytes);
    locations.push_back(std::move(target.location));
  }
  return locations;
}

bool BlockManager::IsRegistered(const DatanodeUuid& datanode) const {
  const Datanode* const found = registry_.Find(datanode);
  return found != nullptr && found->session != 0;
}

std::optional<protocol::ReplicaLocation> BlockManager::Locate(const DatanodeUuid& datanode,
                                                              const StorageId& storage) const {
  const DatanodeStorage* const found = registry_.FindStorage(datanode, storage);
  if (found == nullptr || found->session == 0) return std::nullopt;
  return DatanodeRegistry::LocationOf(*found);
}

void BlockManager::FillFsStats(protocol::GetFsStatsReply* reply, MonotonicTime now) const {
  for (const auto& [number, storage] : registry_.storages()) {
    if (storage.session == 0) continue;
    reply->capacity_bytes += storage.report.capacity_bytes;
    reply->used_bytes += storage.report.used_bytes;
    reply->remaining_bytes += storage.report.remaining_bytes;
  }
  const CopyQueue& copies = planner_.copies();
  reply->missing_blocks = copies.size(CopyLevel::kMissing);
  reply->under_replicated_blocks = copies.size() - copies.size(CopyLevel::kMissing);
  reply->missing_blocks_replication_one = copies.missing_with_one();
  reply->corrupt_blocks = planner_.blocks_with_corrupt_replicas();
  if (overflowed_) {
    const ReplicaScanner::Totals& scanned = scanner_.last_pass();
    reply->missing_blocks = std::max(reply->missing_blocks, scanned.missing);
    reply->under_replicated_blocks = std::max(reply->under_replicated_blocks, scanned.under_replicated);
    reply->corrupt_blocks = std::max(reply->corrupt_blocks, scanned.with_corrupt_replicas);
  }
  reply->pending_deletion_blocks = planner_.deletions().size();
  reply->safe_mode = safe_mode_.on();
  reply->safe_mode_tip = safe_mode_.Tip(now);
}

protocol::GetDatanodeReportReply BlockManager::DatanodeReport(MonotonicTime now) const {
  protocol::GetDatanodeReportReply reply;
  for (const auto& [uuid, datanode] : registry_.datanodes()) {
    protocol::DatanodeReportEntry& entry = reply.datanodes.emplace_back();
    entry.info = datanode.info;
    entry.liveness = datanode.liveness;
    for (uint32_t number : datanode.storages) entry.storages.push_back(registry_.FindStorage(number)->report);
    entry.active_streams = datanode.active_streams;
    entry.last_heartbeat_age_ms = Milliseconds(std::max(Duration(0), now - datanode.last_contact));
    if (datanode.last_full_report.has_value()) {
      entry.last_full_report_age_ms = Milliseconds(std::max(Duration(0), now - *datanode.last_full_report));
    }
  }
  return reply;
}

std::vector<Notice> BlockManager::TakeNotices() {
  std::vector<Notice> notices = registry_.TakeNotices();
  for (Notice& notice : quarantine_.TakeNotices()) notices.push_back(std::move(notice));
  return notices;
}

}  // namespace dolmen::namenode
