// The namenode's core as its driver uses it: clients, datanodes, time and commits together.
#include "namenode/core/namenode_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "namenode/core/bootstrap.h"
#include "namenode/core/consistency.h"
#include "namenode/core/full_report_progress.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/queries.h"
#include "namenode/storage/memory_meta_store.h"
#include "namenode/storage/memory_replica_store.h"

namespace dolmen::namenode {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kBlockBytes = 1024;

std::string TextOf(const absl::Status& status) { return std::string(MessageOf(status)); }

class NamenodeCoreTest : public ::testing::Test {
 protected:
  NamenodeCoreTest() {
    settings.min_block_bytes = 512;
    auto opened = MemoryMetaStore::Open(disk);
    EXPECT_TRUE(opened.ok());
    Random random(3);
    EXPECT_TRUE((*opened)->Commit(FormatBatch(MintNamespace(&random, "super", "supergroup", wall))).ok());
    opened->reset();
    Restart();
  }

  // A new process on the same disk. Nothing ticks yet.
  void Restart() {
    core.reset();
    board.reset();
    store.reset();
    auto opened = MemoryMetaStore::Open(disk);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store = *std::move(opened);
    auto start = PlanStart(*store->View(), wall);
    ASSERT_TRUE(start.ok()) << start.status();
    ASSERT_TRUE(store->Commit(start->batch).ok());
    const protocol::NamenodeIdentity identity{start->info.cluster, start->counters.epoch,
                                              absl::StrCat("incarnation-", ++incarnations)};
    core = std::make_unique<NamenodeCore>(
        NamenodeCoreOptions{settings, start->info, start->counters, identity, key, /*seed=*/5}, store->View(),
        &*replicas);
    ASSERT_TRUE(core->Recover(now).ok());
    board = std::make_unique<HeartbeatBoard>(identity);
    sessions.clear();
  }
  // Out of the safe mode of the start.
  void Settle() {
    Tick();
    ASSERT_FALSE(Stats().safe_mode) << Stats().safe_mode_tip;
  }

  // ---- the driver's turns
  void Collect(std::vector<Finished> finished) {
    for (Finished& one : finished)
      EXPECT_TRUE(answers.emplace(one.ticket, std::move(one.answer)).second) << "answered twice";
  }
  void RunBatches() {
    while (std::optional<CommitBatch> batch = core->BeginBatch(now, wall)) {
      const absl::Status committed = store->Commit(*batch);
      Collect(core->FinishBatch(committed, committed.ok() ? store->View() : nullptr, now));
    }
  }
  void Tick() {
    Collect(core->Tick(now));
    core->Exchange(board.get(), now);
    RunBatches();
  }
  void Pass(std::chrono::milliseconds time) {
    now += time;
    wall.ms += time.count();
  }
  // Time passes with ticks and, if wanted, heartbeats of all datanodes.
  void Live(std::chrono::milliseconds time, bool with_heartbeats = true) {
    for (std::chrono::milliseconds passed{0}; passed < time; passed += std::chrono::milliseconds(500)) {
      Pass(std::chrono::milliseconds(500));
      if (with_heartbeats)
        for (const auto& [name, session] : sessions) Heartbeat(name);
      Tick();
    }
  }

