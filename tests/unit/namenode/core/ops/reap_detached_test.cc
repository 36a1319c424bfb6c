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

TEST_F(ReapDetachedTest, WithNothingToDoWritesNothing) {
  const MapReader::Entries before = Dump(store);
  auto step = Step();
  ASSERT_TRUE(step.ok());
  EXPECT_FALSE(*step);
  EXPECT_EQ(Dump(store), before);
}

}  // namespace
}  // namespace dolmen::namenode
