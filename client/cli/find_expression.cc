#include "client/cli/find_expression.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr int kMaxDepth = 1000;  // of parentheses; chosen

struct NameTest {
  std::string_view pattern;
  bool ignore_case = false;
};

}  // namespace

// Recursive descent over the words. Patterns are compiled when all words are known to be right.
class FindExpression::Parser {
 public:
  explicit Parser(std::span<const std::string> words) : words_(words) {}

  absl::StatusOr<FindExpression> Parse() {
    DOLMEN_RETURN_IF_ERROR(ParseGroup(/*depth=*/0));
    FindExpression expression;
    for (const Word& word : found_) {
      Part part{.print = word.print, .is_print = word.is_print};
      if (!word.is_print) {
        absl::StatusOr<GlobPattern> pattern =
            GlobPattern::Compile(word.test.pattern, word.test.ignore_case ? GlobCase::kIgnored : GlobCase::kExact);
        if (!pattern.ok()) return UsageError(MessageOf(pattern.status()));
        part.pattern = *std::move(pattern);
      }
      expression.parts_.push_back(std::move(part));
    }
    const auto prints = [](const Part& part) { return part.is_print; };
    if (std::none_of(expression.parts_.begin(), expression.parts_.end(), prints)) {
      expression.parts_.push_back(Part{.print = '\n', .is_print = true});
    }
    return expression;
  }

 private:
  struct Word {
    NameTest test;
    char print = 0;
    bool is_print = false;
  };

  absl::Status ParseGroup(int depth) {
    if (depth > kMaxDepth) return UsageError("Parentheses nested too deep");
    bool has_operand = false;
    bool wants_operand = false;  // an operator stands before it
    while (at_ < words_.size()) {
      const std::string& word = words_[at_++];
      if (word == ")") break;
      if (word == "-a" || word == "-and") {
        if (!has_operand || wants_operand) return Missing("an expression beside ", word);
        wants_operand = true;
        continue;
      }
      if (word == "(") {
        DOLMEN_RETURN_IF_ERROR(ParseGroup(depth + 1));
      } else if (word == "-print" || word == "-print0") {
        found_.push_back(Word{.print = word == "-print" ? '\n' : '\0', .is_print = true});
      } else if (word == "-name" || word == "-iname") {
        if (at_ == words_.size()) return Missing("the pattern of ", word);
        found_.push_back(Word{.test = {.pattern = words_[at_++], .ignore_case = word == "-iname"}});
      } else {
        return MakeError(ErrorReason::kIo, absl::StrCat("Unexpected argument: ", word));
      }
      has_operand = true;
      wants_operand = false;
    }
    if (wants_operand) return Missing("an expression beside ", "-a");
    if (!has_operand) found_.push_back(Word{.print = '\n', .is_print = true});
    return absl::OkStatus();
  }

  // HDFS's parser takes from an empty list here, and ends with that failure.
  static absl::Status Missing(std::string_view what, std::string_view word) {
    return FatalError(absl::StrCat("java.util.NoSuchElementException: ", ToAbsl(what), ToAbsl(word), " is missing"));
  }

  const std::span<const std::string> words_;
  size_t at_ = 0;
  std::vector<Word> found_;
};

absl::StatusOr<FindExpression> FindExpression::Parse(std::span<const std::string> words) {
  return Parser(words).Parse();
}

void FindExpression::Apply(std::string_view name, std::string_view shown, std::ostream& out) const {
  for (const Part& part : parts_) {
    if (part.is_print) {
      out << shown << part.print;
    } else if (!part.pattern.Matches(name)) {
      return;
    }
  }
}

}  // namespace dolmen::cli