  // ---- clients
  protocol::CallId NextCall() {
    return {.client_id = std::string(16, 'c'), .call_id = ++last_call, .first_unanswered = last_call};
  }
  uint64_t Submit(protocol::Mutation request) {
    const uint64_t ticket = ++last_ticket;
    const absl::Status queued = core->Submit(ticket, {super, NextCall(), std::move(request)}, now);
    if (!queued.ok()) answers.emplace(ticket, queued);
    return ticket;
  }
  Answer Run(protocol::Mutation request) {
    const uint64_t ticket = Submit(std::move(request));
    RunBatches();
    EXPECT_TRUE(answers.contains(ticket)) << "not answered";
    return answers.contains(ticket) ? answers.at(ticket) : MakeError(ErrorReason::kIo, "not answered");
  }
  void MustRun(protocol::Mutation request) {
    const Answer answer = Run(std::move(request));
    EXPECT_TRUE(answer.ok()) << answer.status();
  }
  template <typename Reply>
  static Reply Get(const Answer& answer) {
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? std::get<Reply>(*answer) : Reply();
  }
  static protocol::CreateRequest Create(const std::string& path, const std::string& holder = "writer",
                                        uint32_t replication = 1) {
    return {.path = path, .replication = replication, .block_bytes = kBlockBytes, .holder = holder};
  }
  InodeId MustCreate(const std::string& path, const std::string& holder = "writer", uint32_t replication = 1) {
    return Get<protocol::CreateReply>(Run(Create(path, holder, replication))).status.inode;
  }
  protocol::LocatedBlock MustAddBlock(InodeId file, const std::string& holder = "writer") {
    return Get<protocol::AddBlockReply>(Run(protocol::AddBlockRequest{.path = "/", .inode = file, .holder = holder}))
        .block;
  }
  std::optional<protocol::FileStatus> Info(const std::string& path) {
    auto reply = GetFileInfo(*core->published().meta, settings, super, {.path = path});
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->status : std::nullopt;
  }
  protocol::GetFsStatsReply Stats() {
    auto stats = core->GetFsStats(now);
    EXPECT_TRUE(stats.ok()) << stats.status();
    return stats.value_or(protocol::GetFsStatsReply());
  }

  // ---- datanodes, each with one disk
  static protocol::StorageReport Disk(const std::string& name) {
    return {.id = StorageId("disk-" + name), .capacity_bytes = 200 * kGiB, .remaining_bytes = 100 * kGiB};
  }
  static protocol::RegisterRequest Registering(const std::string& name) {
    return {.info = {.uuid = DatanodeUuid(name),
                     .host_name = name,
                     .addresses = {{.network = "default", .host = name, .port = 7066}},
                     .rack = "/default-rack"},
            .storages = {Disk(name)}};
  }
  absl::StatusOr<protocol::RegisterReply> Register(const protocol::RegisterRequest& request) {
    absl::StatusOr<protocol::RegisterReply> reply = core->Register(request, now);
    core->Exchange(board.get(), now);
    if (reply.ok()) sessions[request.info.uuid.value()] = reply->session;
    return reply;
  }
  // Registers and reports all it has.
  void Join(const std::string& name, const std::vector<protocol::Block>& blocks = {}) {
    const auto reply = Register(Registering(name));
    ASSERT_TRUE(reply.ok()) << reply.status();
    protocol::FullReportSlice slice{.datanode = DatanodeUuid(name),
                                    .session = sessions.at(name),
                                    .storage = StorageId("disk-" + name),
                                    .round = ++rounds,
                                    .is_last = true,
                                    .first_id = BlockId(0),
                                    .last_id = BlockId(FullReportProgress::kLastId)};
    for (const protocol::Block& block : blocks) slice.replicas.push_back({block, protocol::ReplicaState::kFinalized});
    EXPECT_FALSE(core->OnFullReport(slice, now).must_register);
  }
  void Report(const std::string& name, const protocol::Block& block) {
    const protocol::ReportReply reply = core->OnIncrementalReport(
        {.datanode = DatanodeUuid(name),
         .session = sessions.at(name),
         .entries = {{StorageId("disk-" + name), {block, protocol::ReplicaState::kFinalized}}}},
        now);
    EXPECT_FALSE(reply.must_register);
  }
  std::vector<protocol::DatanodeCommand> Heartbeat(const std::string& name) {
    return board
        ->OnHeartbeat({.datanode = DatanodeUuid(name), .session = sessions.at(name), .storages = {Disk(name)}}, now)
        .commands;
  }
  // A closed file of one block of 700 bytes with replicas on these datanodes.
  protocol::Block MustWrite(const std::string& path, const std::vector<std::string>& names) {
    const InodeId file = MustCreate(path, "writer", names.size());
    protocol::Block block = MustAddBlock(file).block;
    block.length = 700;
    for (const std::string& name : names) Report(name, block);
    const Answer closed =
        Run(protocol::CompleteRequest{.path = path, .inode = file, .holder = "writer", .last = block});
    EXPECT_TRUE(Get<protocol::CompleteReply>(closed).closed);
    return block;
  }

