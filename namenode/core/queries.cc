#include "namenode/core/queries.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/file_status.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"
#include "namenode/core/subtree_access.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode {

namespace {

// Of text in one page of open files: four times that is what a message may have. Chosen.
constexpr size_t kMaxOpenFilesBytes = 1 << 20;

absl::Status FileNotFound(const std::string& path) {
  return MakeError(ErrorReason::kFileNotFound, absl::StrCat("File does not exist: ", path));
}

absl::Status NotAFile(const std::string& path) {
  return MakeError(ErrorReason::kFileNotFound, absl::StrCat("Path is not a file: ", path));
}

}  // namespace

absl::StatusOr<protocol::GetFileInfoReply> GetFileInfo(const MetaReader& view, const CoreSettings& settings,
                                                       const Caller& caller,
                                                       const protocol::GetFileInfoRequest& request) {
  const PermissionChecker checker(settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(InodePath path,
                          ParseAndResolve(view, checker, settings, request.path, PathUse::kLookUp, "getFileInfo"));
  protocol::GetFileInfoReply reply;
  if (path.Exists()) reply.status = StatusOf(path.Target());
  return reply;
}

absl::StatusOr<protocol::GetListingReply> GetListing(const MetaReader& view, const CoreSettings& settings,
                                                     const Caller& caller, const protocol::GetListingRequest& request) {
  const PermissionChecker checker(settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(InodePath path,
                          ParseAndResolve(view, checker, settings, request.path, PathUse::kLookUp, "getListing"));
  protocol::GetListingReply reply;
  if (!path.Exists()) return reply;
  reply.exists = true;
  if (!path.Target().is_directory) {
    reply.entries.push_back(StatusOf(path.Target()));
    return reply;
  }
  DOLMEN_RETURN_IF_ERROR(checker.CheckTarget(path, Access::kReadExecute));

  const size_t limit = std::clamp<uint32_t>(request.limit, 1, std::max<uint32_t>(settings.listing_limit, 1));
  const InodeId directory = path.Target().id;
  std::string start = keys::Inode(directory, request.start_after);
  if (!request.start_after.empty()) start.push_back('\0');  // the first name after it
  absl::Status failed;
  DOLMEN_RETURN_IF_ERROR(view.Scan(Family::kInodes, start, keys::InodePrefixEnd(directory),
                                   [&](std::string_view key, std::string_view value) {
                                     if (reply.entries.size() == limit) {
                                       reply.has_more = true;
                                       return false;
                                     }
                                     absl::StatusOr<InodeRecord> inode = DecodeInode(value);
                                     absl::StatusOr<keys::InodeKey> place = keys::ParseInode(key);
                                     failed = inode.ok() ? place.status() : inode.status();
                                     if (!failed.ok()) return false;
                                     reply.entries.push_back(StatusOf(*inode, std::string(place->name)));
                                     return true;
                                   }));
  DOLMEN_RETURN_IF_ERROR(failed);
  return reply;
}

absl::StatusOr<protocol::GetContentSummaryReply> GetContentSummary(const MetaReader& view, const CoreSettings& settings,
                                                                   const Caller& caller,
                                                                   const protocol::GetContentSummaryRequest& request) {
  const PermissionChecker checker(settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(
      InodePath path, ParseAndResolve(view, checker, settings, request.path, PathUse::kLookUp, "getContentSummary"));
  if (!path.Exists()) return FileNotFound(request.path);
  DOLMEN_RETURN_IF_ERROR(CheckSubtreeAccess(view, checker, path, Access::kReadExecute, SubtreeRule::kAll));
  DOLMEN_ASSIGN_OR_RETURN(TotalsDelta sums, ContributionOf(view, path.Target()));
  protocol::GetContentSummaryReply reply{.length = static_cast<uint64_t>(sums.bytes),
                                         .files = static_cast<uint64_t>(sums.files),
                                         .directories = static_cast<uint64_t>(sums.directories)};
  for (const auto& [type, bytes] : sums.replicated_bytes) reply.replicated_bytes += static_cast<uint64_t>(bytes);
  return reply;
}

absl::StatusOr<protocol::IsFileClosedReply> IsFileClosed(const MetaReader& view, const CoreSettings& settings,
                                                         const Caller& caller,
                                                         const protocol::IsFileClosedRequest& request) {
  const PermissionChecker checker(settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(InodePath path,
                          ParseAndResolve(view, checker, settings, request.path, PathUse::kLookUp, "isFileClosed"));
  if (!path.Exists()) return FileNotFound(request.path);
  if (path.Target().is_directory) return NotAFile(request.path);
  return protocol::IsFileClosedReply{.closed = !path.Target().under_construction};
}

absl::StatusOr<protocol::ListOpenFilesReply> ListOpenFiles(const MetaReader& view, const CoreSettings& settings,
                                                           const Caller& caller,
                                                           const protocol::ListOpenFilesRequest& request) {
  DOLMEN_RETURN_IF_ERROR(PermissionChecker(settings, caller).CheckSuperuser("listOpenFiles"));
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string_view> names,
                          ParsePath(request.path, PathUse::kLookUp, "listOpenFiles", settings));
  const size_t limit = std::clamp<uint32_t>(request.limit, 1, std::max<uint32_t>(settings.listing_limit, 1));
  protocol::ListOpenFilesReply reply;
  std::vector<std::pair<InodeId, OpenRecord>> found;
  absl::Status failed;
  DOLMEN_RETURN_IF_ERROR(
      view.Scan(Family::kOpen, keys::Id(request.after.Next()), "", [&](std::string_view key, std::string_view value) {
        if (found.size() == limit) {
          reply.has_more = true;
          return false;
        }
        absl::StatusOr<InodeId> inode = keys::ParseId(key);
        absl::StatusOr<OpenRecord> record = DecodeOpen(value);
        failed = inode.ok() ? record.status() : inode.status();
        if (!failed.ok()) return false;
        found.emplace_back(*inode, *std::move(record));
        return true;
      }));
  DOLMEN_RETURN_IF_ERROR(failed);
  size_t bytes = 0;
  for (auto& [inode, record] : found) {
    if (bytes >= kMaxOpenFilesBytes) {
      reply.has_more = true;
      break;
    }
    reply.last = inode;
    DOLMEN_ASSIGN_OR_RETURN(std::optional<InodePlace> place, FindPlace(view, inode));
    if (!place.has_value()) continue;  // below a deleted directory
    const bool is_below =
        place->names.size() >= names.size() && std::equal(names.begin(), names.end(), place->names.begin());
    if (!is_below) continue;
    protocol::OpenFileEntry& entry = reply.files.emplace_back();
    entry = {.inode = inode,
             .path = place->Path(),
             .holder = std::move(record.holder),
             .client_host = std::move(record.client_host)};
    bytes += entry.path.size() + entry.holder.size() + entry.client_host.size();
  }
  return reply;
}

namespace {

// The file at `request.path`, or, when an inode is given, that inode wherever it is now.
absl::StatusOr<InodePath> FindFileToRead(const MetaReader& view, const CoreSettings& settings,
                                         const PermissionChecker& checker,
                                         const protocol::GetBlockLocationsRequest& request) {
  constexpr std::string_view kOperation = "getBlockLocations";
  DOLMEN_ASSIGN_OR_RETURN(std::vector<std::string_view> names,
                          ParsePath(request.path, PathUse::kLookUp, kOperation, settings));
  std::optional<InodePlace> place;
  if (request.inode.has_value()) {
    DOLMEN_ASSIGN_OR_RETURN(place, FindPlace(view, *request.inode));
    if (!place.has_value()) return FileNotFound(request.path);
    names.assign(place->names.begin(), place->names.end());
  }
  DOLMEN_ASSIGN_OR_RETURN(InodePath path, ResolvePath(view, checker, names, PathUse::kLookUp));
  if (!path.Exists()) return FileNotFound(request.path);
  if (path.Target().is_directory) return NotAFile(request.path);
  return path;
}

}  // namespace

absl::StatusOr<protocol::GetBlockLocationsReply> GetBlockLocations(const MetaReader& view, const CoreSettings& settings,
                                                                   const Caller& caller,
                                                                   const protocol::GetBlockLocationsRequest& request) {
  const PermissionChecker checker(settings, caller);
  DOLMEN_ASSIGN_OR_RETURN(InodePath path, FindFileToRead(view, settings, checker, request));
  DOLMEN_RETURN_IF_ERROR(checker.CheckTarget(path, Access::kRead));
  const InodeRecord& file = path.Target();
  protocol::GetBlockLocationsReply reply{.status = StatusOf(file)};
  if (file.block_count == 0) return reply;
  if (file.under_construction) {
    DOLMEN_ASSIGN_OR_RETURN(FileBlock last, GetFileBlock(view, file.id, file.block_count - 1));
    reply.last_is_open = last.record.state == BlockState::kUnderConstruction;
    if (reply.last_is_open) reply.open_offset = file.length - last.record.length;
  }

  // Blocks of a regular file begin at multiples of the block size; else every length before the range counts.
  const uint64_t end = request.offset + std::min(request.length, UINT64_MAX - request.offset);
  if (request.offset >= end) return reply;
  const bool irregular = file.extensions.Find(kIrregularBlocksTag) != nullptr;
  const uint64_t first = irregular ? 0 : std::min(request.offset / file.block_bytes, file.block_count);
  const uint64_t beyond = irregular ? file.block_count : std::min((end - 1) / file.block_bytes + 1, file.block_count);
  DOLMEN_ASSIGN_OR_RETURN(std::vector<BlockId> ids, FileBlockIds(view, file.id, first, beyond));
  uint64_t offset = first * file.block_bytes;
  for (BlockId id : ids) {
    if (offset >= end) break;
    DOLMEN_ASSIGN_OR_RETURN(std::optional<BlockRecord> record, GetBlock(view, id));
    if (!record.has_value()) {
      return MakeError(ErrorReason::kDamaged,
                       absl::StrCat("no record of ", id.ToString(), ", a block of ", path.ToString()));
    }
    // How far a block being written reaches is not known here: up to its full size.
    const bool open = record->state == BlockState::kUnderConstruction;
    const uint64_t reach = open ? file.block_bytes : record->length;
    if (offset + reach > request.offset) {
      reply.blocks.push_back({.block = {.id = id, .stamp = record->stamp, .length = record->length}, .offset = offset});
    }
    offset += record->length;
  }
  return reply;
}

}  // namespace dolmen::namenode
