#include "client/cli/glob.h"

#include <wctype.h>

#include <clocale>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

// Decodes one character at `at` and moves past it. A byte that is not part of valid UTF-8 becomes a character of its
// own, above Unicode's range, so that it can still be matched.
uint32_t NextCharacter(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(at);
  const size_t length = first < 0x80           ? 1
                        : (first >> 5) == 0x6  ? 2
                        : (first >> 4) == 0xE  ? 3
                        : (first >> 3) == 0x1E ? 4
                                               : 0;
  if (length == 1) return text[at++];
  if (length != 0 && at + length <= text.size()) {
    uint32_t character = first & (0xFF >> (length + 1));
    size_t i = 1;
    for (; i < length && (byte(at + i) & 0xC0) == 0x80; ++i) character = character << 6 | (byte(at + i) & 0x3F);
    if (i == length) {
      at += length;
      return character;
    }
  }
  ++at;
  return 0x110000 + first;
}

// As NextCharacter; the lower-case form when letters of either case are the same.
uint32_t NextCharacter(std::string_view text, size_t& at, GlobCase letters) {
  const uint32_t character = NextCharacter(text, at);
  if (letters == GlobCase::kExact) return character;
  if (character < 0x80) return character >= 'A' && character <= 'Z' ? character - 'A' + 'a' : character;
  // Any UTF-8 locale knows the others.
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (character > 0x10FFFF || locale == nullptr) return character;
  return static_cast<uint32_t>(towlower_l(static_cast<wint_t>(character), locale));
}

absl::Status BadPattern(std::string_view what, size_t index) {
  return MakeError(absl::StatusCode::kInvalidArgument, ErrorReason::kIo,
                   absl::StrCat("Illegal file pattern: ", ToAbsl(what), " near index ", index));
}

absl::Status TooManyAlternatives(std::string_view pattern) {
  return MakeError(absl::StatusCode::kInvalidArgument, ErrorReason::kIo,
                   absl::StrCat("Illegal file pattern: `", ToAbsl(pattern), "' stands for more than ",
                                GlobPattern::kMaxAlternatives, " patterns; use fewer braces"));
}

}  // namespace

bool GlobPattern::Token::Accepts(uint32_t c) const {
  switch (kind) {
    case Kind::kCharacter:
      return c == character;
    case Kind::kAnyOne:
      return true;
    case Kind::kAnyMany:
      return false;
    case Kind::kSet:
      break;
  }
  bool inside = false;
  for (const auto& [low, high] : ranges) inside = inside || (low <= c && c <= high);
  return inside != negated;
}

// Recursive descent: a sequence of tokens and brace groups; groups are multiplied into the alternatives so far.
class GlobPattern::Parser {
 public:
  Parser(std::string_view pattern, GlobCase letters) : pattern_(pattern), letters_(letters) {}

  absl::StatusOr<GlobPattern> Parse() {
    GlobPattern result;
    DOLMEN_ASSIGN_OR_RETURN(result.alternatives_, ParseSequence(/*depth=*/0));
    result.letters_ = letters_;
    result.has_wildcard_ = has_wildcard_;
    if (!has_wildcard_) result.literal_ = literal_;
    return result;
  }

 private:
  using Sequences = std::vector<Sequence>;

  absl::StatusOr<Sequences> ParseSequence(int depth) {
    Sequences sequences(1);
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (depth > 0 && (c == ',' || c == '}')) return sequences;
      if (c == '{') {
        DOLMEN_ASSIGN_OR_RETURN(Sequences group, ParseGroup(depth));
        if (sequences.size() * group.size() > kMaxAlternatives) return TooManyAlternatives(pattern_);
        Sequences product;
        for (const Sequence& head : sequences) {
          for (const Sequence& tail : group) {
            product.push_back(head);
            product.back().insert(product.back().end(), tail.begin(), tail.end());
          }
        }
        sequences = std::move(product);
        continue;
      }
      DOLMEN_ASSIGN_OR_RETURN(Token token, ParseToken());
      for (Sequence& sequence : sequences) sequence.push_back(token);
    }
    if (depth > 0) return BadPattern("Unclosed group", pattern_.size());
    return sequences;
  }

  absl::StatusOr<Sequences> ParseGroup(int depth) {
    if (depth >= 100) return BadPattern("Groups nested too deep", at_);
    has_wildcard_ = true;
    ++at_;  // '{'
    Sequences group;
    while (true) {
      DOLMEN_ASSIGN_OR_RETURN(Sequences one, ParseSequence(depth + 1));
      group.insert(group.end(), one.begin(), one.end());
      if (group.size() > kMaxAlternatives) return TooManyAlternatives(pattern_);
      if (pattern_[at_++] == '}') return group;
    }
  }

  absl::StatusOr<Token> ParseToken() {
    Token token;
    switch (pattern_[at_]) {
      case '*':
        has_wildcard_ = true;
        token.kind = Token::Kind::kAnyMany;
        ++at_;
        return token;
      case '?':
        has_wildcard_ = true;
        token.kind = Token::Kind::kAnyOne;
        ++at_;
        return token;
      case '[':
        return ParseSet();
      case '\\':
        if (++at_ == pattern_.size()) return BadPattern("Missing escaped character", at_ - 1);
        break;
      default:
        break;
    }
    const size_t begin = at_;
    token.character = NextCharacter(pattern_, at_, letters_);
    literal_ += pattern_.substr(begin, at_ - begin);
    return token;
  }

  absl::StatusOr<Token> ParseSet() {
    has_wildcard_ = true;
    Token token;
    token.kind = Token::Kind::kSet;
    ++at_;  // '['
    if (at_ < pattern_.size() && (pattern_[at_] == '^' || pattern_[at_] == '!')) {
      token.negated = true;
      ++at_;
    }
    while (at_ < pattern_.size() && pattern_[at_] != ']') {
      if (pattern_[at_] == '[') break;
      DOLMEN_ASSIGN_OR_RETURN(const uint32_t low, SetCharacter());
      uint32_t high = low;
      if (at_ + 1 < pattern_.size() && pattern_[at_] == '-' && pattern_[at_ + 1] != ']') {
        ++at_;
        DOLMEN_ASSIGN_OR_RETURN(high, SetCharacter());
        if (high < low) return BadPattern("Illegal character range", at_ - 1);
      }
      token.ranges.emplace_back(low, high);
    }
    if (at_ >= pattern_.size() || pattern_[at_] == '[' || token.ranges.empty()) {
      return BadPattern("Unclosed character class", pattern_.size() - 1);
    }
    ++at_;  // ']'
    return token;
  }

  absl::StatusOr<uint32_t> SetCharacter() {
    if (pattern_[at_] == '\\' && ++at_ == pattern_.size()) return BadPattern("Missing escaped character", at_ - 1);
    return NextCharacter(pattern_, at_, letters_);
  }

  const std::string_view pattern_;
  const GlobCase letters_;
  size_t at_ = 0;
  bool has_wildcard_ = false;
  std::string literal_;
};

