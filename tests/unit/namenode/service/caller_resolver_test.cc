#include "namenode/service/caller_resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"

namespace dolmen::namenode {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

class CallerResolverTest : public ::testing::Test {
 protected:
  ManualClock clock;
  CallerResolver callers{&clock, "chief", "no-such-group"};
};

TEST_F(CallerResolverTest, TheSuperuserIsTheOneNamedAtFormat) {
  auto chief = callers.Resolve("chief", "10.0.0.1");
  ASSERT_TRUE(chief.ok());
  EXPECT_TRUE(chief->is_superuser);
  EXPECT_EQ(chief->host, "10.0.0.1");
  EXPECT_FALSE(callers.Resolve("somebody", "10.0.0.1")->is_superuser);
}

TEST_F(CallerResolverTest, GroupsComeFromThisMachine) {
  auto root = callers.Resolve("root", "h");
  ASSERT_TRUE(root.ok());
  EXPECT_THAT(root->groups, Contains("root"));
  EXPECT_FALSE(root->is_superuser) << "the machine's root is nobody special here";
  EXPECT_THAT(callers.Resolve("no such user", "h")->groups, IsEmpty());
}

TEST_F(CallerResolverTest, MembersOfTheSupergroupAreSuperusers) {
  CallerResolver with_group(&clock, "chief", "root");
  EXPECT_TRUE(with_group.Resolve("root", "h")->is_superuser);
}

TEST_F(CallerResolverTest, NamesThatCannotBeUsersAreRefused) {
  for (const std::string& name : {std::string(), std::string("a/b"), std::string("a:b"), std::string("a\nb"),
                                  std::string("a\0b", 3), std::string(256, 'a')}) {
    auto refused = callers.Resolve(name, "h");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(ReasonOf(refused.status()), ErrorReason::kAccessControl);
    EXPECT_EQ(MessageOf(refused.status()).find('\n'), std::string_view::npos);
    EXPECT_FALSE(callers.Known(name, "h").has_value());
  }
}

TEST_F(CallerResolverTest, WhoIsKnownIsAnsweredWithoutAskingAgainForAWhile) {
  EXPECT_FALSE(callers.Known("root", "h").has_value());
  ASSERT_TRUE(callers.Resolve("root", "h").ok());
  auto known = callers.Known("root", "other host");
  ASSERT_TRUE(known.has_value());
  EXPECT_THAT(known->groups, Contains("root"));
  EXPECT_EQ(known->host, "other host");
  clock.Advance(CallerResolver::kCacheFor);
  EXPECT_FALSE(callers.Known("root", "h").has_value());
}

TEST_F(CallerResolverTest, ManyInventedUsersDoNotGrowItWithoutBound) {
  for (size_t i = 0; i < CallerResolver::kMaxCached + 10; ++i) {
    ASSERT_TRUE(callers.Resolve("u" + std::to_string(i), "h").ok());
  }
  EXPECT_FALSE(callers.Known("u0", "h").has_value());
}

}  // namespace
}  // namespace dolmen::namenode
