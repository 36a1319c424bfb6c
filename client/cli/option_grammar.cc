#include "client/cli/option_grammar.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

bool Contains(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

absl::StatusOr<ParsedOptions> ParseOptions(const OptionGrammar& grammar, std::vector<std::string>& args) {
  ParsedOptions parsed;
  size_t taken = 0;
  while (taken < args.size()) {
    const std::string& word = args[taken];
    if (word.empty() || word[0] != '-' || word == "-") break;
    if (word == "--") {
      ++taken;
      break;
    }
    const std::string option = word.substr(1);
    if (Contains(grammar.flags, option)) {
      parsed.flags.insert(option);
      ++taken;
    } else if (Contains(grammar.value_options, option)) {
      ++taken;
      std::string value;
      if (taken < args.size() && args.size() - taken > grammar.min_arguments && !args[taken].starts_with('-')) {
        value = args[taken++];
      }
      parsed.values[option] = value;
    } else {
      return UsageError(absl::StrCat("Illegal option ", word));
    }
  }
  args.erase(args.begin(), args.begin() + static_cast<ptrdiff_t>(taken));
  if (args.size() < grammar.min_arguments) {
    return UsageError(absl::StrCat("Not enough arguments: expected ", grammar.min_arguments, " but got ", args.size()));
  }
  if (args.size() > grammar.max_arguments) {
    return UsageError(absl::StrCat("Too many arguments: expected ", grammar.max_arguments, " but got ", args.size()));
  }
  return parsed;
}

absl::StatusOr<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  std::string_view digits = text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return UsageError(absl::StrCat("For input string: \"", ToAbsl(text), "\""));
  }
  return value;
}

}  // namespace dolmen::cli