  CoreSettings settings;
  TokenKey key{1, std::string(32, 'k')};
  std::shared_ptr<MemoryMetaDisk> disk = std::make_shared<MemoryMetaDisk>();
  std::optional<MemoryReplicaStore> replicas{std::in_place};
  std::unique_ptr<MemoryMetaStore> store;
  std::unique_ptr<NamenodeCore> core;
  std::unique_ptr<HeartbeatBoard> board;
  MonotonicTime now{std::chrono::hours(5)};
  WallTime wall{1'700'000'000'000};
  int incarnations = 0;
  uint64_t rounds = 0;
  std::map<std::string, uint64_t> sessions;
  std::map<uint64_t, Answer> answers;
  uint64_t last_ticket = 0;
  uint64_t last_call = 0;
  Caller super{.user = "super", .groups = {"supergroup"}, .is_superuser = true, .host = "10.0.0.9"};
};

// ---- commits --------------------------------------------------------------------------------------------------------

TEST_F(NamenodeCoreTest, QueriesSeeABatchOnlyAfterItsCommit) {
  Settle();
  Submit(protocol::MkdirsRequest{.path = "/d"});
  std::optional<CommitBatch> batch = core->BeginBatch(now, wall);
  ASSERT_TRUE(batch.has_value());
  ASSERT_TRUE(store->Commit(*batch).ok());
  EXPECT_FALSE(Info("/d").has_value()) << "on disk, but not published";
  EXPECT_THAT(answers, IsEmpty());
  Collect(core->FinishBatch(absl::OkStatus(), store->View(), now));
  EXPECT_TRUE(Info("/d").has_value());
  EXPECT_EQ(core->published().meta->commit_number(), batch->number);
  EXPECT_EQ(answers.size(), 1u);
}

TEST_F(NamenodeCoreTest, AFailedCommitStopsMutationsAndQueriesGoOn) {
  Settle();
  MustRun(protocol::MkdirsRequest{.path = "/before"});
  const CommitNumber published = core->published().meta->commit_number();
  disk->FailNextCommit(/*applied=*/true);
  EXPECT_EQ(ReasonOf(Run(protocol::MkdirsRequest{.path = "/unknown"}).status()), ErrorReason::kStopped);
  EXPECT_TRUE(core->stopped());
  EXPECT_FALSE(core->fenced());
  EXPECT_EQ(core->published().meta->commit_number(), published);
  EXPECT_TRUE(Info("/before").has_value());
  EXPECT_FALSE(Info("/unknown").has_value());
  EXPECT_EQ(ReasonOf(Run(protocol::MkdirsRequest{.path = "/late"}).status()), ErrorReason::kStopped);
  Tick();
  EXPECT_FALSE(core->BeginBatch(now, wall).has_value());
}

TEST_F(NamenodeCoreTest, EachStartRaisesTheEpoch) {
  const Epoch before = core->identity().epoch;
  Restart();
  EXPECT_EQ(core->identity().epoch, before.Next());
  Restart();
  EXPECT_EQ(core->identity().epoch, before.Next().Next());
}

TEST_F(NamenodeCoreTest, StatsCountFilesDirectoriesAndBlocks) {
  Settle();
  Join("dn1");
  Tick();
  MustRun(protocol::MkdirsRequest{.path = "/a/b"});
  MustWrite("/a/f", {"dn1"});
  const protocol::GetFsStatsReply stats = Stats();
  EXPECT_EQ(stats.directories, 3u) << "the root too";
  EXPECT_EQ(stats.files, 1u);
  EXPECT_EQ(stats.blocks, 1u);
  EXPECT_FALSE(stats.safe_mode);
}

// ---- waiting for reports ------------------------------------------------------------------------------------------

TEST_F(NamenodeCoreTest, CompleteIsAnsweredWhenTheReportArrives) {
  Settle();
  Join("dn1");
  Tick();
  const InodeId file = MustCreate("/f");
  protocol::Block block = MustAddBlock(file).block;
  block.length = 700;
  const uint64_t ticket =
      Submit(protocol::CompleteRequest{.path = "/f", .inode = file, .holder = "writer", .last = block});
  RunBatches();
  EXPECT_FALSE(answers.contains(ticket));
  Report("dn1", block);
  RunBatches();
  ASSERT_TRUE(answers.contains(ticket));
  EXPECT_TRUE(Get<protocol::CompleteReply>(answers.at(ticket)).closed);
  EXPECT_EQ(Info("/f")->length, 700u);
}

TEST_F(NamenodeCoreTest, AReportThatCameFirstIsNotMissed) {
  Settle();
  Join("dn1");
  Tick();
  MustWrite("/f", {"dn1"});
  EXPECT_FALSE(Info("/f")->under_construction);
}

TEST_F(NamenodeCoreTest, AReportOfAnotherLengthClosesNothing) {
  Settle();
  Join("dn1");
  Tick();
  const InodeId file = MustCreate("/f");
  protocol::Block block = MustAddBlock(file).block;
  block.length = 699;
  Report("dn1", block);
  block.length = 700;
  const uint64_t ticket =
      Submit(protocol::CompleteRequest{.path = "/f", .inode = file, .holder = "writer", .last = block});
  Live(settings.replica_wait);
  ASSERT_TRUE(answers.contains(ticket));
  EXPECT_FALSE(Get<protocol::CompleteReply>(answers.at(ticket)).closed);
  EXPECT_TRUE(Info("/f")->under_construction);
}

// ---- leases ---------------------------------------------------------------------------------------------------------

TEST_F(NamenodeCoreTest, ASilentWritersFileIsClosedAfterTheHardLimit) {
  Settle();
  MustCreate("/silent", "silent");
  MustCreate("/busy", "busy");
  Live(settings.lease_hard_limit / 2);
  core->RenewLease({.holder = "busy"}, now);
  Live(settings.lease_hard_limit / 2 + std::chrono::seconds(1));
  EXPECT_FALSE(Info("/silent")->under_construction);
  EXPECT_TRUE(Info("/busy")->under_construction);
  EXPECT_EQ(core->leases().holder_count(), 1u);
}

TEST_F(NamenodeCoreTest, ARestartGivesEveryLeaseAFreshLimit) {
  Settle();
  MustCreate("/f");
  Live(settings.lease_hard_limit - std::chrono::seconds(1));
  Restart();
  EXPECT_EQ(core->leases().holder_count(), 1u);
  Settle();
  Live(settings.lease_hard_limit);
  EXPECT_TRUE(Info("/f")->under_construction);
  Live(std::chrono::seconds(1));
  EXPECT_FALSE(Info("/f")->under_construction);
}

TEST_F(NamenodeCoreTest, BeyondTheSoftLimitAnotherClientTakesTheFileOver) {
  Settle();
  MustCreate("/f", "first");
  protocol::CreateRequest create = Create("/f", "second");
  EXPECT_EQ(ReasonOf(Run(create).status()), ErrorReason::kAlreadyBeingCreated);
  Live(settings.lease_soft_limit + std::chrono::milliseconds(500));
  EXPECT_EQ(ReasonOf(Run(create).status()), ErrorReason::kRecoveryInProgress);
  EXPECT_FALSE(Info("/f")->under_construction);
  create.overwrite = true;
  EXPECT_TRUE(Run(create).ok());
}

TEST_F(NamenodeCoreTest, TheLeaseOfADeletedFileDoesNotExpireForEver) {
  Settle();
  settings.reap_entries_per_step = 1;
  MustCreate("/f");
  MustRun(protocol::DeleteRequest{.path = "/f"});
  Live(settings.lease_hard_limit + std::chrono::seconds(1));
  EXPECT_EQ(core->leases().holder_count(), 0u);
}

TEST_F(NamenodeCoreTest, AWallClockThatJumpsTouchesNoLeaseAndNoWait) {  // F-110
  Settle();
  Join("dn1");
  Tick();
  const InodeId file = MustCreate("/f");
  protocol::Block block = MustAddBlock(file).block;
  block.length = 700;
  const uint64_t ticket =
      Submit(protocol::CompleteRequest{.path = "/f", .inode = file, .holder = "writer", .last = block});
  for (int64_t jump : {int64_t{86'400'000}, int64_t{-2 * 86'400'000}, int64_t{-1'700'000'000'000}}) {
    wall.ms += jump;
    Live(std::chrono::milliseconds(1000));
    EXPECT_TRUE(Info("/f")->under_construction);
    EXPECT_FALSE(answers.contains(ticket));
    EXPECT_EQ(core->GetDatanodeReport(now).datanodes.at(0).liveness, protocol::DatanodeLiveness::kLive);
  }
  MustRun(protocol::MkdirsRequest{.path = "/d"});
  EXPECT_THAT(core->TakeNotices(), Contains(HasSubstr("wall clock went back")));
}

// F-054, F-112: the writer renewed all the time, but this process took no calls.
TEST_F(NamenodeCoreTest, APauseOfTheNamenodeTakesNoWritersFile) {
  Settle();
  MustCreate("/f", "first");
  Pass(settings.lease_hard_limit * 2);
  EXPECT_EQ(ReasonOf(Run(Create("/f", "second")).status()), ErrorReason::kAlreadyBeingCreated);
  Tick();
  EXPECT_TRUE(Info("/f")->under_construction);
  Live(settings.lease_soft_limit + std::chrono::milliseconds(500));
  EXPECT_EQ(ReasonOf(Run(Create("/f", "second")).status()), ErrorReason::kRecoveryInProgress);
}

// ---- retry records --------------------------------------------------------------------------------------------------

TEST_F(NamenodeCoreTest, ManyClientsAreForgottenAsFastAsTheyCame) {
  settings.retry_retention = std::chrono::seconds(10);
  settings.reap_entries_per_step = 10;
  Restart();
  Settle();
  const auto sessions_stored = [&] {
    size_t count = 0;
    EXPECT_TRUE(
        core->published()
            .meta->Scan(Family::kRetries, "", "", [&](std::string_view, std::string_view) { return ++count > 0; })
            .ok());
    return count;
  };
  Random random(7);
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(
        core->Submit(++last_ticket,
                     {super, {.client_id = random.Bytes(16), .call_id = 1}, protocol::MkdirsRequest{.path = "/d"}}, now)
            .ok());
  }
  RunBatches();
  ASSERT_EQ(sessions_stored(), 300u);
  for (int i = 0; i < 100 && sessions_stored() == 300; ++i) Live(std::chrono::milliseconds(500));
  EXPECT_EQ(sessions_stored(), 290u) << "a step at a time";
  for (int i = 0; i < 100; ++i) {
    Pass(std::chrono::milliseconds(20));
    Tick();
  }
  EXPECT_EQ(sessions_stored(), 0u) << "two seconds later";
}

