// What the copying commands take from their command lines: sources, destination, common options.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/command.h"
#include "client/cli/copy.h"
#include "client/cli/option_grammar.h"
#include "client/cli/progress_bar.h"
#include "client/cli/remote_item.h"
#include "client/cli/tree.h"

namespace dolmen::cli {

// "--no-progress", which every copying command takes.
inline constexpr char kNoProgress[] = "-no-progress";

// Nothing: not wanted, or there is no terminal to show it on, or somebody types there what is copied (`reads_input`:
// the source is standard input).
std::unique_ptr<ProgressBar> MakeProgressBar(const Session& session, const ParsedOptions& options,
                                             bool reads_input = false);

// A destination in a file system, and the tree it is in.
struct RemoteDestination {
  RemoteItem item;
  std::unique_ptr<Tree> tree;
  Destination destination;
};
// Takes the last word of the command line; "." if there is only one. Error: a pattern that matches more than one path.
absl::StatusOr<RemoteDestination> TakeRemoteDestination(CommandContext& context);

// The last word of the command line as a place among the machine's own files, as above.
absl::StatusOr<Destination> TakeLocalDestination(CommandContext& context, Tree& local);

// All words as the machine's own files, without patterns. Words that fail are reported and left out.
absl::StatusOr<std::vector<CopySource>> LocalSources(CommandContext& context, Tree& local);

// Makes sources of items of file systems; has one tree for each of these. The sources must not outlive it.
class SourceTrees {
 public:
  explicit SourceTrees(const ShellSettings& settings) : settings_(settings) {}

  absl::StatusOr<CopySource> SourceOf(const RemoteItem& item);
  // All words of the command line, patterns expanded. Words that fail are reported and left out.
  absl::StatusOr<std::vector<CopySource>> Expand(CommandContext& context);

 private:
  const ShellSettings& settings_;
  std::map<FileSystemClient*, std::unique_ptr<Tree>> trees_;
};

}  // namespace dolmen::cli
