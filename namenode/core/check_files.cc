#include "namenode/core/check_files.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "namenode/core/file_status.h"
#include "namenode/core/key_codec.h"
#include "namenode/core/path_resolver.h"
#include "namenode/core/permission.h"
#include "namenode/core/placement_policy.h"
#include "namenode/core/replica_map.h"
#include "namenode/core/tables.h"

namespace dolmen::namenode {
namespace {

using protocol::DatanodeLiveness;
using protocol::ReplicaCondition;
using protocol::ReplicaState;

constexpr std::string_view kOperation = "checkFiles";
// Chosen: all together well below the bound of a message. The last file or block may exceed each a little.
constexpr size_t kMaxPathBytesPerPage = 1 << 20;
constexpr size_t kMaxReplicasPerPage = 50'000;
constexpr size_t kMaxStoragesPerPage = 5'000;

// The replicas of blocks, and the page's table of storages that they point into.
class ReplicaLookup {
 public:
  ReplicaLookup(const MetaReader& view, const ReplicaSources& sources, protocol::CheckFilesReply* reply)
      : view_(view), sources_(sources), reply_(reply) {
    std::set<std::string> racks;
    for (const auto& [number, storage] : sources_.cluster.storages) {
      if (IsUsable(storage)) racks.insert(storage.location.datanode.rack);
    }
    racks_in_cluster_ = racks.size();
  }

  absl::StatusOr<protocol::CheckedBlock> Check(BlockId id, const BlockRecord& record) {
    protocol::CheckedBlock block{.block = {.id = id, .stamp = record.stamp, .length = record.length},
                                 .under_construction = record.state == BlockState::kUnderConstruction,
                                 .replicas_wanted = record.replicas_wanted,
                                 .racks_wanted = RacksWanted(record.replicas_wanted, racks_in_cluster_)};
    DOLMEN_ASSIGN_OR_RETURN(const Found found,
                            block.under_construction ? Pipeline(record.inode) : Replicas(block.block));
    std::set<std::string_view> racks;
    for (const auto& [number, condition] : found) {
      block.replicas.push_back({.storage = IndexOf(number), .condition = condition});
      if (condition != ReplicaCondition::kCorrupt) {
        racks.insert(sources_.cluster.storages.at(number).location.datanode.rack);
      }
    }
    block.racks = static_cast<uint32_t>(racks.size());
    return block;
  }

 private:
  using Found = std::vector<std::pair<uint32_t, ReplicaCondition>>;  // by storage number

  static bool IsUsable(const ClusterView::Storage& storage) {
    return storage.session != 0 && storage.liveness != DatanodeLiveness::kDead;
  }

  // Nothing: says nothing about the block, or does not count.
  static std::optional<ReplicaCondition> ConditionOf(const ReplicaRecord& record, const ClusterView::Storage& storage,
                                                     const protocol::Block& block) {
    if (!IsUsable(storage) || record.session != storage.session) return std::nullopt;
    if (record.state != ReplicaState::kFinalized && record.state != ReplicaState::kCorrupt) return std::nullopt;
    if (record.stamp > block.stamp) return std::nullopt;  // somebody knows more than we do
    const bool good =
        record.state == ReplicaState::kFinalized && record.stamp == block.stamp && record.length == block.length;
    if (!good) return ReplicaCondition::kCorrupt;
    return storage.liveness == DatanodeLiveness::kLive ? ReplicaCondition::kLive : ReplicaCondition::kStale;
  }

  absl::StatusOr<Found> Replicas(const protocol::Block& block) const {
    DOLMEN_ASSIGN_OR_RETURN(const std::vector<StoredReplica> stored, ReplicasOf(sources_.store, block.id));
    std::map<DatanodeUuid, std::pair<ReplicaCondition, uint32_t>> best;
    for (const StoredReplica& replica : stored) {
      const auto storage = sources_.cluster.storages.find(replica.storage);
      if (storage == sources_.cluster.storages.end()) continue;
      const std::optional<ReplicaCondition> condition = ConditionOf(replica.record, storage->second, block);
      if (!condition.has_value()) continue;
      const std::pair candidate(*condition, replica.storage);
      const auto [place, is_new] = best.emplace(storage->second.location.datanode.uuid, candidate);
      if (!is_new) place->second = std::min(place->second, candidate);
    }
    Found found;
    for (const auto& [uuid, replica] : best) found.emplace_back(replica.second, replica.first);
    std::sort(found.begin(), found.end());
    return found;
  }

  // Where the last block of an open file is being written.
  absl::StatusOr<Found> Pipeline(InodeId file) const {
    DOLMEN_ASSIGN_OR_RETURN(const std::optional<OpenRecord> open, GetOpen(view_, file));
    Found found;
    if (!open.has_value()) return found;
    for (const OpenRecord::Target& target : open->last_pipeline) {
      for (const auto& [number, storage] : sources_.cluster.storages) {
        if (storage.location.datanode.uuid != target.datanode || storage.location.storage != target.storage) continue;
        if (!IsUsable(storage)) continue;
        found.emplace_back(
            number, storage.liveness == DatanodeLiveness::kLive ? ReplicaCondition::kLive : ReplicaCondition::kStale);
      }
    }
    return found;
  }

