#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/command_text.h"
#include "client/cli/shell_error.h"

namespace dolmen::cli {
namespace {

// Calls `print` for each command named; a dash before the name is allowed.
absl::Status ForEachNamed(const CommandContext& context, std::string (*print)(const CommandText&)) {
  for (const std::string& word : context.args) {
    const CommandText* command = FindCommandText(std::string_view(word).substr(word.starts_with('-') ? 1 : 0));
    if (command == nullptr) return UsageError(absl::StrCat("`", word, "': Unknown command"));
    context.out << print(*command);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunHelp(CommandContext& context) {
  if (context.args.empty()) context.out << CommandList(/*help=*/true);
  return ForEachNamed(context, HelpText);
}

absl::Status RunUsage(CommandContext& context) {
  if (context.args.empty()) context.out << CommandList(/*help=*/false);
  return ForEachNamed(context, UsageLine);
}

}  // namespace dolmen::cli
