#include "datanode/core/namenode_session.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "common/error.h"

namespace dolmen::datanode {
namespace {

using namespace std::chrono_literals;
using protocol::NamenodeIdentity;

class FakeInventory final : public ReplicaInventory {
 public:
  std::map<StorageId, std::map<BlockId, protocol::ReportedReplica>> storages;
  std::set<StorageId> failed;

  std::vector<protocol::StorageReport> StorageReports() const override {
    std::vector<protocol::StorageReport> reports;
    for (const auto& [id, replicas] : storages) reports.push_back({.id = id, .failed = failed.contains(id)});
    return reports;
  }
  std::vector<protocol::ReportedReplica> ListRange(const StorageId& storage, BlockId first,
                                                   size_t limit) const override {
    std::vector<protocol::ReportedReplica> listed;
    if (failed.contains(storage)) return listed;
    const auto& replicas = storages.at(storage);
    for (auto it = replicas.lower_bound(first); it != replicas.end() && listed.size() < limit; ++it) {
      listed.push_back(it->second);
    }
    return listed;
  }
  protocol::IdMarks Seen() const override { return {BlockId(77), GenerationStamp(88)}; }
  protocol::IdMarks Bound() const override { return {BlockId(770), GenerationStamp(880)}; }
  uint32_t ActiveStreams() const override { return 5; }
  uint32_t ActiveTransfers() const override { return 6; }
};

protocol::ReportedReplica Replica(uint64_t n) { return {.block = {.id = BlockId(n), .stamp = GenerationStamp(1001)}}; }

class NamenodeSessionTest : public ::testing::Test {
 protected:
  NamenodeSessionTest() {
    inventory_.storages[StorageId("a")];
    Restart({});
  }
  void Restart(KnownNamenode known) {
    SessionOptions options{.info = {.uuid = DatanodeUuid("dn")}};
    options.max_queued = 10;
    session_ = std::make_unique<NamenodeSession>(options, known, &inventory_, Random(1));
    todo_.clear();
  }
  void Step(SessionEvent event) {
    for (SessionAction& action : session_->Step(std::move(event), now_)) todo_.push_back(std::move(action));
  }
  void Tick() { Step(session_event::Tick{}); }
  void Advance(Duration by) {
    now_ += by;
    Tick();
  }
  // Takes the first action of this kind.
  template <typename Action>
  std::optional<Action> Take() {
    for (auto it = todo_.begin(); it != todo_.end(); ++it) {
      if (auto* action = std::get_if<Action>(&*it)) {
        Action taken = std::move(*action);
        todo_.erase(it);
        return taken;
      }
    }
    return std::nullopt;
  }
  protocol::RegisterReply Registration(NamenodeIdentity namenode, uint64_t session = 9) {
    return {.namenode = namenode,
            .session = session,
            .token_key_id = 3,
            .token_key_secret = std::string(32, 's'),
            .heartbeat_interval_ms = 1000,
            .full_report_interval_ms = 60'000};
  }
  void Register(NamenodeIdentity namenode, uint64_t session = 9) {
    Tick();
    const auto request = Take<session_action::SendRegister>();
    ASSERT_TRUE(request.has_value());
    Step(session_event::RegisterAnswered{request->request, Registration(namenode, session)});
    if (const auto record = Take<session_action::RecordIdentity>()) {
      EXPECT_FALSE(session_->registered());  // nothing of it is obeyed before it is on disk
      EXPECT_EQ(record->namenode, namenode);
      Step(session_event::IdentityRecorded{});
    }
    ASSERT_TRUE(session_->registered());
  }
  // Answers all slices under way until none comes.
  std::vector<protocol::FullReportSlice> AnswerSlices(NamenodeIdentity namenode) {
    std::vector<protocol::FullReportSlice> slices;
    while (auto slice = Take<session_action::SendSlice>()) {
      slices.push_back(slice->message);
      Step(session_event::SliceAnswered{slice->request, protocol::ReportReply{.namenode = namenode}});
    }
    return slices;
  }