// ---- safe mode ------------------------------------------------------------------------------------------------------

TEST_F(NamenodeCoreTest, AnEmptyNamespaceLeavesSafeModeAtTheFirstTick) {
  const Answer refused = Run(protocol::MkdirsRequest{.path = "/d"});
  EXPECT_EQ(ReasonOf(refused.status()), ErrorReason::kSafeMode);
  EXPECT_THAT(TextOf(refused.status()), HasSubstr("Cannot create directory /d. Name node is in safe mode.\n"));
  Tick();
  EXPECT_TRUE(Run(protocol::MkdirsRequest{.path = "/d"}).ok());
  EXPECT_THAT(core->TakeNotices(), Contains("safe mode is off"));
}

TEST_F(NamenodeCoreTest, AfterARestartSafeModeWaitsForTheBlocks) {
  Settle();
  Join("dn1");
  Tick();
  const protocol::Block block = MustWrite("/f", {"dn1"});
  Restart();
  Live(std::chrono::seconds(2));
  EXPECT_TRUE(Stats().safe_mode);
  EXPECT_EQ(ReasonOf(Run(protocol::DeleteRequest{.path = "/f"}).status()), ErrorReason::kSafeMode);
  EXPECT_TRUE(Info("/f").has_value()) << "reads are served";
  Join("dn1", {block});
  Live(settings.safe_mode_extension + std::chrono::seconds(1));
  EXPECT_FALSE(Stats().safe_mode) << Stats().safe_mode_tip;
  EXPECT_TRUE(Get<protocol::DeleteReply>(Run(protocol::DeleteRequest{.path = "/f"})).deleted);
}

