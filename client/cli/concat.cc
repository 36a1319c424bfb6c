#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/command_text.h"
#include "client/cli/remote_item.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

absl::Status Refused(std::string_view message) { return MakeError(ErrorReason::kIo, message); }

bool IsFile(const RemoteItem& item) { return item.status.has_value() && !item.status->is_directory; }

}  // namespace

// Without options: a word with a dash is a path.
absl::Status RunConcat(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<RemoteItem> items, ExpandArguments(context));
  // With one word gone, the next would take its place as the target, or a part would be left out.
  if (context.errors.failures() > 0) return absl::OkStatus();
  const std::string_view usage = FindCommandText("concat")->arguments;
  if (items.empty()) return Refused(absl::StrCat("Target path not specified. ", ToAbsl(usage)));
  if (items.size() < 3) return Refused(absl::StrCat("The number of source paths is less than 2. ", ToAbsl(usage)));
  const RemoteItem& target = items[0];
  if (!IsFile(target)) {
    return Refused(
        absl::StrCat("Target path ", QualifiedPath(*target.fs, target.path), " does not exist or is not file."));
  }
  std::vector<std::string> sources;
  for (size_t i = 1; i < items.size(); ++i) {
    const std::string qualified = QualifiedPath(*items[i].fs, items[i].path);
    if (!IsFile(items[i])) return Refused(absl::StrCat(qualified, " does not exist or is not file."));
    if (items[i].fs != target.fs) {
      return UsageError(absl::StrCat("Wrong FS: ", qualified, ", expected: ", QualifiedPath(*target.fs, "")));
    }
    sources.push_back(items[i].path);
  }
  return target.fs->Concat(target.path, sources);
}

}  // namespace dolmen::cli
