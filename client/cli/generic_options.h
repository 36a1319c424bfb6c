// Hadoop's generic options: -D property=value, -fs URI, -conf FILE, before the command.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace dolmen::cli {

struct GenericOptions {
  std::vector<std::pair<std::string, std::string>> properties;  // in the order given; later ones win
  std::optional<std::string> fs;
  std::optional<std::string> conf_file;
};

// Moves generic options from the front of `args` into `options`; stops at the first other word. "-Dk=v" and "-D k=v"
// are the same. Error: an option without its value, a property without '='.
absl::Status TakeGenericOptions(std::vector<std::string>& args, GenericOptions& options);

}  // namespace dolmen::cli
