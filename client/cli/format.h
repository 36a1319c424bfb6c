// Numbers, modes and times the way HDFS's tools print them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace dolmen::cli {

// Binary prefixes: below 1024 the plain integer; exact multiples without decimals ("1 K"); else `decimals` digits,
// rounded half up ("1.5 K"). `unit` follows the prefix: ("B", 2) gives "512 B", "1.50 GB".
std::string WithBinaryPrefix(uint64_t value, std::string_view unit, int decimals);
inline std::string HumanSize(uint64_t bytes) { return WithBinaryPrefix(bytes, "", 1); }
inline std::string ByteDescription(uint64_t bytes) { return WithBinaryPrefix(bytes, "B", 2); }

// "64m" -> 67108864: a number and one of k m g t p e, either case. Error: "Invalid size prefix 'x' in 's'. ...".
absl::StatusOr<uint64_t> ParseSize(std::string_view text);

// "rwxr-xr-t": nine characters; sticky shows as t, or T where others may not execute.
std::string SymbolicMode(uint16_t permission);
// "644", "1777".
std::string OctalMode(uint16_t permission);

// At least `width` bytes wide, filled with spaces before or after the text.
std::string PadLeft(std::string_view text, size_t width);
std::string PadRight(std::string_view text, size_t width);

// Milliseconds since 1970. Local time: "2021-04-25 10:11"; UTC: "2021-04-25 10:11:12";
// Java's Date in local time: "Sun Apr 25 10:11:12 UTC 2021".
std::string LocalMinute(int64_t ms);
std::string UtcSecond(int64_t ms);
std::string JavaDate(int64_t ms);

// "20210425:101112" (yyyyMMdd:HHmmss) in local time. Numbers beyond a field's range count on, as in Java's lenient
// parser: day 31 of April is May 1. Nothing: not of that form.
std::optional<int64_t> ParseLocalSecond(std::string_view text);

// "12.34%" of part * 100 / whole, with `decimals` digits; "NaN%" of 0 / 0.
std::string Percent(double part, double whole, int decimals = 2);

}  // namespace dolmen::cli
