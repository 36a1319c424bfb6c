// Opening: which directories are ours, what is in them, and who this datanode is.
#include <algorithm>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/error.h"
#include "datanode/storage/block_store.h"
#include "spdlog/spdlog.h"

namespace dolmen::datanode {
namespace {

// Ids are written ahead in strides, so that a durable write is rare; a restart after a crash reports at most this much
// more than was really seen, which costs the namenode nothing but numbers (chosen).
constexpr uint64_t kBlockIdStride = 65536 * kBlockIdStep;
constexpr uint64_t kStampStride = 65536;

// What was found in the directories, with what the options say of them.
struct Candidate {
  Volume::Found found;
  protocol::StorageType type;
};

absl::Status CheckDirectories(const BlockStoreOptions& options) {
  if (options.directories.empty()) {
    return MakeError(ErrorReason::kIllegalArgument, "no data directory is given; set datanode_data_dirs");
  }
  std::set<std::string> seen;
  for (const DataDirectory& directory : options.directories) {
    if (directory.path.empty()) return MakeError(ErrorReason::kIllegalArgument, "a data directory has an empty name");
    if (!seen.insert(directory.path).second) {
      return MakeError(ErrorReason::kIllegalArgument,
                       absl::StrCat("data directory ", directory.path, " is given twice"));
    }
  }
  return absl::OkStatus();
}

// Locks and looks. A directory whose disk does not work is left out if the options allow it.
absl::StatusOr<std::vector<Candidate>> LookAtAll(FileSystem& fs, const BlockStoreOptions& options) {
  std::vector<Candidate> candidates;
  std::vector<std::string> failed;
  for (const DataDirectory& directory : options.directories) {
    absl::StatusOr<Volume::Found> found = Volume::Look(fs, directory.path);
    if (found.ok()) {
      candidates.push_back({.found = *std::move(found), .type = directory.type});
      continue;
    }
    const ErrorReason reason = ReasonOf(found.status());
    if (reason == ErrorReason::kBusy || reason == ErrorReason::kDamaged) return found.status();
    spdlog::error("data directory {} cannot be used: {}", directory.path, MessageOf(found.status()));
    failed.push_back(absl::StrCat(directory.path, " (", found.status().message(), ")"));
  }
  if (failed.size() > options.failed_volumes_tolerated || candidates.empty()) {
    std::string text = absl::StrCat("too many failed volumes: ", failed.size(), " of ", options.directories.size(),
                                    ", tolerated: ", options.failed_volumes_tolerated, ":");
    for (const std::string& one : failed) absl::StrAppend(&text, " ", one);
    return MakeError(ErrorReason::kIo, text);
  }
  return candidates;
}

// All belong together, or the start is refused before anything is written (C-13).
absl::Status CheckTogether(const std::vector<Candidate>& candidates, bool allow_new) {
  const VolumeIdentity* known = nullptr;  // prefer one that has joined a cluster
  std::string known_directory;
  for (const Candidate& candidate : candidates) {
    const std::optional<VolumeIdentity>& identity = candidate.found.identity;
    if (!identity.has_value() || (known != nullptr && (!known->cluster.is_none() || identity->cluster.is_none()))) {
      continue;
    }
    known = &*identity;
    known_directory = candidate.found.directory;
  }
  if (known == nullptr) return absl::OkStatus();
  std::set<StorageId> storages;
  for (const Candidate& candidate : candidates) {
    const std::optional<VolumeIdentity>& identity = candidate.found.identity;
    const std::string& directory = candidate.found.directory;
    if (!identity.has_value()) {
      if (allow_new || known->cluster.is_none()) continue;
      return MakeError(ErrorReason::kDamaged,
                       absl::StrCat("data directory ", directory, " is empty, but ", known_directory,
                                    " is in use by cluster ", known->cluster.value(),
                                    "; mount its disk, or say that it is new with --datanode-allow-new-data-dirs"));
    }
    if (identity->datanode != known->datanode ||
        (!identity->cluster.is_none() && identity->cluster != known->cluster)) {
      return MakeError(ErrorReason::kWrongCluster,
                       absl::StrCat("data directory ", directory, " belongs to datanode ", identity->datanode.value(),
                                    " of cluster ", identity->cluster.value(), ", but ", known_directory,
                                    " to datanode ", known->datanode.value(), " of cluster ", known->cluster.value(),
                                    "; give directories of one datanode"));
    }
    if (!storages.insert(identity->storage).second) {
      return MakeError(ErrorReason::kWrongCluster,
                       absl::StrCat("data directory ", directory, " is a copy of another one (",
                                    identity->storage.value(), "); remove one of them"));
    }
  }
  return absl::OkStatus();
}

void Raise(protocol::IdMarks* marks, BlockId block, GenerationStamp stamp) {
  marks->block = std::max(marks->block, block);
  marks->stamp = std::max(marks->stamp, stamp);
}

// Takes over what `other` has seen beyond `identity`.
void Raise(StoreIdentity* identity, const VolumeIdentity& other) {
  if (identity->cluster.is_none()) identity->cluster = other.cluster;
  if (identity->datanode.is_none()) identity->datanode = other.datanode;
  if (other.highest_epoch > identity->highest_epoch) {
    identity->highest_epoch = other.highest_epoch;
    identity->highest_incarnation = other.highest_incarnation;
  }
  Raise(&identity->seen, other.seen.block, other.seen.stamp);
  Raise(&identity->bound, other.bound.block, other.bound.stamp);
}

}  // namespace

absl::StatusOr<std::unique_ptr<BlockStore>> BlockStore::Open(FileSystem* fs, const BlockStoreOptions& options,
                                                             Random* random, MonotonicTime now,
                                                             const ParallelRunner& run) {
  DOLMEN_RETURN_IF_ERROR(CheckDirectories(options));
  DOLMEN_ASSIGN_OR_RETURN(std::vector<Candidate> candidates, LookAtAll(*fs, options));
  DOLMEN_RETURN_IF_ERROR(CheckTogether(candidates, options.allow_new_directories));

  StoreIdentity identity;
  for (const Candidate& candidate : candidates) {
    if (candidate.found.identity.has_value()) Raise(&identity, *candidate.found.identity);
  }
  if (identity.datanode.is_none()) identity.datanode = DatanodeUuid(random->Uuid());

  std::unique_ptr<BlockStore> store(new BlockStore(options));
  for (Candidate& candidate : candidates) {
    std::optional<VolumeIdentity>& own = candidate.found.identity;
    const VolumeIdentity before = own.value_or(VolumeIdentity{});
    const bool is_fresh = !own.has_value();
    if (is_fresh) own = VolumeIdentity{.storage = StorageId(absl::StrCat("DS-", random->Uuid()))};
    // A crash may have left one directory behind the others.
    own->cluster = identity.cluster;
    own->datanode = identity.datanode;
    own->type = candidate.type;
    own->highest_epoch = identity.highest_epoch;
    own->highest_incarnation = identity.highest_incarnation;
    own->seen = identity.seen;
    own->bound = identity.bound;
    using Write = Volume::IdentityWrite;
    const Write write = *own == before ? Write::kNone : is_fresh ? Write::kMust : Write::kIfRoom;
    DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<Volume> volume,
                            Volume::Start(fs, std::move(candidate.found), write, options.kept_free_bytes));
    store->slots_.push_back(std::make_unique<VolumeSlot>());
    store->slots_.back()->volume = std::move(volume);
  }