TEST_F(NamenodeCoreTest, OnlyASuperuserSwitchesSafeModeAndItIsNoted) {
  Settle();
  core->TakeNotices();
  const Caller alice{.user = "alice", .host = "10.0.0.7"};
  for (const auto action : {protocol::SafeModeAction::kEnter, protocol::SafeModeAction::kLeave}) {
    EXPECT_EQ(ReasonOf(core->SetSafeMode(alice, {action}, now).status()), ErrorReason::kAccessControl);
  }
  EXPECT_FALSE(core->SetSafeMode(alice, {protocol::SafeModeAction::kGet}, now)->on);
  EXPECT_TRUE(core->SetSafeMode(super, {protocol::SafeModeAction::kEnter}, now)->on);
  EXPECT_EQ(ReasonOf(Run(protocol::MkdirsRequest{.path = "/d"}).status()), ErrorReason::kSafeMode);
  Tick();
  EXPECT_TRUE(Stats().safe_mode) << "it stays until somebody ends it";
  EXPECT_FALSE(core->SetSafeMode(super, {protocol::SafeModeAction::kLeave}, now)->on);
  EXPECT_TRUE(Run(protocol::MkdirsRequest{.path = "/d"}).ok());
  const std::vector<std::string> notices = core->TakeNotices();
  EXPECT_THAT(notices, Contains("user super (10.0.0.9) turned safe mode on"));
  EXPECT_THAT(notices, Contains("user super (10.0.0.9) ended safe mode"));
}

