// HDFS's option grammar: whole words after one dash, only before the first ordinary word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dolmen::cli {

struct ParsedOptions {
  std::set<std::string, std::less<>> flags;                // those given
  std::map<std::string, std::string, std::less<>> values;  // those given; "" when no word followed
  bool Has(std::string_view flag) const { return flags.contains(flag); }
};

inline constexpr size_t kAnyNumber = SIZE_MAX;

struct OptionGrammar {
  size_t min_arguments = 0;
  size_t max_arguments = kAnyNumber;
  std::vector<std::string> flags;  // without the dash
  std::vector<std::string> value_options;
  bool keep_unknown = false;  // an unknown option is an ordinary word, and more options may follow it
};

// Takes the options off the front of `args`, leaving the ordinary words. "--" ends the options, a lone "-" is an
// ordinary word. An option with a value takes the next word only if that does not begin with '-' and enough words
// would remain.
// Errors (usage): "Illegal option -x", "Not enough arguments: expected N but got M", "Too many arguments: expected N
// but got M".
absl::StatusOr<ParsedOptions> ParseOptions(const OptionGrammar& grammar, std::vector<std::string>& args);

// An integer as Java's parser takes it. Error (usage): For input string: "x".
absl::StatusOr<int64_t> ParseInteger(std::string_view text);

}  // namespace dolmen::cli
