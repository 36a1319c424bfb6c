#include "datanode/core/namenode_session.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/error.h"

namespace dolmen::datanode {
namespace {

constexpr uint64_t kLastId = (uint64_t{1} << 63) - 1;
constexpr size_t kReplicasPerSlice = 1000;  // by protocol
// Lower bounds for what a namenode may ask for, so that a bad value makes no busy loop (chosen).
constexpr Duration kShortestInterval = std::chrono::milliseconds(10);

Duration FromMillis(int64_t ms, Duration otherwise) {
  if (ms <= 0) return otherwise;
  return std::max<Duration>(std::chrono::milliseconds(ms), kShortestInterval);
}

}  // namespace

NamenodeSession::NamenodeSession(SessionOptions options, KnownNamenode known, const ReplicaInventory* inventory,
                                 Random random)
    : options_(std::move(options)), inventory_(inventory), random_(random), known_(std::move(known)) {}

std::vector<SessionAction> NamenodeSession::Step(SessionEvent event, MonotonicTime now) {
  now_ = now;
  std::visit([this](auto& one) { On(std::move(one)); }, event);
  DoWhatIsDue();
  return std::exchange(actions_, {});
}

std::optional<MonotonicTime> NamenodeSession::NextDeadline() const {
  const auto due = [](const Lane& lane, bool wanted) -> std::optional<MonotonicTime> {
    if (lane.request != 0) return lane.deadline;
    return wanted ? std::optional(lane.next) : std::nullopt;
  };
  std::optional<MonotonicTime> first;
  const auto take = [&](std::optional<MonotonicTime> at) {
    if (at.has_value() && (!first.has_value() || *at < *first)) first = at;
  };
  switch (state_) {
    case State::kUnregistered:
      take(due(register_lane_, true));
      break;
    case State::kRegistered:
      take(due(heartbeat_lane_, true));
      take(due(incremental_lane_, !queue_.empty()));
      take(due(slice_lane_, round_open_ || round_wanted_));
      if (!round_open_) take(next_round_);
      break;
    case State::kRecording:
      take(record_deadline_);
      break;
    case State::kStopped:
      break;
  }
  return first;
}

// ---- requests ----------------------------------------------------------------------------------------------------

uint64_t NamenodeSession::Begin(Lane* lane, Duration timeout) {
  lane->request = ++last_request_;
  lane->deadline = now_ + timeout;
  return lane->request;
}

void NamenodeSession::Succeeded(Lane* lane) {
  lane->request = 0;
  lane->pause = Duration{};
  lane->next = now_;
}

void NamenodeSession::Failed(Lane* lane, std::string_view what, const absl::Status& why) {
  const bool first = lane->pause == Duration{};
  lane->request = 0;
  lane->pause = first ? options_.first_pause : std::min(options_.longest_pause, lane->pause * 2);
  // Half of it is random, so that a thousand datanodes do not come back in one moment (F-127).
  const auto half = static_cast<uint64_t>(lane->pause.count() / 2);
  lane->next = now_ + lane->pause / 2 + Duration(static_cast<int64_t>(random_.Uniform(half + 1)));
  if (first) {
    lane->failing_since = lane->told = now_;
    Notice(absl::StrCat(ToAbsl(what), " failed, trying again: ", why.message()), true);
  } else if (now_ - lane->told >= kTellAgain) {
    lane->told = now_;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now_ - lane->failing_since).count();
    Notice(absl::StrCat(ToAbsl(what), " has failed for ", seconds, " s, still trying: ", why.message()), true);
  }
}

void NamenodeSession::ExpireIfLate(Lane* lane, std::string_view what) {
  if (lane->request == 0 || now_ < lane->deadline) return;
  Failed(lane, what, MakeError(absl::StatusCode::kDeadlineExceeded, ErrorReason::kNone, "no answer in time"));
}

