#include "client/cli/option_grammar.h"

#include <algorithm>
#include <charconv>
#include <utility>

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
  size_t at = 0;
  const auto take = [&args, &at] {
    std::string word = std::move(args[at]);
    args.erase(args.begin() + static_cast<ptrdiff_t>(at));
    return word;
  };
  while (at < args.size() && args[at].starts_with('-') && args[at] != "-") {
    const std::string option = args[at].substr(1);
    if (option == "-") {
      take();
      break;
    }
    if (Contains(grammar.flags, option)) {
      take();
      parsed.flags.insert(option);
    } else if (Contains(grammar.value_options, option)) {
      take();
      const bool has_value = at < args.size() && args.size() > grammar.min_arguments && !args[at].starts_with('-');
      parsed.values[option] = has_value ? take() : "";
    } else if (grammar.keep_unknown) {
      ++at;
    } else {
      return UsageError(absl::StrCat("Illegal option ", args[at]));
    }
  }
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