  std::vector<absl::StatusOr<VolumeContents>> scans(store->slots_.size(), absl::UnknownError("not scanned"));
  std::vector<std::function<void()>> tasks;
  for (size_t i = 0; i < scans.size(); ++i) {
    tasks.push_back([&, i] { scans[i] = ScanVolume(*store->slots_[i]->volume); });
  }
  run(std::move(tasks));
  uint32_t failed = static_cast<uint32_t>(options.directories.size() - candidates.size());
  for (size_t i = 0; i < scans.size(); ++i) {
    VolumeSlot* slot = store->slots_[i].get();
    absl::Status loaded = scans[i].status();
    if (loaded.ok()) {
      MutexLock lock(&store->mutex_);
      loaded = store->Load(*std::move(scans[i]), slot, now);
    }
    if (loaded.ok()) continue;
    if (++failed > options.failed_volumes_tolerated) return loaded;
    slot->volume->Fail(MessageOf(loaded));
  }
  DOLMEN_RETURN_IF_ERROR(store->DropDuplicates(now));

  MutexLock one_write(&store->identity_write_mutex_);
  MutexLock identity_lock(&store->identity_mutex_);
  MutexLock lock(&store->mutex_);
  for (const auto& slot : store->slots_) {
    for (const auto& [block, entry] : slot->index) Raise(&identity.seen, block, entry.stamp);
  }
  Raise(&identity.bound, identity.seen.block, identity.seen.stamp);
  store->identity_ = identity;
  store->earlier_bound_ = identity.bound;
  return store;
}

