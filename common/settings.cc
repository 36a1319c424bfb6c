#include "common/settings.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "common/check.h"
#include "common/error.h"

namespace dolmen {
namespace {

constexpr std::string_view kVariablePrefix = "DOLMEN_";
constexpr size_t kMaxSuggestions = 3;

absl::Status Refused(std::string_view origin, std::string_view text) {
  return MakeError(ErrorReason::kIllegalArgument, absl::StrCat(ToAbsl(origin), ": ", ToAbsl(text)));
}

// "--datanode-max-x", "DATANODE_MAX_X" -> "datanode_max_x".
std::string NameFrom(std::string_view text) {
  std::string name(text);
  for (char& c : name) c = c == '-' ? '_' : absl::ascii_tolower(static_cast<unsigned char>(c));
  return name;
}

std::string FlagOf(std::string_view name) {
  std::string flag = absl::StrCat("--", ToAbsl(name));
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

std::string ComponentOf(std::string_view name) { return std::string(name.substr(0, name.find('_'))); }

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

// "; did you mean x, y?" or nothing.
template <typename Show>
std::string Suggest(std::string_view name, const std::vector<Setting>& table, Show show) {
  std::vector<std::pair<size_t, std::string_view>> near;
  for (const Setting& setting : table) {
    const size_t distance = EditDistance(name, setting.name);
    const bool part = name.size() >= 4 && setting.name.find(name) != std::string::npos;
    if (part || distance <= std::max<size_t>(2, name.size() / 3)) near.emplace_back(distance, setting.name);
  }
  std::sort(near.begin(), near.end());
  if (near.empty()) return "";
  std::string text = "; did you mean ";
  for (size_t i = 0; i < std::min(near.size(), kMaxSuggestions); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", show(near[i].second));
  }
  return text + "?";
}

std::string Itself(std::string_view name) { return std::string(name); }

std::string_view TypeName(const SettingValue& value) {
  static constexpr std::string_view kNames[] = {"true or false", "a whole number", "a number", "text"};
  return kNames[value.index()];
}

std::string ToToml(const SettingValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const int64_t* number = std::get_if<int64_t>(&value)) return absl::StrCat(*number);
  if (const double* number = std::get_if<double>(&value)) {
    std::string text = absl::StrCat(*number);
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    return text;
  }
  std::string quoted = "\"";
  for (const char c : std::get<std::string>(value)) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

// Whole numbers may end in k, m or g: 2^10, 2^20, 2^30.
std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t unit = 1;
  if (!text.empty()) {
    switch (absl::ascii_tolower(static_cast<unsigned char>(text.back()))) {
      case 'k':
        unit = int64_t{1} << 10;
        break;
      case 'm':
        unit = int64_t{1} << 20;
        break;
      case 'g':
        unit = int64_t{1} << 30;
        break;
      default:
        break;
    }
    if (unit != 1) text.remove_suffix(1);
  }
  int64_t number = 0;
  int64_t product = 0;
  if (text.empty() || std::isspace(static_cast<unsigned char>(text.back())) != 0) return std::nullopt;
  if (!absl::SimpleAtoi(ToAbsl(text), &number) || __builtin_mul_overflow(number, unit, &product)) return std::nullopt;
  return product;
}

std::optional<bool> ParseBool(std::string_view text) {
  const std::string lower = absl::AsciiStrToLower(ToAbsl(text));
  if (lower == "true" || lower == "yes" || lower == "on" || lower == "1") return true;
  if (lower == "false" || lower == "no" || lower == "off" || lower == "0") return false;
  return std::nullopt;
}

const Setting* Find(const std::vector<Setting>& table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const Setting& row) { return row.name == name; });
  return found == table.end() ? nullptr : &*found;
}

std::string RangeOf(const Setting& setting) {
  const bool low = setting.minimum != INT64_MIN;
  const bool high = setting.maximum != INT64_MAX;
  if (low && high) return absl::StrCat(setting.minimum, " to ", setting.maximum);
  if (low) return absl::StrCat("at least ", setting.minimum);
  if (high) return absl::StrCat("at most ", setting.maximum);
  return "";
}

absl::StatusOr<toml::table> ParseToml(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return Refused(path, "is a directory; give the settings file in it");
  }
  std::ifstream file(path);
  if (!file) {
    return Refused(path, absl::StrCat("the settings file can't be read: ", std::generic_category().message(errno),
                                      "; check its path and mode"));
  }
  try {
    return toml::parse(file, path);
  } catch (const toml::parse_error& error) {
    const std::string origin = absl::StrCat(path, ":", error.source().begin.line);
    return Refused(origin, std::string(error.description()));
  } catch (const std::exception& error) {
    return Refused(path, error.what());
  }
}

}  // namespace