void NamenodeSession::DoWhatIsDue() {
  if (state_ == State::kRecording && now_ >= record_deadline_) {
    state_ = State::kUnregistered;
    Failed(&register_lane_, "recording the namenode's epoch",
           MakeError(absl::StatusCode::kDeadlineExceeded, ErrorReason::kNone, "a disk does not answer"));
  }
  if (state_ == State::kUnregistered) {
    ExpireIfLate(&register_lane_, "registering");
    if (register_lane_.request == 0 && now_ >= register_lane_.next) SendRegister();
    return;
  }
  if (state_ != State::kRegistered) return;
  ExpireIfLate(&heartbeat_lane_, "the heartbeat");
  ExpireIfLate(&incremental_lane_, "the report of changes");
  ExpireIfLate(&slice_lane_, "the full report");
  if (incremental_lane_.request == 0) in_flight_ = 0;
  if (heartbeat_lane_.request == 0 && now_ >= heartbeat_lane_.next) SendHeartbeat();
  if (incremental_lane_.request == 0 && !queue_.empty() && now_ >= incremental_lane_.next) SendIncremental();
  if (!round_open_ && (round_wanted_ || now_ >= next_round_)) StartRound();
  if (round_open_ && slice_lane_.request == 0 && now_ >= slice_lane_.next) SendSlice();
}

void NamenodeSession::SendRegister() {
  protocol::RegisterRequest message;
  if (!known_.cluster.is_none()) message.cluster = known_.cluster;
  message.info = options_.info;
  message.storages = inventory_->StorageReports();
  message.highest_epoch = known_.highest_epoch;
  message.highest_incarnation = known_.highest_incarnation;
  message.seen = inventory_->Seen();
  message.bound = inventory_->Bound();
  actions_.push_back(
      session_action::SendRegister{Begin(&register_lane_, options_.register_timeout), std::move(message)});
}

void NamenodeSession::SendHeartbeat() {
  const Duration interval = FromMillis(registration_->heartbeat_interval_ms, options_.heartbeat_interval);
  protocol::HeartbeatRequest message{.datanode = options_.info.uuid,
                                     .session = session_,
                                     .storages = inventory_->StorageReports(),
                                     .active_streams = inventory_->ActiveStreams(),
                                     .active_transfers = inventory_->ActiveTransfers()};
  const uint64_t request = Begin(&heartbeat_lane_, options_.heartbeat_timeout);
  heartbeat_lane_.next = now_ + interval;
  actions_.push_back(session_action::SendHeartbeat{request, std::move(message)});
}

void NamenodeSession::SendIncremental() {
  protocol::IncrementalReportRequest message{.datanode = options_.info.uuid, .session = session_};
  in_flight_ = std::min(queue_.size(), options_.entries_per_report);
  message.entries.assign(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(in_flight_));
  actions_.push_back(
      session_action::SendIncremental{Begin(&incremental_lane_, options_.report_timeout), std::move(message)});
}

void NamenodeSession::StartRound() {
  round_wanted_ = false;
  round_open_ = true;
  ++round_;
  next_id_ = 0;
  slice_index_ = 0;
  slice_lane_ = Lane{.next = now_};
  round_storages_.clear();
  for (const protocol::StorageReport& storage : inventory_->StorageReports()) {
    if (!storage.failed) round_storages_.push_back(storage.id);
  }
}

void NamenodeSession::SendSlice() {
  if (round_storages_.empty()) {
    round_open_ = false;
    ++rounds_done_;
    const Duration interval =
        FromMillis(registration_->full_report_interval_ms, std::chrono::hours(6));  // HDFS's default
    // Up to a tenth earlier, so that datanodes which started together drift apart (F-128).
    const auto tenth = static_cast<uint64_t>(interval.count() / 10);
    next_round_ = now_ + interval - Duration(static_cast<int64_t>(random_.Uniform(tenth + 1)));
    return;
  }
  protocol::FullReportSlice slice{.datanode = options_.info.uuid,
                                  .session = session_,
                                  .storage = round_storages_.front(),
                                  .round = round_,
                                  .slice_index = slice_index_,
                                  .first_id = BlockId(next_id_)};
  slice.replicas = inventory_->ListRange(slice.storage, slice.first_id, kReplicasPerSlice);
  // Asked after the listing: a volume that failed has nothing to list, and must not be reported as empty (F-080).
  for (const protocol::StorageReport& storage : inventory_->StorageReports()) {
    if (storage.id != slice.storage || !storage.failed) continue;
    NextStorage();
    return SendSlice();
  }
  slice.is_last = slice.replicas.size() < kReplicasPerSlice;
  slice.last_id = slice.is_last ? BlockId(kLastId) : slice.replicas.back().block.id;
  last_id_in_flight_ = slice.last_id.value();
  actions_.push_back(session_action::SendSlice{Begin(&slice_lane_, options_.report_timeout), std::move(slice)});
}

