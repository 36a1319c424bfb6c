// The datanode's conversation with its namenode: registration, heartbeats, incremental reports, full reports, and which
// commands are accepted. `Step(event, now)` answers with actions; no threads, clocks or connections, and no action
// waits for another: heartbeats never stand behind reports.
//
//   state          does                                             then
//   unregistered   sends Register, with growing pauses              recording, or registered; stopped
//   recording      waits until a higher epoch is on disk (C-12)     registered; unregistered
//   registered     heartbeats every interval; incremental reports,  unregistered when told so, or when a higher epoch
//                  one at a time, as soon as something changed;     answers
//                  full reports in slices, one at a time
//   stopped        nothing: the datanode must end
//
// Who may command (C-12): a namenode of another cluster, of a lower epoch, or of the same epoch with another
// incarnation is refused, and so is whatever it answers. A higher epoch is recorded durably before anything of it is
// obeyed; a heartbeat or report answered by a higher epoch only leads to a new registration.
//
// Reports: an incremental report is repeated until it is answered, its entries in order. When more than `max_queued`
// changes wait, the oldest are dropped and a full report is sent instead. A slice is built when it is sent; after a
// failure it is built anew. Every request has a time limit of its own; an answer that comes after it is ignored.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/access_token.h"
#include "common/clock.h"
#include "common/protocol/datanode_namenode.h"
#include "common/random.h"

namespace dolmen::datanode {

// What the session needs to know of this datanode's replicas. Answers at once, from memory.
class ReplicaInventory {
 public:
  virtual ~ReplicaInventory() = default;
  virtual std::vector<protocol::StorageReport> StorageReports() const = 0;
  // Up to `limit` replicas of one storage with ids >= first, by id.
  virtual std::vector<protocol::ReportedReplica> ListRange(const StorageId& storage, BlockId first,
                                                           size_t limit) const = 0;
  virtual protocol::IdMarks Seen() const = 0;   // at least these ids and stamps were ever seen
  virtual protocol::IdMarks Bound() const = 0;  // none above these
  virtual uint32_t ActiveStreams() const = 0;
  virtual uint32_t ActiveTransfers() const = 0;
};

namespace session_event {

// Time has passed (the first event, too). Harmless when early or repeated.
struct Tick {};
// A replica was finalized, deleted, found corrupt...
struct ReplicaChanged {
  StorageId storage;
  protocol::ReportedReplica replica;
};
// Answers to requests, by their number. A failure to reach the namenode is an answer too.
struct RegisterAnswered {
  uint64_t request = 0;
  absl::StatusOr<protocol::RegisterReply> reply;
};
struct HeartbeatAnswered {
  uint64_t request = 0;
  absl::StatusOr<protocol::HeartbeatReply> reply;
};
struct IncrementalAnswered {
  uint64_t request = 0;
  absl::StatusOr<protocol::ReportReply> reply;
};
struct SliceAnswered {
  uint64_t request = 0;
  absl::StatusOr<protocol::ReportReply> reply;
};
struct IdentityRecorded {
  absl::Status status;
};

}  // namespace session_event
using SessionEvent = std::variant<session_event::Tick, session_event::ReplicaChanged, session_event::RegisterAnswered,
                                  session_event::HeartbeatAnswered, session_event::IncrementalAnswered,
                                  session_event::SliceAnswered, session_event::IdentityRecorded>;

namespace session_action {

struct SendRegister {
  uint64_t request = 0;
  protocol::RegisterRequest message;
};
struct SendHeartbeat {
  uint64_t request = 0;
  protocol::HeartbeatRequest message;
};
struct SendIncremental {
  uint64_t request = 0;
  protocol::IncrementalReportRequest message;
};
struct SendSlice {
  uint64_t request = 0;
  protocol::FullReportSlice message;
};
// Write it to every volume, durably. Answer: IdentityRecorded.
struct RecordIdentity {
  protocol::NamenodeIdentity namenode;
};
// Tokens are checked under this key from now on (and the one before it).
struct UseTokenKey {
  TokenKey key;
};
// Accepted. May be lost: the namenode decides again from state.
struct Execute {
  protocol::DatanodeCommand command;
};
// This datanode must not go on: it belongs to another cluster.
struct Stop {
  absl::Status why;
};
// For the log. `trouble`: somebody should look at it.
struct Notice {
  std::string text;
  bool trouble = false;
};

}  // namespace session_action
using SessionAction =
    std::variant<session_action::SendRegister, session_action::SendHeartbeat, session_action::SendIncremental,
                 session_action::SendSlice, session_action::RecordIdentity, session_action::UseTokenKey,
                 session_action::Execute, session_action::Stop, session_action::Notice>;

struct SessionOptions {
  protocol::DatanodeInfo info;
  // Until the namenode says otherwise.
  Duration heartbeat_interval = std::chrono::seconds(1);
  Duration heartbeat_timeout = std::chrono::seconds(5);
  Duration register_timeout = std::chrono::seconds(10);
  Duration report_timeout = std::chrono::seconds(60);
  // A namenode that cannot be recorded for so long is registered with anew: it may have been restarted meanwhile.
  Duration record_timeout = std::chrono::seconds(60);
  Duration first_pause = std::chrono::milliseconds(100);  // after a failure; doubles, with jitter
  Duration longest_pause = std::chrono::seconds(5);
  size_t max_queued = 100'000;       // changes not reported yet
  size_t entries_per_report = 1000;  // by protocol
};

// What the datanode knew of its namenode when it started.
struct KnownNamenode {
  ClusterId cluster;  // none: never registered
  Epoch highest_epoch;
  std::string highest_incarnation;
};

// One thread only. `inventory` is not owned and outlives this.
class NamenodeSession {
 public:
  // What goes on failing is told when it begins and again after so long (chosen).
  static constexpr Duration kTellAgain = std::chrono::minutes(1);

