// The reaper: frees what deleted trees still hold, a bounded number of records per step. All its state is the
// `detached` family, so it goes on after a crash where the last commit left it: a file's blocks go from its end; a
// directory's children are freed in place when small, and become detached roots of their own otherwise; what is empty
// goes itself.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/ops/ops.h"
#include "namenode/core/ops/tree.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode::ops {

namespace {

struct Child {
  std::string name;
  InodeRecord inode;
};

// Puts the next roots that a scan finds, at most `limit`, on the backlog.
absl::Status ScanForRoots(const MetaReader& reader, ReapBacklog* backlog, size_t limit) {
  const std::string from = *backlog->scan_from;
  backlog->scan_from.reset();
  absl::Status failed;
  DOLMEN_RETURN_IF_ERROR(reader.Scan(Family::kDetached, from, "", [&](std::string_view key, std::string_view value) {
    absl::StatusOr<DetachedRecord> record = DecodeDetached(value);
    failed = record.status();
    if (!failed.ok()) return false;
    if (backlog->roots.size() >= limit) {
      backlog->scan_from = key;
      return false;
    }
    backlog->roots.push_back(record->inode.id);
    return true;
  }));
  return failed;
}

// The root the backlog names first, or else the first that a scan finds.
absl::StatusOr<std::optional<DetachedRecord>> NextRoot(const MetaReader& reader, ReapBacklog* backlog, size_t limit) {
  for (;; backlog->roots.pop_front()) {
    if (backlog->roots.empty() && backlog->scan_from.has_value()) {
      DOLMEN_RETURN_IF_ERROR(ScanForRoots(reader, backlog, limit));
    }
    if (backlog->roots.empty()) return std::nullopt;
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<std::string> stored,
                            reader.Get(Family::kDetached, keys::Id(backlog->roots.front())));
    if (!stored.has_value()) continue;
    DOLMEN_ASSIGN_OR_RETURN(DetachedRecord root, DecodeDetached(*stored));
    return root;
  }
}

absl::StatusOr<std::vector<Child>> FirstChildren(const MetaReader& reader, InodeId directory, const std::string& from,
                                                 size_t limit) {
  std::vector<Child> children;
  absl::Status failed;
  DOLMEN_RETURN_IF_ERROR(reader.Scan(Family::kInodes, from, keys::InodePrefixEnd(directory),
                                     [&](std::string_view key, std::string_view value) {
                                       absl::StatusOr<InodeRecord> inode = DecodeInode(value);
                                       absl::StatusOr<keys::InodeKey> place = keys::ParseInode(key);
                                       failed = inode.ok() ? place.status() : inode.status();
                                       if (!failed.ok()) return false;
                                       children.push_back({std::string(place->name), *std::move(inode)});
                                       return children.size() < limit;
                                     }));
  DOLMEN_RETURN_IF_ERROR(failed);
  return children;
}

// Frees blocks from the file's end while `budget` lasts.
absl::Status FreeBlocks(OperationContext& context, InodeRecord* file, uint64_t* budget) {
  for (; file->block_count != 0 && *budget != 0; --*budget) DOLMEN_RETURN_IF_ERROR(FreeLastBlock(context, file));
  return absl::OkStatus();
}

absl::Status ReapChild(OperationContext& context, const DetachedRecord& parent, Child child, uint64_t* budget) {
  InodeRecord& inode = child.inode;
  UnlinkInode(context, parent.inode.id, child.name, inode.id);
  --*budget;
  if (!inode.is_directory) DOLMEN_RETURN_IF_ERROR(FreeBlocks(context, &inode, budget));
  if (inode.child_count != 0 || inode.block_count != 0) {
    return PutIntoDetached(context, std::move(inode), parent.deleted_at);
  }
  if (inode.under_construction) {
    DOLMEN_ASSIGN_OR_RETURN(std::optional<OpenRecord> open, GetOpen(*context.batch, inode.id));
    if (open.has_value()) return CloseLease(context, inode.id, *open);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<bool> ReapDetached(OperationContext& context) {
  if (context.reap == nullptr) {
    ReapBacklog scanned_anew;
    context.reap = &scanned_anew;
    const absl::StatusOr<bool> left = ReapDetached(context);
    context.reap = nullptr;
    return left;
  }
  uint64_t budget = std::max<uint64_t>(context.settings->reap_entries_per_step, 1);
  ReapBacklog& backlog = *context.reap;
  const size_t most_roots = budget + 1;  // a step needs no more
  while (true) {
    DOLMEN_ASSIGN_OR_RETURN(std::optional<DetachedRecord> root, NextRoot(*context.batch, &backlog, most_roots));
    if (!root.has_value()) return false;
    if (budget == 0) return true;
    InodeRecord& inode = root->inode;
    if (inode.is_directory) {
      const bool goes_on = backlog.partial_root == inode.id;
      DOLMEN_ASSIGN_OR_RETURN(
          std::vector<Child> children,
          FirstChildren(*context.batch, inode.id, goes_on ? backlog.next_child : keys::InodePrefix(inode.id), budget));
      if (children.size() != std::min(inode.child_count, budget)) {
        return MakeError(ErrorReason::kDamaged,
                         absl::StrCat("the deleted directory ", inode.id.ToString(),
                                      " has another number of entries than its record says, ", inode.child_count));
      }
      for (Child& child : children) {
        if (budget == 0) break;
        backlog.partial_root = inode.id;
        backlog.next_child = keys::Inode(inode.id, child.name);
        DOLMEN_RETURN_IF_ERROR(ReapChild(context, *root, std::move(child), &budget));
        --inode.child_count;
      }
    } else {
      DOLMEN_RETURN_IF_ERROR(FreeBlocks(context, &inode, &budget));
    }
    if (inode.child_count == 0 && inode.block_count == 0 && budget != 0) {
      RemoveDetached(context, inode.id);
      --budget;
    } else {
      PutDetached(context, *root);
    }
  }
}

}  // namespace dolmen::namenode::ops