TEST_F(NamenodeCoreTest, LowSpaceRefusesWorkAndHealsByItself) {
  Settle();
  core->SetLowSpace(true, now);
  const Answer refused = Run(protocol::MkdirsRequest{.path = "/d"});
  EXPECT_EQ(ReasonOf(refused.status()), ErrorReason::kSafeMode);
  EXPECT_THAT(TextOf(refused.status()), HasSubstr("Resources are low on NN."));
  EXPECT_TRUE(core->SetSafeMode(super, {protocol::SafeModeAction::kLeave}, now)->on) << "the command does not end it";
  core->SetLowSpace(false, now);
  EXPECT_TRUE(Run(protocol::MkdirsRequest{.path = "/d"}).ok());
}

TEST_F(NamenodeCoreTest, InSafeModeLeasesStayAndNothingIsReaped) {
  Settle();
  MustCreate("/f");
  ASSERT_TRUE(core->SetSafeMode(super, {protocol::SafeModeAction::kEnter}, now).ok());
  const CommitNumber before = core->queue().last_commit();
  Live(settings.lease_hard_limit + std::chrono::seconds(5));
  EXPECT_EQ(core->queue().last_commit(), before);
  EXPECT_TRUE(Info("/f")->under_construction);
  EXPECT_EQ(core->queue().own_work_queued(), 0u) << "nothing piles up";
}

// ---- datanodes ------------------------------------------------------------------------------------------------------

TEST_F(NamenodeCoreTest, ARegistrationCarriesIdentityKeyAndIntervals) {
  const auto reply = Register(Registering("dn1"));
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->namenode, core->identity());
  EXPECT_EQ(reply->token_key_secret, key.secret);
  EXPECT_EQ(reply->heartbeat_interval_ms, settings.heartbeat_interval.count());
  EXPECT_THAT(Heartbeat("dn1"), IsEmpty());
}

