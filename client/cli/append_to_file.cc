#include <memory>
#include <utility>

#include "client/cli/command.h"
#include "client/cli/copy.h"
#include "client/cli/copy_ends.h"
#include "client/cli/local_tree.h"
#include "client/cli/option_grammar.h"
#include "client/cli/remote_tree.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

absl::Status AppendAll(CommandContext& context, const std::vector<CopySource>& sources, bool reads_input,
                       Writer& writer, ProgressBar* bar) {
  const std::atomic<bool>* const interrupted = context.session.interrupted();
  if (reads_input) {
    if (!sources.empty()) {
      return MakeError(ErrorReason::kIo, "stdin (-) must be the sole input argument when present");
    }
    if (bar != nullptr) bar->StreamFound();
    FileProgress progress(bar, 0);
    FdReader input(context.session.input_fd(), "standard input");
    return CopyBytes(input, writer, UINT64_MAX - 1, progress, interrupted);
  }
  for (const CopySource& source : sources) {
    if (bar != nullptr && source.node.info.has_value()) bar->FileFound(source.node.info->length);
  }
  if (bar != nullptr) bar->AllFound();
  for (const CopySource& source : sources) {
    const uint64_t length = source.node.info.has_value() ? source.node.info->length : 0;
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<Reader> reader, source.tree->Open(source.node.path));
    FileProgress progress(bar, length);
    DOLMEN_RETURN_IF_ERROR(CopyBytes(*reader, writer, length, progress, interrupted));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunAppendToFile(CommandContext& context) {
  if (context.args.size() < 2) return MakeError(ErrorReason::kIo, "missing destination argument");
  DOLMEN_ASSIGN_OR_RETURN(const ParsedOptions parsed,
                          ParseOptions({.min_arguments = 2, .flags = {"n", kNoProgress}}, context.args));
  DOLMEN_ASSIGN_OR_RETURN(const RemoteDestination remote, TakeRemoteDestination(context));
  const bool reads_input = std::erase(context.args, "-") > 0;
  const std::unique_ptr<Tree> local = MakeLocalTree({});
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<CopySource> sources, LocalSources(context, *local));

  const RemoteItem& item = remote.item;
  if (!item.status.has_value()) {
    const ShellSettings& settings = context.session.settings();
    const CreateOptions options{.permission = static_cast<uint16_t>(0666 & ~settings.umask),
                                .replication = settings.replication,
                                .block_bytes = settings.block_bytes};
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<OutputStream> made, item.fs->Create(item.path, options));
    DOLMEN_RETURN_IF_ERROR(made->Close());
  }
  DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<OutputStream> stream,
                          item.fs->Append(item.path, AppendOptions{.new_block = parsed.Has("n")}));
  const std::unique_ptr<Writer> writer = MakeWriter(std::move(stream));
  const std::unique_ptr<ProgressBar> bar = MakeProgressBar(context.session, parsed, reads_input);
  const absl::Status appended = AppendAll(context, sources, reads_input, *writer, bar.get());
  // What came before a failure stays, as in HDFS.
  const absl::Status closed = writer->Close();
  return appended.ok() ? closed : appended;
}

}  // namespace dolmen::cli
