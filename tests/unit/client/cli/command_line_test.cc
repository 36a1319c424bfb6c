#include <gmock/gmock.h>

#include "client/cli/command_text.h"
#include "client/cli/generic_options.h"
#include "client/cli/option_grammar.h"
#include "client/cli/path_text.h"
#include "client/cli/shell_error.h"

namespace dolmen::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using Words = std::vector<std::string>;

TEST(OptionGrammarTest, OptionsEndAtTheFirstOrdinaryWord) {
  Words args = {"-R", "-h", "/a", "-t"};
  const absl::StatusOr<ParsedOptions> options = ParseOptions({.flags = {"R", "h", "t"}}, args);
  ASSERT_TRUE(options.ok());
  EXPECT_TRUE(options->Has("R"));
  EXPECT_TRUE(options->Has("h"));
  EXPECT_FALSE(options->Has("t"));
  EXPECT_THAT(args, ElementsAre("/a", "-t"));
}

TEST(OptionGrammarTest, DoubleDashEndsOptionsAndALoneDashIsAWord) {
  Words args = {"-f", "--", "-f"};
  ASSERT_TRUE(ParseOptions({.flags = {"f"}}, args).ok());
  EXPECT_THAT(args, ElementsAre("-f"));
  args = {"-", "-f"};
  ASSERT_TRUE(ParseOptions({.flags = {"f"}}, args).ok());
  EXPECT_THAT(args, ElementsAre("-", "-f"));
}

TEST(OptionGrammarTest, BadCommandLinesHaveHdfsWords) {
  const OptionGrammar grammar{.min_arguments = 1, .max_arguments = 1, .flags = {"R", "h"}};
  const auto message = [&](Words args) {
    const absl::Status status = ParseOptions(grammar, args).status();
    EXPECT_TRUE(IsUsageError(status));
    return std::string(status.message());
  };
  EXPECT_EQ(message({"-Rh", "/"}), "Illegal option -Rh");
  EXPECT_EQ(message({"-R"}), "Not enough arguments: expected 1 but got 0");
  EXPECT_EQ(message({"a", "b"}), "Too many arguments: expected 1 but got 2");
}

TEST(OptionGrammarTest, AValueIsTakenOnlyWhenEnoughWordsRemain) {
  const OptionGrammar grammar{.min_arguments = 1, .flags = {"f"}, .value_options = {"t"}};
  Words args = {"-t", "4", "src"};
  EXPECT_THAT(ParseOptions(grammar, args)->values, ElementsAre(Pair("t", "4")));
  EXPECT_THAT(args, ElementsAre("src"));
  args = {"-t", "src"};
  EXPECT_THAT(ParseOptions(grammar, args)->values, ElementsAre(Pair("t", "")));
  EXPECT_THAT(args, ElementsAre("src"));
  args = {"-t", "-f", "src"};
  EXPECT_THAT(ParseOptions(grammar, args)->values, ElementsAre(Pair("t", "")));
}

TEST(OptionGrammarTest, NumbersAreReadAsJavaDoes) {
  EXPECT_EQ(*ParseInteger("-12"), -12);
  EXPECT_EQ(*ParseInteger("+7"), 7);
  EXPECT_EQ(ParseInteger("x").status().message(), "For input string: \"x\"");
  EXPECT_EQ(ParseInteger("").status().message(), "For input string: \"\"");
}

TEST(GenericOptionsTest, TheyStopAtTheCommand) {
  Words args = {"-D", "dfs.replication=2", "-Dfs.defaultFS=dolmen://a:1", "-fs", "dolmen://b", "-conf", "x.toml", "-ls",
                "-D"};
  GenericOptions options;
  ASSERT_TRUE(TakeGenericOptions(args, options).ok());
  EXPECT_THAT(options.properties, ElementsAre(Pair("dfs.replication", "2"), Pair("fs.defaultFS", "dolmen://a:1")));
  EXPECT_EQ(options.fs, "dolmen://b");
  EXPECT_EQ(options.conf_file, "x.toml");
  EXPECT_THAT(args, ElementsAre("-ls", "-D"));
}

