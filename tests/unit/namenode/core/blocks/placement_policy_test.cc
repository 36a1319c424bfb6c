#include "namenode/core/placement_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "blocks_fixture.h"

namespace dolmen::namenode {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class PlacementPolicyTest : public ::testing::Test {
 protected:
  void Add(const std::string& name, const std::string& rack = "/a", uint64_t remaining = 100 * kGiB) {
    const auto registered = registry_.Register(Registering(name, rack, remaining), now_);
    ASSERT_TRUE(registered.ok()) << registered.status();
    sessions_[name] = registered->session;
  }
  void Streams(const std::string& name, uint32_t streams) {
    registry_.OnHeartbeat(
        {.datanode = DatanodeUuid("uuid-" + name), .session = sessions_[name], .at = now_, .active_streams = streams});
  }
  // Only the named datanodes go on beating.
  void Silence(seconds time, const std::vector<std::string>& alive) {
    for (seconds passed{0}; passed < time; passed += seconds(1)) {
      now_ += seconds(1);
      for (const std::string& name : alive) Streams(name, 0);
      registry_.Tick(now_);
    }
  }
  // Names in pipeline order.
  std::vector<std::string> Choose(const TargetRequest& request) {
    const auto targets = policy_.Choose(request, random_);
    EXPECT_TRUE(targets.ok()) << targets.status();
    std::vector<std::string> names;
    if (!targets.ok()) return names;
    for (const PlacementTarget& target : *targets) names.push_back(target.location.datanode.host_name);
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size()) << "one replica per datanode";
    return names;
  }
  std::string Refusal(const TargetRequest& request) {
    const auto targets = policy_.Choose(request, random_);
    EXPECT_FALSE(targets.ok());
    EXPECT_EQ(ReasonOf(targets.status()), ErrorReason::kNoDatanodes);
    return std::string(MessageOf(targets.status()));
  }
  std::string RackOf(const std::string& name) const { return registry_.Find(DatanodeUuid("uuid-" + name))->info.rack; }
  static std::vector<DatanodeUuid> Uuids(const std::vector<std::string>& names) {
    std::vector<DatanodeUuid> uuids;
    for (const std::string& name : names) uuids.emplace_back("uuid-" + name);
    return uuids;
  }

  CoreSettings settings_;
  FakeReplicaStore store_;
  MonotonicTime now_{seconds(1000)};
  DatanodeRegistry registry_{&settings_, ClusterId("CID-test"), Epoch(1), &store_};
  ScheduledSpace scheduled_;
  PlacementPolicy policy_{&settings_, &registry_, &scheduled_};
  Random random_{42};
  std::map<std::string, uint64_t> sessions_;
};

TEST_F(PlacementPolicyTest, WritersHostFirstThenTwoOnAnotherRack) {
  for (const char* name : {"1", "2", "3"}) Add(name, "/a");
  for (const char* name : {"4", "5", "6"}) Add(name, "/b");
  for (int i = 0; i < 50; ++i) {
    const std::vector<std::string> names = Choose({.wanted = 3, .block_bytes = 1, .writer_host = "2"});
    ASSERT_THAT(names, SizeIs(3));
    EXPECT_EQ(names[0], "2");
    EXPECT_EQ(RackOf(names[1]), "/b");
    EXPECT_EQ(RackOf(names[2]), "/b");
  }
}

TEST_F(PlacementPolicyTest, WriterIsKnownByAddressToo) {
  for (const char* name : {"1", "2", "3"}) Add(name);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Choose({.wanted = 2, .writer_host = "10.0.0.3"})[0], "3");
}

TEST_F(PlacementPolicyTest, UnknownWriterGetsRandomNodesOnTwoRacks) {
  for (const char* name : {"1", "2", "3"}) Add(name, "/a");
  for (const char* name : {"4", "5", "6"}) Add(name, "/b");
  std::set<std::string> firsts;
  for (int i = 0; i < 200; ++i) {
    const std::vector<std::string> names = Choose({.wanted = 3, .writer_host = "laptop"});
    ASSERT_THAT(names, SizeIs(3));
    firsts.insert(names[0]);
    std::set<std::string> racks;
    for (const std::string& name : names) racks.insert(RackOf(name));
    EXPECT_EQ(racks.size(), 2u);
    EXPECT_EQ(RackOf(names[0]) == RackOf(names[1]) || RackOf(names[1]) == RackOf(names[2]), true)
        << "the pipeline crosses racks once";
  }
  EXPECT_EQ(firsts.size(), 6u);
}