TEST_F(NamenodeCoreTest, IdsSeenOnADatanodeAreNeverHandedOutAgain) {
  Settle();
  protocol::RegisterRequest request = Registering("dn1");
  request.seen = {BlockId(kFirstBlockId.value() + 100 * kBlockIdStep),
                  GenerationStamp(core->queue().counters().next_stamp.value() + 5000)};
  ASSERT_TRUE(Register(request).ok());
  Tick();
  const protocol::Block block = MustAddBlock(MustCreate("/f")).block;
  EXPECT_GT(block.id, request.seen.block);
  EXPECT_GT(block.stamp, request.seen.stamp);
  Restart();
  EXPECT_GT(core->queue().counters().next_block, block.id);
}

TEST_F(NamenodeCoreTest, TheCommitThatRaisesTheCountersQuarantinesWhatItJumpsOver) {
  Settle();
  protocol::RegisterRequest request = Registering("dn1");
  request.seen = {BlockId(kFirstBlockId.value() + 100 * kBlockIdStep), GenerationStamp(5000)};
  ASSERT_TRUE(Register(request).ok());
  const std::optional<CommitBatch> batch = core->BeginBatch(now, wall);
  ASSERT_TRUE(batch.has_value());
  std::map<std::string, std::string> written;
  for (const MetaWrite& write : batch->writes) {
    if (write.family == Family::kMeta) written[write.key] = write.value.value_or("deleted");
  }
  const BlockId next(kFirstBlockId.value() + 101 * kBlockIdStep);
  EXPECT_EQ(written[keys::Quarantined(kFirstBlockId)], keys::QuarantinedValue(next));
  EXPECT_EQ(DecodeCounters(written[std::string(keys::kCounters)])->next_block, next);
  const absl::Status committed = store->Commit(*batch);
  Collect(core->FinishBatch(committed, store->View(), now));
  EXPECT_TRUE(CheckConsistency(*core->published().meta).ok()) << CheckConsistency(*core->published().meta);
  core.reset();
  replicas.emplace();  // it was lost
  Restart();
  Settle();
  Join("dn1", {{BlockId(kFirstBlockId.value() + 50 * kBlockIdStep), GenerationStamp(1001), 7}});
  EXPECT_EQ(core->blocks().quarantine_sightings(), 1u);
}

TEST_F(NamenodeCoreTest, ACopyIsOrderedWithATokenThatTheDatanodesAccept) {
  Settle();
  for (const char* name : {"dn1", "dn2", "dn3"}) Join(name);
  Tick();
  const protocol::Block block = MustWrite("/f", {"dn1", "dn2"});
  sessions.erase("dn1");  // falls silent
  std::vector<protocol::CopyReplicaCommand> copies;
  for (std::chrono::milliseconds passed{0}; passed < settings.dead_after * 2;
       passed += std::chrono::milliseconds(500)) {
    Pass(std::chrono::milliseconds(500));
    for (const auto& [name, session] : sessions) {
      for (const protocol::DatanodeCommand& command : Heartbeat(name))
        if (const auto* copy = std::get_if<protocol::CopyReplicaCommand>(&command)) copies.push_back(*copy);
    }
    Tick();
  }
  ASSERT_FALSE(copies.empty());
  EXPECT_EQ(copies.front().block, block);
  EXPECT_TRUE(VerifyToken(key, copies.front().token, block.id, BlockAccess::kCopy, wall).ok());
  EXPECT_TRUE(VerifyToken(key, copies.front().token, block.id, BlockAccess::kWrite, wall).ok());
}

// ---- fencing (contract C-12)
// ------------------------------------------------------------------------------------------

class FencingTest : public NamenodeCoreTest {
 protected:
  // It has followed a later namenode of the same cluster.
  absl::Status RegisterFollowerOfAnother(const std::string& name) {
    protocol::RegisterRequest request = Registering(name);
    request.cluster = core->info().cluster;
    request.highest_epoch = core->identity().epoch.Next();
    request.highest_incarnation = "other";
    return Register(request).status();
  }
};

