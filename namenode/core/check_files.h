// What `fsck` asks: every file below a path with its blocks and how their replicas are. A read-only call, a page at a
// time.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/protocol/client_namenode.h"
#include "namenode/core/meta_store.h"
#include "namenode/core/operation.h"
#include "namenode/core/replica_view.h"
#include "namenode/core/settings.h"

namespace dolmen::namenode {

// Where replicas are known from, beside the namespace.
struct ReplicaSources {
  const ReplicaStore& store;
  const ClusterView& cluster;
  const std::string& block_pool;
};

// One page of the walk, on one published state. Depth first, each directory before what is in it, names in byte order;
// the cost of a page is bounded by its limits and the depth of the tree. Replicas are those that a usable datanode
// confirmed in its present session, one per datanode; those of a block under construction are its pipeline.
// Errors: kAccessControl in HDFS's words for a directory the caller may not read and enter, and for a file he may not
// read; kIllegalArgument for a cursor outside of the tree; kDamaged and those of the stores.
// Thread-safe.
absl::StatusOr<protocol::CheckFilesReply> CheckFiles(const MetaReader& view, const ReplicaSources& replicas,
                                                     const CoreSettings& settings, const Caller& caller,
                                                     const protocol::CheckFilesRequest& request);

}  // namespace dolmen::namenode
