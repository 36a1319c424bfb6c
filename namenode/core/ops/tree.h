// The steps that operations changing the tree have in common. All of them keep child counts, modification times of
// parents and totals, and keep the InodePath they are given up to date.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "namenode/core/inode_path.h"
#include "namenode/core/operation.h"

namespace dolmen::namenode::ops {

// Writes the record of the existing inode at `depth` of `path` (0: the root).
void PutAt(OperationContext& context, InodePath* path, size_t depth);
// An entry of the directory came or went.
void Touch(OperationContext& context, InodeRecord* directory);

// createParent=false: the parent must exist. kFileNotFound "Parent directory doesn't exist: <parent>".
absl::Status CheckParentExists(const InodePath& path);

// Whether the missing components of `path` may be created: reserved names, length of names, room in the directory that
// gets the first of them. Errors: those of CheckNewName; kDirectoryFull.
absl::Status CheckMissingNames(const OperationContext& context, const InodePath& path);
// kDirectoryFull when the inode at `depth` has max_directory_items entries.
absl::Status CheckRoom(const OperationContext& context, const InodePath& path, size_t depth);

// Creates missing directories until `path` exists to `depth` components: owned by the caller, group of the parent.
absl::Status MakeDirectories(OperationContext& context, const Caller& caller, InodePath* path, size_t depth,
                             uint16_t permission);

// Puts `record` at the first missing component of `path`, whose parent exists. The record brings what is below it
// along: a new file or directory, or one that is being moved.
absl::Status AddEntry(OperationContext& context, InodePath* path, InodeRecord record);

// Takes the existing target of `path` (not the root) out of its directory; what is below it stays with it.
absl::Status TakeEntry(OperationContext& context, InodePath* path);

// Deletes the existing target of `path` (not the root): one record moves to `detached`, whatever is below it follows
// when the reaper gets there. Names and space are credited at once; an open file's lease is closed.
absl::Status Detach(OperationContext& context, InodePath* path);

// Puts an inode that was taken out of the tree into `detached`: without totals, without lease.
absl::Status PutIntoDetached(OperationContext& context, InodeRecord inode, WallTime deleted_at);

}  // namespace dolmen::namenode::ops
