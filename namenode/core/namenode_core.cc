#include "namenode/core/namenode_core.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/version.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/replica_map.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode {
namespace {

constexpr uint32_t kPacketBytes = 1 << 20;
// A writer may take long over one block, a reader over a file; both ask again when their token has run out.
constexpr int64_t kTokenLifetimeMs = int64_t{10} * 3600 * 1000;
constexpr std::chrono::seconds kSessionExpiryInterval{1};
constexpr size_t kMaxNotices = 100;  // between two calls of TakeNotices

}  // namespace

NamenodeCore::NamenodeCore(NamenodeCoreOptions options, std::shared_ptr<const MetaView> view, ReplicaStore* replicas)
    : options_(std::move(options)),
      leases_(options_.settings),
      blocks_(&options_.settings, options_.info.cluster, options_.counters.epoch, replicas, options_.seed),
      recovery_(&options_.settings, &blocks_),
      queue_(&options_.settings, &options_.info, &blocks_, &leases_, options_.counters, view->commit_number(),
             options_.seed + 1) {
  published_.meta = std::move(view);
  published_.cluster = blocks_.View();
}

absl::Status NamenodeCore::Recover(MonotonicTime now) {
  DOLMEN_RETURN_IF_ERROR(blocks_.Recover(*published_.meta, now));
  PublishCluster();
  leases_.SetNow(now);
  absl::Status decoded;
  DOLMEN_RETURN_IF_ERROR(
      published_.meta->Scan(Family::kOpen, "", "", [&](std::string_view key, std::string_view value) {
        absl::StatusOr<InodeId> inode = keys::ParseId(key);
        absl::StatusOr<OpenRecord> record = DecodeOpen(value);
        decoded = !inode.ok() ? inode.status() : record.status();
        if (decoded.ok()) Apply(LeaseOpened{record->holder, *inode}, now);
        return decoded.ok();
      }));
  return decoded;
}

std::optional<std::string> NamenodeCore::SafeModeTip(MonotonicTime now) const {
  if (!blocks_.safe_mode().on()) return std::nullopt;
  return blocks_.safe_mode().Tip(now);
}

void NamenodeCore::PublishCluster() { published_.cluster = blocks_.View(); }

// ---- clients --------------------------------------------------------------------------------------------------------

absl::Status NamenodeCore::Submit(uint64_t ticket, ClientMutation operation, MonotonicTime now) {
  return queue_.Enqueue(ticket, std::move(operation), now);
}

protocol::RenewLeaseReply NamenodeCore::RenewLease(const protocol::RenewLeaseRequest& request, MonotonicTime now) {
  leases_.SetNow(now);
  leases_.Renew(request.holder);
  return {};
}

absl::StatusOr<protocol::SetSafeModeReply> NamenodeCore::SetSafeMode(const Caller& caller,
                                                                     const protocol::SetSafeModeRequest& request,
                                                                     MonotonicTime now) {
  if (request.action != protocol::SafeModeAction::kGet && !caller.is_superuser) {
    return MakeError(ErrorReason::kAccessControl,
                     absl::StrCat("Access denied for user ", caller.user, ". Superuser privilege is required"));
  }
  (void)now;
  if (request.action == protocol::SafeModeAction::kEnter) {
    blocks_.safe_mode().Enter();
    Tell(absl::StrCat("user ", caller.user, " (", caller.host, ") turned safe mode on"));
  } else if (request.action == protocol::SafeModeAction::kLeave) {
    blocks_.safe_mode().Leave();
    Tell(absl::StrCat("user ", caller.user, " (", caller.host, ") ended safe mode"));
  }
  return protocol::SetSafeModeReply{blocks_.safe_mode().on()};
}

protocol::ReportBadReplicaReply NamenodeCore::ReportBadReplica(const protocol::ReportBadReplicaRequest& request) {
  blocks_.ReportBad(request);
  return {};
}

absl::StatusOr<protocol::GetFsStatsReply> NamenodeCore::GetFsStats(MonotonicTime now) const {
  protocol::GetFsStatsReply reply;
  blocks_.FillFsStats(&reply, now);
  DOLMEN_ASSIGN_OR_RETURN(std::optional<std::string> bytes,
                          published_.meta->Get(Family::kTotals, keys::Id(kRootInode)));
  if (bytes.has_value()) {
    DOLMEN_ASSIGN_OR_RETURN(TotalsRecord totals, DecodeTotals(*bytes));
    reply.files = totals.files;
    reply.directories = totals.directories;
  }
  ++reply.directories;  // the root
  reply.blocks = queue_.counters().block_count;
  return reply;
}

