#include "datanode/storage/volume_scan.h"

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/fault_point.h"
#include "datanode/storage/replica_recovery.h"
#include "spdlog/spdlog.h"

namespace dolmen::datanode {
namespace {

struct Pair {
  std::string data;  // paths; empty: not there
  std::string meta;
  bool whole() const { return !data.empty() && !meta.empty(); }
  // Each has what the other lacks.
  bool Completes(const Pair& other) const {
    return data.empty() == !other.data.empty() && meta.empty() == !other.meta.empty();
  }
};
using Pairs = std::map<BlockId, Pair>;

class Scan {
 public:
  explicit Scan(Volume& volume) : volume_(volume), fs_(volume.fs()) {}

  absl::StatusOr<VolumeContents> Run() {
    DOLMEN_RETURN_IF_ERROR(ListFinalized());
    DOLMEN_RETURN_IF_ERROR(ListPlace(ReplicaPlace::kBeingWritten, &being_written_));
    DOLMEN_RETURN_IF_ERROR(ListPlace(ReplicaPlace::kTemporary, &temporary_));
    DOLMEN_RETURN_IF_ERROR(ListTrash());
    DOLMEN_FAULT_POINT("datanode.scan.after_listing");
    for (auto& [block, pair] : finalized_) DOLMEN_RETURN_IF_ERROR(ResolveFinalized(block, pair), block.ToString());
    DOLMEN_FAULT_POINT("datanode.scan.after_finalized");
    for (auto& [block, pair] : being_written_)
      DOLMEN_RETURN_IF_ERROR(ResolveBeingWritten(block, pair), block.ToString());
    for (auto& [block, pair] : temporary_) DOLMEN_RETURN_IF_ERROR(RemoveTemporary(block, pair), block.ToString());
    DOLMEN_FAULT_POINT("datanode.scan.before_sync");
    // A rename that a crash caught before its directory was synced must be durable before anybody is told of it.
    touched_.insert(volume_.DirectoryFor(ReplicaPlace::kBeingWritten, {}));
    for (const std::string& directory : touched_) DOLMEN_RETURN_IF_ERROR(fs_.SyncDirectory(directory));
    VolumeContents contents;
    for (const auto& [block, replica] : replicas_) contents.replicas.push_back(replica);
    for (const auto& [trashed, pair] : trash_) contents.trash.push_back(trashed);
    return contents;
  }

 private:
  absl::Status ListFinalized() {
    DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string> outer, fs_.List(volume_.FinalizedRoot()));
    for (const std::string& one : outer) {
      const std::string outer_path = JoinPath(volume_.FinalizedRoot(), one);
      if (!one.starts_with("subdir")) {
        DOLMEN_RETURN_IF_ERROR(volume_.Quarantine(outer_path));
        continue;
      }
      DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string> inner, fs_.List(outer_path));
      for (const std::string& two : inner) {
        const std::string path = JoinPath(outer_path, two);
        if (!two.starts_with("subdir")) {
          DOLMEN_RETURN_IF_ERROR(volume_.Quarantine(path));
          continue;
        }
        DOLMEN_RETURN_IF_ERROR(ListDirectory(path, &finalized_));
      }
    }
    return absl::OkStatus();
  }

  absl::Status ListPlace(ReplicaPlace place, Pairs* pairs) {
    return ListDirectory(volume_.DirectoryFor(place, {}), pairs);
  }