absl::StatusOr<GlobPattern> GlobPattern::Compile(std::string_view component, GlobCase letters) {
  return Parser(component, letters).Parse();
}

bool GlobPattern::SequenceMatches(const Sequence& tokens, const std::vector<uint32_t>& name) {
  // The usual two-pointer match: on a mismatch, let the last '*' swallow one character more.
  size_t t = 0;
  size_t n = 0;
  std::optional<size_t> star;
  size_t star_name = 0;
  while (n < name.size()) {
    if (t < tokens.size() && tokens[t].kind == Token::Kind::kAnyMany) {
      star = t++;
      star_name = n;
    } else if (t < tokens.size() && tokens[t].Accepts(name[n])) {
      ++t;
      ++n;
    } else if (star.has_value()) {
      t = *star + 1;
      n = ++star_name;
    } else {
      return false;
    }
  }
  while (t < tokens.size() && tokens[t].kind == Token::Kind::kAnyMany) ++t;
  return t == tokens.size();
}

bool GlobPattern::Matches(std::string_view name) const {
  std::vector<uint32_t> characters;
  characters.reserve(name.size());
  for (size_t at = 0; at < name.size();) characters.push_back(NextCharacter(name, at, letters_));
  for (const Sequence& sequence : alternatives_) {
    if (SequenceMatches(sequence, characters)) return true;
  }
  return false;
}

absl::StatusOr<std::vector<std::string>> ExpandBracesWithSlash(std::string_view pattern) {
  std::vector<std::string> done;
  std::vector<std::string> todo = {std::string(pattern)};  // a stack, leftmost alternative on top
  while (!todo.empty()) {
    if (done.size() + todo.size() > GlobPattern::kMaxAlternatives) return TooManyAlternatives(pattern);
    const std::string current = std::move(todo.back());
    todo.pop_back();
    // The leftmost outermost group that contains a slash, with its commas.
    size_t open = 0;
    std::vector<size_t> cuts;
    bool slash = false;
    bool found = false;
    int depth = 0;
    for (size_t i = 0; i < current.size() && !found; ++i) {
      const char c = current[i];
      if (c == '\\') {
        ++i;
      } else if (c == '{') {
        if (depth++ == 0) {
          open = i;
          cuts.clear();
          slash = false;
        }
      } else if (c == '}' && depth > 0) {
        if (--depth == 0 && slash) {
          cuts.push_back(i);
          found = true;
        }
      } else if (c == ',' && depth == 1) {
        cuts.push_back(i);
      } else if (c == '/' && depth > 0) {
        slash = true;
      }
    }
    if (!found) {
      done.push_back(current);
      continue;
    }
    const std::string_view view = current;
    std::vector<std::string> alternatives;
    size_t begin = open + 1;
    for (const size_t cut : cuts) {
      alternatives.push_back(absl::StrCat(ToAbsl(view.substr(0, open)), ToAbsl(view.substr(begin, cut - begin)),
                                          ToAbsl(view.substr(cuts.back() + 1))));
      begin = cut + 1;
    }
    todo.insert(todo.end(), alternatives.rbegin(), alternatives.rend());
  }
  return done;
}

std::string QuoteGlob(std::string_view text) {
  std::string quoted;
  for (const char c : text) {
    if (std::string_view("*?[]{},\\^").find(c) != std::string_view::npos) quoted += '\\';
    quoted += c;
  }
  return quoted;
}

}  // namespace dolmen::cli
