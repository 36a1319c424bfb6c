#include "client/check_files.h"

#include "absl/strings/str_cat.h"
#include "client/core/check_walk.h"
#include "common/error.h"

namespace dolmen::client {

absl::Status CheckFiles(Runtime* runtime, const std::string& path,
                        const std::function<bool(const CheckedEntry&)>& visit) {
  CheckWalk walk(path);
  while (std::optional<protocol::CheckFilesRequest> request = walk.Next()) {
    DOLMEN_ASSIGN_OR_RETURN(const protocol::CheckFilesReply reply,
                            runtime->namenode()->QueryAndWait<protocol::CheckFilesReply>(*std::move(request),
                                                                                         absl::StrCat("check ", path)));
    DOLMEN_RETURN_IF_ERROR(walk.Take(reply, visit));
  }
  return absl::OkStatus();
}

}  // namespace dolmen::client