  absl::Status ListDirectory(const std::string& directory, Pairs* pairs) {
    DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_.List(directory));
    for (const std::string& name : names) {
      const std::string path = JoinPath(directory, name);
      const std::optional<ReplicaFileName> parsed = ReplicaFileName::Parse(name);
      if (!parsed.has_value() || parsed->stamp.has_value() ||
          (pairs == &finalized_ && directory != volume_.DirectoryFor(ReplicaPlace::kFinalized, parsed->block))) {
        DOLMEN_RETURN_IF_ERROR(volume_.Quarantine(path));
        continue;
      }
      Pair& pair = (*pairs)[parsed->block];
      (parsed->is_meta ? pair.meta : pair.data) = path;
    }
    if (!names.empty()) touched_.insert(directory);
    return absl::OkStatus();
  }

  absl::Status ListTrash() {
    DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_.List(volume_.TrashDirectory()));
    for (const std::string& name : names) {
      const std::string path = JoinPath(volume_.TrashDirectory(), name);
      const std::optional<ReplicaFileName> parsed = ReplicaFileName::Parse(name);
      if (!parsed.has_value() || !parsed->stamp.has_value()) {
        DOLMEN_RETURN_IF_ERROR(volume_.Quarantine(path));
        continue;
      }
      Pair& pair = trash_[{parsed->block, *parsed->stamp}];
      (parsed->is_meta ? pair.meta : pair.data) = path;
    }
    return absl::OkStatus();
  }

  // Finishes an interrupted delete if `half` is the rest of one. True: done.
  absl::StatusOr<bool> FinishDelete(BlockId block, const Pair& half) {
    for (auto it = trash_.lower_bound({block, {}}); it != trash_.end() && it->first.block == block; ++it) {
      auto& [trashed, pair] = *it;
      if (!half.Completes(pair)) continue;
      const bool is_meta = half.data.empty();
      const std::string target = volume_.TrashPath(block, trashed.stamp, is_meta);
      DOLMEN_RETURN_IF_ERROR(fs_.Rename(is_meta ? half.meta : half.data, target));
      (is_meta ? pair.meta : pair.data) = target;
      return true;
    }
    return false;
  }

  // Finishes an interrupted finalize if the two halves make a replica that verifies; otherwise undoes it. True:
  // finished. An append that was interrupted while it moved the files is undone in the same way: its replica verifies.
  absl::StatusOr<bool> FinishFinalize(BlockId block, Pair* half, Pairs* others, ReplicaPlace place) {
    const auto found = others->find(block);
    if (found == others->end() || !half->Completes(found->second)) return false;
    Pair& other = found->second;
    Pair joined{half->data.empty() ? other.data : half->data, half->meta.empty() ? other.meta : half->meta};
    DOLMEN_ASSIGN_OR_RETURN(const bool good, Verifies(block, joined));
    if (good) {
      const bool moves_meta = half->meta.empty();
      const std::string target = moves_meta ? volume_.MetaPath(ReplicaPlace::kFinalized, block)
                                            : volume_.DataPath(ReplicaPlace::kFinalized, block);
      DOLMEN_RETURN_IF_ERROR(fs_.Rename(moves_meta ? other.meta : other.data, target));
      (moves_meta ? half->meta : half->data) = target;
      others->erase(found);
      return true;
    }
    const bool moves_meta = half->data.empty();
    const std::string target = moves_meta ? volume_.MetaPath(place, block) : volume_.DataPath(place, block);
    DOLMEN_RETURN_IF_ERROR(fs_.Rename(moves_meta ? half->meta : half->data, target));
    (moves_meta ? other.meta : other.data) = target;
    *half = {};
    return false;
  }

  absl::StatusOr<bool> Verifies(BlockId block, const Pair& pair) {
    const absl::StatusOr<ChecksumFileHeader> header = ReadChecksumHeader(fs_, pair.meta, block);
    if (!header.ok()) {
      if (ReasonOf(header.status()) == ErrorReason::kDamaged) return false;
      return header.status();
    }
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<File> data, fs_.Open(pair.data, OpenMode::kRead));
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<File> meta, fs_.Open(pair.meta, OpenMode::kRead));
    DOLMEN_ASSIGN_OR_RETURN(const uint64_t length, data->Size());
    DOLMEN_ASSIGN_OR_RETURN(const uint64_t meta_bytes, meta->Size());
    // All of it was on disk before its files were moved: what does not match has rotted since, in a replica that is to
    // be appended to or finalized. It is kept whole, like any finalized replica, and found by whoever reads it.
    const SyncSlot& slot = *header->slots[static_cast<size_t>(header->WinningSlot())];
    if (slot.synced_length == length && meta_bytes == ChecksumFileBytes(length)) return true;
    return MatchesChecksums(*data, *meta, length);
  }

  absl::Status ResolveFinalized(BlockId block, Pair& pair) {
    if (!pair.whole()) {
      DOLMEN_ASSIGN_OR_RETURN(bool finished,
                              FinishFinalize(block, &pair, &being_written_, ReplicaPlace::kBeingWritten));
      if (!finished && !(pair.data.empty() && pair.meta.empty())) {
        DOLMEN_ASSIGN_OR_RETURN(finished, FinishFinalize(block, &pair, &temporary_, ReplicaPlace::kTemporary));
      }
      if (!finished) return ResolveHalf(block, pair);
    }
    const absl::StatusOr<ChecksumFileHeader> header = ReadChecksumHeader(fs_, pair.meta, block);
    if (!header.ok()) {
      if (ReasonOf(header.status()) != ErrorReason::kDamaged) return header.status();
      spdlog::warn("{}: {}", pair.meta, MessageOf(header.status()));
      return QuarantinePair(pair);
    }
    DOLMEN_ASSIGN_OR_RETURN(const uint64_t length, fs_.FileSize(pair.data));
    DOLMEN_ASSIGN_OR_RETURN(const uint64_t meta_bytes, fs_.FileSize(pair.meta));
    const SyncSlot& slot = *header->slots[static_cast<size_t>(header->WinningSlot())];
    const bool agree = meta_bytes == ChecksumFileBytes(length) && slot.synced_length <= length;
    if (!agree) {
      spdlog::warn("{}: {} bytes of data and {} bytes of checksums do not agree", pair.data, length, meta_bytes);
    }
    // A stamp that an append or a recovery wrote, and did not come to sync, is not to go away again once it is
    // reported.
    const auto& slots = header->slots;
    if (slots[0].has_value() && slots[1].has_value() && slots[0]->stamp != slots[1]->stamp) {
      DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<File> meta, fs_.Open(pair.meta, OpenMode::kReadWrite));
      DOLMEN_RETURN_IF_ERROR(meta->Sync());
    }
    replicas_[block] = {.block = {.id = block, .stamp = slot.stamp, .length = length},
                        .state = agree ? ScannedState::kFinalized : ScannedState::kCorrupt};
    return absl::OkStatus();
  }

  absl::Status ResolveBeingWritten(BlockId block, Pair& pair) {
    if (!pair.whole()) return ResolveHalf(block, pair);
    if (replicas_.contains(block)) return QuarantinePair(pair);  // the finalized one counts
    const absl::StatusOr<protocol::Block> recovered = RecoverBeingWritten(fs_, pair.data, pair.meta, block);
    if (!recovered.ok()) {
      if (ReasonOf(recovered.status()) != ErrorReason::kDamaged) return recovered.status();
      DOLMEN_ASSIGN_OR_RETURN(const uint64_t length, fs_.FileSize(pair.data));
      if (length == 0) return RemovePair(pair);  // created, nothing on disk yet
      spdlog::warn("{}: {}", pair.meta, MessageOf(recovered.status()));
      return QuarantinePair(pair);
    }
    replicas_[block] = {.block = *recovered, .state = ScannedState::kBeingWritten};
    return absl::OkStatus();
  }

  // One file without its partner in the same place.
  absl::Status ResolveHalf(BlockId block, const Pair& half) {
    if (half.data.empty() && half.meta.empty()) return absl::OkStatus();
    DOLMEN_ASSIGN_OR_RETURN(const bool finished, FinishDelete(block, half));
    if (finished) return absl::OkStatus();
    const std::string& path = half.data.empty() ? half.meta : half.data;
    DOLMEN_ASSIGN_OR_RETURN(const uint64_t size, fs_.FileSize(path));
    // No data in it: a creation that a crash interrupted.
    if (size <= (half.data.empty() ? kChecksumHeaderBytes : 0)) return fs_.RemoveFile(path);
    return volume_.Quarantine(path);
  }

  absl::Status RemoveTemporary(BlockId block, const Pair& pair) {
    if (!pair.whole()) {
      DOLMEN_ASSIGN_OR_RETURN(const bool finished, FinishDelete(block, pair));
      if (finished) return absl::OkStatus();
    }
    return RemovePair(pair);
  }

  absl::Status RemovePair(const Pair& pair) {
    if (!pair.data.empty()) DOLMEN_RETURN_IF_ERROR(fs_.RemoveFile(pair.data));
    if (!pair.meta.empty()) DOLMEN_RETURN_IF_ERROR(fs_.RemoveFile(pair.meta));
    return absl::OkStatus();
  }

  absl::Status QuarantinePair(const Pair& pair) {
    if (!pair.data.empty()) DOLMEN_RETURN_IF_ERROR(volume_.Quarantine(pair.data));
    if (!pair.meta.empty()) DOLMEN_RETURN_IF_ERROR(volume_.Quarantine(pair.meta));
    return absl::OkStatus();
  }

  Volume& volume_;
  FileSystem& fs_;
  Pairs finalized_;
  Pairs being_written_;
  Pairs temporary_;
  std::map<TrashedReplica, Pair> trash_;
  std::map<BlockId, ScannedReplica> replicas_;
  std::set<std::string> touched_;  // directories whose names must be durable
};

}  // namespace

absl::StatusOr<VolumeContents> ScanVolume(Volume& volume) {
  absl::StatusOr<VolumeContents> contents = Scan(volume).Run();
  if (contents.ok()) return contents;
  return Annotate(contents.status(), absl::StrCat("scanning ", volume.directory()));
}

}  // namespace dolmen::datanode