// ---- who may command ---------------------------------------------------------------------------------------------

absl::Status NamenodeSession::CheckCluster(const protocol::NamenodeIdentity& namenode) const {
  if (known_.cluster.is_none() || namenode.cluster == known_.cluster) return absl::OkStatus();
  return MakeError(
      ErrorReason::kWrongCluster,
      absl::StrCat("this datanode belongs to cluster ", known_.cluster.value(), ", the namenode to ",
                   namenode.cluster.value(), "; check datanode_namenode_address and the data directories"));
}

absl::Status NamenodeSession::CheckEpoch(const protocol::NamenodeIdentity& namenode) const {
  if (namenode.epoch < known_.highest_epoch) {
    return MakeError(ErrorReason::kStaleEpoch,
                     absl::StrCat("the namenode has ", namenode.epoch.ToString(), ", this datanode has obeyed ",
                                  known_.highest_epoch.ToString()));
  }
  if (namenode.epoch == known_.highest_epoch && !known_.highest_incarnation.empty() &&
      namenode.incarnation != known_.highest_incarnation) {
    return MakeError(ErrorReason::kStaleEpoch, absl::StrCat("two namenodes claim ", namenode.epoch.ToString(),
                                                            "; this one is not the one this datanode has obeyed"));
  }
  return absl::OkStatus();
}

bool NamenodeSession::AcceptAnswer(const protocol::NamenodeIdentity& namenode, bool must_register,
                                   std::string_view what) {
  absl::Status checked = CheckCluster(namenode);
  if (checked.ok()) checked = CheckEpoch(namenode);
  if (!checked.ok()) {
    ++refusals_;
    Notice(absl::StrCat("the answer to ", ToAbsl(what), " is refused: ", checked.message()), true);
    // Whoever it is, it is not the one we are registered with: find that one.
    RegisterAgain("another namenode answered");
    return false;
  }
  if (must_register) {
    RegisterAgain("the namenode asks for it");
    return false;
  }
  if (namenode.epoch != known_.highest_epoch) {
    RegisterAgain("the namenode was restarted");
    return false;
  }
  return true;
}

void NamenodeSession::RegisterAgain(std::string_view why) {
  if (state_ != State::kRegistered) return;
  Notice(absl::StrCat("registering again: ", ToAbsl(why)));
  state_ = State::kUnregistered;
  register_lane_.request = 0;
  register_lane_.next = std::max(now_, register_lane_.next);
  heartbeat_lane_ = incremental_lane_ = slice_lane_ = Lane{};
  in_flight_ = 0;
  round_open_ = false;
}

void NamenodeSession::BecomeRegistered() {
  state_ = State::kRegistered;
  session_ = registration_->session;
  heartbeat_lane_ = incremental_lane_ = slice_lane_ = Lane{.next = now_};
  in_flight_ = 0;
  round_open_ = false;
  round_wanted_ = true;
  actions_.push_back(
      session_action::UseTokenKey{{.id = registration_->token_key_id, .secret = registration_->token_key_secret}});
  Notice(absl::StrCat("registered with cluster ", known_.cluster.value(), ", ", known_.highest_epoch.ToString(),
                      ", session ", session_));
}

// ---- events ------------------------------------------------------------------------------------------------------

void NamenodeSession::On(session_event::ReplicaChanged event) {
  if (queue_.size() >= options_.max_queued) {
    // What is under way stays, so that its answer finds it; the rest is covered by a full report.
    queue_.resize(std::min(queue_.size(), in_flight_));
    round_wanted_ = true;
    Notice("too many changes wait to be reported; a full report follows instead");
  }
  queue_.push_back({.storage = std::move(event.storage), .replica = event.replica});
}

