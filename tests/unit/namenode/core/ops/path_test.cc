#include "namenode/core/path.h"

#include <gtest/gtest.h>

#include <string>

#include "common/error.h"
#include "common/utf8.h"

namespace dolmen::namenode {
namespace {

absl::Status Parse(std::string_view path, PathUse use = PathUse::kCreate) {
  return ParsePath(path, use, "create", CoreSettings()).status();
}

TEST(PathTest, SplitsAnAbsolutePathIntoItsComponents) {
  const std::string path = "/a/b c/d";
  auto parsed = ParsePath(path, PathUse::kCreate, "create", CoreSettings());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed, (std::vector<std::string_view>{"a", "b c", "d"}));
  EXPECT_TRUE(ParsePath("/", PathUse::kCreate, "create", CoreSettings())->empty());
}

TEST(PathTest, RefusesWhatIsNotNormalised) {
  for (std::string_view bad : {"", "a", "a/b", "//", "/a//b", "/a/", "/.", "/..", "/a/../b", "/a/./b"}) {
    const absl::Status refused = Parse(bad, PathUse::kLookUp);
    EXPECT_EQ(ReasonOf(refused), ErrorReason::kInvalidPath) << bad;
    EXPECT_EQ(MessageOf(refused), "Invalid file name: " + std::string(bad));
  }
}

TEST(PathTest, RefusesNulAndBadUtf8AndShowsThemEscaped) {
  EXPECT_EQ(MessageOf(Parse(std::string_view("/a\0b", 4))), "Invalid file name: /a\\x00b");
  EXPECT_EQ(MessageOf(Parse("/a\xff")), "Invalid file name: /a\\xff");
  EXPECT_TRUE(Parse("/h\xc3\xa9/\xe2\x82\xac/\xf0\x9f\x8c\x8d").ok());
}

TEST(PathTest, RefusesColonsOnlyInPathsToBeCreated) {
  EXPECT_EQ(MessageOf(Parse("/a:b")), "Invalid file name: /a:b");
  EXPECT_TRUE(Parse("/a:b", PathUse::kLookUp).ok());
}

TEST(PathTest, LimitsTheWholePath) {
  const std::string text = "create: Pathname too long.  Limit 8000 characters, 1000 levels.";
  std::string longest(8000, 'a');
  longest[0] = '/';
  EXPECT_TRUE(Parse(longest).ok());
  EXPECT_EQ(MessageOf(Parse(longest + "a")), text);
  EXPECT_EQ(ReasonOf(Parse(longest + "a")), ErrorReason::kNameTooLong);
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "/a";
  EXPECT_TRUE(Parse(deep).ok());
  EXPECT_EQ(MessageOf(Parse(deep + "/a")), text);
}

TEST(PathTest, LimitsOneNameAndReservesTwo) {
  const CoreSettings settings;
  EXPECT_TRUE(CheckNewName(std::string(255, 'x'), "/d", settings).ok());
  const std::string long_name(256, 'x');
  const absl::Status refused = CheckNewName(long_name, "/d", settings);
  EXPECT_EQ(ReasonOf(refused), ErrorReason::kNameTooLong);
  EXPECT_EQ(MessageOf(refused), "The maximum path component name limit of " + long_name +
                                    " in directory /d is exceeded: limit=255 length=256");
  EXPECT_EQ(MessageOf(CheckNewName(".snapshot", "/d", settings)), "\".snapshot\" is a reserved name.");
  EXPECT_EQ(ReasonOf(CheckNewName(".reserved", "/", settings)), ErrorReason::kIllegalArgument);
  EXPECT_TRUE(CheckNewName(".reserved", "/d", settings).ok());
}

TEST(Utf8Test, AcceptsExactlyWellFormedText) {
  for (std::string_view good : {"", "plain", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(ValidUtf8(good)) << Printable(good);
  }
  for (std::string_view bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xed\xa0\x80",
                               "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_FALSE(ValidUtf8(bad)) << Printable(bad);
    EXPECT_TRUE(ValidUtf8(Printable(bad)));
  }
}

}  // namespace
}  // namespace dolmen::namenode
