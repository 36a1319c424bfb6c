#include "tests/bench/options.h"

#include <cctype>
#include <functional>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace dolmen::bench {
namespace {

constexpr uint64_t kKiB = 1 << 10;
constexpr uint64_t kTiB = uint64_t{1} << 40;

struct Number {
  std::string_view name;
  std::string_view commands;  // that know it; empty: all
  uint64_t low;
  uint64_t high;
  std::string_view text;
  std::function<void(Options*, uint64_t)> set;
};

const std::vector<Number>& Numbers() {
  static const auto* const numbers = new std::vector<Number>{
      {"repeats", "", 1, 100, "how often each thing is measured; medians are of so many (5)",
       [](Options* o, uint64_t v) { o->repeats = v; }},
      {"time-limit", "", 1, 7 * 24 * 3600, "seconds after which the run is ended, without a result (3600)",
       [](Options* o, uint64_t v) { o->time_limit = std::chrono::seconds(v); }},
      {"operations", "meta", 64, 10'000'000,
       "per measurement with 64 or more outstanding; 16 get half, 1 an eighth (16384)",
       [](Options* o, uint64_t v) { o->operations = v; }},
      {"outstanding", "meta", 0, 256, "only this level: 1, 16, 64 or 256; 0 is all (0)",
       [](Options* o, uint64_t v) { o->outstanding = v; }},
      {"file-bytes", "io", kKiB, kTiB, "of the large file (1g)", [](Options* o, uint64_t v) { o->file_bytes = v; }},
      {"small-files", "io", 1, 10'000'000, "number of small files (10000)",
       [](Options* o, uint64_t v) { o->small_files = v; }},
      {"small-bytes", "io", 1, 64 << 20, "of each small file (4k)", [](Options* o, uint64_t v) { o->small_bytes = v; }},
      {"threads", "io", 1, 256, "that write and read small files side by side (16)",
       [](Options* o, uint64_t v) { o->threads = v; }},
      {"files", "restart growth", 100, 1'000'000'000, "files in the namespace (1000000)",
       [](Options* o, uint64_t v) { o->files = v; }},
  };
  return *numbers;
}

absl::Status Refuse(const std::string& text) { return MakeError(ErrorReason::kIllegalArgument, text); }

bool KnownCommand(std::string_view command) {
  return command == "meta" || command == "io" || command == "restart" || command == "growth";
}

bool Knows(const Number& number, const std::string& command) {
  return number.commands.empty() || number.commands.find(command) != std::string_view::npos;
}

// Digits, then nothing or k, m, g, t for powers of 1024.
bool ParseNumber(std::string_view text, uint64_t* value) {
  uint64_t unit = 1;
  if (!text.empty()) {
    const size_t power = std::string_view("kmgt").find(static_cast<char>(std::tolower(text.back())));
    if (power != std::string_view::npos) {
      unit <<= 10 * (power + 1);
      text.remove_suffix(1);
    }
  }
  if (text.empty() || text.front() < '0' || text.front() > '9') return false;
  return absl::SimpleAtoi(ToAbsl(text), value) && !__builtin_mul_overflow(*value, unit, value);
}

}  // namespace

std::string UsageText() {
  std::string text =
      "usage: dolmen-bench meta|io|restart|growth [OPTION ...]\n"
      "Measures a cluster of its own (one namenode, three datanodes on this machine) beside bare programs that are "
      "given\n"
      "the same bytes, alternately. Prints a table; docs/benchmarks.md explains it.\n"
      "\n"
      "  meta      create, mkdirs, stat, open, ls, rename, delete\n"
      "  io        a large file and many small ones, written and read\n"
      "  restart   kill -9 under a write load, then the first answers\n"
      "  growth    many files in one directory and in a deep tree\n"
      "\n"
      "  --dir DIRECTORY      where the run's own directory is made, and removed again (the system's temporary one)\n"
      "  --json FILE          also writes one line of JSON per measurement and per result\n"
      "  --keep-caches        restart: do not drop the page cache before a start\n";
  for (const Number& number : Numbers()) {
    std::string left = absl::StrCat("  --", ToAbsl(number.name), " N");
    left.resize(std::max<size_t>(left.size() + 1, 23), ' ');
    absl::StrAppend(&text, left, number.commands.empty() ? "" : absl::StrCat(ToAbsl(number.commands), ": "),
                    ToAbsl(number.text), "\n");
  }
  absl::StrAppend(&text, "Numbers may end in k, m, g or t.\n");
  return text;
}

absl::StatusOr<Options> ParseOptions(const std::vector<std::string>& args) {
  Options options;
  if (args.empty() || !KnownCommand(args[0])) {
    return Refuse(absl::StrCat(args.empty() ? "a command is missing" : absl::StrCat("unknown command '", args[0], "'"),
                               "; it is one of meta, io, restart, growth"));
  }
  options.command = args[0];
  for (size_t i = 1; i < args.size(); ++i) {
    const std::string_view word = args[i];
    if (!word.starts_with("--")) return Refuse(absl::StrCat("'", args[i], "' is not an option; see --help"));
    const size_t equals = word.find('=');
    const std::string_view name = word.substr(2, equals == std::string_view::npos ? equals : equals - 2);
    if (name == "keep-caches" && equals == std::string_view::npos) {
      if (options.command != "restart") return Refuse("--keep-caches is only for restart");
      options.drop_caches = false;
      continue;
    }
    const Number* number = nullptr;
    for (const Number& one : Numbers())
      if (one.name == name) number = &one;
    if (number == nullptr && name != "dir" && name != "json") {
      return Refuse(absl::StrCat("unknown option '", args[i], "'; see --help"));
    }
    std::string value;
    if (equals != std::string_view::npos) {
      value = word.substr(equals + 1);
    } else if (i + 1 < args.size()) {
      value = args[++i];
    } else {
      return Refuse(absl::StrCat("--", ToAbsl(name), " needs a value"));
    }
    if (number == nullptr) {
      if (value.empty()) return Refuse(absl::StrCat("--", ToAbsl(name), " needs a value"));
      (name == "dir" ? options.directory : options.json_file) = value;
      continue;
    }
    if (!Knows(*number, options.command)) {
      return Refuse(absl::StrCat("--", ToAbsl(name), " means nothing to ", options.command));
    }
    uint64_t parsed = 0;
    if (!ParseNumber(value, &parsed) || parsed < number->low || parsed > number->high) {
      return Refuse(absl::StrCat("--", ToAbsl(name), " '", value, "': a number from ", number->low, " to ",
                                 number->high, " is expected"));
    }
    number->set(&options, parsed);
  }
  if (const uint64_t level = options.outstanding;
      level != 0 && level != 1 && level != 16 && level != 64 && level != 256) {
    return Refuse(absl::StrCat("--outstanding ", level, ": it is 1, 16, 64 or 256, or 0 for all"));
  }
  return options;
}

}  // namespace dolmen::bench
