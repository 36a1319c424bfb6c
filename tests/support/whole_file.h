// Whole files through the client library.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "client/dolmen/client.h"

namespace dolmen::testing {

// In writes of `piece` bytes.
inline absl::Status WriteWhole(FileSystemClient& client, const std::string& path, std::string_view content,
                               size_t piece, const CreateOptions& options) {
  auto out = client.Create(path, options);
  if (!out.ok()) return out.status();
  for (size_t at = 0; at < content.size(); at += piece)
    if (absl::Status written = (*out)->Write(content.substr(at, piece)); !written.ok()) return written;
  return (*out)->Close();
}

inline absl::StatusOr<std::string> ReadWhole(FileSystemClient& client, const std::string& path) {
  auto in = client.Open(path);
  if (!in.ok()) return in.status();
  std::string content((*in)->Length(), '\0');
  size_t done = 0;
  while (done < content.size()) {
    auto got = (*in)->Read(std::span<char>(content.data() + done, content.size() - done));
    if (!got.ok()) return got.status();
    if (*got == 0) return absl::DataLossError("the file ended early");
    done += *got;
  }
  return content;
}

}  // namespace dolmen::testing
