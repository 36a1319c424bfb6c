#include "tests/bench/result_log.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/check.h"
#include "common/error.h"

namespace dolmen::bench {
namespace {

// Three digits say enough about anything that spreads by a tenth.
std::string Readable(double value) {
  if (value >= 100) return absl::StrFormat("%.0f", value);
  if (value >= 10) return absl::StrFormat("%.1f", value);
  return absl::StrFormat("%.3g", value);
}

std::string Cell(const Spread& spread) {
  if (spread.count == 1) return Readable(spread.median);
  return absl::StrCat(Readable(spread.median), " (", Readable(spread.low), "..", Readable(spread.high), ")");
}

}  // namespace

Spread SpreadOf(std::vector<double> values) {
  DOLMEN_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {.median = median, .low = values.front(), .high = values.back(), .count = values.size()};
}

void JsonLine::Name(const std::string& name) {
  if (!body_.empty()) body_ += ",";
  absl::StrAppend(&body_, "\"", name, "\":");
}

JsonLine& JsonLine::Text(const std::string& name, const std::string& value) {
  Name(name);
  body_ += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') body_ += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&body_, "\\u%04x", c);
    } else {
      body_ += c;
    }
  }
  body_ += '"';
  return *this;
}

JsonLine& JsonLine::Number(const std::string& name, double value) {
  Name(name);
  body_ += std::isfinite(value) ? absl::StrFormat("%.9g", value) : "null";
  return *this;
}

JsonLine& JsonLine::Flag(const std::string& name, bool value) {
  Name(name);
  body_ += value ? "true" : "false";
  return *this;
}

absl::StatusOr<ResultLog> ResultLog::Open(const std::string& json_file) {
  if (json_file.empty()) return ResultLog(nullptr);
  File json(std::fopen(json_file.c_str(), "we"));
  if (json == nullptr) {
    return MakeError(ErrorReason::kIo, absl::StrCat("cannot write ", json_file, ": ", std::strerror(errno)));
  }
  return ResultLog(std::move(json));
}

void ResultLog::Write(const JsonLine& line) {
  if (json_ == nullptr) return;
  std::fprintf(json_.get(), "%s\n", line.Finish().c_str());
  std::fflush(json_.get());  // what was measured stays when the run is interrupted
}

void ResultLog::Add(Sample sample) {
  JsonLine line;
  line.Text("kind", "sample").Text("what", sample.what).Text("circumstance", sample.circumstance);
  line.Text("side", sample.side).Number("value", sample.value).Text("unit", sample.unit);
  if (sample.cpu.has_value()) line.Number("cpu", *sample.cpu).Text("cpu_unit", sample.cpu_unit);
  Write(line.Number("seconds", sample.seconds));
  std::fprintf(stderr, "%s %s %s: %s %s\n", sample.what.c_str(), sample.circumstance.c_str(), sample.side.c_str(),
               Readable(sample.value).c_str(), sample.unit.c_str());

  auto row = std::find_if(rows_.begin(), rows_.end(), [&](const Row& one) {
    return one.what == sample.what && one.circumstance == sample.circumstance && one.unit == sample.unit;
  });
  if (row == rows_.end()) {
    rows_.push_back({.what = sample.what, .circumstance = sample.circumstance, .unit = sample.unit});
    row = rows_.end() - 1;
  }
  if (std::find(row->sides.begin(), row->sides.end(), sample.side) == row->sides.end())
    row->sides.push_back(sample.side);
  row->values[sample.side].push_back(sample.value);
  if (sample.cpu.has_value()) {
    row->cpu[sample.side].push_back(*sample.cpu);
    row->cpu_unit = sample.cpu_unit;
  }
}

void ResultLog::Note(const std::string& text) {
  notes_.push_back(text);
  Write(JsonLine().Text("kind", "note").Text("text", text));
}

std::vector<std::string> ResultLog::VoidReasons() const {
  std::vector<std::string> reasons;
  for (const Floor& floor : floors_) {
    for (const Row& row : rows_) {
      const auto values = row.values.find(floor.side);
      if (row.what != floor.what || row.circumstance != floor.circumstance || values == row.values.end()) continue;
      const double median = SpreadOf(values->second).median;
      if (median >= floor.value) continue;
      reasons.push_back(absl::StrCat(floor.side, " ", floor.what, ": ", Readable(median), " ", row.unit, " is below ",
                                     Readable(floor.value), " (", floor.source, ")"));
    }
  }
  return reasons;
}

absl::StatusOr<std::string> ResultLog::Finish() {
  std::string table =
      "| what | | beside | unit | dolmen | beside it | ratio | CPU dolmen | CPU beside it |\n"
      "|---|---|---|---|---|---|---|---|---|\n";
  for (const Row& row : rows_) {
    std::vector<std::string> skeletons;
    for (const std::string& side : row.sides)
      if (side != kOurs) skeletons.push_back(side);
    if (skeletons.empty()) skeletons.push_back("");
    for (const std::string& side : row.sides) {
      JsonLine line;
      const Spread spread = SpreadOf(row.values.at(side));
      line.Text("kind", "result").Text("what", row.what).Text("circumstance", row.circumstance).Text("side", side);
      line.Text("unit", row.unit).Number("median", spread.median).Number("min", spread.low).Number("max", spread.high);
      line.Number("count", static_cast<double>(spread.count));
      if (row.cpu.contains(side)) {
        line.Number("cpu_median", SpreadOf(row.cpu.at(side)).median).Text("cpu_unit", row.cpu_unit);
      }
      Write(line);
    }
    const auto cell = [](const std::map<std::string, std::vector<double>>& cells, const std::string& side) {
      const auto found = cells.find(side);
      return found == cells.end() ? std::string("-") : Cell(SpreadOf(found->second));
    };
    const auto cpu = [&](const std::string& side) {
      const auto found = row.cpu.find(side);
      return found == row.cpu.end() ? std::string("-")
                                    : absl::StrCat(Readable(SpreadOf(found->second).median), " ", row.cpu_unit);
    };
    for (const std::string& skeleton : skeletons) {
      std::string ratio = "-";
      if (row.values.contains(kOurs) && row.values.contains(skeleton)) {
        ratio =
            absl::StrFormat("%.2f", SpreadOf(row.values.at(kOurs)).median / SpreadOf(row.values.at(skeleton)).median);
      }
      absl::StrAppend(&table, "| ", row.what, " | ", row.circumstance, " | ", skeleton.empty() ? "-" : skeleton, " | ",
                      row.unit, " | ", cell(row.values, kOurs), " | ", cell(row.values, skeleton), " | ", ratio, " | ",
                      cpu(kOurs), " | ", cpu(skeleton), " |\n");
    }
  }
  for (const std::string& note : notes_) absl::StrAppend(&table, "note: ", note, "\n");
  const std::vector<std::string> reasons = VoidReasons();
  for (const std::string& reason : reasons) absl::StrAppend(&table, "VOID: ", reason, "\n");
  JsonLine verdict;
  verdict.Text("kind", "verdict").Flag("void", !reasons.empty());
  if (!reasons.empty()) verdict.Text("why", reasons.front());
  Write(verdict);
  if (json_ != nullptr && std::ferror(json_.get()) != 0) {
    return MakeError(ErrorReason::kIo, "the JSON file could not be written completely");
  }
  return table;
}

}  // namespace dolmen::bench