BlockStore::~BlockStore() {
  DOLMEN_CHECK(open_writers() == 0, "a writer outlives its store");
  MutexLock one_write(&identity_write_mutex_);
  StoreIdentity last = identity();
  last.bound = earlier_bound_;
  Raise(&last.bound, last.seen.block, last.seen.stamp);
  LogIfError(WriteIdentities(last), "the next start reports a higher bound of ids than was seen");
}

absl::Status BlockStore::Load(VolumeContents contents, VolumeSlot* slot, MonotonicTime now) {
  for (const ScannedReplica& replica : contents.replicas) {
    Entry entry{.stamp = replica.block.stamp, .length = replica.block.length};
    switch (replica.state) {
      case ScannedState::kFinalized:
        entry.state = State::kFinalized;
        break;
      case ScannedState::kBeingWritten:
        entry.state = State::kBeingWritten;
        entry.verified = true;
        entry.after_restart = true;
        break;
      case ScannedState::kCorrupt:
        entry.state = State::kCorrupt;
        break;
    }
    slot->volume->AddReplica(entry.state == State::kBeingWritten ? 0 : entry.length);
    slot->index[replica.block.id] = std::move(entry);
  }
  for (const TrashedReplica& trashed : contents.trash) slot->trash.emplace(now, trashed);
  return absl::OkStatus();
}

// F-081: of replicas of one block on several volumes the best one stays, by: not corrupt, stamp, finalized, length,
// order of the volumes. The others go to trash/.
absl::Status BlockStore::DropDuplicates(MonotonicTime now) {
  struct Loser {
    VolumeSlot* slot;
    BlockId block;
    Entry entry;
  };
  std::vector<Loser> losers;
  {
    MutexLock lock(&mutex_);
    const auto rank = [](const Entry& entry) {
      return std::tuple(entry.state != State::kCorrupt, entry.stamp, entry.state == State::kFinalized, entry.length);
    };
    for (size_t i = 0; i + 1 < slots_.size(); ++i) {
      for (const auto& [block, entry] : slots_[i]->index) {
        const Entry* best = &entry;
        VolumeSlot* best_slot = slots_[i].get();
        for (size_t j = i + 1; j < slots_.size(); ++j) {
          const auto found = slots_[j]->index.find(block);
          if (found == slots_[j]->index.end()) continue;
          const bool better = rank(found->second) > rank(*best);
          losers.push_back({better ? best_slot : slots_[j].get(), block, better ? *best : found->second});
          if (!better) continue;
          best = &found->second;
          best_slot = slots_[j].get();
        }
      }
    }
  }
  for (const Loser& loser : losers) {
    {
      MutexLock lock(&mutex_);
      if (loser.slot->index.erase(loser.block) == 0) continue;  // lost twice: three volumes had it
    }
    Volume& volume = *loser.slot->volume;
    spdlog::warn("{} with {} is on another volume too; the copy in {} goes to trash", loser.block.ToString(),
                 loser.entry.stamp.ToString(), volume.directory());
    const bool being_written = loser.entry.state == State::kBeingWritten;
    volume.RemoveReplica(being_written ? 0 : loser.entry.length);
    DOLMEN_RETURN_IF_ERROR(MoveToTrash(volume, being_written ? ReplicaPlace::kBeingWritten : ReplicaPlace::kFinalized,
                                       loser.block, loser.entry.stamp, now));
  }
  return absl::OkStatus();
}