  uint32_t IndexOf(uint32_t storage) {
    const auto [place, is_new] = indexes_.emplace(storage, static_cast<uint32_t>(reply_->storages.size()));
    if (is_new) reply_->storages.push_back(sources_.cluster.storages.at(storage).location);
    return place->second;
  }

  const MetaReader& view_;
  const ReplicaSources& sources_;
  protocol::CheckFilesReply* const reply_;
  size_t racks_in_cluster_ = 0;
  std::map<uint32_t, uint32_t> indexes_;  // storage number -> index in the reply
};

class Walk {
 public:
  Walk(const MetaReader& view, const ReplicaSources& sources, const CoreSettings& settings, const Caller& caller,
       const protocol::CheckFilesRequest& request)
      : view_(view),
        settings_(settings),
        checker_(settings, caller),
        request_(request),
        entries_left_(std::clamp<uint32_t>(request.entry_limit, 1, std::max<uint32_t>(settings.listing_limit, 1))),
        blocks_left_(std::max<uint32_t>(request.block_limit, 1)),
        lookup_(view, sources, &reply_) {
    reply_.block_pool = sources.block_pool;
  }

  absl::StatusOr<protocol::CheckFilesReply> Run() {
    DOLMEN_ASSIGN_OR_RETURN(path_,
                            ParseAndResolve(view_, checker_, settings_, request_.path, PathUse::kLookUp, kOperation));
    if (!path_.Exists()) return std::move(reply_);
    reply_.exists = true;
    if (request_.after.empty()) {
      DOLMEN_RETURN_IF_ERROR(VisitTarget(/*first_block=*/0));
    } else {
      DOLMEN_RETURN_IF_ERROR(Resume());
    }
    while (!levels_.empty() && !reply_.has_more) DOLMEN_RETURN_IF_ERROR(Continue());
    return std::move(reply_);
  }

 private:
  // A directory whose entries are being visited: the last one of path_.
  struct Level {
    InodeId directory;
    std::string after;  // the last name visited; empty: none
  };

  // Enters what was visited already, as far as it is still there.
  absl::Status Resume() {
    DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string_view> names,
                            ParsePath(request_.after, PathUse::kLookUp, kOperation, settings_));
    const size_t depth = path_.names.size();
    if (names.size() < depth || !std::equal(path_.names.begin(), path_.names.end(), names.begin())) {
      return MakeError(ErrorReason::kIllegalArgument,
                       absl::StrCat("Cannot go on behind ", request_.after, ", which is not below ", request_.path));
    }
    for (size_t i = depth; i < names.size(); ++i) {
      if (!path_.Target().is_directory) return absl::OkStatus();  // what was a directory is a file now
      DOLMEN_RETURN_IF_ERROR(Enter(std::string(names[i])));
      DOLMEN_ASSIGN_OR_RETURN(std::optional<InodeRecord> child, GetInode(view_, path_.Target().id, names[i]));
      if (!child.has_value()) return absl::OkStatus();
      if (!child->is_directory) {
        const bool partial = i + 1 == names.size() && child->id == request_.partial_inode;
        if (!partial) return absl::OkStatus();
        return VisitFile(*child, std::string(names[i]), request_.first_block);
      }
      path_.names.emplace_back(names[i]);
      path_.inodes.push_back(*std::move(child));
    }
    if (path_.Target().is_directory) return Enter("");
    if (path_.Target().id == request_.partial_inode) return VisitTarget(request_.first_block);
    return absl::OkStatus();
  }

  // The target of path_ is a directory: its entries behind `after` are next.
  absl::Status Enter(std::string after) {
    DOLMEN_RETURN_IF_ERROR(checker_.CheckTarget(path_, Access::kReadExecute));
    levels_.push_back({path_.Target().id, std::move(after)});
    return absl::OkStatus();
  }

  // The path that was asked for.
  absl::Status VisitTarget(uint64_t first_block) {
    const InodeRecord& target = path_.Target();
    if (!target.is_directory) {
      DOLMEN_RETURN_IF_ERROR(checker_.CheckTarget(path_, Access::kRead));
      return AddFile(target, path_.ToString(), path_.IsRoot() ? "" : path_.names.back(), first_block);
    }
    Add({.path = path_.ToString(), .status = StatusOf(target, path_.IsRoot() ? "" : path_.names.back())});
    return Enter("");
  }

