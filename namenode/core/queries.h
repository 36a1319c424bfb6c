// Read-only calls, pure functions of one published state. Thread-safe: any thread may call them with its own view.
#pragma once

#include "absl/status/statusor.h"
#include "common/protocol/client_namenode.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/operation.h"
#include "namenode/core/replica_view.h"
#include "namenode/core/settings.h"

namespace dolmen::namenode {

absl::StatusOr<protocol::GetFileInfoReply> GetFileInfo(const MetaReader& view, const CoreSettings& settings,
                                                       const Caller& caller,
                                                       const protocol::GetFileInfoRequest& request);
absl::StatusOr<protocol::GetListingReply> GetListing(const MetaReader& view, const CoreSettings& settings,
                                                     const Caller& caller, const protocol::GetListingRequest& request);
// From the totals; for others than superusers after a walk over directories (CheckSubtreeAccess). The last block of an
// open file is not counted. Errors: kFileNotFound "File does not exist: <path>"; kAccessControl.
absl::StatusOr<protocol::GetContentSummaryReply> GetContentSummary(const MetaReader& view, const CoreSettings& settings,
                                                                   const Caller& caller,
                                                                   const protocol::GetContentSummaryRequest& request);
// Errors: kFileNotFound "File does not exist: <path>", "Path is not a file: <path>".
absl::StatusOr<protocol::IsFileClosedReply> IsFileClosed(const MetaReader& view, const CoreSettings& settings,
                                                         const Caller& caller,
                                                         const protocol::IsFileClosedRequest& request);
// Error: kAccessControl for others than superusers.
absl::StatusOr<protocol::ListOpenFilesReply> ListOpenFiles(const MetaReader& view, const CoreSettings& settings,
                                                           const Caller& caller,
                                                           const protocol::ListOpenFilesRequest& request);
// Block records, offsets and status; `locations` and `token` of each block are filled in by AddLocations
// (block_manager's reader) in the shell, because replicas live in another store.
absl::StatusOr<protocol::GetBlockLocationsReply> GetBlockLocations(const MetaReader& view, const CoreSettings& settings,
                                                                   const Caller& caller,
                                                                   const protocol::GetBlockLocationsRequest& request);

}  // namespace dolmen::namenode