StoreIdentity BlockStore::identity() const {
  MutexLock lock(&identity_mutex_);
  return identity_;
}

// All that is known, since the volume may be behind the others.
absl::Status BlockStore::WriteIdentity(Volume* volume, const StoreIdentity& identity) {
  VolumeIdentity own = volume->identity();
  own.cluster = identity.cluster;
  own.datanode = identity.datanode;
  own.highest_epoch = identity.highest_epoch;
  own.highest_incarnation = identity.highest_incarnation;
  own.seen = identity.seen;
  own.bound = identity.bound;
  return volume->WriteIdentity(own);
}

absl::Status BlockStore::WriteIdentities(const StoreIdentity& identity) {
  size_t written = 0;
  absl::Status full;
  for (const auto& slot : slots_) {
    if (slot->volume->failed()) continue;
    absl::Status wrote = WriteIdentity(slot->volume.get(), identity);
    if (wrote.ok()) {
      ++written;
    } else if (ReasonOf(wrote) == ErrorReason::kNoSpace) {
      full = wrote;  // written again when space is back; until then the other volumes know
    } else if (!slot->volume->failed()) {
      return wrote;
    }
  }
  if (written > 0) return absl::OkStatus();
  if (!full.ok()) return full;
  return MakeError(ErrorReason::kIo, "all volumes are offline; replace the disks and restart");
}

absl::Status BlockStore::RecordNamenode(const protocol::NamenodeIdentity& namenode) {
  MutexLock one_write(&identity_write_mutex_);
  StoreIdentity next = identity();
  next.cluster = namenode.cluster;
  next.highest_epoch = namenode.epoch;
  next.highest_incarnation = namenode.incarnation;
  DOLMEN_RETURN_IF_ERROR(WriteIdentities(next));
  MutexLock lock(&identity_mutex_);
  identity_.cluster = namenode.cluster;
  identity_.highest_epoch = namenode.epoch;
  identity_.highest_incarnation = namenode.incarnation;
  return absl::OkStatus();
}

absl::Status BlockStore::NoteSeen(const protocol::Block& block) {
  {
    MutexLock lock(&identity_mutex_);
    if (block.id <= identity_.bound.block && block.stamp <= identity_.bound.stamp) {
      Raise(&identity_.seen, block.id, block.stamp);
      return absl::OkStatus();
    }
  }
  MutexLock one_write(&identity_write_mutex_);
  StoreIdentity next = identity();
  Raise(&next.seen, block.id, block.stamp);
  const protocol::IdMarks before = next.bound;
  if (next.seen.block > next.bound.block) next.bound.block = BlockId(next.seen.block.value() + kBlockIdStride);
  if (next.seen.stamp > next.bound.stamp) next.bound.stamp = GenerationStamp(next.seen.stamp.value() + kStampStride);
  if (next.bound != before) DOLMEN_RETURN_IF_ERROR(WriteIdentities(next));
  MutexLock lock(&identity_mutex_);
  identity_.bound = next.bound;
  Raise(&identity_.seen, block.id, block.stamp);
  return absl::OkStatus();
}

}  // namespace dolmen::datanode
