// The namenode's core as its driver uses it, for datanodes: registrations, reports and fencing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "namenode/core/consistency.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/namenode_core.h"
#include "tests/unit/namenode/core/namenode_core_fixture.h"

namespace dolmen::namenode {
namespace {

using ::testing::IsEmpty;

using NamenodeCoreDatanodesTest = NamenodeCoreFixture;

// ---- datanodes ------------------------------------------------------------------------------------------------------

TEST_F(NamenodeCoreDatanodesTest, ARegistrationCarriesIdentityKeyAndIntervals) {
  const auto reply = Register(Registering("dn1"));
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->namenode, core->identity());
  EXPECT_EQ(reply->token_key_secret, key.secret);
  EXPECT_EQ(reply->heartbeat_interval_ms, settings.heartbeat_interval.count());
  EXPECT_THAT(Heartbeat("dn1"), IsEmpty());
}

TEST_F(NamenodeCoreDatanodesTest, IdsSeenOnADatanodeAreNeverHandedOutAgain) {
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

TEST_F(NamenodeCoreDatanodesTest, TheCommitThatRaisesTheCountersQuarantinesWhatItJumpsOver) {
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

TEST_F(NamenodeCoreDatanodesTest, ACopyIsOrderedWithATokenThatTheDatanodesAccept) {
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

// ---- waiting for reports --------------------------------------------------------------------------------------------

TEST_F(NamenodeCoreDatanodesTest, CompleteIsAnsweredWhenTheReportArrives) {
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

TEST_F(NamenodeCoreDatanodesTest, AReportThatCameFirstIsNotMissed) {
  Settle();
  Join("dn1");
  Tick();
  MustWrite("/f", {"dn1"});
  EXPECT_FALSE(Info("/f")->under_construction);
}

TEST_F(NamenodeCoreDatanodesTest, AReportOfAnotherLengthClosesNothing) {
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

// ---- fencing (contract C-12) ----------------------------------------------------------------------------------------

class FencingTest : public NamenodeCoreFixture {
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
