// From the protocol's values to those of the public header.
#pragma once

#include "client/dolmen/client.h"
#include "common/protocol/types.h"

namespace dolmen::client {

inline FileStatus ToPublic(const protocol::FileStatus& from) {
  return {.inode = from.inode.value(),
          .is_directory = from.is_directory,
          .name = from.name,
          .length = from.length,
          .permission = from.permission,
          .owner = from.owner,
          .group = from.group,
          .modified_ms = from.modified.ms,
          .accessed_ms = from.accessed.ms,
          .replication = from.replication,
          .block_bytes = from.block_bytes,
          .child_count = from.child_count,
          .under_construction = from.under_construction};
}

}  // namespace dolmen::client
