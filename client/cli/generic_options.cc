#include "client/cli/generic_options.h"

#include "absl/strings/str_cat.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

absl::Status AddProperty(std::string_view text, GenericOptions& options) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return UsageError(absl::StrCat("-D ", ToAbsl(text), ": expected property=value"));
  }
  options.properties.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  return absl::OkStatus();
}

}  // namespace

absl::Status TakeGenericOptions(std::vector<std::string>& args, GenericOptions& options) {
  size_t taken = 0;
  while (taken < args.size()) {
    const std::string& word = args[taken];
    if (word.size() > 2 && word.starts_with("-D")) {
      DOLMEN_RETURN_IF_ERROR(AddProperty(std::string_view(word).substr(2), options));
      ++taken;
      continue;
    }
    if (word != "-D" && word != "-fs" && word != "-conf") break;
    if (taken + 1 == args.size()) {
      return UsageError(absl::StrCat("Missing argument for option: ", std::string(word.substr(1))));
    }
    const std::string& value = args[taken + 1];
    if (word == "-D") {
      DOLMEN_RETURN_IF_ERROR(AddProperty(value, options));
    } else if (word == "-fs") {
      options.fs = value;
    } else {
      options.conf_file = value;
    }
    taken += 2;
  }
  args.erase(args.begin(), args.begin() + static_cast<ptrdiff_t>(taken));
  return absl::OkStatus();
}

}  // namespace dolmen::cli