void NamenodeSession::On(session_event::RegisterAnswered event) {
  if (state_ != State::kUnregistered || !IsCurrent(register_lane_, event.request)) return;
  if (!event.reply.ok()) {
    if (ReasonOf(event.reply.status()) == ErrorReason::kWrongCluster) {
      state_ = State::kStopped;
      actions_.push_back(session_action::Stop{event.reply.status()});
      return;
    }
    return Failed(&register_lane_, "registering", event.reply.status());
  }
  const protocol::NamenodeIdentity namenode = event.reply->namenode;
  if (absl::Status checked = CheckCluster(namenode); !checked.ok()) {
    ++refusals_;
    state_ = State::kStopped;
    actions_.push_back(session_action::Stop{std::move(checked)});
    return;
  }
  if (absl::Status checked = CheckEpoch(namenode); !checked.ok()) {
    ++refusals_;
    return Failed(&register_lane_, "registering", checked);
  }
  registration_ = *std::move(event.reply);
  // The pause before the next registration grows when sessions end at once, again and again (F-104).
  register_lane_.request = 0;
  register_lane_.next = now_ + options_.first_pause;
  register_lane_.pause = Duration{};
  if (namenode.cluster == known_.cluster && namenode.epoch == known_.highest_epoch &&
      namenode.incarnation == known_.highest_incarnation) {
    return BecomeRegistered();
  }
  if (recording_.has_value() && *recording_ != namenode) {
    return Failed(
        &register_lane_, "registering",
        MakeError(ErrorReason::kBusy, absl::StrCat(recording_->epoch.ToString(), " is still being recorded")));
  }
  state_ = State::kRecording;
  record_deadline_ = now_ + options_.record_timeout;
  if (recording_.has_value()) return;
  recording_ = namenode;
  actions_.push_back(session_action::RecordIdentity{namenode});
}

void NamenodeSession::On(const session_event::IdentityRecorded& event) {
  if (!recording_.has_value()) return;
  const protocol::NamenodeIdentity recorded = *std::exchange(recording_, std::nullopt);
  // Also when it was given up: what is on the disks binds, and the next registration finds it known.
  if (event.status.ok()) {
    known_ = {
        .cluster = recorded.cluster, .highest_epoch = recorded.epoch, .highest_incarnation = recorded.incarnation};
  }
  if (state_ != State::kRecording) return;
  if (event.status.ok()) return BecomeRegistered();
  state_ = State::kUnregistered;
  Failed(&register_lane_, "recording the namenode's epoch", event.status);
}

void NamenodeSession::On(session_event::HeartbeatAnswered event) {
  if (state_ != State::kRegistered || !IsCurrent(heartbeat_lane_, event.request)) return;
  const MonotonicTime next = heartbeat_lane_.next;  // set when it was sent
  if (!event.reply.ok()) {
    Failed(&heartbeat_lane_, "the heartbeat", event.reply.status());
    heartbeat_lane_.next = std::max(heartbeat_lane_.next, next);
    return;
  }
  Succeeded(&heartbeat_lane_);
  heartbeat_lane_.next = next;
  if (!AcceptAnswer(event.reply->namenode, event.reply->must_register, "a heartbeat")) return;
  for (protocol::DatanodeCommand& command : event.reply->commands) {
    if (std::holds_alternative<protocol::SendFullReportCommand>(command)) {
      round_wanted_ = true;
    } else {
      actions_.push_back(session_action::Execute{std::move(command)});
    }
  }
}

void NamenodeSession::On(session_event::IncrementalAnswered event) {
  if (state_ != State::kRegistered || !IsCurrent(incremental_lane_, event.request)) return;
  if (!event.reply.ok()) {
    in_flight_ = 0;
    return Failed(&incremental_lane_, "the report of changes", event.reply.status());
  }
  Succeeded(&incremental_lane_);
  if (!AcceptAnswer(event.reply->namenode, event.reply->must_register, "a report of changes")) return;
  DOLMEN_CHECK(in_flight_ <= queue_.size());
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(in_flight_));
  in_flight_ = 0;
}

void NamenodeSession::On(session_event::SliceAnswered event) {
  if (state_ != State::kRegistered || !IsCurrent(slice_lane_, event.request)) return;
  if (!event.reply.ok()) {
    // A volume may have failed since: the round begins again without it.
    if (ReasonOf(event.reply.status()) == ErrorReason::kIllegalArgument) round_open_ = false, round_wanted_ = true;
    return Failed(&slice_lane_, "the full report", event.reply.status());
  }
  Succeeded(&slice_lane_);
  if (!AcceptAnswer(event.reply->namenode, event.reply->must_register, "a full report")) return;
  if (!round_open_) return;
  if (last_id_in_flight_ < kLastId) {
    next_id_ = last_id_in_flight_ + 1;
    ++slice_index_;
    return;
  }
  NextStorage();
}

void NamenodeSession::NextStorage() {
  round_storages_.erase(round_storages_.begin());
  next_id_ = 0;
  slice_index_ = 0;
}

}  // namespace dolmen::datanode
