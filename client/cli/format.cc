#include "client/cli/format.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr std::string_view kPrefixes = "KMGTPE";  // 2^10 .. 2^60

// value / 2^shift with `decimals` digits, rounded half up.
std::string Divided(uint64_t value, int shift, int decimals) {
  uint64_t scale = 1;
  for (int i = 0; i < decimals; ++i) scale *= 10;
  using Wide = unsigned __int128;
  const Wide doubled = (static_cast<Wide>(value) * scale * 2 + (Wide{1} << shift)) >> (shift + 1);
  const auto scaled = static_cast<uint64_t>(doubled);
  std::string text = std::to_string(scaled / scale);
  if (decimals > 0) {
    const std::string fraction = std::to_string(scaled % scale);
    absl::StrAppend(&text, ".", std::string(static_cast<size_t>(decimals) - fraction.size(), '0'), fraction);
  }
  return text;
}

int64_t FloorSeconds(int64_t ms) { return ms >= 0 ? ms / 1000 : -((-ms + 999) / 1000); }

std::string FormatTime(int64_t ms, bool utc, const char* format) {
  const auto seconds = static_cast<time_t>(FloorSeconds(ms));
  std::tm parts{};
  if (utc) {
    gmtime_r(&seconds, &parts);
  } else {
    localtime_r(&seconds, &parts);
  }
  char text[64];
  return std::string(text, std::strftime(text, sizeof text, format, &parts));
}

}  // namespace

std::string WithBinaryPrefix(uint64_t value, std::string_view unit, int decimals) {
  if (value < 1024) return unit.empty() ? std::to_string(value) : absl::StrCat(value, " ", ToAbsl(unit));
  size_t prefix = 0;
  while (prefix + 1 < kPrefixes.size() && value >> (10 * (prefix + 2)) != 0) ++prefix;
  int shift = 10 * (static_cast<int>(prefix) + 1);
  std::string number;
  if ((value & ((uint64_t{1} << shift) - 1)) == 0) {
    number = std::to_string(value >> shift);
  } else {
    number = Divided(value, shift, decimals);
    if (number.starts_with("1024") && prefix + 1 < kPrefixes.size()) {
      ++prefix;
      shift += 10;
      number = Divided(value, shift, decimals);
    }
  }
  return absl::StrCat(number, " ", ToAbsl(kPrefixes.substr(prefix, 1)), ToAbsl(unit));
}

absl::StatusOr<uint64_t> ParseSize(std::string_view text) {
  std::string_view digits = text;
  int shift = 0;
  if (!digits.empty() && (digits.back() < '0' || digits.back() > '9')) {
    const char upper = static_cast<char>(digits.back() & ~0x20);
    const size_t prefix = kPrefixes.find(upper);
    if (prefix == std::string_view::npos) {
      return UsageError(absl::StrCat("Invalid size prefix '", ToAbsl(text.substr(text.size() - 1)), "' in '",
                                     ToAbsl(text), "'. Allowed prefixes are k, m, g, t, p, e(case insensitive)"));
    }
    shift = 10 * (static_cast<int>(prefix) + 1);
    digits.remove_suffix(1);
  }
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return UsageError(absl::StrCat("For input string: \"", ToAbsl(digits), "\""));
  }
  if (shift > 0 && number > (UINT64_MAX >> 1) >> shift) {
    return UsageError(absl::StrCat(ToAbsl(text), " does not fit in a Long"));
  }
  return number << shift;
}

std::string SymbolicMode(uint16_t permission) {
  std::string text = "---------";
  for (int i = 0; i < 9; ++i) {
    if ((permission >> (8 - i) & 1) != 0) text[static_cast<size_t>(i)] = "rwx"[i % 3];
  }
  if ((permission & 01000) != 0) text[8] = text[8] == 'x' ? 't' : 'T';
  return text;
}

std::string OctalMode(uint16_t permission) {
  char text[8];
  return std::string(text, static_cast<size_t>(std::snprintf(text, sizeof text, "%o", permission & 01777u)));
}

std::string PadLeft(std::string_view text, size_t width) {
  std::string padded(width > text.size() ? width - text.size() : 0, ' ');
  padded += text;
  return padded;
}

std::string PadRight(std::string_view text, size_t width) {
  std::string padded(text);
  if (padded.size() < width) padded.append(width - padded.size(), ' ');
  return padded;
}

std::string LocalMinute(int64_t ms) { return FormatTime(ms, /*utc=*/false, "%Y-%m-%d %H:%M"); }
std::string UtcSecond(int64_t ms) { return FormatTime(ms, /*utc=*/true, "%Y-%m-%d %H:%M:%S"); }
std::string JavaDate(int64_t ms) { return FormatTime(ms, /*utc=*/false, "%a %b %d %H:%M:%S %Z %Y"); }

std::optional<int64_t> ParseLocalSecond(std::string_view text) {
  constexpr std::string_view kForm = "00000000:000000";
  if (text.size() != kForm.size()) return std::nullopt;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == '0' ? !digit : text[i] != kForm[i]) return std::nullopt;
  }
  const auto number = [text](size_t begin, size_t count) {
    int value = 0;
    for (const char c : text.substr(begin, count)) value = value * 10 + (c - '0');
    return value;
  };
  std::tm parts{};
  parts.tm_year = number(0, 4) - 1900;
  parts.tm_mon = number(4, 2) - 1;
  parts.tm_mday = number(6, 2);
  parts.tm_hour = number(9, 2);
  parts.tm_min = number(11, 2);
  parts.tm_sec = number(13, 2);
  parts.tm_isdst = -1;  // whatever holds then
  return static_cast<int64_t>(std::mktime(&parts)) * 1000;
}

std::string Percent(double part, double whole, int decimals) {
  if (whole == 0) return part == 0 ? "NaN%" : "Infinity%";
  // Halves go up, as in Java; the C library takes them to the even side.
  const double scale = std::pow(10, decimals);
  const double rounded = std::floor(part * 100 / whole * scale + 0.5) / scale;
  char text[64];
  return std::string(text, static_cast<size_t>(std::snprintf(text, sizeof text, "%.*f%%", decimals, rounded)));
}

}  // namespace dolmen::cli
