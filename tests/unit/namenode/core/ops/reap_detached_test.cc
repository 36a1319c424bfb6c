#include <memory>

#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class ReapDetachedTest : public NamespaceTest {
 protected:
  absl::StatusOr<bool> Step() {
    return RunOperation([](OperationContext& context) { return ops::ReapDetached(context); });
  }
};

TEST_F(ReapDetachedTest, FreesEverythingBelowADeletedTree) {
  WriteFile("/keep/f", {1});
  const MapReader::Entries before = Dump(store);
  WriteFile("/a/b/f", {kTestBlockBytes, 7});
  WriteFile("/a/b/c/g", {1});
  ASSERT_TRUE(Mkdirs("/a/empty").ok());
  ASSERT_TRUE(Create("/a/open").ok());
  ASSERT_TRUE(AddBlock("/a/open", std::nullopt).ok());
  ASSERT_TRUE(Delete("/a").ok());
  effects.clear();
  ReapAll();
  EXPECT_EQ(EffectsOf<BlockFreed>().size(), 4u);
  EXPECT_EQ(EffectsOf<LeaseClosed>().size(), 1u);
  EXPECT_EQ(counters.block_count, 1u);
  MapReader::Entries after = Dump(store);
  for (const auto& [key, value] : before) {
    EXPECT_TRUE(after.contains(key));
    after.erase(key);
  }
  EXPECT_TRUE(after.empty()) << after.size() << " records are left";
}

TEST_F(ReapDetachedTest, EachStepIsBoundedAndLeavesASoundNamespace) {
  for (int i = 0; i < 5; ++i) WriteFile("/a/d" + std::to_string(i) + "/f", {kTestBlockBytes, kTestBlockBytes, 1});
  ASSERT_TRUE(Create("/a/d0/open").ok());
  ASSERT_TRUE(Delete("/a").ok());
  settings.reap_entries_per_step = 2;
  int steps = 0;
  for (bool left = true; left; ++steps) {
    ASSERT_LT(steps, 1000);
    effects.clear();
    auto step = Step();
    ASSERT_TRUE(step.ok()) << step.status();
    left = *step;
    EXPECT_LE(EffectsOf<BlockFreed>().size(), 2u);
    absl::Status consistent = CheckConsistency(store);
    ASSERT_TRUE(consistent.ok()) << "after step " << steps << ": " << consistent;
  }
  EXPECT_GE(steps, 13);
  EXPECT_EQ(counters.block_count, 0u);
  EXPECT_EQ(CountOf(Family::kInodes), 1u);
}

// The commit queue keeps one for the life of the process, so that the reaper never scans what it has removed.
TEST_F(ReapDetachedTest, ABacklogNamesTheWorkAndIsFollowedWithoutAScan) {
  WriteFile("/unnamed", {1});
  for (int i = 0; i < 7; ++i) WriteFile("/tree/f" + std::to_string(i), {1});
  for (int i = 0; i < 3; ++i) WriteFile("/tree/sub/g" + std::to_string(i), {1});
  ASSERT_TRUE(Delete("/unnamed").ok());
  const auto owned = std::make_unique<ReapBacklog>();  // on the stack g++ 12 sees uninitialised bytes that are not read
  ReapBacklog& backlog = *owned;
  backlog.scan_from.reset();
  backlog.Add(InodeId(999'999));  // its deletion was undone
  const auto with_backlog = [&](auto run) {
    return RunOperation([&](OperationContext& context) {
      context.reap = &backlog;
      return run(context);
    });
  };
  const Caller superuser{.user = info.superuser, .is_superuser = true};
  ASSERT_TRUE(with_backlog([&](OperationContext& context) {
                return ops::Decide(context, superuser, protocol::DeleteRequest{.path = "/tree", .recursive = true});
              }).ok());
  EXPECT_EQ(backlog.roots.size(), 2u);
  settings.reap_entries_per_step = 4;
  int steps = 0;
  for (bool left = true; left; ++steps) {
    ASSERT_LT(steps, 100);
    auto step = with_backlog([](OperationContext& context) { return ops::ReapDetached(context); });
    ASSERT_TRUE(step.ok()) << step.status();
    left = *step;
    ASSERT_TRUE(CheckConsistency(store).ok());
  }
  EXPECT_GE(steps, 5);
  EXPECT_EQ(CountOf(Family::kDetached), 1u) << "only what the backlog does not name is left";
  ReapAll();  // scans
  EXPECT_EQ(CountOf(Family::kDetached), 0u);
  EXPECT_EQ(CountOf(Family::kInodes), 1u);
}

TEST_F(ReapDetachedTest, AFullBacklogFallsBackToScanning) {
  const auto owned = std::make_unique<ReapBacklog>();  // on the stack g++ 12 sees uninitialised bytes that are not read
  ReapBacklog& backlog = *owned;
  backlog.scan_from.reset();
  for (uint64_t id = 1; id <= ReapBacklog::kMostRoots; ++id) backlog.Add(InodeId(id));
  EXPECT_FALSE(backlog.scan_from.has_value());
  backlog.Add(InodeId(20'000'000));
  EXPECT_EQ(backlog.roots.size(), ReapBacklog::kMostRoots);
  EXPECT_EQ(backlog.scan_from, "");
}

TEST_F(ReapDetachedTest, WithNothingToDoWritesNothing) {
  const MapReader::Entries before = Dump(store);
  auto step = Step();
  ASSERT_TRUE(step.ok());
  EXPECT_FALSE(*step);
  EXPECT_EQ(Dump(store), before);
}

}  // namespace
}  // namespace dolmen::namenode
