#include <gtest/gtest.h>

#include "client/cli/mode_change.h"
#include "client/cli/owner_text.h"
#include "client/cli/shell_error.h"

namespace dolmen::cli {
namespace {

// -1: not a mode.
int Changed(std::string_view text, uint16_t permission, bool is_directory = false) {
  const std::optional<ModeChange> change = ModeChange::Parse(text);
  return change.has_value() ? change->Apply(permission, is_directory) : -1;
}

TEST(ModeChangeTest, OctalModesReplaceAllAndThreeDigitsClearTheStickyBit) {
  EXPECT_EQ(Changed("755", 0), 0755);
  EXPECT_EQ(Changed("000", 0777), 0);
  EXPECT_EQ(Changed("644", 01777), 0644);
  EXPECT_EQ(Changed("1777", 0644), 01777);
  EXPECT_EQ(Changed("0777", 01644), 0777);
  EXPECT_EQ(Changed("+755", 0), 0755);
  EXPECT_EQ(Changed("+1755", 0), 01755);
  EXPECT_EQ(Changed(" 640 ", 0), 0640);
}

TEST(ModeChangeTest, WhatIsNotAModeIsRefused) {
  for (const char* text : {"",       "999",    "7",    "75",   "2777",  "4755",  "77777",  "rdef",    "r+def",
                           "u",      "u+",     "+",    "-",    "u+s",   ",u+r",  "u+r,,x", "u+r g+w", "u+r;g+w",
                           "u+r755", "755u+r", "-755", "=755", "++755", "7 5 5", "u + r",  "r"}) {
    EXPECT_EQ(Changed(text, 0644), -1) << text;
  }
  EXPECT_EQ(Changed("u+x,", 0644), 0744) << "a comma at the end is let through";
}

TEST(ModeChangeTest, SymbolicModes) {
  EXPECT_EQ(Changed("u=rwx,g=rx,o=r", 0), 0754);
  EXPECT_EQ(Changed("a+r,g-w,+rwx,o=r", 0), 0774) << "+rwx replaces what came before it for all";
  EXPECT_EQ(Changed("+x", 0644), 0755);
  EXPECT_EQ(Changed("a+x", 0644), 0755);
  EXPECT_EQ(Changed("go-rwx", 0777), 0700);
  EXPECT_EQ(Changed("-rwx", 0777), 0);
  EXPECT_EQ(Changed("ug=rw", 0777), 0667);
  EXPECT_EQ(Changed("=r", 0777), 0444);
  EXPECT_EQ(Changed("ua+x", 0644), 0744) << "a adds nothing to a class that is named";
  EXPECT_EQ(Changed(" u+x , g+w ", 0644), 0764);
  EXPECT_EQ(Changed("u+-=rw", 0711), 0611) << "the last operation counts";
}

TEST(ModeChangeTest, OfClausesForOneClassTheLastCounts) {
  EXPECT_EQ(Changed("u+r,u+w", 0), 0200);
  EXPECT_EQ(Changed("a+r,u=x", 0), 0144);
}

TEST(ModeChangeTest, CapitalXNeedsADirectoryOrSomeX) {
  EXPECT_EQ(Changed("+X", 0644), 0644);
  EXPECT_EQ(Changed("+X", 0644, /*is_directory=*/true), 0755);
  EXPECT_EQ(Changed("+X", 0744), 0755);
  EXPECT_EQ(Changed("a=rX", 0600), 0444);
  EXPECT_EQ(Changed("a=rX", 0700), 0555);
  EXPECT_EQ(Changed("o+rX", 0750), 0755);
  EXPECT_EQ(Changed("-X", 0755), 0644);
}

TEST(ModeChangeTest, TheStickyBitBelongsToOthers) {
  EXPECT_EQ(Changed("+t", 0755), 01755);
  EXPECT_EQ(Changed("o+t", 0755), 01755);
  EXPECT_EQ(Changed("u+t", 0755), 0755);
  EXPECT_EQ(Changed("-t", 01755), 0755);
  EXPECT_EQ(Changed("o-x", 01755), 01754);
  EXPECT_EQ(Changed("u+w", 01555), 01755);
  EXPECT_EQ(Changed("o=rx", 01755), 0755) << "= sets it as it sets the rest";
  EXPECT_EQ(Changed("+rwxt", 0), 01777);
}

std::string Owners(std::string_view text) {
  const absl::StatusOr<OwnerChange> change = ParseOwnerAndGroup(text);
  if (!change.ok()) {
    EXPECT_TRUE(IsUsageError(change.status()));
    return std::string(change.status().message());
  }
  return change->owner + "|" + change->group;
}

TEST(OwnerTextTest, OwnerAndGroup) {
  EXPECT_EQ(Owners("bob"), "bob|");
  EXPECT_EQ(Owners("bob:"), "bob|");
  EXPECT_EQ(Owners("bob:staff"), "bob|staff");
  EXPECT_EQ(Owners(":staff"), "|staff");
  EXPECT_EQ(Owners(" a-b+c_d.e/f@G9:x "), "a-b+c_d.e/f@G9|x");
  EXPECT_EQ(Owners("%:newgroup"), "'%:newgroup' does not match expected pattern for [owner][:group].");
  EXPECT_EQ(Owners("a:b:c"), "'a:b:c' does not match expected pattern for [owner][:group].");
  EXPECT_EQ(Owners("a b"), "'a b' does not match expected pattern for [owner][:group].");
  EXPECT_EQ(Owners("\xC3\xA9"), "'\xC3\xA9' does not match expected pattern for [owner][:group].");
  EXPECT_EQ(Owners(":"), "':' does not specify owner or group.");
  EXPECT_EQ(Owners(""), "'' does not specify owner or group.");
}

TEST(OwnerTextTest, Group) {
  EXPECT_EQ(ParseGroup(" staff ")->group, "staff");
  EXPECT_EQ(ParseGroup("staff")->owner, "");
  for (const char* text : {"%", "", "a:b", ":b", "a b"}) {
    const absl::Status status = ParseGroup(text).status();
    EXPECT_EQ(status.message(), std::string("'") + text + "' does not match expected pattern for group");
    EXPECT_TRUE(IsUsageError(status));
  }
}

}  // namespace
}  // namespace dolmen::cli
