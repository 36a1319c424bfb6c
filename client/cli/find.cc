#include <algorithm>

#include "client/cli/command.h"
#include "client/cli/find_expression.h"
#include "client/cli/option_grammar.h"
#include "client/cli/path_text.h"
#include "client/cli/tree_walk.h"
#include "common/error.h"

namespace dolmen::cli {

absl::Status RunFind(CommandContext& context) {
  // There are no links to follow: -L and -H change nothing.
  DOLMEN_RETURN_IF_ERROR(
      ParseOptions({.min_arguments = 1, .flags = {"L", "H"}, .keep_unknown = true}, context.args).status());
  const auto expression_begin = std::find_if(context.args.begin(), context.args.end(),
                                             [](const std::string& word) { return word.starts_with('-'); });
  const std::vector<std::string> words(expression_begin, context.args.end());
  context.args.erase(expression_begin, context.args.end());
  if (context.args.empty()) context.args.push_back(".");
  DOLMEN_ASSIGN_OR_RETURN(const FindExpression expression, FindExpression::Parse(words));
  return VisitArguments(context, /*recursive=*/true, [&](const RemoteItem& item) {
    expression.Apply(BaseName(item.path), item.shown, context.out);
    return absl::OkStatus();
  });
}

}  // namespace dolmen::cli
