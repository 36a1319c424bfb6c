// addBlock: fixes the length of the file's last block and allocates the next one.
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/ops/open_file.h"
#include "namenode/core/ops/ops.h"

namespace dolmen::namenode::ops {

namespace {

bool Same(const std::optional<protocol::Block>& asked, const std::optional<FileBlock>& stored) {
  if (!asked.has_value() || !stored.has_value()) return asked.has_value() == stored.has_value();
  return stored->Matches(*asked);
}

absl::StatusOr<std::vector<protocol::ReplicaLocation>> ChooseTargets(OperationContext& context,
                                                                     const protocol::AddBlockRequest& request,
                                                                     const WrittenFile& file) {
  absl::StatusOr<std::vector<protocol::ReplicaLocation>> targets =
      context.replicas->ChooseTargets({.wanted = file.inode.redundancy.replicas,
                                       .block_bytes = file.inode.block_bytes,
                                       .writer_host = file.open->client_host,
                                       .existing = {},
                                       .excluded = request.excluded},
                                      *context.random);
  const uint32_t minimum = context.settings->min_replication;
  const auto too_few = [&](ErrorReason reason, size_t count, std::string_view detail) {
    return MakeError(reason, absl::StrCat("File ", file.path, " could only be written to ", count, " of the ", minimum,
                                          " minReplication nodes. ", ToAbsl(detail)));
  };
  if (!targets.ok()) {
    const ErrorReason reason = ReasonOf(targets.status());
    if (reason != ErrorReason::kNoDatanodes && reason != ErrorReason::kBusy) return targets.status();
    return too_few(reason, 0, MessageOf(targets.status()));
  }
  if (targets->size() < minimum) {
    return too_few(ErrorReason::kNoDatanodes, targets->size(), "More datanodes are needed.");
  }
  return targets;
}

// Remembers the pipeline, so that a repeated call gets the same one.
void StorePipeline(OperationContext& context, WrittenFile* file,
                   const std::vector<protocol::ReplicaLocation>& locations) {
  file->open->last_pipeline.clear();
  file->open->stamp_before_append.reset();  // that was of the block before
  for (const protocol::ReplicaLocation& location : locations) {
    file->open->last_pipeline.push_back({.datanode = location.datanode.uuid, .storage = location.storage});
  }
  PutOpen(context, file->inode.id, *file->open);
}

protocol::AddBlockReply Reply(const WrittenFile& file, const FileBlock& block,
                              std::vector<protocol::ReplicaLocation> locations) {
  // All earlier blocks are committed, so the file's length is where this one begins.
  return {.block = {.block = block.AsBlock(), .offset = file.inode.length, .locations = std::move(locations)}};
}

// The caller asks again for the block it was given before.
absl::StatusOr<protocol::AddBlockReply> Repeat(OperationContext& context, const protocol::AddBlockRequest& request,
                                               WrittenFile* file, const FileBlock& last) {
  std::vector<protocol::ReplicaLocation> locations;
  for (const OpenRecord::Target& target : file->open->last_pipeline) {
    std::optional<protocol::ReplicaLocation> location = context.replicas->Locate(target.datanode, target.storage);
    if (location.has_value()) locations.push_back(*std::move(location));
  }
  if (locations.empty()) {
    DOLMEN_ASSIGN_OR_RETURN(locations, ChooseTargets(context, request, *file));
    StorePipeline(context, file, locations);
  }
  return Reply(*file, last, std::move(locations));
}

}  // namespace

absl::StatusOr<protocol::AddBlockReply> Decide(OperationContext& context, const Caller& caller,
                                               const protocol::AddBlockRequest& request) {
  DOLMEN_ASSIGN_OR_RETURN(WrittenFile file,
                          FindWrittenFile(context, caller, request.path, request.inode, request.holder, "addBlock"));
  DOLMEN_RETURN_IF_ERROR(CheckLease(file, request.holder));
  InodeRecord& inode = file.inode;
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(*context.batch, inode, 1));
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> penultimate, GetBlockFromEnd(*context.batch, inode, 2));

  if (!Same(request.previous, last)) {
    const bool last_is_closed = last.has_value() && last->record.state == BlockState::kCommitted;
    if (!request.previous.has_value() && last_is_closed) {
      // A writer that appends a new block has no previous block of its own.
      if (last->record.length != inode.block_bytes) inode.extensions.Set(kIrregularBlocksTag, "");
    } else if (last.has_value() && Same(request.previous, penultimate)) {
      if (last->record.state == BlockState::kCommitted || last->record.length != 0) {
        return MakeError(ErrorReason::kIo,
                         absl::StrCat("Request looked like a retry to allocate block ", BlockText(last),
                                      " but it already contains ", last->record.length, " bytes"));
      }
      return Repeat(context, request, &file, *last);
    } else {
      return MakeError(ErrorReason::kIo,
                       absl::StrCat("Cannot allocate block in ", file.path, ": passed 'previous' block ",
                                    request.previous.has_value() ? BlockText(*request.previous) : "null",
                                    " does not match actual last block in file ", BlockText(last)));
    }
  }
  if (inode.block_count >= context.settings->max_blocks_per_file) {
    return MakeError(ErrorReason::kIo, absl::StrCat("File has reached the limit on maximum number of blocks "
                                                    "(dfs.namenode.fs-limits.max-blocks-per-file): ",
                                                    inode.block_count, " >= ", context.settings->max_blocks_per_file));
  }
  // The last block is only being fixed by this call; those before it must be safe.
  if (penultimate.has_value() && !HasMinimumReplicas(context, *penultimate)) return NotReplicatedYet(file);
  DOLMEN_ASSIGN_OR_RETURN(std::vector<protocol::ReplicaLocation> locations, ChooseTargets(context, request, file));

  if (last.has_value() && request.previous.has_value()) {
    DOLMEN_RETURN_IF_ERROR(CommitLastBlock(context, &file, &*last, request.previous->length));
    if (last->record.length != inode.block_bytes) inode.extensions.Set(kIrregularBlocksTag, "");
  }
  const FileBlock block = AppendBlock(context, &inode);
  PutFile(context, &file);
  StorePipeline(context, &file, locations);
  return Reply(file, block, std::move(locations));
}

}  // namespace dolmen::namenode::ops