  // Goes on in the deepest directory until it ends, another one begins, or the page is full.
  absl::Status Continue() {
    const InodeId directory = levels_.back().directory;
    std::string start = keys::Inode(directory, levels_.back().after);
    if (!levels_.back().after.empty()) start.push_back('\0');  // the first name after it
    absl::Status failed;
    std::optional<InodeRecord> below;
    DOLMEN_RETURN_IF_ERROR(view_.Scan(Family::kInodes, start, keys::InodePrefixEnd(directory),
                                      [&](std::string_view key, std::string_view value) {
                                        if (IsFull()) {
                                          reply_.has_more = true;
                                          return false;
                                        }
                                        absl::StatusOr<InodeRecord> inode = DecodeInode(value);
                                        const absl::StatusOr<keys::InodeKey> place = keys::ParseInode(key);
                                        failed = inode.ok() ? place.status() : inode.status();
                                        if (!failed.ok()) return false;
                                        if (inode->is_directory) {
                                          levels_.back().after = place->name;
                                          below = *std::move(inode);
                                          return false;
                                        }
                                        if (inode->block_count > 0 && blocks_left_ == 0) {
                                          reply_.has_more = true;
                                          return false;
                                        }
                                        levels_.back().after = place->name;
                                        failed = VisitFile(*inode, std::string(place->name), /*first_block=*/0);
                                        return failed.ok() && !reply_.has_more;
                                      }));
    DOLMEN_RETURN_IF_ERROR(failed);
    if (below.has_value()) {
      path_.names.push_back(levels_.back().after);
      path_.inodes.push_back(*std::move(below));
      Add({.path = path_.ToString(), .status = StatusOf(path_.Target(), path_.names.back())});
      return Enter("");
    }
    if (reply_.has_more) return absl::OkStatus();
    levels_.pop_back();
    if (!levels_.empty()) {
      path_.names.pop_back();
      path_.inodes.pop_back();
    }
    return absl::OkStatus();
  }

  // An entry of the deepest directory.
  absl::Status VisitFile(const InodeRecord& file, std::string name, uint64_t first_block) {
    const std::string path = path_.IsRoot() ? absl::StrCat("/", name) : absl::StrCat(path_.ToString(), "/", name);
    if (checker_.ChecksAccess() && !checker_.MayAccess(file, Access::kRead)) {
      return checker_.Denied(file, path, Access::kRead);
    }
    return AddFile(file, path, std::move(name), first_block);
  }

  absl::Status AddFile(const InodeRecord& file, std::string path, std::string name, uint64_t first_block) {
    protocol::CheckedEntry entry{
        .path = std::move(path), .status = StatusOf(file, std::move(name)), .first_block = first_block};
    const uint64_t end = std::min(file.block_count, first_block + std::min<uint64_t>(blocks_left_, file.block_count));
    std::vector<BlockId> ids;
    absl::Status failed;
    DOLMEN_RETURN_IF_ERROR(view_.Scan(Family::kFileBlocks, keys::FileBlock(file.id, first_block),
                                      keys::FileBlock(file.id, end), [&](std::string_view, std::string_view value) {
                                        const absl::StatusOr<BlockId> id = keys::ParseFileBlockValue(value);
                                        failed = id.status();
                                        if (id.ok()) ids.push_back(*id);
                                        return id.ok();
                                      }));
    DOLMEN_RETURN_IF_ERROR(failed);
    if (ids.size() + first_block < end) {
      return MakeError(ErrorReason::kDamaged, absl::StrCat(entry.path, " has fewer blocks than it counts"));
    }
    for (const BlockId id : ids) {
      DOLMEN_ASSIGN_OR_RETURN(const std::optional<BlockRecord> record, GetBlock(view_, id));
      if (!record.has_value()) {
        return MakeError(ErrorReason::kDamaged,
                         absl::StrCat("no record of ", id.ToString(), ", a block of ", entry.path));
      }
      DOLMEN_ASSIGN_OR_RETURN(entry.blocks.emplace_back(), lookup_.Check(id, *record));
      replicas_ += entry.blocks.back().replicas.size();
      if (TooManyReplicas()) break;
    }
    blocks_left_ -= static_cast<uint32_t>(entry.blocks.size());
    entry.has_more_blocks = first_block + entry.blocks.size() < file.block_count;
    reply_.has_more |= entry.has_more_blocks;
    Add(std::move(entry));
    return absl::OkStatus();
  }

  void Add(protocol::CheckedEntry entry) {
    path_bytes_ += entry.path.size() + entry.status.name.size();
    --entries_left_;
    reply_.entries.push_back(std::move(entry));
  }

  bool TooManyReplicas() const {
    return replicas_ >= kMaxReplicasPerPage || reply_.storages.size() >= kMaxStoragesPerPage;
  }
  bool IsFull() const { return entries_left_ == 0 || path_bytes_ >= kMaxPathBytesPerPage || TooManyReplicas(); }

  const MetaReader& view_;
  const CoreSettings& settings_;
  const PermissionChecker checker_;
  const protocol::CheckFilesRequest& request_;
  uint32_t entries_left_;
  uint32_t blocks_left_;
  size_t path_bytes_ = 0;
  size_t replicas_ = 0;
  protocol::CheckFilesReply reply_;
  ReplicaLookup lookup_;
  InodePath path_;  // of the deepest directory, once a level is there
  std::vector<Level> levels_;
};

}  // namespace

absl::StatusOr<protocol::CheckFilesReply> CheckFiles(const MetaReader& view, const ReplicaSources& replicas,
                                                     const CoreSettings& settings, const Caller& caller,
                                                     const protocol::CheckFilesRequest& request) {
  return Walk(view, replicas, settings, caller, request).Run();
}

}  // namespace dolmen::namenode
