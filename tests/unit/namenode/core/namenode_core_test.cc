// The namenode's core as its driver uses it, for clients: commits, leases, retry records and safe mode.
#include "namenode/core/namenode_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/namenode/core/namenode_core_fixture.h"

namespace dolmen::namenode {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string TextOf(const absl::Status& status) { return std::string(MessageOf(status)); }

using NamenodeCoreTest = NamenodeCoreFixture;

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
  EXPECT_EQ(ReasonOf(Run(create).status()), ErrorReason::kFileAlreadyExists) << "nothing of it was left to be done";
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
  EXPECT_THAT(core->TakeNotices(), Contains(Field(&Notice::text, HasSubstr("wall clock went back"))));
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
  EXPECT_EQ(ReasonOf(Run(Create("/f", "second")).status()), ErrorReason::kFileAlreadyExists) << "it was closed";
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
  EXPECT_THAT(core->TakeNotices(),
              Contains(AllOf(Field(&Notice::text, "safe mode is off"), Field(&Notice::trouble, false))));
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
  const std::vector<Notice> notices = core->TakeNotices();
  EXPECT_THAT(notices, Contains(Field(&Notice::text, "user super (10.0.0.9) turned safe mode on")));
  EXPECT_THAT(notices, Contains(Field(&Notice::text, "user super (10.0.0.9) ended safe mode")));
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

}  // namespace
}  // namespace dolmen::namenode