protocol::GetDatanodeReportReply NamenodeCore::GetDatanodeReport(MonotonicTime now) const {
  return blocks_.DatanodeReport(now);
}

protocol::GetServerDefaultsReply NamenodeCore::GetServerDefaults() const {
  return {.cluster = options_.info.cluster,
          .block_bytes = options_.settings.default_block_bytes,
          .replication = options_.settings.default_replication,
          .bytes_per_checksum = 512,
          .packet_bytes = kPacketBytes,
          .lease_soft_limit_ms = options_.settings.lease_soft_limit.count(),
          .version = kVersion};
}

// ---- datanodes ------------------------------------------------------------------------------------------------------

absl::StatusOr<protocol::RegisterReply> NamenodeCore::Register(const protocol::RegisterRequest& request,
                                                               MonotonicTime now) {
  const bool same_cluster = !request.cluster.has_value() || *request.cluster == options_.info.cluster;
  const bool follows_another =
      request.highest_epoch > options_.identity.epoch ||
      (request.highest_epoch == options_.identity.epoch && !request.highest_incarnation.empty() &&
       request.highest_incarnation != options_.identity.incarnation);
  if (same_cluster && follows_another) {
    // One node's word alone must not be a kill switch, unless there is only one (contract C-12).
    higher_epochs_[request.info.uuid] = request.highest_epoch;
    size_t others = 0;
    for (const auto& [uuid, datanode] : blocks_.registry().datanodes())
      if (!higher_epochs_.contains(uuid)) ++others;
    if (higher_epochs_.size() >= 2 || others == 0) Fence();
    return MakeError(
        ErrorReason::kStaleEpoch,
        absl::StrCat("datanode ", request.info.uuid.value(), " has followed another namenode of epoch ",
                     request.highest_epoch.value(), "; this one has epoch ", options_.identity.epoch.value(),
                     ": two namenodes run on copies of one namespace, or an old copy was restored"));
  }
  DOLMEN_ASSIGN_OR_RETURN(Registration registration, blocks_.Register(request, queue_.newest_counters(), now));
  if (registration.raise_next_block.has_value() || registration.raise_next_stamp.has_value()) {
    queue_.Enqueue(RaiseCounters{registration.raise_next_block.value_or(BlockId()),
                                 registration.raise_next_stamp.value_or(GenerationStamp()),
                                 std::move(registration.quarantined)});
  }
  higher_epochs_.erase(request.info.uuid);
  registration.reply.namenode = options_.identity;
  registration.reply.token_key_id = options_.token_key.id;
  registration.reply.token_key_secret = options_.token_key.secret;
  PublishCluster();
  return std::move(registration.reply);
}

void NamenodeCore::Fence() {
  if (fenced_) return;
  fenced_ = true;
  refused_by_fencing_ =
      queue_.Stop(MakeError(ErrorReason::kStopped,
                            "datanodes follow another namenode of a higher epoch: this one changes nothing any "
                            "more; ask that one"));
}

protocol::ReportReply NamenodeCore::Reported(const absl::StatusOr<ReportOutcome>& outcome, MonotonicTime now) {
  if (!outcome.ok()) {
    // Not taken in: the datanode registers anew and reports everything again.
    LogIfError(outcome.status(), "the datanode is asked to report again");
    return {.namenode = options_.identity, .must_register = true};
  }
  WakeWaiting(outcome->newly_confirmed);
  recovery_.OnAnswers(outcome->frozen, now);
  return {.namenode = options_.identity, .must_register = outcome->must_register};
}

protocol::ReportReply NamenodeCore::OnIncrementalReport(const protocol::IncrementalReportRequest& request,
                                                        MonotonicTime now) {
  return Reported(blocks_.OnIncrementalReport(request, *published_.meta, now), now);
}

protocol::ReportReply NamenodeCore::OnFullReport(const protocol::FullReportSlice& slice, MonotonicTime now) {
  return Reported(blocks_.OnFullReportSlice(slice, *published_.meta, now), now);
}

