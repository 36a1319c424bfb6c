#include "client/cli/print_file.h"

#include <algorithm>
#include <span>

#include "client/cli/shell_error.h"
#include "common/error.h"

namespace dolmen::cli {
namespace {

constexpr size_t kBufferBytes = 1 << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<InputStream>> OpenFile(const RemoteItem& item) {
  if (!item.status.has_value()) return NoSuchFile(item.shown);
  if (item.status->is_directory) return IsADirectory(item.shown);
  return item.fs->Open(item.path);
}

absl::Status PrintBytes(std::ostream& out, std::string_view data) {
  out.write(data.data(), static_cast<std::streamsize>(data.size()));
  if (out) return absl::OkStatus();
  return MakeError(absl::StatusCode::kAborted, ErrorReason::kIo, "Unable to write to output stream.");
}

absl::Status PrintStream(InputStream& in, std::ostream& out, std::vector<char>& buffer, uint64_t most) {
  if (buffer.empty()) buffer.resize(kBufferBytes);
  while (most > 0) {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(buffer.size(), most));
    DOLMEN_ASSIGN_OR_RETURN(const size_t count, in.Read(std::span(buffer).first(wanted)));
    if (count == 0) break;
    DOLMEN_RETURN_IF_ERROR(PrintBytes(out, std::string_view(buffer.data(), count)));
    most -= count;
  }
  return absl::OkStatus();
}

}  // namespace dolmen::cli
