// Reading a file and comparing it with the pattern it was written from.
#pragma once

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/dolmen/client.h"
#include "common/error.h"
#include "tests/support/pattern.h"

namespace dolmen::testing {

// Everything `path` has, which must be the front of `pattern`; its length. kDataLoss when a byte is wrong or the file
// ends before the length it had at open; other errors are the client's.
inline absl::StatusOr<uint64_t> ReadBack(FileSystemClient& client, const std::string& path, const Pattern& pattern) {
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<InputStream> in, client.Open(path), "open " + path);
  std::string piece(std::min<uint64_t>(std::max<uint64_t>(in->Length(), 1), 1 << 20), '\0');
  uint64_t offset = 0;
  while (offset < in->Length()) {
    DOLMEN_ASSIGN_OR_RETURN(const size_t got, in->Read(piece), "read " + path);
    if (got == 0) {
      return absl::DataLossError(absl::StrCat(path, " ends at ", offset, ", its length is ", in->Length()));
    }
    const std::optional<uint64_t> wrong = pattern.FirstDifference(offset, std::string_view(piece.data(), got));
    if (wrong.has_value()) return absl::DataLossError(absl::StrCat(path, " differs at byte ", *wrong));
    offset += got;
  }
  return offset;
}

// As above for a file that must have exactly `size` bytes.
inline absl::Status ExpectContent(FileSystemClient& client, const std::string& path, const Pattern& pattern,
                                  uint64_t size) {
  DOLMEN_ASSIGN_OR_RETURN(const uint64_t length, ReadBack(client, path, pattern));
  if (length == size) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path, " has ", length, " bytes, written were ", size));
}

}  // namespace dolmen::testing