TEST_F(FencingTest, OneOfSeveralDatanodesIsRefusedButStopsNothing) {
  Settle();
  for (const char* name : {"dn1", "dn2", "dn3"}) Join(name);
  EXPECT_EQ(ReasonOf(RegisterFollowerOfAnother("dn1")), ErrorReason::kStaleEpoch);
  EXPECT_EQ(ReasonOf(RegisterFollowerOfAnother("dn1")), ErrorReason::kStaleEpoch) << "saying it twice is one word";
  EXPECT_FALSE(core->fenced());
  EXPECT_TRUE(Run(protocol::MkdirsRequest{.path = "/d"}).ok());
}

TEST_F(FencingTest, TwoStopTheNamenodeAndEverybodyWhoWaitsIsAnswered) {
  Settle();
  for (const char* name : {"dn1", "dn2", "dn3"}) Join(name);
  Tick();
  const InodeId file = MustCreate("/f");
  protocol::Block block = MustAddBlock(file).block;
  block.length = 700;
  const uint64_t parked =
      Submit(protocol::CompleteRequest{.path = "/f", .inode = file, .holder = "writer", .last = block});
  RunBatches();
  const uint64_t queued = Submit(protocol::MkdirsRequest{.path = "/d"});
  (void)RegisterFollowerOfAnother("dn1");
  EXPECT_EQ(ReasonOf(RegisterFollowerOfAnother("dn2")), ErrorReason::kStaleEpoch);
  EXPECT_TRUE(core->fenced());
  EXPECT_TRUE(core->stopped());
  EXPECT_FALSE(core->BeginBatch(now, wall).has_value()) << "nothing is committed any more";
  Tick();
  ASSERT_TRUE(answers.contains(parked));
  ASSERT_TRUE(answers.contains(queued));
  EXPECT_EQ(ReasonOf(answers.at(parked).status()), ErrorReason::kStopped);
  EXPECT_EQ(ReasonOf(answers.at(queued).status()), ErrorReason::kStopped);
  EXPECT_EQ(ReasonOf(Run(protocol::MkdirsRequest{.path = "/late"}).status()), ErrorReason::kStopped);
  EXPECT_FALSE(Info("/d").has_value());
}

TEST_F(FencingTest, TheOnlyDatanodeIsEnough) {
  Settle();
  EXPECT_EQ(ReasonOf(RegisterFollowerOfAnother("dn1")), ErrorReason::kStaleEpoch);
  EXPECT_TRUE(core->fenced());
}

TEST_F(FencingTest, TheSameEpochOfAnotherIncarnationCountsToo) {
  Settle();
  protocol::RegisterRequest request = Registering("dn1");
  request.highest_epoch = core->identity().epoch;
  request.highest_incarnation = "a copy of this directory";
  EXPECT_EQ(ReasonOf(Register(request).status()), ErrorReason::kStaleEpoch);
  EXPECT_TRUE(core->fenced());
}

TEST_F(FencingTest, ADatanodeOfAnotherClusterIsRefusedAndItsEpochMeansNothing) {
  Settle();
  protocol::RegisterRequest request = Registering("dn1");
  request.cluster = ClusterId("CID-other");
  request.highest_epoch = Epoch(1'000'000);
  EXPECT_EQ(ReasonOf(Register(request).status()), ErrorReason::kWrongCluster);
  EXPECT_FALSE(core->fenced());
}

TEST_F(FencingTest, ADatanodeThatComesBackTakesItsWordBack) {
  Settle();
  for (const char* name : {"dn1", "dn2", "dn3"}) Join(name);
  (void)RegisterFollowerOfAnother("dn1");
  Join("dn1");
  (void)RegisterFollowerOfAnother("dn2");
  EXPECT_FALSE(core->fenced());
}

}  // namespace
}  // namespace dolmen::namenode