TEST(GenericOptionsTest, MissingValuesAreErrors) {
  GenericOptions options;
  Words args = {"-fs"};
  EXPECT_EQ(TakeGenericOptions(args, options).message(), "Missing argument for option: fs");
  args = {"-D", "nothing"};
  EXPECT_EQ(TakeGenericOptions(args, options).message(), "-D nothing: expected property=value");
}

TEST(PathTextTest, SplitsSchemeAuthorityAndPath) {
  const PathText plain = *ParsePathText("a/b:c");
  EXPECT_EQ(plain.scheme, "");
  EXPECT_EQ(plain.path, "a/b:c");
  EXPECT_FALSE(plain.absolute());
  const PathText full = *ParsePathText("hdfs://nn:8020/x y");
  EXPECT_EQ(full.scheme, "hdfs");
  EXPECT_EQ(full.authority, "nn:8020");
  EXPECT_EQ(full.path, "/x y");
  EXPECT_EQ(full.Prefix(), "hdfs://nn:8020");
  const PathText bare = *ParsePathText("hdfs:///x");
  EXPECT_EQ(bare.authority, "");
  EXPECT_EQ(bare.Prefix() + bare.path, "hdfs:///x");
  EXPECT_EQ(ParsePathText("dolmen://nn")->path, "");
}

TEST(PathTextTest, MalformedPathsAreUsageErrors) {
  EXPECT_EQ(ParsePathText("").status().message(), "Can not create a Path from an empty string");
  EXPECT_EQ(ParsePathText("a:b").status().message(), "java.net.URISyntaxException: Relative path in absolute URI: a:b");
  EXPECT_TRUE(IsUsageError(ParsePathText(":b").status()));
}

TEST(PathTextTest, ChildrenAreShownUnderTheirTypedParent) {
  EXPECT_EQ(ShownChild("/", "x"), "/x");
  EXPECT_EQ(ShownChild("dir/", "x"), "dir/x");
  EXPECT_EQ(ShownChild("hdfs:///", "x"), "hdfs:///x");
  EXPECT_EQ(ShownChild(".", "x"), "x");
  EXPECT_EQ(ShownChild("dir", ""), "dir");
}

TEST(PathTextTest, PathsAreShownRelativeToHome) {
  EXPECT_EQ(RelativeTo("/user/ann", "/user/ann"), ".");
  EXPECT_EQ(RelativeTo("/user/ann", "/user/ann/a/b"), "a/b");
  EXPECT_EQ(RelativeTo("/user/ann", "/user/bob/x"), "../bob/x");
  EXPECT_EQ(RelativeTo("/user/ann", "/user/anne"), "../anne");
  EXPECT_EQ(RelativeTo("/user/ann", "/"), "../..");
}

TEST(PathTextTest, SmallHelpers) {
  EXPECT_TRUE(LooksLikeDirectory("a/"));
  EXPECT_TRUE(LooksLikeDirectory("."));
  EXPECT_TRUE(LooksLikeDirectory("a/.."));
  EXPECT_FALSE(LooksLikeDirectory("a/b."));
  EXPECT_EQ(ParentPath("/a/b"), "/a");
  EXPECT_EQ(ParentPath("/a"), "/");
  EXPECT_EQ(ParentPath("/"), "/");
  EXPECT_EQ(BaseName("/"), "");
  EXPECT_EQ(LexicallyNormal("/a/.././b//c/"), "/b/c");
  EXPECT_EQ(LexicallyNormal("/../"), "/");
  EXPECT_EQ(WithDefaultPort("host"), "host:7020");
  EXPECT_EQ(WithDefaultPort("host:1"), "host:1");
  EXPECT_EQ(WithDefaultPort("[::1]"), "[::1]:7020");
  EXPECT_EQ(Unquote("a\\*b\\\\"), "a*b\\");
}

