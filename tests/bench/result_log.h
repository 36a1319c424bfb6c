// What was measured: kept, written as lines of JSON, and summed up in a table.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dolmen::bench {

struct Spread {
  double median = 0;
  double low = 0;
  double high = 0;
  size_t count = 0;
};
// Of at least one value; the median of an even number is the mean of the two in the middle.
Spread SpreadOf(std::vector<double> values);

// Flat JSON objects, one a line: {"a":1,"b":"text"}.
class JsonLine {
 public:
  JsonLine& Text(const std::string& name, const std::string& value);
  JsonLine& Number(const std::string& name, double value);  // not a number: null
  JsonLine& Flag(const std::string& name, bool value);
  std::string Finish() const { return "{" + body_ + "}"; }

 private:
  void Name(const std::string& name);
  std::string body_;
};

// One measurement of one side.
struct Sample {
  std::string what;          // "create"
  std::string circumstance;  // "64 outstanding"; may be empty
  std::string side;          // kOurs, or the skeleton's name
  std::string unit;          // of `value`: "1/s", "MB/s", "s", "MiB"
  double value = 0;
  std::optional<double> cpu;  // of all processes, in `cpu_unit`
  std::string cpu_unit;       // "us/op", "s/GiB"
  double seconds = 0;         // it took
};
inline constexpr char kOurs[] = "dolmen";

// A skeleton that is slower than this voids what was measured beside it.
struct Floor {
  std::string what;
  std::string circumstance;
  std::string side;
  double value = 0;
  std::string source;
};

// One thread only.
class ResultLog {
 public:
  // `json_file` empty: no JSON. Error: the file cannot be written.
  static absl::StatusOr<ResultLog> Open(const std::string& json_file);

  void Header(const JsonLine& line) { Write(line); }
  void Add(Sample sample);
  void AddFloor(Floor floor) { floors_.push_back(std::move(floor)); }
  // Something the reader of the table must know.
  void Note(const std::string& text);

  // Results as JSON lines, and the table with notes and verdict as text. Error: not everything could be written.
  absl::StatusOr<std::string> Finish();

 private:
  struct Closer {
    void operator()(FILE* file) const { std::fclose(file); }
  };
  using File = std::unique_ptr<FILE, Closer>;
  struct Row {  // samples of one what, circumstance and unit
    std::string what, circumstance, unit, cpu_unit;
    std::vector<std::string> sides;  // in the order they came
    std::map<std::string, std::vector<double>> values, cpu;
  };
  explicit ResultLog(File json) : json_(std::move(json)) {}
  void Write(const JsonLine& line);
  std::vector<std::string> VoidReasons() const;

  File json_;
  std::vector<Row> rows_;
  std::vector<Floor> floors_;
  std::vector<std::string> notes_;
};

}  // namespace dolmen::bench