Settings::Settings(std::vector<Setting> table) : table_(std::move(table)) {
  for (const Setting& setting : table_) {
    DOLMEN_CHECK(!setting.name.empty() && setting.name == NameFrom(setting.name), setting.name);
    if (const int64_t* number = std::get_if<int64_t>(&setting.default_value)) {
      DOLMEN_CHECK(*number >= setting.minimum && *number <= setting.maximum, setting.name);
    }
    DOLMEN_CHECK(values_.emplace(setting.name, setting.default_value).second, setting.name);
  }
}

absl::Status Settings::Assign(const Setting& setting, SettingValue value, std::string_view origin) {
  if (setting.unsafe) {
    const char* allowed = std::getenv("DOLMEN_UNSAFE");
    if (allowed == nullptr || std::string_view(allowed) != "1") {
      return Refused(origin, absl::StrCat(setting.name,
                                          " is for tests only and can lose data; set DOLMEN_UNSAFE=1 "
                                          "to use it all the same"));
    }
  }
  if (const int64_t* number = std::get_if<int64_t>(&value);
      number != nullptr && (*number < setting.minimum || *number > setting.maximum)) {
    return Refused(origin, absl::StrCat(setting.name, " = ", *number, " is out of range; allowed: ", RangeOf(setting)));
  }
  values_[setting.name] = std::move(value);
  return absl::OkStatus();
}

namespace {

// One file serves all programs: what begins with another program's name is that program's to judge.
bool BelongsToAnotherProgram(const std::string& name, const std::vector<Setting>& table) {
  const std::string component = ComponentOf(name);
  if (component == name) return false;
  if (component != "namenode" && component != "datanode" && component != "client") return false;
  return std::none_of(table.begin(), table.end(),
                      [&](const Setting& setting) { return ComponentOf(setting.name) == component; });
}

}  // namespace

absl::Status Settings::LoadTomlFile(const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(const toml::table file, ParseToml(path));
  // In the order of the file, so that the first error is the first line.
  std::vector<std::pair<uint32_t, std::string>> lines;
  for (const auto& [key, node] : file) {
    lines.emplace_back(node.source().begin.line, std::string(key.str()));
  }
  std::sort(lines.begin(), lines.end());
  for (const auto& [line, name] : lines) {
    const std::string origin = absl::StrCat(path, ":", line);
    const Setting* setting = Find(table_, name);
    if (setting == nullptr) {
      if (BelongsToAnotherProgram(name, table_)) continue;
      return Refused(origin, absl::StrCat("unknown setting ", name, Suggest(name, table_, Itself)));
    }
    const toml::node& node = *file.get(name);
    const SettingValue& type = setting->default_value;
    if (const auto text = node.value_exact<std::string>(); text.has_value() && std::holds_alternative<int64_t>(type)) {
      DOLMEN_RETURN_IF_ERROR(SetFromText(name, *text, origin));  // "64m"
      continue;
    }
    std::optional<SettingValue> value;
    if (std::holds_alternative<bool>(type)) {
      if (const auto flag = node.value_exact<bool>()) value = *flag;
    } else if (std::holds_alternative<int64_t>(type)) {
      if (const auto number = node.value_exact<int64_t>()) value = *number;
    } else if (std::holds_alternative<double>(type)) {
      if (const auto number = node.value<double>(); number.has_value() && std::isfinite(*number)) value = *number;
    } else if (auto text = node.value_exact<std::string>()) {
      value = *std::move(text);
    }
    if (!value.has_value()) return Refused(origin, absl::StrCat(name, " must be ", ToAbsl(TypeName(type))));
    DOLMEN_RETURN_IF_ERROR(Assign(*setting, *std::move(value), origin));
  }
  return absl::OkStatus();
}

absl::Status Settings::LoadEnvironment(const char* const* environ_block) {
  // A variable whose first word is a component of this table must name a setting. Others (DOLMEN_USER, settings of
  // other programs) are not ours to judge.
  std::set<std::string> components;
  for (const Setting& setting : table_) components.insert(ComponentOf(setting.name));
  for (const char* const* entry = environ_block; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos || text.substr(0, kVariablePrefix.size()) != kVariablePrefix) continue;
    const std::string_view variable = text.substr(0, equals);
    const std::string name = NameFrom(variable.substr(kVariablePrefix.size()));
    if (Find(table_, name) == nullptr && !components.contains(ComponentOf(name))) continue;
    DOLMEN_RETURN_IF_ERROR(SetFromText(name, text.substr(equals + 1), absl::StrCat("variable ", ToAbsl(variable))));
  }
  return absl::OkStatus();
}