TEST_F(PlacementPolicyTest, RackHoldsAtMostItsShare) {
  for (int i = 1; i <= 8; ++i) Add(absl::StrCat(i), i <= 6 ? "/a" : "/b");
  // (5 - 1) / 2 + 2 = 4 per rack.
  for (int i = 0; i < 50; ++i) {
    int on_a = 0;
    for (const std::string& name : Choose({.wanted = 5})) on_a += RackOf(name) == "/a" ? 1 : 0;
    EXPECT_LE(on_a, 4);
  }
}

TEST_F(PlacementPolicyTest, SmallClusterGivesFewer) {
  Add("1");
  Add("2");
  EXPECT_THAT(Choose({.wanted = 3}), SizeIs(2));
}

TEST_F(PlacementPolicyTest, TwoNodesOnTwoRacksAreBothUsed) {
  Add("1", "/a");
  Add("2", "/b");
  EXPECT_THAT(Choose({.wanted = 3}), SizeIs(2));
}

TEST_F(PlacementPolicyTest, ExistingAndExcludedAreNotChosen) {
  for (const char* name : {"1", "2", "3", "4"}) Add(name);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Choose({.wanted = 3, .existing = Uuids({"1"}), .excluded = Uuids({"2", "3"})}),
              std::vector<std::string>{"4"});
  }
}

TEST_F(PlacementPolicyTest, CopyOfABlockOnOneRackGoesToAnother) {
  for (const char* name : {"1", "2", "3", "4"}) Add(name, "/a");
  Add("5", "/b");
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Choose({.wanted = 1, .writer_host = "1", .existing = Uuids({"1", "2"})}), std::vector<std::string>{"5"});
  }
}

TEST_F(PlacementPolicyTest, LoadedNodesAreAvoidedButUsedIfNeedBe) {
  for (const char* name : {"1", "2", "3"}) Add(name);
  Streams("1", 400);
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(Choose({.wanted = 2}), ::testing::UnorderedElementsAre("2", "3"));
    EXPECT_THAT(Choose({.wanted = 3}), SizeIs(3));
  }
}

TEST_F(PlacementPolicyTest, WriteDoesNotWaitForASilentNodeWhileTwoOthersAnswer) {
  using ::testing::UnorderedElementsAre;
  for (const char* name : {"1", "2", "3", "4"}) Add(name);
  Silence(seconds(6), {"2", "3"});
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(Choose({.wanted = 3}), UnorderedElementsAre("2", "3"));
    EXPECT_THAT(Choose({.wanted = 2, .existing = Uuids({"2"})}), UnorderedElementsAre("3"));
    // One answers: one of the silent ones is the second.
    EXPECT_THAT(Choose({.wanted = 3, .excluded = Uuids({"2"})}), SizeIs(2));
    EXPECT_THAT(Choose({.wanted = 1, .existing = Uuids({"2"}), .excluded = Uuids({"3"})}), SizeIs(1));
  }
  EXPECT_THAT(Refusal({.wanted = 1, .existing = Uuids({"2", "3"})}), HasSubstr("stale: no recent heartbeat"));
  settings_.min_replication = 3;
  EXPECT_THAT(Choose({.wanted = 3}), SizeIs(3));
  EXPECT_THAT(Choose({.wanted = 4}), SizeIs(3)) << "no more than it takes";
}

TEST_F(PlacementPolicyTest, LittleLoadRefusesNobody) {
  for (const char* name : {"1", "2", "3"}) Add(name);
  Streams("1", 60);
  std::set<std::string> chosen;
  for (int i = 0; i < 100; ++i) chosen.insert(Choose({.wanted = 1}).front());
  EXPECT_EQ(chosen.size(), 3u);
}

TEST_F(PlacementPolicyTest, PromisedSpaceIsAvoidedButUsedIfNeedBe) {
  Add("1", "/a", 3 * kGiB);
  Add("2", "/a", 3 * kGiB);
  const uint32_t disk = registry_.FindStorage(DatanodeUuid("uuid-1"), StorageId("disk-1"))->number;
  for (int i = 0; i < 3; ++i) scheduled_.Add(disk, kGiB);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Choose({.wanted = 1, .block_bytes = kGiB}).front(), "2");
  EXPECT_THAT(Choose({.wanted = 2, .block_bytes = kGiB}), SizeIs(2));
  scheduled_.Roll();
  EXPECT_EQ(scheduled_.Of(disk), 3 * kGiB);
  scheduled_.Arrived(disk);
  EXPECT_EQ(scheduled_.Of(disk), 2 * kGiB);
  scheduled_.Roll();
  EXPECT_EQ(scheduled_.Of(disk), 0u) << "promises are forgotten";
}

