#include "namenode/core/datanode_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blocks_fixture.h"

namespace dolmen::namenode {
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DatanodeRegistryTest : public ::testing::Test {
 protected:
  void SetUp() override { Restart(1); }
  void Restart(uint64_t epoch) {
    registry_ = std::make_unique<DatanodeRegistry>(&settings_, ClusterId("CID-test"), Epoch(epoch), &store_);
    ASSERT_TRUE(registry_->Recover(now_).ok());
  }
  DatanodeRegistry::Registered Register(const protocol::RegisterRequest& request) {
    absl::StatusOr<DatanodeRegistry::Registered> registered = registry_->Register(request, now_);
    EXPECT_TRUE(registered.ok()) << registered.status();
    return registered.ok() ? *registered : DatanodeRegistry::Registered();
  }
  void ExpectRefused(const protocol::RegisterRequest& request, ErrorReason reason, const std::string& text) {
    const auto refused = registry_->Register(request, now_);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(ReasonOf(refused.status()), reason);
    EXPECT_THAT(std::string(MessageOf(refused.status())), HasSubstr(text));
  }
  void Beat(const std::string& name, uint64_t session, std::vector<protocol::StorageReport> storages = {}) {
    last_ = registry_->OnHeartbeat(
        {.datanode = DatanodeUuid("uuid-" + name), .session = session, .at = now_, .storages = std::move(storages)});
  }
  DatanodeLiveness Liveness(const std::string& name) const {
    return registry_->Find(DatanodeUuid("uuid-" + name))->liveness;
  }
  // Time passes in steps that are no pause of the namenode.
  StorageChanges Pass(seconds time) {
    StorageChanges changes;
    for (seconds passed{0}; passed < time; passed += seconds(1)) {
      now_ += seconds(1);
      changes.Append(registry_->Tick(now_));
    }
    return changes;
  }

  CoreSettings settings_;
  FakeReplicaStore store_;
  MonotonicTime now_{seconds(1000)};
  std::unique_ptr<DatanodeRegistry> registry_;
  StorageChanges last_;
};

TEST_F(DatanodeRegistryTest, SessionsRiseAndBelongToTheEpoch) {
  const uint64_t first = Register(Registering("1")).session;
  const uint64_t second = Register(Registering("2")).session;
  const uint64_t again = Register(Registering("1")).session;
  EXPECT_EQ(first >> 24, 1u);
  EXPECT_LT(first, second);
  EXPECT_LT(second, again);
  Restart(2);
  EXPECT_EQ(Register(Registering("1")).session >> 24, 2u);
}

TEST_F(DatanodeRegistryTest, SessionsStayAboveAnEarlierProcessOfTheSameEpoch) {
  const uint64_t before = Register(Registering("1")).session;
  Restart(1);  // the metadata came from a backup, the replica store did not
  EXPECT_GT(Register(Registering("1")).session, before);
}

TEST_F(DatanodeRegistryTest, StorageNumbersOutliveTheProcess) {
  Register(Registering("1"));
  Register(Registering("2"));
  const uint32_t number = registry_->FindStorage(DatanodeUuid("uuid-2"), StorageId("disk-2"))->number;
  Restart(2);
  const DatanodeStorage* const known = registry_->FindStorage(DatanodeUuid("uuid-2"), StorageId("disk-2"));
  ASSERT_NE(known, nullptr);
  EXPECT_EQ(known->number, number);
  EXPECT_EQ(known->session, 0u);
  EXPECT_EQ(Liveness("2"), DatanodeLiveness::kDead);
  EXPECT_EQ(known->datanode->info, Info("2")) << "hints are of use only with an address";
  Register(Registering("3"));
  EXPECT_GT(registry_->FindStorage(DatanodeUuid("uuid-3"), StorageId("disk-3"))->number, number);
}

TEST_F(DatanodeRegistryTest, RefusesAnotherClusterAndProtocol) {
  protocol::RegisterRequest foreign = Registering("1");
  foreign.cluster = ClusterId("CID-other");
  ExpectRefused(foreign, ErrorReason::kWrongCluster, "CID-other");
  protocol::RegisterRequest old = Registering("1");
  old.protocol_version = 99;
  ExpectRefused(old, ErrorReason::kIllegalArgument, "protocol 99");
  EXPECT_THAT(registry_->datanodes(), IsEmpty());
}

TEST_F(DatanodeRegistryTest, RefusesBadShapesAndTooMany) {
  protocol::RegisterRequest nowhere = Registering("1");
  nowhere.info.addresses.clear();
  ExpectRefused(nowhere, ErrorReason::kIllegalArgument, "address");
  protocol::RegisterRequest twice = Registering("1");
  twice.storages.push_back(twice.storages[0]);
  ExpectRefused(twice, ErrorReason::kIllegalArgument, "disk-1");
  settings_.max_datanodes = 1;
  Register(Registering("1"));
  ExpectRefused(Registering("2"), ErrorReason::kBusy, "max_datanodes is 1");
  Register(Registering("1"));
}

TEST_F(DatanodeRegistryTest, SilenceMakesStaleThenDead) {
  const uint64_t session = Register(Registering("1")).session;
  Pass(seconds(4));
  EXPECT_EQ(Liveness("1"), DatanodeLiveness::kLive);
  Pass(seconds(2));
  EXPECT_EQ(Liveness("1"), DatanodeLiveness::kStale);
  Beat("1", session);
  EXPECT_EQ(Liveness("1"), DatanodeLiveness::kLive);
  const StorageChanges changes = Pass(seconds(31));
  EXPECT_EQ(Liveness("1"), DatanodeLiveness::kDead);
  EXPECT_THAT(changes.lost, SizeIs(1));
  EXPECT_THAT(registry_->Sessions(), IsEmpty()) << "it must register again";
  Beat("1", session);
  EXPECT_EQ(Liveness("1"), DatanodeLiveness::kDead);
  EXPECT_THAT(registry_->TakeNotices(),
              ElementsAre(AllOf(Field(&Notice::text, HasSubstr("is dead")), Field(&Notice::trouble, true))));
}

// F-054, F-112.
TEST_F(DatanodeRegistryTest, PauseOfTheNamenodeIsNotHeldAgainstDatanodes) {
  const uint64_t session = Register(Registering("1")).session;
  Pass(seconds(2));
  now_ += seconds(600);
  EXPECT_THAT(registry_->Tick(now_).lost, IsEmpty());
  EXPECT_EQ(Liveness("1"), DatanodeLiveness::kLive);
  Beat("1", session);
  EXPECT_THAT(Pass(seconds(29)).lost, IsEmpty());
  EXPECT_THAT(Pass(seconds(2)).lost, SizeIs(1)) << "after the grace the usual rule holds";
}

// F-144.
TEST_F(DatanodeRegistryTest, SecondDatanodeWithTheSameUuidFencesTheFirst) {
  const uint64_t first = Register(Registering("1")).session;
  protocol::RegisterRequest clone = Registering("1");
  clone.info.addresses[0].host = "10.0.0.99";
  const uint64_t second = Register(clone).session;
  now_ += seconds(3);
  Beat("1", first);
  EXPECT_LT(registry_->Find(DatanodeUuid("uuid-1"))->last_contact, now_);
  Beat("1", second);
  EXPECT_EQ(registry_->Find(DatanodeUuid("uuid-1"))->last_contact, now_);
  EXPECT_THAT(registry_->storages(), SizeIs(1)) << "its disk counts once";
}

// F-145.
TEST_F(DatanodeRegistryTest, NewAddressIsPublished) {
  Register(Registering("1"));
  const std::shared_ptr<const ClusterView> before = registry_->View();
  EXPECT_EQ(registry_->View(), before) << "the same view while nothing changes";
  protocol::RegisterRequest moved = Registering("1");
  moved.info.addresses[0].host = "10.0.0.99";
  Register(moved);
  const std::shared_ptr<const ClusterView> after = registry_->View();
  ASSERT_THAT(after->storages, SizeIs(1));
  EXPECT_EQ(after->storages.begin()->second.location.datanode.addresses[0].host, "10.0.0.99");
  EXPECT_EQ(before->storages.begin()->second.location.datanode.addresses[0].host, "10.0.0.1");
}

// F-146.
TEST_F(DatanodeRegistryTest, NewUuidAtTheSameAddressDropsTheOldIdentity) {
  Register(Registering("1"));
  const uint32_t number = registry_->FindStorage(DatanodeUuid("uuid-1"), StorageId("disk-1"))->number;
  protocol::RegisterRequest wiped = Registering("1");
  wiped.info.uuid = DatanodeUuid("uuid-new");
  wiped.storages[0].id = StorageId("disk-new");
  // One that is alive loses nothing to another that was given its address by mistake.
  Pass(seconds(4));
  ExpectRefused(wiped, ErrorReason::kIllegalArgument, "the address of live datanode uuid-1");
  EXPECT_NE(registry_->Find(DatanodeUuid("uuid-1")), nullptr);
  Pass(seconds(1));
  const DatanodeRegistry::Registered registered = Register(wiped);
  EXPECT_THAT(registered.changes.dropped, ElementsAre(number));
  EXPECT_EQ(registry_->Find(DatanodeUuid("uuid-1")), nullptr);
  EXPECT_THAT(registry_->View()->storages, SizeIs(1));
  // If both are running they don't drop each other for ever.
  ExpectRefused(Registering("1"), ErrorReason::kIllegalArgument, "uuid-new");
  ASSERT_TRUE(registry_->Forget(number).ok());
  Restart(2);
  EXPECT_EQ(registry_->FindStorage(number), nullptr);
}

TEST_F(DatanodeRegistryTest, StorageThatIsNoLongerRegisteredIsDropped) {
  protocol::RegisterRequest two = Registering("1");
  two.storages.push_back(Disk("disk-extra"));
  Register(two);
  const uint32_t extra = registry_->FindStorage(DatanodeUuid("uuid-1"), StorageId("disk-extra"))->number;
  EXPECT_THAT(Register(Registering("1")).changes.dropped, ElementsAre(extra));
  EXPECT_EQ(registry_->FindStorage(DatanodeUuid("uuid-1"), StorageId("disk-extra")), nullptr);
}

// The namenode restarts before the records of the storage that went are erased.
TEST_F(DatanodeRegistryTest, StorageThatWentAndCameBackIsDroppedUnderItsOldNumber) {
  const DatanodeUuid uuid("uuid-1");
  const StorageId extra("disk-extra");
  protocol::RegisterRequest two = Registering("1");
  two.storages.push_back(Disk("disk-extra"));
  Register(two);
  const uint32_t old_number = registry_->FindStorage(uuid, extra)->number;
  Register(Registering("1"));
  Register(two);
  const uint32_t number = registry_->FindStorage(uuid, extra)->number;
  ASSERT_NE(number, old_number);
  Restart(2);
  EXPECT_THAT(Register(two).changes.dropped, ElementsAre(old_number));
  ASSERT_NE(registry_->FindStorage(uuid, extra), nullptr);
  EXPECT_EQ(registry_->FindStorage(uuid, extra)->number, number);
  EXPECT_THAT(registry_->Find(uuid)->storages, SizeIs(2));
  EXPECT_THAT(registry_->View()->storages, SizeIs(2));

  protocol::RegisterRequest wiped = Registering("1");
  wiped.info.uuid = DatanodeUuid("uuid-new");
  Pass(seconds(5));
  Register(wiped);
  EXPECT_THAT(registry_->View()->storages, SizeIs(1)) << "nothing points at the datanode that is gone";
  ASSERT_TRUE(registry_->Forget(old_number).ok());
  EXPECT_EQ(registry_->FindStorage(old_number), nullptr);
}

TEST_F(DatanodeRegistryTest, FailedStorageLosesItsSessionAndMayReturn) {
  const uint64_t session = Register(Registering("1")).session;
  const uint32_t number = registry_->FindStorage(DatanodeUuid("uuid-1"), StorageId("disk-1"))->number;
  protocol::StorageReport failed = Disk("disk-1");
  failed.failed = true;
  Beat("1", session, {failed});
  EXPECT_THAT(last_.lost, ElementsAre(number));
  EXPECT_EQ(registry_->View()->storages.at(number).liveness, DatanodeLiveness::kDead);
  Beat("1", session, {Disk("disk-1")});
  EXPECT_THAT(last_.reports_wanted, ElementsAre(DatanodeUuid("uuid-1")));
  EXPECT_EQ(registry_->FindStorage(number)->session, session);
  EXPECT_FALSE(registry_->FindStorage(number)->IsFresh());
}

TEST_F(DatanodeRegistryTest, RegistrationFailsWhenItCannotBeRemembered) {
  store_.broken = true;
  EXPECT_FALSE(registry_->Register(Registering("1"), now_).ok());
  EXPECT_THAT(registry_->datanodes(), IsEmpty());
}

TEST(FullReportProgressTest, RoundIsCompleteWhenAllIdsWereCovered) {
  FullReportProgress progress;
  ASSERT_TRUE(progress.Begin(7));
  EXPECT_FALSE(progress.Cover(0, 99));
  EXPECT_FALSE(progress.Cover(200, FullReportProgress::kLastId));
  EXPECT_FALSE(progress.complete()) << "F-148: a part is missing";
  EXPECT_FALSE(progress.Cover(0, 99)) << "a repeated part changes nothing";
  EXPECT_TRUE(progress.Cover(100, 199));
  EXPECT_TRUE(progress.complete());
  EXPECT_FALSE(progress.Cover(100, 199)) << "told once";
}

TEST(FullReportProgressTest, LaterRoundOvertakesAnEarlierOne) {
  FullReportProgress progress;
  ASSERT_TRUE(progress.Begin(1));
  progress.Cover(0, 99);
  ASSERT_TRUE(progress.Begin(2));
  EXPECT_FALSE(progress.Cover(100, FullReportProgress::kLastId)) << "parts of two rounds make no whole";
  EXPECT_FALSE(progress.Begin(1));
}

TEST(FullReportProgressTest, EvidenceIsContradictedOnlyByRoundsThatCannotBeOlder) {
  FullReportProgress progress;
  const uint64_t before_any = progress.IncrementalEvidence();
  ASSERT_TRUE(progress.Begin(5));
  EXPECT_FALSE(progress.Contradicts(before_any));
  const uint64_t incremental = progress.IncrementalEvidence();
  const uint64_t slice = progress.SliceEvidence();
  ASSERT_TRUE(progress.Begin(5));
  EXPECT_FALSE(progress.Contradicts(slice)) << "the same round again";
  ASSERT_TRUE(progress.Begin(7)) << "round 6 was lost";
  EXPECT_TRUE(progress.Contradicts(before_any));
  EXPECT_TRUE(progress.Contradicts(slice));
  EXPECT_FALSE(progress.Contradicts(incremental)) << "the first round seen after it may have been built before it";
  ASSERT_TRUE(progress.Begin(8));
  EXPECT_TRUE(progress.Contradicts(incremental));
}

}  // namespace
}  // namespace dolmen::namenode
