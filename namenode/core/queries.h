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
// Block records, offsets and status; `locations` and `token` of each block are filled in by AddLocations
// (block_manager's reader) in the shell, because replicas live in another store.
absl::StatusOr<protocol::GetBlockLocationsReply> GetBlockLocations(const MetaReader& view, const CoreSettings& settings,
                                                                   const Caller& caller,
                                                                   const protocol::GetBlockLocationsRequest& request);

}  // namespace dolmen::namenode