TEST_F(PlacementPolicyTest, FullAndFailedDisksAreSkippedOnANode) {
  protocol::RegisterRequest request = Registering("1");
  request.storages = {Disk("full", 10), Disk("failed"), Disk("good")};
  request.storages[1].failed = true;
  ASSERT_TRUE(registry_.Register(request, now_).ok());
  for (int i = 0; i < 20; ++i) {
    const auto targets = policy_.Choose({.wanted = 1, .block_bytes = kGiB}, random_);
    ASSERT_TRUE(targets.ok());
    EXPECT_EQ(targets->front().location.storage, StorageId("good"));
  }
}

TEST_F(PlacementPolicyTest, EmptierDisksAreDrawnMoreOften) {
  protocol::RegisterRequest request = Registering("1");
  request.storages = {Disk("small", 10 * kGiB), Disk("large", 90 * kGiB)};
  ASSERT_TRUE(registry_.Register(request, now_).ok());
  int large = 0;
  for (int i = 0; i < 1000; ++i) {
    large += policy_.Choose({.wanted = 1}, random_)->front().location.storage == StorageId("large") ? 1 : 0;
  }
  EXPECT_NEAR(large, 900, 60);
}

TEST_F(PlacementPolicyTest, ErrorListsEveryDatanodeAndWhy) {
  Add("1");
  Add("2");
  Add("3", "/a", 50);
  Add("4");
  Add("5");
  Silence(seconds(31), {"2", "3", "4", "5"});
  protocol::StorageReport failed = Disk("disk-5");
  failed.failed = true;
  registry_.OnHeartbeat(
      {.datanode = DatanodeUuid("uuid-5"), .session = sessions_["5"], .at = now_, .storages = {failed}});
  const std::string text =
      Refusal({.wanted = 3, .block_bytes = 100, .existing = Uuids({"4"}), .excluded = Uuids({"2"})});
  EXPECT_THAT(text, ::testing::StartsWith("There are 4 "
                                          "datanode(s) running and 1 node(s) are excluded in this operation."));
  EXPECT_THAT(text, HasSubstr("uuid-1 (10.0.0.1:7066): dead"));
  EXPECT_THAT(text, HasSubstr("uuid-2 (10.0.0.2:7066): excluded by the client"));
  EXPECT_THAT(text, HasSubstr("uuid-3 (10.0.0.3:7066): not enough space: 50 bytes left, the block may need 100"));
  EXPECT_THAT(text, HasSubstr("uuid-4 (10.0.0.4:7066): holds the block already"));
  EXPECT_THAT(text, HasSubstr("uuid-5 (10.0.0.5:7066): all its storages have failed"));
}

TEST_F(PlacementPolicyTest, ErrorOfAnEmptyClusterSaysSo) {
  EXPECT_EQ(Refusal({.wanted = 1}),
            "There are 0 datanode(s) running and no node(s) "
            "are excluded in this operation. No datanode has ever registered; start one and point it at this "
            "namenode.");
}

TEST_F(PlacementPolicyTest, ErrorOfALargeClusterStaysShort) {
  for (int i = 100; i < 350; ++i) Add(absl::StrCat(i), "/a", 1);
  const std::string text = Refusal({.wanted = 1, .block_bytes = 10});
  EXPECT_THAT(text, HasSubstr("; 150 more without space"));
  EXPECT_THAT(text, Not(HasSubstr("uuid-349")));
}

TEST_F(PlacementPolicyTest, SameSeedSameChoice) {
  for (int i = 1; i <= 30; ++i) Add(absl::StrCat(i), absl::StrCat("/", i % 4));
  Random one(7);
  Random two(7);
  for (int i = 0; i < 100; ++i) {
    const TargetRequest request{.wanted = 5, .writer_host = absl::StrCat(i % 30 + 1)};
    const auto first = policy_.Choose(request, one);
    const auto second = policy_.Choose(request, two);
    ASSERT_TRUE(first.ok() && second.ok());
    for (size_t n = 0; n < first->size(); ++n) EXPECT_EQ((*first)[n].storage, (*second)[n].storage);
  }
}

}  // namespace
}  // namespace dolmen::namenode
