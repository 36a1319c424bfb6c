// From an inode record to what clients are told of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "common/protocol/types.h"
#include "namenode/core/records.h"

namespace dolmen::namenode {

// `name`: the last component in listings, empty when the path itself was asked for.
inline protocol::FileStatus StatusOf(const InodeRecord& inode, std::string name = {}) {
  return {
      .inode = inode.id,
      .is_directory = inode.is_directory,
      .name = std::move(name),
      .length = inode.is_directory ? 0 : inode.length,
      .permission = inode.permission,
      .owner = inode.owner,
      .group = inode.group,
      .modified = inode.modified,
      .accessed = inode.accessed,
      .replication = static_cast<uint16_t>(inode.is_directory ? 0 : inode.redundancy.replicas),
      .block_bytes = inode.is_directory ? 0 : inode.block_bytes,
      .child_count = static_cast<uint32_t>(std::min<uint64_t>(inode.is_directory ? inode.child_count : 0, UINT32_MAX)),
      .under_construction = !inode.is_directory && inode.under_construction};
}

}  // namespace dolmen::namenode
