#include "client/cli/glob.h"

#include <gmock/gmock.h>

namespace dolmen::cli {
namespace {

using ::testing::ElementsAre;

bool Matches(std::string_view pattern, std::string_view name) {
  const absl::StatusOr<GlobPattern> compiled = GlobPattern::Compile(pattern);
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  return compiled.ok() && compiled->Matches(name);
}

std::string CompileError(std::string_view pattern) {
  const absl::StatusOr<GlobPattern> compiled = GlobPattern::Compile(pattern);
  return compiled.ok() ? "compiled" : std::string(compiled.status().message());
}

TEST(GlobTest, StarMatchesAnyNumberOfCharacters) {
  EXPECT_TRUE(Matches("*", ""));
  EXPECT_TRUE(Matches("*", ".hidden"));
  EXPECT_TRUE(Matches("part-*.csv", "part-0001.csv"));
  EXPECT_TRUE(Matches("a*b*c", "aXbYbZc"));
  EXPECT_FALSE(Matches("a*b*c", "aXbYbZ"));
  EXPECT_FALSE(Matches("part-*.csv", "part-0001.csv.tmp"));
}

TEST(GlobTest, QuestionMarkMatchesOneCharacterNotOneByte) {
  EXPECT_TRUE(Matches("?", "x"));
  EXPECT_TRUE(Matches("?", "ü"));
  EXPECT_TRUE(Matches("a?c", "a日c"));
  EXPECT_FALSE(Matches("?", ""));
  EXPECT_FALSE(Matches("?", "xy"));
}

TEST(GlobTest, SetsMatchRangesAndCanBeNegated) {
  EXPECT_TRUE(Matches("[abc]", "b"));
  EXPECT_FALSE(Matches("[abc]", "d"));
  EXPECT_TRUE(Matches("file[0-9]", "file7"));
  EXPECT_FALSE(Matches("file[0-9]", "filex"));
  EXPECT_TRUE(Matches("[^a]x", "bx"));
  EXPECT_FALSE(Matches("[^a]x", "ax"));
  EXPECT_TRUE(Matches("[!a]x", "bx"));
  EXPECT_TRUE(Matches("[a\\]]", "]"));
  EXPECT_TRUE(Matches("[ä-ü]", "ö"));
  EXPECT_TRUE(Matches("[a-]", "-"));
}

TEST(GlobTest, BracesAreAlternatives) {
  EXPECT_TRUE(Matches("{ab,cd}", "ab"));
  EXPECT_TRUE(Matches("{ab,cd}", "cd"));
  EXPECT_FALSE(Matches("{ab,cd}", "abcd"));
  EXPECT_TRUE(Matches("x{a,b{1,2}}y", "xb2y"));
  EXPECT_TRUE(Matches("{a*,b}.txt", "abc.txt"));
  EXPECT_TRUE(Matches("{,a}b", "b"));
  EXPECT_TRUE(Matches("a,b}", "a,b}"));
}

TEST(GlobTest, BackslashTakesTheMeaningAway) {
  EXPECT_TRUE(Matches("a\\*b", "a*b"));
  EXPECT_FALSE(Matches("a\\*b", "axb"));
  const absl::StatusOr<GlobPattern> plain = GlobPattern::Compile("a\\{b\\?");
  ASSERT_TRUE(plain.ok());
  EXPECT_FALSE(plain->has_wildcard());
  EXPECT_EQ(plain->literal(), "a{b?");
}

TEST(GlobTest, UnfinishedPatternsSayWhatIsOpen) {
  EXPECT_EQ(CompileError("a[bc"), "Illegal file pattern: Unclosed character class near index 3");
  EXPECT_EQ(CompileError("[a[b]"), "Illegal file pattern: Unclosed character class near index 4");
  EXPECT_EQ(CompileError("{ab,c"), "Illegal file pattern: Unclosed group near index 5");
  EXPECT_EQ(CompileError("ab\\"), "Illegal file pattern: Missing escaped character near index 2");
  EXPECT_EQ(CompileError("[z-a]"), "Illegal file pattern: Illegal character range near index 3");
}

TEST(GlobTest, TooManyAlternativesAreRefused) {
  std::string pattern;
  for (int i = 0; i < 20; ++i) pattern += "{a,b}";
  EXPECT_THAT(CompileError(pattern), ::testing::HasSubstr("stands for more than 10000 patterns"));
  std::string nested(1000, '{');
  EXPECT_THAT(CompileError(nested), ::testing::HasSubstr("Groups nested too deep"));
}

TEST(GlobTest, ManyStarsStayFast) {
  std::string pattern;
  for (int i = 0; i < 100; ++i) pattern += "*a";
  EXPECT_FALSE(Matches(pattern + "b", std::string(255, 'a')));
}

TEST(GlobTest, InvalidUtf8MatchesItselfAndQuestionMark) {
  EXPECT_TRUE(Matches("a\xFF", "a\xFF"));
  EXPECT_TRUE(Matches("a?", "a\xFF"));
  EXPECT_FALSE(Matches("a\xFF", "a\xFE"));
}

TEST(GlobTest, OnlyBracesWithSlashesAreMultipliedOut) {
  EXPECT_THAT(*ExpandBracesWithSlash("/{a/b,c}/d"), ElementsAre("/a/b/d", "/c/d"));
  EXPECT_THAT(*ExpandBracesWithSlash("/{a,b}/d"), ElementsAre("/{a,b}/d"));
  EXPECT_THAT(*ExpandBracesWithSlash("/{x,y}/{a/b,c/{d/e,f}}"),
              ElementsAre("/{x,y}/a/b", "/{x,y}/c/d/e", "/{x,y}/c/f"));
  EXPECT_THAT(*ExpandBracesWithSlash("/\\{a/b,c}"), ElementsAre("/\\{a/b,c}"));
  std::string pattern;
  for (int i = 0; i < 20; ++i) pattern += "{/a,/b}";
  EXPECT_FALSE(ExpandBracesWithSlash(pattern).ok());
}

TEST(GlobTest, QuotedTextMatchesItself) {
  const std::string name = "a*[b]{c,d}?\\^";
  EXPECT_TRUE(Matches(QuoteGlob(name), name));
  EXPECT_FALSE(GlobPattern::Compile(QuoteGlob(name))->has_wildcard());
}

}  // namespace
}  // namespace dolmen::cli
