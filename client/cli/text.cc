#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/print_file.h"
#include "client/cli/remote_item.h"
#include "client/cli/shell_error.h"
#include "client/cli/text_decoder.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr size_t kBufferBytes = 1 << 20;

// As much as a decision about the format takes, or the whole file.
absl::StatusOr<size_t> ReadFirst(InputStream& in, std::span<char> buffer) {
  size_t filled = 0;
  while (filled < kDetectBytes) {
    DOLMEN_ASSIGN_OR_RETURN(const size_t count, in.Read(buffer.subspan(filled)));
    if (count == 0) break;
    filled += count;
  }
  return filled;
}

absl::Status PrintText(CommandContext& context, const RemoteItem& item, std::vector<char>& buffer) {
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<InputStream> in, OpenFile(item));
  DOLMEN_ASSIGN_OR_RETURN(size_t count, ReadFirst(*in, buffer));
  const TextFormat format = DetectTextFormat(std::string_view(buffer.data(), count), BaseName(item.path));
  absl::StatusOr<std::unique_ptr<TextDecoder>> decoder = MakeTextDecoder(format);
  if (!decoder.ok()) return PathError(item.shown, MessageOf(decoder.status()));
  const auto print = [&context](std::string_view text) { return PrintBytes(context.out, text); };
  while (count > 0) {
    DOLMEN_RETURN_IF_ERROR((*decoder)->Decode(std::string_view(buffer.data(), count), print));
    DOLMEN_ASSIGN_OR_RETURN(count, in->Read(buffer));
  }
  return (*decoder)->Finish();
}

}  // namespace

absl::Status RunText(CommandContext& context) {
  DOLMEN_RETURN_IF_ERROR(ParseOptions({.min_arguments = 1, .flags = {"ignoreCrc"}}, context.args).status());
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<RemoteItem> items, ExpandArguments(context));
  std::vector<char> buffer(kBufferBytes);
  for (const RemoteItem& item : items) {
    context.errors.Report(PrintText(context, item, buffer));
    if (!context.out) break;  // nobody reads the rest
  }
  return absl::OkStatus();
}

}  // namespace dolmen::cli