TEST(PathMessageTest, EveryPartHasItsPlace) {
  EXPECT_EQ(FormatPathMessage({.path = "/x", .error = "File exists"}), "`/x': File exists");
  EXPECT_EQ(FormatPathMessage({.operation = "rename", .path = "/a", .target = "/b", .error = "Input/output error"}),
            "rename `/a' to `/b': Input/output error");
  EXPECT_EQ(FormatPathMessage({.path = "f", .error = "No such file or directory", .qualified = "dolmen://h:1/u/f"}),
            "`f': No such file or directory: `dolmen://h:1/u/f'");
  EXPECT_EQ(FormatPathMessage({.path = "/f", .error = "x", .qualified = "/f"}), "`/f': x");
}

TEST(PathMessageTest, OnlyTheFirstLineIsShown) {
  EXPECT_EQ(ShownMessage(absl::InternalError("one\ntwo")), "one");
  EXPECT_EQ(ShownMessage(absl::InternalError("")), "INTERNAL");
}

TEST(CommandTextTest, UsageLines) {
  EXPECT_EQ(UsageLine(*FindCommandText("ls")),
            "Usage: hadoop fs [generic options] -ls [-C] [-d] [-h] [-q] [-R] [-t] [-S] [-r] [-u] [-e] [<path> ...]\n");
  EXPECT_EQ(ShortUsage(*FindCommandText("put")),
            "-put [-f] [-p] [-l] [-d] [-t <thread count>] [-q <thread pool queue size>] [--no-progress] <localsrc> ... "
            "<dst>");
  EXPECT_EQ(FindCommandText("-ls"), nullptr);
}

TEST(CommandTextTest, TheListIsInNameOrderWithoutDeprecatedCommands) {
  const std::string list = CommandList(/*help=*/false);
  EXPECT_THAT(list, ::testing::StartsWith("Usage: hadoop fs [generic options]\n\t[-appendToFile [-n] [--no-progress] "
                                          "<localsrc> ... <dst>]\n\t[-cat [-ignoreCrc] <src> ...]\n"));
  EXPECT_THAT(list, HasSubstr("\t[-usage [cmd ...]]\n\nGeneric options supported are:\n"));
  EXPECT_THAT(list, ::testing::Not(HasSubstr("[-lsr")));
  for (size_t i = 1; i < CommandTexts().size(); ++i) EXPECT_LT(CommandTexts()[i - 1].name, CommandTexts()[i].name);
}

TEST(CommandTextTest, HelpIsIndentedAndOptionsAreATable) {
  EXPECT_EQ(HelpText(*FindCommandText("mkdir")),
            "-mkdir [-p] <path> ... :\n"
            "  Create directories.\n"
            "  -p  Create missing parents too, and don't fail if the directory exists.\n");
  for (const CommandText& command : CommandTexts()) {
    const std::string help = HelpText(command);
    // The usage line is as long as it is.
    size_t begin = help.find('\n') + 1;
    while (begin < help.size()) {
      const size_t end = help.find('\n', begin);
      EXPECT_LE(end - begin, 82u) << help.substr(begin, end - begin);
      begin = end + 1;
    }
  }
}

TEST(CommandTextTest, WrappedTableTextLinesUpWithItsColumn) {
  EXPECT_EQ(WrapLine("one two three", 8, "  "), "  one two\n  three\n");
  EXPECT_EQ(WrapLine("unbreakable", 4, ""), "unbreakable\n");
  EXPECT_EQ(WrapLine("", 4, "  "), "\n");
  EXPECT_THAT(HelpText(*FindCommandText("rm")),
              HasSubstr("  -safely     Ask before a directory with more than\n"
                        "              hadoop.shell.safely.delete.limit.num.files files (100) is deleted.\n"));
}

}  // namespace
}  // namespace dolmen::cli
