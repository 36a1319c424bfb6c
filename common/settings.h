// Typed settings from one table: defaults, then one TOML file, then DOLMEN_<NAME> variables, then flags, later ones
// win. The same name everywhere: `datanode_heartbeat_interval_ms` in TOML, --datanode-heartbeat-interval-ms as a flag,
// DOLMEN_DATANODE_HEARTBEAT_INTERVAL_MS in the environment. Unknown or bad values stop the start with one clear line.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dolmen {

using SettingValue = std::variant<bool, int64_t, double, std::string>;

// One row of the table.
struct Setting {
  std::string name;             // component first, unit last
  SettingValue default_value;   // its type is the setting's type
  std::string description;      // one sentence on effect
  int64_t minimum = INT64_MIN;  // for integers, both included
  int64_t maximum = INT64_MAX;
  bool unsafe = false;  // test only; refused unless DOLMEN_UNSAFE=1
};

// Values of one table. Immutable after loading; then thread-safe.
class Settings {
 public:
  explicit Settings(std::vector<Setting> table);

  // One file may serve all programs: settings of a program that this table has nothing of are left to it.
  // Each error names the setting, the value, what is allowed and where it came from (file:line, variable, flag).
  absl::Status LoadTomlFile(const std::string& path);
  absl::Status LoadEnvironment(const char* const* environ_block);
  // Set from text, as flags and -D do.
  absl::Status SetFromText(std::string_view name, std::string_view text, std::string_view origin);
  // Takes --name=value, --name value and (booleans) --name / --no-name; returns what is not a flag of the table.
  // An unknown --flag is an error that lists the nearest names.
  absl::StatusOr<std::vector<std::string>> LoadFlags(const std::vector<std::string>& args);

  int64_t Int(std::string_view name) const;  // CHECKs name and type
  double Double(std::string_view name) const;
  bool Bool(std::string_view name) const;
  const std::string& Text(std::string_view name) const;
  const std::vector<Setting>& table() const { return table_; }
  // A commented sample TOML file of the whole table.
  std::string SampleToml() const;

 private:
  absl::Status Assign(const Setting& setting, SettingValue value, std::string_view origin);

  std::vector<Setting> table_;
  std::map<std::string, SettingValue, std::less<>> values_;
};

}  // namespace dolmen
