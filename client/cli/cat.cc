#include <memory>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/remote_item.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr size_t kBufferBytes = 1 << 20;

absl::Status PrintFile(CommandContext& context, const RemoteItem& item, std::vector<char>& buffer) {
  if (!item.status.has_value()) return NoSuchFile(item.shown);
  if (item.status->is_directory) return IsADirectory(item.shown);
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<InputStream> in, item.fs->Open(item.path));
  buffer.resize(kBufferBytes);
  while (true) {
    DOLMEN_ASSIGN_OR_RETURN(const size_t count, in->Read(buffer));
    if (count == 0) return in->Close();
    context.out.write(buffer.data(), static_cast<std::streamsize>(count));
    if (!context.out) {
      return MakeError(absl::StatusCode::kAborted, ErrorReason::kIo, "Unable to write to output stream.");
    }
  }
}

}  // namespace

absl::Status RunCat(CommandContext& context) {
  DOLMEN_RETURN_IF_ERROR(ParseOptions({.min_arguments = 1, .flags = {"ignoreCrc"}}, context.args).status());
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<RemoteItem> items, ExpandArguments(context));
  std::vector<char> buffer;
  for (const RemoteItem& item : items) {
    const absl::Status status = PrintFile(context, item, buffer);
    context.errors.Report(status);
    if (!context.out) break;  // nobody reads the rest
  }
  return absl::OkStatus();
}

}  // namespace dolmen::cli
