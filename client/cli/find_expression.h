// The expression of -find: what is printed of what.
#pragma once

#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/glob.h"

namespace dolmen::cli {

// -name, -iname, -print, -print0, joined by -a, -and or by standing side by side, grouped by parentheses. All are
// joined by "and", so this is a list that ends at the first part that is false. Immutable.
class FindExpression {
 public:
  // The words after the paths; none, or no -print among them: -print at the end. As in HDFS, what follows a ")" too
  // many is ignored and a missing ")" is not missed. Errors: "Unexpected argument: x"; an operand or a pattern that is
  // missing (fatal); a bad pattern (usage).
  static absl::StatusOr<FindExpression> Parse(std::span<const std::string> words);

  // For a file of this base name, shown so: prints what it is asked to.
  void Apply(std::string_view name, std::string_view shown, std::ostream& out) const;

 private:
  struct Part {
    GlobPattern pattern;
    char print = 0;  // the character after the path; used when `is_print`
    bool is_print = false;
  };
  class Parser;

  std::vector<Part> parts_;
};

}  // namespace dolmen::cli