  FakeInventory inventory_;
  std::unique_ptr<NamenodeSession> session_;
  MonotonicTime now_{};
  std::vector<SessionAction> todo_;
  const NamenodeIdentity first_{.cluster = ClusterId("C"), .epoch = Epoch(3), .incarnation = "x"};
};

TEST_F(NamenodeSessionTest, WhatGoesOnFailingIsToldEveryMinute) {
  std::vector<std::string> told;
  const auto fail_for = [&](Duration time) {
    for (const MonotonicTime end = now_ + time; now_ < end; Advance(std::chrono::seconds(1))) {
      const auto request = Take<session_action::SendRegister>();
      if (!request.has_value()) continue;
      Step(session_event::RegisterAnswered{request->request, absl::UnavailableError("nobody there")});
      while (auto notice = Take<session_action::Notice>()) {
        EXPECT_TRUE(notice->trouble);
        told.push_back(notice->text);
      }
    }
  };
  fail_for(std::chrono::seconds(55));
  EXPECT_EQ(told, std::vector<std::string>{"registering failed, trying again: nobody there"});
  fail_for(std::chrono::seconds(120));
  ASSERT_EQ(told.size(), 3u);
  EXPECT_TRUE(told[1].starts_with("registering has failed for 6")) << told[1];
  EXPECT_TRUE(told[2].ends_with(" s, still trying: nobody there")) << told[2];
  now_ += std::chrono::seconds(5);
  Register(first_);
  EXPECT_FALSE(Take<session_action::Notice>()->trouble);
}

TEST_F(NamenodeSessionTest, AFreshDatanodeJoinsRecordsAndReports) {
  Tick();
  const auto request = Take<session_action::SendRegister>();
  ASSERT_TRUE(request.has_value());
  EXPECT_FALSE(request->message.cluster.has_value());
  EXPECT_EQ(request->message.seen, (protocol::IdMarks{BlockId(77), GenerationStamp(88)}));
  EXPECT_EQ(request->message.bound, (protocol::IdMarks{BlockId(770), GenerationStamp(880)}));
  Restart({});
  Register(first_);
  EXPECT_EQ(session_->known().cluster, ClusterId("C"));
  EXPECT_EQ(Take<session_action::UseTokenKey>()->key.id, 3u);
  const auto heartbeat = Take<session_action::SendHeartbeat>();
  ASSERT_TRUE(heartbeat.has_value());
  EXPECT_EQ(heartbeat->message.session, 9u);
  EXPECT_EQ(heartbeat->message.active_streams, 5u);
  EXPECT_EQ(AnswerSlices(first_).size(), 1u);
  EXPECT_EQ(session_->full_rounds_done(), 1u);
}

TEST_F(NamenodeSessionTest, OrdersOfARecoveryAreExecutedAndItsAnswersLeaveAtOnce) {
  Register(first_);
  AnswerSlices(first_);
  const std::vector<protocol::DatanodeCommand> orders = {
      protocol::FreezeReplicaCommand{StorageId("a"), BlockId(5), GenerationStamp(2000)},
      protocol::FinishRecoveryCommand{StorageId("a"), Replica(5).block},
      protocol::CopyPrefixCommand{StorageId("a"), Replica(5).block, Replica(6).block}};
  const auto heartbeat = Take<session_action::SendHeartbeat>();
  ASSERT_TRUE(heartbeat.has_value());
  Step(session_event::HeartbeatAnswered{heartbeat->request,
                                        protocol::HeartbeatReply{.namenode = first_, .commands = orders}});
  for (const protocol::DatanodeCommand& order : orders) {
    const auto execute = Take<session_action::Execute>();
    ASSERT_TRUE(execute.has_value());
    EXPECT_EQ(execute->command, order);
  }
  protocol::ReportedReplica frozen = Replica(5);
  frozen.state = protocol::ReplicaState::kBeingWritten;
  frozen.frozen_by = GenerationStamp(2000);
  Step(session_event::ReplicaChanged{StorageId("a"), frozen});
  const auto report = Take<session_action::SendIncremental>();
  ASSERT_TRUE(report.has_value());
  ASSERT_EQ(report->message.entries.size(), 1u);
  EXPECT_EQ(report->message.entries[0].replica, frozen);
}

TEST_F(NamenodeSessionTest, RegistrationIsRetriedWithGrowingPausesAndNeverBlocks) {
  Duration longest{};
  for (int i = 0; i < 12; ++i) {
    Tick();
    const auto request = Take<session_action::SendRegister>();
    ASSERT_TRUE(request.has_value()) << i;
    Step(session_event::RegisterAnswered{request->request, MakeError(ErrorReason::kUnreachable, "down")});
    ASSERT_TRUE(session_->NextDeadline().has_value());
    const Duration pause = *session_->NextDeadline() - now_;
    EXPECT_LE(pause, 5s);
    longest = std::max(longest, pause);
    now_ = *session_->NextDeadline();
  }
  EXPECT_GE(longest, 2s);
}

TEST_F(NamenodeSessionTest, ARequestWithoutAnAnswerIsGivenUpAndALateAnswerIgnored) {
  Tick();
  const auto lost = Take<session_action::SendRegister>();
  now_ = *session_->NextDeadline();
  Tick();
  Advance(5s);
  const auto again = Take<session_action::SendRegister>();
  ASSERT_TRUE(again.has_value());
  Step(session_event::RegisterAnswered{lost->request, Registration(first_)});
  EXPECT_FALSE(Take<session_action::RecordIdentity>().has_value());
  Step(session_event::RegisterAnswered{again->request, Registration(first_)});
  EXPECT_TRUE(Take<session_action::RecordIdentity>().has_value());
}

// C-12, as a table: what a datanode that obeyed (C, 3, x) does with each registration answer.
TEST_F(NamenodeSessionTest, OnlyTheSameOrAHigherNamenodeIsObeyed) {
  struct Case {
    NamenodeIdentity namenode;
    enum { kRegistered, kRecords, kRefuses, kStops } outcome;
  };
  for (const Case& one : std::vector<Case>{{{ClusterId("C"), Epoch(3), "x"}, Case::kRegistered},
                                           {{ClusterId("C"), Epoch(4), "y"}, Case::kRecords},
                                           {{ClusterId("C"), Epoch(3), "y"}, Case::kRefuses},
                                           {{ClusterId("C"), Epoch(2), "x"}, Case::kRefuses},
                                           {{ClusterId("D"), Epoch(9), "x"}, Case::kStops}}) {
    SCOPED_TRACE(testing::Message() << one.namenode.cluster << one.namenode.epoch << one.namenode.incarnation);
    Restart({ClusterId("C"), Epoch(3), "x"});
    Tick();
    const auto request = Take<session_action::SendRegister>();
    EXPECT_EQ(request->message.highest_epoch, Epoch(3));
    Step(session_event::RegisterAnswered{request->request, Registration(one.namenode)});
    EXPECT_EQ(session_->registered(), one.outcome == Case::kRegistered);
    EXPECT_EQ(Take<session_action::RecordIdentity>().has_value(), one.outcome == Case::kRecords);
    EXPECT_EQ(Take<session_action::Stop>().has_value(), one.outcome == Case::kStops);
    EXPECT_EQ(session_->refusals(), one.outcome == Case::kRefuses || one.outcome == Case::kStops ? 1u : 0u);
    EXPECT_EQ(session_->known().highest_epoch, Epoch(3));
  }
}

TEST_F(NamenodeSessionTest, AnEpochThatCannotBeRecordedIsNotObeyed) {
  Tick();
  Step(session_event::RegisterAnswered{Take<session_action::SendRegister>()->request, Registration(first_)});
  Step(session_event::IdentityRecorded{MakeError(ErrorReason::kIo, "disk")});
  EXPECT_FALSE(session_->registered());
  EXPECT_EQ(session_->known().highest_epoch, Epoch(0));
  Advance(5s);
  EXPECT_TRUE(Take<session_action::SendRegister>().has_value());
}

TEST_F(NamenodeSessionTest, ARecordingThatHangsIsNotWaitedForForEver) {  // F-070
  const auto register_with = [this](NamenodeIdentity namenode) {
    const auto request = Take<session_action::SendRegister>();
    ASSERT_TRUE(request.has_value());
    Step(session_event::RegisterAnswered{request->request, Registration(namenode)});
  };
  Tick();
  register_with(first_);
  ASSERT_TRUE(Take<session_action::RecordIdentity>().has_value());
  EXPECT_EQ(session_->NextDeadline(), now_ + 60s);
  Advance(60s);
  Advance(5s);
  // The same one: its write is under way already.
  register_with(first_);
  EXPECT_FALSE(Take<session_action::RecordIdentity>().has_value());
  Advance(60s);
  Advance(5s);
  // A newer one waits until the write is through, and is asked again.
  const NamenodeIdentity second{.cluster = ClusterId("C"), .epoch = Epoch(4), .incarnation = "y"};
  register_with(second);
  EXPECT_FALSE(Take<session_action::RecordIdentity>().has_value());
  EXPECT_FALSE(session_->registered());
  Step(session_event::IdentityRecorded{});
  EXPECT_FALSE(session_->registered());
  EXPECT_EQ(session_->known().highest_epoch, Epoch(3));
  Advance(5s);
  register_with(second);
  EXPECT_EQ(Take<session_action::RecordIdentity>()->namenode, second);
  Step(session_event::IdentityRecorded{});
  EXPECT_TRUE(session_->registered());
  EXPECT_EQ(session_->known().highest_epoch, Epoch(4));
}

TEST_F(NamenodeSessionTest, CommandsOfAnotherNamenodeAreRefused) {
  for (const NamenodeIdentity& other :
       {NamenodeIdentity{ClusterId("C"), Epoch(2), "x"}, NamenodeIdentity{ClusterId("C"), Epoch(3), "other"},
        NamenodeIdentity{ClusterId("D"), Epoch(3), "x"}, NamenodeIdentity{ClusterId("C"), Epoch(4), "new"}}) {
    Restart({});
    Register(first_);
    const auto heartbeat = Take<session_action::SendHeartbeat>();
    Step(session_event::HeartbeatAnswered{
        heartbeat->request,
        protocol::HeartbeatReply{.namenode = other, .commands = {protocol::DeleteReplicasCommand{}}}});
    EXPECT_FALSE(Take<session_action::Execute>().has_value());
    EXPECT_FALSE(session_->registered());
    EXPECT_EQ(session_->refusals(), other.epoch == Epoch(4) ? 0u : 1u);
  }
  Restart({});
  Register(first_);
  const auto heartbeat = Take<session_action::SendHeartbeat>();
  Step(session_event::HeartbeatAnswered{
      heartbeat->request,
      protocol::HeartbeatReply{.namenode = first_, .commands = {protocol::DeleteReplicasCommand{}}}});
  EXPECT_TRUE(Take<session_action::Execute>().has_value());
}

TEST_F(NamenodeSessionTest, HeartbeatsGoOnWhileReportsHang) {
  Register(first_);
  Step(session_event::ReplicaChanged{StorageId("a"), Replica(1)});
  EXPECT_TRUE(Take<session_action::SendIncremental>().has_value());
  EXPECT_TRUE(Take<session_action::SendSlice>().has_value());
  for (int i = 0; i < 20; ++i) {
    const auto heartbeat = Take<session_action::SendHeartbeat>();
    ASSERT_TRUE(heartbeat.has_value()) << i;
    Step(session_event::HeartbeatAnswered{heartbeat->request, protocol::HeartbeatReply{.namenode = first_}});
    Advance(1s);
  }
}

TEST_F(NamenodeSessionTest, ChangesAreReportedAtOnceInOrderAndRepeatedUntilAnswered) {
  Register(first_);
  AnswerSlices(first_);
  Step(session_event::ReplicaChanged{StorageId("a"), Replica(1)});
  const auto first = Take<session_action::SendIncremental>();
  ASSERT_TRUE(first.has_value());
  ASSERT_EQ(first->message.entries.size(), 1u);
  Step(session_event::ReplicaChanged{StorageId("a"), Replica(2)});
  Step(session_event::ReplicaChanged{StorageId("a"), Replica(3)});
  EXPECT_FALSE(Take<session_action::SendIncremental>().has_value());  // one at a time
  Step(session_event::IncrementalAnswered{first->request, MakeError(ErrorReason::kUnreachable, "down")});
  Advance(1s);
  const auto again = Take<session_action::SendIncremental>();
  ASSERT_TRUE(again.has_value());
  ASSERT_EQ(again->message.entries.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(again->message.entries[i].replica, Replica(i + 1));
  Step(session_event::IncrementalAnswered{first->request, protocol::ReportReply{.namenode = first_}});  // too late
  EXPECT_EQ(session_->queued_changes(), 3u);
  Step(session_event::IncrementalAnswered{again->request, protocol::ReportReply{.namenode = first_}});
  EXPECT_EQ(session_->queued_changes(), 0u);
}

TEST_F(NamenodeSessionTest, WhatTheSessionDidNotDeliverTheNextOneDoes) {
  Register(first_);
  Step(session_event::ReplicaChanged{StorageId("a"), Replica(1)});
  const auto report = Take<session_action::SendIncremental>();
  Step(session_event::IncrementalAnswered{report->request,
                                          protocol::ReportReply{.namenode = first_, .must_register = true}});
  EXPECT_FALSE(session_->registered());
  todo_.clear();
  now_ += 1s;
  Register(first_, 10);
  const auto again = Take<session_action::SendIncremental>();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->message.session, 10u);
  EXPECT_EQ(again->message.entries.size(), 1u);
  EXPECT_EQ(AnswerSlices(first_).size(), 1u);
}

TEST_F(NamenodeSessionTest, TooManyChangesBecomeAFullReport) {
  Register(first_);
  AnswerSlices(first_);
  const uint64_t rounds = session_->full_rounds_done();
  Step(session_event::ReplicaChanged{StorageId("a"), Replica(1)});
  const auto report = Take<session_action::SendIncremental>();
  for (uint64_t n = 2; n < 30; ++n) Step(session_event::ReplicaChanged{StorageId("a"), Replica(n)});
  EXPECT_LE(session_->queued_changes(), 10u);
  Step(session_event::IncrementalAnswered{report->request, protocol::ReportReply{.namenode = first_}});
  AnswerSlices(first_);
  EXPECT_GT(session_->full_rounds_done(), rounds);
}

TEST_F(NamenodeSessionTest, FullReportsComeInSlicesThatCoverEveryIdOnce) {
  inventory_.storages[StorageId("b")];
  for (uint64_t n = 1; n <= 2500; ++n) inventory_.storages[StorageId("a")][BlockId(n * 16)] = Replica(n * 16);
  for (uint64_t n = 1; n <= 1000; ++n) inventory_.storages[StorageId("b")][BlockId(n)] = Replica(n);
  Register(first_);
  const auto slices = AnswerSlices(first_);
  std::map<StorageId, uint64_t> next, count;
  for (const auto& slice : slices) {
    EXPECT_EQ(slice.round, 1u);
    EXPECT_LE(slice.replicas.size(), 1000u);
    EXPECT_EQ(slice.first_id.value(), next[slice.storage]);
    next[slice.storage] = slice.last_id.value() + 1;
    count[slice.storage] += slice.replicas.size();
    EXPECT_EQ(slice.is_last, next[slice.storage] == uint64_t{1} << 63);
  }
  EXPECT_EQ(slices.size(), 5u);
  EXPECT_EQ(count[StorageId("a")], 2500u);
  EXPECT_EQ(count[StorageId("b")], 1000u);
  for (const auto& [storage, end] : next) EXPECT_EQ(end, uint64_t{1} << 63);
}

TEST_F(NamenodeSessionTest, AFailedSliceIsBuiltAnewAndAFailedVolumeIsNotReportedAsEmpty) {
  inventory_.storages[StorageId("b")];
  inventory_.storages[StorageId("a")][BlockId(16)] = Replica(16);
  Register(first_);
  const auto lost = Take<session_action::SendSlice>();
  inventory_.storages[StorageId("a")][BlockId(32)] = Replica(32);
  Step(session_event::SliceAnswered{lost->request, MakeError(ErrorReason::kBusy, "busy")});
  Advance(1s);
  const auto again = Take<session_action::SendSlice>();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->message.replicas.size(), 2u);
  EXPECT_EQ(again->message.round, lost->message.round);
  inventory_.failed.insert(StorageId("b"));
  Step(session_event::SliceAnswered{again->request, protocol::ReportReply{.namenode = first_}});
  EXPECT_TRUE(AnswerSlices(first_).empty());
  EXPECT_EQ(session_->full_rounds_done(), 1u);
}

TEST_F(NamenodeSessionTest, FullReportsAreRepeatedAndSentOnDemand) {
  Register(first_);
  AnswerSlices(first_);
  for (int i = 0; i < 61; ++i) {
    Advance(1s);
    if (auto heartbeat = Take<session_action::SendHeartbeat>()) {
      Step(session_event::HeartbeatAnswered{heartbeat->request, protocol::HeartbeatReply{.namenode = first_}});
    }
    AnswerSlices(first_);
  }
  EXPECT_EQ(session_->full_rounds_done(), 2u);
  Advance(1s);
  const auto heartbeat = Take<session_action::SendHeartbeat>();
  Step(session_event::HeartbeatAnswered{
      heartbeat->request,
      protocol::HeartbeatReply{.namenode = first_, .commands = {protocol::SendFullReportCommand{}}}});
  AnswerSlices(first_);
  EXPECT_EQ(session_->full_rounds_done(), 3u);
}

}  // namespace
}  // namespace dolmen::datanode