absl::Status Settings::SetFromText(std::string_view name, std::string_view text, std::string_view origin) {
  const Setting* setting = Find(table_, NameFrom(name));
  if (setting == nullptr) {
    const std::string normal = NameFrom(name);
    return Refused(origin, absl::StrCat("unknown setting ", normal, Suggest(normal, table_, Itself)));
  }
  const SettingValue& type = setting->default_value;
  std::optional<SettingValue> value;
  if (std::holds_alternative<bool>(type)) {
    if (const auto flag = ParseBool(text)) value = *flag;
  } else if (std::holds_alternative<int64_t>(type)) {
    if (const auto number = ParseInteger(text)) value = *number;
  } else if (std::holds_alternative<double>(type)) {
    if (double number = 0; absl::SimpleAtod(ToAbsl(text), &number) && std::isfinite(number)) value = number;
  } else {
    value = std::string(text);
  }
  if (!value.has_value()) {
    const std::string_view suffixes = std::holds_alternative<int64_t>(type) ? ", k, m or g (binary) may follow" : "";
    return Refused(origin, absl::StrCat(setting->name, " = \"", ToAbsl(text), "\" must be ", ToAbsl(TypeName(type)),
                                        ToAbsl(suffixes)));
  }
  return Assign(*setting, *std::move(value), origin);
}

absl::StatusOr<std::vector<std::string>> Settings::LoadFlags(const std::vector<std::string>& args) {
  std::vector<std::string> rest;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string_view arg = args[i];
    if (arg == "--") {  // all that follows are no flags
      rest.insert(rest.end(), args.begin() + static_cast<std::ptrdiff_t>(i) + 1, args.end());
      break;
    }
    if (arg.size() < 3 || arg.substr(0, 2) != "--") {
      rest.push_back(args[i]);
      continue;
    }
    const size_t equals = arg.find('=');
    const std::string flag(arg.substr(0, equals));
    const std::string origin = absl::StrCat("flag ", flag);
    std::string name = NameFrom(std::string_view(flag).substr(2));
    const Setting* setting = Find(table_, name);
    if (equals != std::string_view::npos) {
      if (setting == nullptr) return Refused(origin, absl::StrCat("unknown flag", Suggest(name, table_, FlagOf)));
      DOLMEN_RETURN_IF_ERROR(SetFromText(name, arg.substr(equals + 1), origin));
      continue;
    }
    bool negated = false;
    if (setting == nullptr && name.substr(0, 3) == "no_") {
      setting = Find(table_, name.substr(3));
      negated = setting != nullptr && std::holds_alternative<bool>(setting->default_value);
      if (!negated) setting = nullptr;
    }
    if (setting == nullptr) return Refused(origin, absl::StrCat("unknown flag", Suggest(name, table_, FlagOf)));
    if (std::holds_alternative<bool>(setting->default_value)) {
      DOLMEN_RETURN_IF_ERROR(Assign(*setting, !negated, origin));
      continue;
    }
    if (i + 1 == args.size()) return Refused(origin, absl::StrCat("a value must follow, as ", flag, "=<value>"));
    DOLMEN_RETURN_IF_ERROR(SetFromText(name, args[++i], origin));
  }
  return rest;
}

int64_t Settings::Int(std::string_view name) const {
  const auto found = values_.find(name);
  DOLMEN_CHECK(found != values_.end() && std::holds_alternative<int64_t>(found->second), name);
  return std::get<int64_t>(found->second);
}

double Settings::Double(std::string_view name) const {
  const auto found = values_.find(name);
  DOLMEN_CHECK(found != values_.end() && std::holds_alternative<double>(found->second), name);
  return std::get<double>(found->second);
}

bool Settings::Bool(std::string_view name) const {
  const auto found = values_.find(name);
  DOLMEN_CHECK(found != values_.end() && std::holds_alternative<bool>(found->second), name);
  return std::get<bool>(found->second);
}

const std::string& Settings::Text(std::string_view name) const {
  const auto found = values_.find(name);
  DOLMEN_CHECK(found != values_.end() && std::holds_alternative<std::string>(found->second), name);
  return std::get<std::string>(found->second);
}

std::string Settings::SampleToml() const {
  std::string sample;
  for (const Setting& setting : table_) {
    if (!sample.empty()) sample += '\n';
    absl::StrAppend(&sample, "# ", setting.description, "\n");
    if (const std::string range = RangeOf(setting); !range.empty())
      absl::StrAppend(&sample, "# Allowed: ", range, ".\n");
    if (setting.unsafe) sample += "# For tests only: refused unless DOLMEN_UNSAFE=1.\n";
    absl::StrAppend(&sample, "#", setting.name, " = ", ToToml(setting.default_value), "\n");
  }
  return sample;
}

}  // namespace dolmen
