#include <cctype>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/copy.h"
#include "client/cli/copy_ends.h"
#include "client/cli/option_grammar.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

// Takes the first "-p" or "-p[topax]" from anywhere before "--", as HDFS does: the letters are part of the word.
absl::StatusOr<AttributeSet> TakePreserveOption(std::vector<std::string>& args) {
  AttributeSet kept;
  for (auto word = args.begin(); word != args.end() && *word != "--"; ++word) {
    if (!word->starts_with("-p")) continue;
    const std::string letters = word->substr(2);
    args.erase(word);
    if (letters.empty()) return AttributeSet::All();
    for (const char letter : letters) {
      switch (std::tolower(static_cast<unsigned char>(letter))) {
        case 't':
          kept.times = true;
          break;
        case 'o':
          kept.owner = true;
          break;
        case 'p':
        case 'a':  // an ACL has the mode in it, and nothing else here
          kept.mode = true;
          break;
        case 'x':  // there are no extended attributes
          break;
        default:
          return FatalError(
              absl::StrCat("java.util.NoSuchElementException: No attribute for '", std::string(1, letter), "'"));
      }
    }
    return kept;
  }
  return kept;
}

}  // namespace

absl::Status RunCp(CommandContext& context) {
  CopyOptions options;
  DOLMEN_ASSIGN_OR_RETURN(options.preserve, TakePreserveOption(context.args));
  DOLMEN_ASSIGN_OR_RETURN(
      const ParsedOptions parsed,
      ParseOptions({.min_arguments = 2, .flags = {"f", "d", kNoProgress}, .value_options = {"t", "q"}}, context.args));
  options.overwrite = parsed.Has("f");
  options.direct = parsed.Has("d");
  DOLMEN_ASSIGN_OR_RETURN(options.threads, ParseThreads(parsed));

  DOLMEN_ASSIGN_OR_RETURN(const RemoteDestination remote, TakeRemoteDestination(context));
  SourceTrees trees(context.session.settings());
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<CopySource> sources, trees.Expand(context));
  const std::unique_ptr<ProgressBar> bar = MakeProgressBar(context.session, parsed);
  options.progress = bar.get();
  return CopyAll(sources, remote.destination, options, context.session.interrupted(), context.errors);
}

}  // namespace dolmen::cli
