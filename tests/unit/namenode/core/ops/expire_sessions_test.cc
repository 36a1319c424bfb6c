#include "tests/unit/namenode/core/ops/namespace_fixture.h"

namespace dolmen::namenode {
namespace {

class ExpireSessionsTest : public NamespaceTest {
 protected:
  void AddSession(char id, int64_t last_used_ms) {
    store.entries()[{Family::kRetries, keys::Session(std::string(16, id))}] =
        EncodeSession({.last_used = WallTime{last_used_ms}});
  }
  absl::StatusOr<bool> Step() {
    return RunOperation([&](OperationContext& context) { return ops::ExpireSessions(context, &cursor_); });
  }
  std::string cursor_;
};

TEST_F(ExpireSessionsTest, DropsSessionsNotUsedForTheRetentionTime) {
  now.ms = 100'000'000;
  const int64_t retention = settings.retry_retention.count();
  AddSession('a', now.ms - retention - 10);
  AddSession('b', now.ms - retention + 10);
  AddSession('c', now.ms + 5000);  // the clock went back meanwhile
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(CountOf(Family::kRetries), 2u);
  EXPECT_TRUE(cursor_.empty()) << "the round is done";
}

TEST_F(ExpireSessionsTest, GoesOnAfterTheCursor) {
  now.ms = 100'000'000;
  settings.reap_entries_per_step = 2;
  for (char id : {'a', 'b', 'c', 'd', 'e'}) AddSession(id, id == 'b' ? now.ms : 0);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(CountOf(Family::kRetries), 4u);
  EXPECT_FALSE(cursor_.empty());
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(CountOf(Family::kRetries), 2u);
  ASSERT_TRUE(Step().ok());
  EXPECT_EQ(CountOf(Family::kRetries), 1u);
  EXPECT_TRUE(cursor_.empty());
}

TEST_F(ExpireSessionsTest, TheNextStepFollowsAtOnceOnlyWhileMuchIsExpired) {
  now.ms = 100'000'000;
  settings.reap_entries_per_step = 50;
  for (int id = 0; id < 150; ++id) AddSession(static_cast<char>(id), id < 50 || id == 75 ? 0 : now.ms);
  EXPECT_TRUE(*Step()) << "all of fifty";
  EXPECT_FALSE(*Step()) << "one of fifty";
  EXPECT_FALSE(*Step()) << "none";
  EXPECT_EQ(CountOf(Family::kRetries), 99u);
}

}  // namespace
}  // namespace dolmen::namenode
