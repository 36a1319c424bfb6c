// FileSystemClient::CheckFiles: pages of the namenode's walk become entries, values only.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "client/dolmen/client.h"
#include "common/protocol/client_namenode.h"

namespace dolmen::client {

// Holds one page and the entry whose blocks are spread over several. One thread only; one use.
class CheckWalk {
 public:
  // Called once per entry, in order; false ends the walk.
  using Visit = std::function<bool(const CheckedEntry&)>;

  explicit CheckWalk(std::string path) { request_.path = std::move(path); }

  // What to ask next; nothing: the walk is over.
  std::optional<protocol::CheckFilesRequest> Next() const;
  // Takes the answer. Errors: kFileNotFound when the path does not exist; kIo when the namenode does not get on.
  absl::Status Take(const protocol::CheckFilesReply& reply, const Visit& visit);

 private:
  void Add(const protocol::CheckFilesReply& reply, const protocol::CheckedEntry& entry);
  // Hands out the gathered entry.
  bool Emit(const Visit& visit);

  protocol::CheckFilesRequest request_;
  std::optional<CheckedEntry> gathered_;  // more of its blocks may come
  bool over_ = false;
};

}  // namespace dolmen::client
