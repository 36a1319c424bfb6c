#include <memory>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/print_file.h"
#include "client/cli/remote_item.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

absl::Status PrintFile(CommandContext& context, const RemoteItem& item, std::vector<char>& buffer) {
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<InputStream> in, OpenFile(item));
  DOLMEN_RETURN_IF_ERROR(PrintStream(*in, context.out, buffer));
  return in->Close();
}

}  // namespace

absl::Status RunCat(CommandContext& context) {
  DOLMEN_RETURN_IF_ERROR(ParseOptions({.min_arguments = 1, .flags = {"ignoreCrc"}}, context.args).status());
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<RemoteItem> items, ExpandArguments(context));
  std::vector<char> buffer;
  for (const RemoteItem& item : items) {
    context.errors.Report(PrintFile(context, item, buffer));
    if (!context.out) break;  // nobody reads the rest
  }
  return absl::OkStatus();
}

}  // namespace dolmen::cli