  NamenodeSession(SessionOptions options, KnownNamenode known, const ReplicaInventory* inventory, Random random);

  std::vector<SessionAction> Step(SessionEvent event, MonotonicTime now);
  // When to Step with Tick at the latest; nothing when stopped.
  std::optional<MonotonicTime> NextDeadline() const;

  bool registered() const { return state_ == State::kRegistered; }
  const KnownNamenode& known() const { return known_; }
  uint64_t session() const { return session_; }
  size_t queued_changes() const { return queue_.size(); }
  // Answers and commands that were refused because of who sent them.
  uint64_t refusals() const { return refusals_; }
  uint64_t full_rounds_done() const { return rounds_done_; }

 private:
  enum class State { kUnregistered, kRecording, kRegistered, kStopped };
  // One kind of request: at most one is under way.
  struct Lane {
    uint64_t request = 0;  // under way; 0: none
    MonotonicTime deadline{};
    MonotonicTime next{};  // not before
    Duration pause{};      // after the next failure; 0: the last one succeeded
    MonotonicTime failing_since{};
    MonotonicTime told{};  // of the failures
  };

  void On(session_event::Tick) {}
  void On(session_event::ReplicaChanged event);
  void On(session_event::RegisterAnswered event);
  void On(session_event::HeartbeatAnswered event);
  void On(session_event::IncrementalAnswered event);
  void On(session_event::SliceAnswered event);
  void On(const session_event::IdentityRecorded& event);

  void DoWhatIsDue();
  void SendRegister();
  void SendHeartbeat();
  void SendIncremental();
  void SendSlice();
  void StartRound();
  void NextStorage();

  uint64_t Begin(Lane* lane, Duration timeout);
  bool IsCurrent(const Lane& lane, uint64_t request) const { return lane.request == request; }
  void Succeeded(Lane* lane);
  void Failed(Lane* lane, std::string_view what, const absl::Status& why);
  void ExpireIfLate(Lane* lane, std::string_view what);

  // OK: the namenode we are registered with. kStaleEpoch, kWrongCluster: refused.
  absl::Status CheckCluster(const protocol::NamenodeIdentity& namenode) const;
  absl::Status CheckEpoch(const protocol::NamenodeIdentity& namenode) const;
  // For answers within a session: false when the answer must be ignored.
  bool AcceptAnswer(const protocol::NamenodeIdentity& namenode, bool must_register, std::string_view what);
  void RegisterAgain(std::string_view why);
  void BecomeRegistered();
  void Notice(std::string text, bool trouble = false) {
    actions_.push_back(session_action::Notice{std::move(text), trouble});
  }

  const SessionOptions options_;
  const ReplicaInventory* const inventory_;
  Random random_;
  KnownNamenode known_;
  State state_ = State::kUnregistered;
  MonotonicTime now_{};
  std::vector<SessionAction> actions_;
  uint64_t last_request_ = 0;
  uint64_t refusals_ = 0;

  std::optional<protocol::RegisterReply> registration_;  // of the present or coming session
  std::optional<protocol::NamenodeIdentity> recording_;  // being written; one at a time, even if it is given up
  MonotonicTime record_deadline_{};
  uint64_t session_ = 0;
  Lane register_lane_, heartbeat_lane_, incremental_lane_, slice_lane_;

  std::deque<protocol::IncrementalReportRequest::Entry> queue_;
  size_t in_flight_ = 0;  // of its front

  // The full report under way.
  bool round_open_ = false;
  bool round_wanted_ = false;
  uint64_t round_ = 0;
  uint64_t rounds_done_ = 0;
  std::vector<StorageId> round_storages_;  // still to be reported, the present one first
  uint64_t next_id_ = 0;                   // of the present storage
  uint64_t last_id_in_flight_ = 0;
  uint32_t slice_index_ = 0;
  MonotonicTime next_round_{};
};

}  // namespace dolmen::datanode
