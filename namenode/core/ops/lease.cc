#include "namenode/core/ops/lease.h"

#include <optional>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/error.h"

namespace dolmen::namenode::ops {

namespace {

// Chosen: ten times what clients use for a lease holder's name.
constexpr size_t kMaxHolderBytes = 1024;

// A lease opened earlier in this batch is not yet known to the lease view.
bool SoftLimitExpired(const OperationContext& context, const std::string& holder) {
  for (const Effect& effect : *context.effects) {
    const auto* opened = std::get_if<LeaseOpened>(&effect);
    if (opened != nullptr && opened->holder == holder) return false;
  }
  return context.leases->SoftLimitExpired(holder);
}

}  // namespace

absl::Status CheckHolder(const std::string& holder) {
  if (holder == kNamenodeHolder) {
    return MakeError(ErrorReason::kIllegalArgument,
                     absl::StrCat("The lease holder's name ", kNamenodeHolder, " is the namenode's own"));
  }
  if (!holder.empty() && holder.size() <= kMaxHolderBytes) return absl::OkStatus();
  return MakeError(ErrorReason::kIllegalArgument, absl::StrCat("The lease holder's name must have 1 to ",
                                                               kMaxHolderBytes, " bytes, not ", holder.size()));
}

absl::Status Opener::Refuse(ErrorReason reason, std::string_view why) const {
  return MakeError(reason, absl::StrCat("Failed to ", ToAbsl(operation), " ", path, " for ", holder, " on ",
                                        caller.host, " because ", ToAbsl(why)));
}

absl::Status MakeWay(OperationContext& context, const Opener& opener, WrittenFile* file) {
  const OpenRecord& open = *file->open;
  if (open.holder == opener.holder) {
    return opener.Refuse(ErrorReason::kAlreadyBeingCreated,
                         absl::StrCat(opener.holder, " is already the current lease holder."));
  }
  if (open.holder == kNamenodeHolder) {
    return opener.Refuse(ErrorReason::kRecoveryInProgress,
                         absl::StrCat("another recovery is in progress by ", open.holder, " on ", open.client_host));
  }
  if (context.overdue == nullptr || !SoftLimitExpired(context, open.holder)) {
    return opener.Refuse(ErrorReason::kAlreadyBeingCreated,
                         absl::StrCat("this file lease is currently owned by ", open.holder, " on ", open.client_host));
  }
  context.overdue->push_back({.holder = open.holder, .inode = file->inode.id});
  DOLMEN_ASSIGN_OR_RETURN(bool closed, CloseIfDone(context, file));
  if (closed) return absl::OkStatus();
  return opener.Refuse(ErrorReason::kRecoveryInProgress, "lease recovery is in progress. Try again later.");
}

absl::StatusOr<bool> CloseIfDone(OperationContext& context, WrittenFile* file) {
  if (file->open->truncation.has_value()) return false;
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(*context.batch, file->inode, 1));
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> penultimate, GetBlockFromEnd(*context.batch, file->inode, 2));
  if (last.has_value() && last->record.state == BlockState::kUnderConstruction) return false;
  for (const std::optional<FileBlock>& block : {penultimate, last})
    if (block.has_value() && !HasMinimumReplicas(context, *block)) return false;
  DOLMEN_RETURN_IF_ERROR(CloseFile(context, file));
  file->open.reset();
  return true;
}

absl::StatusOr<bool> ReleaseLease(OperationContext& context, WrittenFile* file) {
  DOLMEN_ASSIGN_OR_RETURN(bool closed, CloseIfDone(context, file));
  if (closed) return true;
  const InodeId inode = file->inode.id;
  OpenRecord& open = *file->open;
  DOLMEN_ASSIGN_OR_RETURN(std::optional<FileBlock> last, GetBlockFromEnd(*context.batch, file->inode, 1));
  const bool recovers = last.has_value() && last->record.state == BlockState::kUnderConstruction;
  if (recovers) open.recovery = NextStamp(context);
  const bool changes_hands = open.holder != kNamenodeHolder;
  if (changes_hands) {
    context.effects->push_back(LeaseClosed{.holder = std::exchange(open.holder, kNamenodeHolder), .inode = inode});
    context.effects->push_back(LeaseOpened{.holder = open.holder, .inode = inode});
  }
  // In place: moving the variant makes g++ 12 warn of other alternatives' members.
  if (recovers) context.effects->emplace_back(RecoveryStarted{.inode = inode});
  if (recovers || changes_hands) PutOpen(context, inode, open);
  return false;
}

}  // namespace dolmen::namenode::ops
