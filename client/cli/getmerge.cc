#include <memory>
#include <utility>

#include "client/cli/command.h"
#include "client/cli/copy.h"
#include "client/cli/copy_ends.h"
#include "client/cli/local_tree.h"
#include "client/cli/option_grammar.h"
#include "client/cli/path_text.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

// The files in what was named: files themselves, and those directly in directories.
void Collect(const CopySource& source, std::vector<CopySource>& files, ErrorReporter& errors) {
  const Node& node = source.node;
  if (!node.info.has_value()) return errors.Report(NoSuchFile(node.shown));
  if (!node.info->is_directory) return files.push_back(source);
  absl::StatusOr<std::vector<NamedInfo>> entries = source.tree->List(node.path);
  if (!entries.ok()) return errors.Report(entries.status());
  for (NamedInfo& entry : *entries) {
    Node child = ChildNode(node, entry.name);
    child.info = std::move(entry.info);
    if (!child.info.has_value()) {
      errors.Report(NoSuchFile(child.shown));
    } else if (!child.info->is_directory) {
      files.push_back(CopySource{.tree = source.tree, .node = std::move(child)});
    }
  }
}

absl::Status Merge(const std::vector<CopySource>& files, Writer& writer, const ParsedOptions& parsed,
                   Session& session) {
  const std::unique_ptr<ProgressBar> bar = MakeProgressBar(session, parsed);
  for (const CopySource& file : files) {
    if (bar != nullptr) bar->FileFound(file.node.info->length);
  }
  if (bar != nullptr) bar->AllFound();
  for (const CopySource& file : files) {
    const uint64_t length = file.node.info->length;
    FileProgress progress(bar.get(), length);
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<Reader> reader, file.tree->Open(file.node.path));
    DOLMEN_RETURN_IF_ERROR(CopyBytes(*reader, writer, length, progress, session.interrupted()));
    if (parsed.Has("nl") && (length > 0 || !parsed.Has("skip-empty-file"))) DOLMEN_RETURN_IF_ERROR(writer.Write("\n"));
  }
  return writer.Close();
}

}  // namespace

absl::Status RunGetmerge(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(
      const ParsedOptions parsed,
      ParseOptions({.min_arguments = 2, .flags = {"nl", "skip-empty-file", kNoProgress}}, context.args));
  const std::unique_ptr<Tree> local = MakeLocalTree({});
  DOLMEN_ASSIGN_OR_RETURN(const Destination destination, TakeLocalDestination(context, *local));
  if (destination.node.info.has_value() && destination.node.info->is_directory) {
    return IsADirectory(destination.node.shown);
  }
  // All sources are looked up before a byte is written: one that is missing must not leave half a file.
  SourceTrees trees(context.session.settings());
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<CopySource> sources, trees.Expand(context));
  std::vector<CopySource> files;
  for (const CopySource& source : sources) Collect(source, files, context.errors);
  if (context.errors.failures() > 0) return absl::OkStatus();
  const std::string parent(ParentPath(local->AbsolutePath(destination.node.path)));
  DOLMEN_RETURN_IF_ERROR(local->MakeDirectory(parent));
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<Writer> writer,
                          local->Create(destination.node.path, /*lazy_persist=*/false));
  return Merge(files, *writer, parsed, context.session);
}

}  // namespace dolmen::cli