void NamenodeCore::WakeWaiting(const std::vector<BlockId>& confirmed) {
  if (queue_.parked() == 0) return;
  for (BlockId block : confirmed) {
    absl::StatusOr<std::optional<std::string>> bytes = published_.meta->Get(Family::kBlocks, keys::Block(block));
    if (!bytes.ok() || !bytes->has_value()) continue;
    absl::StatusOr<BlockRecord> record = DecodeBlock(**bytes);
    if (record.ok()) queue_.ReplicasConfirmed(record->inode);
  }
}

void NamenodeCore::Exchange(HeartbeatBoard* board, MonotonicTime now) {
  for (const HeartbeatFacts& facts : board->DrainArrivals()) blocks_.OnHeartbeat(facts);
  board->SetSessions(blocks_.Sessions());
  // Recovery first: writers wait for it.
  std::vector<CommandFor> commands = recovery_.TakeCommands();
  for (CommandFor& command : blocks_.TakeCommands()) commands.push_back(std::move(command));
  // Tokens carry wall time; the commit time is close enough for their hours of life.
  const WallTime wall = queue_.counters().last_commit_time;
  for (auto& [uuid, command] : commands) {
    if (auto* copy = std::get_if<protocol::CopyReplicaCommand>(&command)) {
      copy->token =
          MintToken(options_.token_key,
                    {.user = "namenode",
                     .block = copy->block.id,
                     .accesses = static_cast<uint8_t>(BlockAccess::kCopy) | static_cast<uint8_t>(BlockAccess::kWrite),
                     .expires = WallTime{std::max(wall.ms, last_wall_.ms) + kTokenLifetimeMs}});
    }
  }
  board->PutCommands(std::move(commands));
  PublishCluster();
  (void)now;
}

// ---- time and commits -----------------------------------------------------------------------------------------------

std::vector<Finished> NamenodeCore::Tick(MonotonicTime now) {
  leases_.SetNow(now);
  LogIfError(blocks_.Tick(now, *published_.meta, !queue_.stopped()), "block work is tried again at the next tick");
  PublishCluster();
  const bool in_safe_mode = blocks_.safe_mode().on();
  if (in_safe_mode != std::exchange(was_in_safe_mode_, in_safe_mode)) {
    Tell(in_safe_mode ? absl::StrCat("safe mode is on: ", blocks_.safe_mode().Tip(now)) : "safe mode is off");
  }
  const bool may_begin = !queue_.in_flight() && queue_.own_work_queued() == 0;
  if (!in_safe_mode && !queue_.stopped()) {
    recovery_.Tick(*published_.meta, now, may_begin);
    for (InternalOperation& operation : recovery_.TakeOperations()) queue_.Enqueue(std::move(operation));
  }
  if (!in_safe_mode && may_begin) {
    for (const LeaseManager::Expired& expired : leases_.HardExpired(options_.settings.lease_expiries_per_tick))
      queue_.Enqueue(CloseExpiredLease{expired.holder, expired.inode});
    if (queue_.reap_left()) queue_.Enqueue(ReapStep{});
    if (queue_.replication_left()) queue_.Enqueue(ReplicationStep{});
    if (queue_.many_sessions_expired() || now - last_session_expiry_ >= kSessionExpiryInterval) {
      last_session_expiry_ = now;
      queue_.Enqueue(ExpireSessionsStep{});
    }
  }
  std::vector<Finished> finished = queue_.ExpireParked(now);
  for (Finished& refused : std::exchange(refused_by_fencing_, {})) finished.push_back(std::move(refused));
  return finished;
}

std::optional<CommitBatch> NamenodeCore::BeginBatch(MonotonicTime now, WallTime wall) {
  leases_.SetNow(now);
  last_wall_ = wall;
  return queue_.Begin(*published_.meta, now, wall, SafeModeTip(now));
}

std::vector<Finished> NamenodeCore::FinishBatch(const absl::Status& committed, std::shared_ptr<const MetaView> view,
                                                MonotonicTime now) {
  CommitQueue::Outcome outcome = queue_.Finish(committed);
  if (committed.ok()) published_.meta = std::move(view);
  if (queue_.TakeClockJumped()) {
    Tell(absl::StrCat("the wall clock went back: this commit's time is ", queue_.counters().last_commit_time.ms,
                      " ms since 1970, earlier commits have later times; modification times follow the clock"),
         true);
  }
  leases_.SetNow(now);
  for (const Effect& effect : outcome.effects) Apply(effect, now);
  return std::move(outcome.answers);
}

