#include <memory>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/print_file.h"
#include "client/cli/remote_item.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr uint64_t kShownBytes = 1024;

}  // namespace

absl::Status RunHead(CommandContext& context) {
  DOLMEN_RETURN_IF_ERROR(ParseOptions({.min_arguments = 1, .max_arguments = 1}, context.args).status());
  DOLMEN_ASSIGN_OR_RETURN(const RemoteItem item, LookUp(context.session, context.args[0]));
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<InputStream> in, OpenFile(item));
  std::vector<char> buffer(kShownBytes);
  return PrintStream(*in, context.out, buffer, kShownBytes);
}

}  // namespace dolmen::cli
