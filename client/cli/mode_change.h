// What the first word of -chmod says, as HDFS reads it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace dolmen::cli {

// A parsed mode: octal ("755", "+1777") or symbolic ("u=rwx,go-w,+X,o+t"). Immutable.
// HDFS's rules, where they differ from the shell's chmod: no umask is applied; three octal digits clear the sticky bit;
// t is for "others" only; of several clauses that name the same class the last one counts alone ("u+r,u+w" adds only
// w).
class ModeChange {
 public:
  // Nothing when `text` is not a mode.
  static std::optional<ModeChange> Parse(std::string_view text);
  // 0777 bits and the sticky bit, before and after.
  uint16_t Apply(uint16_t permission, bool is_directory) const;

 private:
  struct Part {
    char operation = '+';  // + - =
    unsigned bits = 0;     // r 4, w 2, x 1, X 8; of the sticky part 1
  };
  bool ParseClause(std::string_view& rest, bool& comma);
  static bool ParseOctal(std::string_view text, ModeChange& change);
  static unsigned Combine(const Part& part, unsigned existing, bool may_execute);

  Part user_;
  Part group_;
  Part others_;
  Part sticky_;
};

}  // namespace dolmen::cli
