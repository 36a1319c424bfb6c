// HDFS's file patterns: * ? [abc] [a-b] [^a] {ab,cd} and \ to quote. A leading dot is not special.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace dolmen::cli {

enum class GlobCase { kExact, kIgnored };

// One component of a path, compiled. Immutable.
class GlobPattern {
 public:
  // Errors: "Illegal file pattern: ..." naming what is not closed; more alternatives than kMaxAlternatives.
  static absl::StatusOr<GlobPattern> Compile(std::string_view component, GlobCase letters = GlobCase::kExact);

  // Whether it can match anything but one fixed name. When not, literal() is that name.
  bool has_wildcard() const { return has_wildcard_; }
  const std::string& literal() const { return literal_; }
  // `name` is taken as UTF-8: '?' matches one character. Linear in name and pattern per alternative.
  bool Matches(std::string_view name) const;

  static constexpr size_t kMaxAlternatives = 10'000;

 private:
  struct Token {
    enum class Kind { kCharacter, kAnyOne, kAnyMany, kSet };
    Kind kind = Kind::kCharacter;
    uint32_t character = 0;
    bool negated = false;
    std::vector<std::pair<uint32_t, uint32_t>> ranges;  // both ends included
    bool Accepts(uint32_t c) const;
  };
  using Sequence = std::vector<Token>;
  class Parser;
  static bool SequenceMatches(const Sequence& tokens, const std::vector<uint32_t>& name);

  GlobCase letters_ = GlobCase::kExact;
  bool has_wildcard_ = false;
  std::string literal_;
  std::vector<Sequence> alternatives_;  // braces are multiplied out
};

// Multiplies out the braces that contain a slash: "/{a/b,c}/d" -> "/a/b/d", "/c/d". Other braces stay.
// Error: more than GlobPattern::kMaxAlternatives results.
absl::StatusOr<std::vector<std::string>> ExpandBracesWithSlash(std::string_view pattern);

// `text` with every special character quoted, so that as a pattern it means itself.
std::string QuoteGlob(std::string_view text);

}  // namespace dolmen::cli
