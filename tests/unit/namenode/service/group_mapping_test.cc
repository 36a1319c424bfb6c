#include "namenode/service/group_mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "common/memory_file_system.h"
#include "namenode/service/caller_resolver.h"

namespace dolmen::namenode {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ParseGroupMappingTest, LinesNameUsersAndTheirGroups) {
  auto mapping = ParseGroupMapping(
      "# who is who\n"
      "ann=staff,ops\n"
      "\n"
      "  bob = staff , ops , staff \r\n"
      "guest=\n"
      "  # the last line needs no end\n"
      "j\xC3\xB6rg=d\xC3\xA9veloppeurs",
      "groups");
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  EXPECT_THAT(mapping->at("ann"), ElementsAre("staff", "ops"));
  EXPECT_THAT(mapping->at("bob"), ElementsAre("staff", "ops"));
  EXPECT_THAT(mapping->at("guest"), IsEmpty());
  EXPECT_THAT(mapping->at("j\xC3\xB6rg"), ElementsAre("d\xC3\xA9veloppeurs"));
  EXPECT_EQ(mapping->size(), 4u);
  EXPECT_TRUE(ParseGroupMapping("", "groups")->empty());
}

TEST(ParseGroupMappingTest, ErrorsNameFileAndLine) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"ann=staff\nbob\n", "/etc/groups:2: 'bob' has no '=': expected user=group1,group2"},
      {"=staff", "/etc/groups:1: '' is no user: names have 1 to 255 bytes of UTF-8 without '/' and ':'"},
      {"\n\nann=staff,,ops", "/etc/groups:3: '' is no group: names have 1 to 255 bytes of UTF-8 without '/' and ':'"},
      {"ann=staff,", "/etc/groups:1: '' is no group"},
      {"a/b=staff", "/etc/groups:1: 'a/b' is no user"},
      {"ann=a:b", "/etc/groups:1: 'a:b' is no group"},
      {"ann=\xff", "/etc/groups:1: "},
      {"ann=staff\nbob=staff\nann=ops", "/etc/groups:3: user 'ann' was named before: give all groups on one line"},
  };
  for (const auto& [text, error] : cases) {
    auto refused = ParseGroupMapping(text, "/etc/groups");
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_EQ(ReasonOf(refused.status()), ErrorReason::kIllegalArgument);
    EXPECT_THAT(std::string(MessageOf(refused.status())), HasSubstr(error));
  }
}

class GroupMappingFileTest : public ::testing::Test {
 protected:
  void Write(const std::string& text) {
    ASSERT_TRUE(fs.CreateDirectories("/etc").ok());
    ASSERT_TRUE(WriteFileDurably(fs, "/etc/groups", text).ok());
  }
  std::unique_ptr<GroupMappingFile> Open() {
    auto opened = GroupMappingFile::Open(&fs, "/etc/groups", &clock);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() ? *std::move(opened) : nullptr;
  }
  void LetTimePass() { clock.Advance(GroupMappingFile::kLookInterval); }

  MemoryFileSystem fs;
  ManualClock clock;
};

TEST_F(GroupMappingFileTest, MustBeThereAndRightAtTheStart) {
  auto missing = GroupMappingFile::Open(&fs, "/etc/groups", &clock);
  EXPECT_EQ(ReasonOf(missing.status()), ErrorReason::kFileNotFound);
  Write("ann");
  auto wrong = GroupMappingFile::Open(&fs, "/etc/groups", &clock);
  EXPECT_THAT(std::string(MessageOf(wrong.status())), HasSubstr("/etc/groups:1: "));
  Write(std::string(GroupMappingFile::kMaxFileBytes + 1, '\n'));
  auto huge = GroupMappingFile::Open(&fs, "/etc/groups", &clock);
  EXPECT_THAT(std::string(MessageOf(huge.status())), HasSubstr("16777217 bytes"));
}

TEST_F(GroupMappingFileTest, IsReadAgainWhenItChanges) {
  Write("ann=staff");
  auto file = Open();
  EXPECT_THAT(*file->GroupsOf("ann"), ElementsAre("staff"));
  EXPECT_FALSE(file->GroupsOf("bob").has_value());
  Write("ann=ops\nbob=");
  EXPECT_FALSE(file->Refresh()) << "not yet";
  LetTimePass();
  EXPECT_TRUE(file->IsDue());
  EXPECT_TRUE(file->Refresh());
  EXPECT_FALSE(file->IsDue());
  EXPECT_THAT(*file->GroupsOf("ann"), ElementsAre("ops"));
  EXPECT_THAT(*file->GroupsOf("bob"), IsEmpty());
  LetTimePass();
  EXPECT_FALSE(file->Refresh()) << "the same text";
  Write("# a remark\nann=ops\nbob=");
  LetTimePass();
  EXPECT_FALSE(file->Refresh()) << "the same groups";
}

TEST_F(GroupMappingFileTest, AWrongOneChangesNothingUntilItIsMended) {
  Write("ann=staff");
  auto file = Open();
  Write("ann=ops\nbob");
  LetTimePass();
  EXPECT_FALSE(file->Refresh());
  EXPECT_THAT(*file->GroupsOf("ann"), ElementsAre("staff"));
  ASSERT_TRUE(fs.RemoveFile("/etc/groups").ok());
  LetTimePass();
  EXPECT_FALSE(file->Refresh());
  EXPECT_THAT(*file->GroupsOf("ann"), ElementsAre("staff"));
  Write("ann=ops");
  LetTimePass();
  EXPECT_TRUE(file->Refresh());
  EXPECT_THAT(*file->GroupsOf("ann"), ElementsAre("ops"));
}

TEST_F(GroupMappingFileTest, CallersHaveTheGroupsItSays) {
  Write("root=staff\nann=admins\nnobody-known=staff");
  CallerResolver callers(&clock, "chief", "admins", Open());
  EXPECT_THAT(callers.Resolve("root", "h")->groups, ElementsAre("staff")) << "not those of the OS";
  EXPECT_TRUE(callers.Resolve("ann", "h")->is_superuser);
  EXPECT_THAT(callers.Resolve("nobody-known", "h")->groups, ElementsAre("staff"));
  EXPECT_THAT(callers.Resolve("no such user", "h")->groups, IsEmpty());
  EXPECT_TRUE(callers.Known("ann", "h").has_value());

  Write("ann=staff");
  LetTimePass();
  EXPECT_FALSE(callers.Known("ann", "h").has_value()) << "it is time to look at the file";
  EXPECT_FALSE(callers.Resolve("ann", "h")->is_superuser);
  EXPECT_TRUE(callers.Known("ann", "h").has_value());
  EXPECT_FALSE(callers.Known("nobody-known", "h").has_value()) << "what was remembered is forgotten";
}

}  // namespace
}  // namespace dolmen::namenode