void NamenodeCore::Apply(const Effect& effect, MonotonicTime now) {
  if (const auto* opened = std::get_if<LeaseOpened>(&effect)) {
    if (opened->holder == kNamenodeHolder) return recovery_.Add(opened->inode);
    leases_.Open(opened->holder, opened->inode);
  } else if (const auto* closed = std::get_if<LeaseClosed>(&effect)) {
    if (closed->holder != kNamenodeHolder) return leases_.Close(closed->holder, closed->inode);
    recovery_.Remove(closed->inode);
    queue_.FileClosed(closed->inode);
  } else if (const auto* started = std::get_if<RecoveryStarted>(&effect)) {
    Tell(absl::StrCat("recovering the last block of ", started->inode.ToString(), ", whose writer lost its lease"));
    LogIfError(recovery_.Started(started->inode, *published_.meta, now), "a new attempt follows");
  } else {
    blocks_.Apply(effect);
  }
}

void NamenodeCore::SetLowSpace(bool low, MonotonicTime now) {
  (void)now;
  blocks_.safe_mode().SetResourcesLow(low);
}

void NamenodeCore::Tell(std::string text, bool trouble) {
  if (notices_.size() < kMaxNotices) notices_.push_back({std::move(text), trouble});
}

std::vector<Notice> NamenodeCore::TakeNotices() {
  std::vector<Notice> notices = blocks_.TakeNotices();
  for (Notice& notice : std::exchange(notices_, {})) notices.push_back(std::move(notice));
  return notices;
}

// ---- locations and tokens -------------------------------------------------------------------------------------------

namespace {

// The pipeline of a block being written, in order: its replicas may not have been reported yet.
std::vector<protocol::ReplicaLocation> LocatePipeline(const OpenRecord& open, const ClusterView& cluster) {
  std::vector<protocol::ReplicaLocation> pipeline;
  for (const OpenRecord::Target& target : open.last_pipeline) {
    for (const auto& [number, storage] : cluster.storages) {
      if (storage.location.datanode.uuid == target.datanode && storage.location.storage == target.storage)
        pipeline.push_back(storage.location);
    }
  }
  return pipeline;
}

}  // namespace

void AddLocations(const MetaReader& meta, const ReplicaStore& replicas, const ClusterView& cluster, const TokenKey& key,
                  const Caller& caller, WallTime now, protocol::GetBlockLocationsReply* reply) {
  OpenRecord open;  // of the last block, if that is being written and asked for
  const bool wants_open =
      reply->last_is_open && !reply->blocks.empty() && reply->blocks.back().offset >= reply->open_offset;
  if (wants_open) {
    const absl::StatusOr<std::optional<OpenRecord>> stored = GetOpen(meta, reply->status.inode);
    LogIfError(stored.status(), "readers are not told where the last block is being written");
    if (stored.ok()) open = stored->value_or(OpenRecord());
    // While it is appended to, its committed bytes are asked for by the stamp they were committed with: datanodes that
    // have not heard of the append have them, and so do those that have.
    if (open.stamp_before_append.has_value()) reply->blocks.back().block.stamp = *open.stamp_before_append;
  }
  for (protocol::LocatedBlock& block : reply->blocks) {
    block.locations = LocateReplicas(replicas, cluster, block.block, &block.corrupt);
    block.token = MintToken(key, {.user = caller.user,
                                  .block = block.block.id,
                                  .accesses = static_cast<uint8_t>(BlockAccess::kRead),
                                  .expires = WallTime{now.ms + kTokenLifetimeMs}});
  }
  if (!wants_open) return;
  protocol::LocatedBlock& last = reply->blocks.back();
  std::vector<protocol::ReplicaLocation> pipeline = LocatePipeline(open, cluster);
  for (protocol::ReplicaLocation& location : last.locations) {
    const bool named = std::any_of(pipeline.begin(), pipeline.end(), [&](const protocol::ReplicaLocation& one) {
      return one.datanode.uuid == location.datanode.uuid;
    });
    if (!named) pipeline.push_back(std::move(location));
  }
  last.locations = std::move(pipeline);
}

std::string MintWriteToken(const TokenKey& key, const std::string& user, BlockId block, WallTime now) {
  return MintToken(key,
                   {.user = user,
                    .block = block,
                    .accesses = static_cast<uint8_t>(BlockAccess::kWrite) | static_cast<uint8_t>(BlockAccess::kRead),
                    .expires = WallTime{now.ms + kTokenLifetimeMs}});
}

}  // namespace dolmen::namenode
