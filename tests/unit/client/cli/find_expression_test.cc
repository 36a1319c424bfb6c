#include "client/cli/find_expression.h"

#include <gtest/gtest.h>

#include <sstream>

#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

std::vector<std::string> Words(std::string_view line) {
  std::istringstream stream{std::string(line)};
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// What is printed of a file.
std::string Printed(std::string_view line, std::string_view name = "item.txt") {
  const absl::StatusOr<FindExpression> expression = FindExpression::Parse(Words(line));
  if (!expression.ok()) return "error: " + std::string(expression.status().message());
  std::ostringstream out;
  expression->Apply(name, "p", out);
  return out.str();
}

TEST(FindExpressionTest, WithoutAnActionWhatMatchesIsPrinted) {
  EXPECT_EQ(Printed(""), "p\n");
  EXPECT_EQ(Printed("-name item*"), "p\n");
  EXPECT_EQ(Printed("-name x*"), "");
  EXPECT_EQ(Printed("-name *.txt -name i*"), "p\n");
  EXPECT_EQ(Printed("-name *.txt -a -name x*"), "");
}

TEST(FindExpressionTest, ActionsPrintWhenWhatIsBeforeThemIsTrue) {
  EXPECT_EQ(Printed("-print -print0"), std::string("p\np\0", 4));
  EXPECT_EQ(Printed("-print -name x"), "p\n");
  EXPECT_EQ(Printed("-name x -print"), "");
  EXPECT_EQ(Printed("-print0 -and -name i* -and -print"), std::string("p\0p\n", 4));
}

TEST(FindExpressionTest, ParenthesesGroup) {
  EXPECT_EQ(Printed("-name i* ( -name *t )"), "p\n");
  EXPECT_EQ(Printed("-name i* -a ( -name x -print )"), "");
  EXPECT_EQ(Printed("-name i* -a ( -name *t -print0 ) -print"), std::string("p\0p\n", 4));
  EXPECT_EQ(Printed("-name i* ( )"), "p\n");
  EXPECT_EQ(Printed("-print ) -nonsense"), "p\n") << "what follows is ignored";
  EXPECT_EQ(Printed("-name i* ( -print"), "p\n") << "the closing one is not missed";
}

TEST(FindExpressionTest, NamesMatchAsPatternsDo) {
  EXPECT_EQ(Printed("-name [h-j]tem.{txt,csv}"), "p\n");
  EXPECT_EQ(Printed("-name ITEM*"), "");
  EXPECT_EQ(Printed("-iname ITEM*"), "p\n");
  EXPECT_EQ(Printed("-iname [H-J]*", "Item"), "p\n");
  EXPECT_EQ(Printed("-iname \xC3\xA9t\xC3\xA9", "\xC3\x89T\xC3\x89"), "p\n");
  EXPECT_EQ(Printed("-name \xC3\xA9t\xC3\xA9", "\xC3\x89T\xC3\x89"), "");
  EXPECT_EQ(Printed("-name -print", "-print"), "p\n") << "the word after -name is its pattern";
  EXPECT_EQ(Printed("-name a*", ""), "") << "the root has no name";
}

TEST(FindExpressionTest, WhatIsWrongIsSaid) {
  EXPECT_EQ(Printed("-print x"), "error: Unexpected argument: x");
  EXPECT_EQ(Printed("-type f"), "error: Unexpected argument: -type");
  EXPECT_EQ(Printed("-name [ -o -print"), "error: Unexpected argument: -o");
  EXPECT_FALSE(IsUsageError(FindExpression::Parse(Words("-o")).status()));
  EXPECT_TRUE(IsUsageError(FindExpression::Parse(Words("-name [a")).status()));
  for (const char* line : {"-name", "-print -iname", "-a", "-a -print", "-print -a", "-print -a -a -print",
                           "-print -a ) -print", "-print ( -a -print )"}) {
    EXPECT_TRUE(IsFatalError(FindExpression::Parse(Words(line)).status())) << line;
  }
  std::vector<std::string> deep(100'000, "(");
  EXPECT_TRUE(IsUsageError(FindExpression::Parse(deep).status()));
}

}  // namespace
}  // namespace dolmen::cli
