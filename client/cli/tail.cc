#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/command.h"
#include "client/cli/option_grammar.h"
#include "client/cli/print_file.h"
#include "client/cli/remote_item.h"
#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr uint64_t kShownBytes = 1024;
constexpr int64_t kDefaultSleepMs = 5000;
constexpr int64_t kMaxSleepMs = int64_t{365} * 86'400'000;

// Waits that long, or until nobody reads the output any more: false then. A pipe without a reader is otherwise only
// noticed when the file grows.
bool SleepWhileRead(int output_fd, std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (true) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= until) return true;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now).count();
    const int timeout = static_cast<int>(std::min<int64_t>(left, std::numeric_limits<int>::max()));
    pollfd output{.fd = output_fd, .events = 0, .revents = 0};  // a negative descriptor is only a sleep
    const int ready = poll(&output, 1, timeout);
    if (ready > 0) return false;
    if (ready < 0 && errno != EINTR) std::this_thread::sleep_until(until);
  }
}

// Prints from `offset` to the end of the file as it is now and returns where that is. A file that became shorter is
// followed from its new end on.
absl::StatusOr<uint64_t> PrintFrom(CommandContext& context, const RemoteItem& item, uint64_t offset,
                                   std::vector<char>& buffer) {
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<InputStream> in, OpenFile(item));
  if (offset > in->Length()) return in->Length();
  DOLMEN_RETURN_IF_ERROR(in->Seek(offset));
  DOLMEN_RETURN_IF_ERROR(PrintStream(*in, context.out, buffer));
  context.out.flush();
  return in->Position();
}

absl::Status Follow(CommandContext& context, RemoteItem item, uint64_t offset, std::chrono::milliseconds sleep,
                    std::vector<char>& buffer) {
  while (SleepWhileRead(context.session.output_fd(), sleep)) {
    DOLMEN_ASSIGN_OR_RETURN(item.status, item.fs->GetFileInfo(item.path));
    if (!item.status.has_value()) {
      return MakeError(ErrorReason::kFileNotFound, absl::StrCat("File does not exist: ", item.path));
    }
    DOLMEN_ASSIGN_OR_RETURN(offset, PrintFrom(context, item, offset, buffer));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunTail(CommandContext& context) {
  DOLMEN_ASSIGN_OR_RETURN(
      const ParsedOptions options,
      ParseOptions({.min_arguments = 1, .max_arguments = 1, .flags = {"f"}, .value_options = {"s"}}, context.args));
  int64_t sleep_ms = kDefaultSleepMs;
  if (const auto given = options.values.find("s"); given != options.values.end() && options.Has("f")) {
    DOLMEN_ASSIGN_OR_RETURN(sleep_ms, ParseInteger(given->second));
  }
  DOLMEN_ASSIGN_OR_RETURN(const RemoteItem item, LookUp(context.session, context.args[0]));
  if (!item.status.has_value()) return NoSuchFile(item.shown);
  std::vector<char> buffer;
  const uint64_t length = item.status->length;
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t offset,
                          PrintFrom(context, item, length > kShownBytes ? length - kShownBytes : 0, buffer));
  if (!options.Has("f")) return absl::OkStatus();
  return Follow(context, item, offset, std::chrono::milliseconds(std::clamp<int64_t>(sleep_ms, 0, kMaxSleepMs)),
                buffer);
}

}  // namespace dolmen::cli
