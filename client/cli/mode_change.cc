#include "client/cli/mode_change.h"

namespace dolmen::cli {
namespace {

constexpr unsigned kExecute = 1;
constexpr unsigned kExecuteIfAny = 8;  // X
constexpr std::string_view kSpace = " \t\n\v\f\r";

// Takes the longest front of `rest` that is made of `characters`.
std::string_view TakeAny(std::string_view& rest, std::string_view characters) {
  size_t end = rest.find_first_not_of(characters);
  if (end == std::string_view::npos) end = rest.size();
  const std::string_view taken = rest.substr(0, end);
  rest.remove_prefix(end);
  return taken;
}

bool Has(std::string_view characters, char c) { return characters.find(c) != std::string_view::npos; }

}  // namespace

// [ugoa]* [+=-]+ [rwxXt]+, spaces before it, commas and spaces after it.
bool ModeChange::ParseClause(std::string_view& rest, bool& comma) {
  TakeAny(rest, kSpace);
  const std::string_view classes = TakeAny(rest, "ugoa");
  const std::string_view operations = TakeAny(rest, "+=-");
  const std::string_view letters = TakeAny(rest, "rwxXt");
  if (operations.empty() || letters.empty()) return false;
  comma = Has(TakeAny(rest, ", \t\n\v\f\r"), ',');

  const bool all = classes.find_first_of("ugo") == std::string_view::npos;
  Part part{.operation = operations.back()};
  if (Has(letters, 'r')) part.bits |= 4;
  if (Has(letters, 'w')) part.bits |= 2;
  if (Has(letters, 'x')) part.bits |= kExecute;
  if (Has(letters, 'X')) part.bits |= kExecuteIfAny;
  if (all || Has(classes, 'u')) user_ = part;
  if (all || Has(classes, 'g')) group_ = part;
  if (all || Has(classes, 'o')) {
    others_ = part;
    sticky_ = {.operation = part.operation, .bits = Has(letters, 't') ? 1u : 0u};
  }
  return true;
}

bool ModeChange::ParseOctal(std::string_view text, ModeChange& change) {
  TakeAny(text, kSpace);
  if (text.starts_with('+')) text.remove_prefix(1);
  const std::string_view digits = TakeAny(text, "01234567");
  TakeAny(text, kSpace);
  if (!text.empty() || digits.size() < 3 || digits.size() > 4 || (digits.size() == 4 && digits[0] > '1')) return false;
  const std::string_view last = digits.substr(digits.size() - 3);
  const auto part = [](char digit) { return Part{.operation = '=', .bits = static_cast<unsigned>(digit - '0')}; };
  change.user_ = part(last[0]);
  change.group_ = part(last[1]);
  change.others_ = part(last[2]);
  change.sticky_ = part(digits.size() == 4 ? digits[0] : '0');
  return true;
}

std::optional<ModeChange> ModeChange::Parse(std::string_view text) {
  ModeChange change;
  bool comma = false;
  std::string_view rest = text;
  if (change.ParseClause(rest, comma)) {
    while (!rest.empty()) {
      if (!comma || !change.ParseClause(rest, comma)) return std::nullopt;
    }
    return change;
  }
  ModeChange octal;
  if (ParseOctal(text, octal)) return octal;
  return std::nullopt;
}

unsigned ModeChange::Combine(const Part& part, unsigned existing, bool may_execute) {
  const bool conditional = (part.bits & kExecuteIfAny) != 0;
  const unsigned bits = conditional ? (part.bits & ~kExecuteIfAny) | kExecute : part.bits;
  unsigned combined = part.operation == '+' ? existing | bits : part.operation == '-' ? existing & ~bits : bits;
  if (conditional && !may_execute && (existing & kExecute) == 0) combined &= ~kExecute;
  return combined;
}

uint16_t ModeChange::Apply(uint16_t permission, bool is_directory) const {
  const bool may_execute = is_directory || (permission & 0111) != 0;
  return static_cast<uint16_t>(
      Combine(sticky_, permission >> 9 & 1, false) << 9 | Combine(user_, permission >> 6 & 7, may_execute) << 6 |
      Combine(group_, permission >> 3 & 7, may_execute) << 3 | Combine(others_, permission & 7, may_execute));
}

}  // namespace dolmen::cli
