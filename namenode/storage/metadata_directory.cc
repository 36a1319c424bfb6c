#include "namenode/storage/metadata_directory.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/random.h"

namespace dolmen::namenode {
namespace {

constexpr std::string_view kLockName = "in_use.lock";
constexpr std::string_view kMetaName = "meta";
constexpr std::string_view kReplicasName = "replicas";
constexpr std::string_view kDiscardedName = "meta.discarded";
constexpr std::string_view kLostAndFound = "lost+found";  // of a freshly made filesystem

absl::Status NotFormatted(const std::string& directory, std::string_view why) {
  return MakeError(ErrorReason::kFileNotFound,
                   absl::StrCat("metadata directory ", directory, " ", ToAbsl(why),
                                ": not formatted; if the path is right and this is a new cluster, run "
                                "dolmen-namenode --format"));
}

// What is in the directory's `meta`.
enum class Content {
  kNothing,  // no such directory, or a format that was interrupted before anything was stored
  kStore,    // a database; whether it holds a namespace is seen when it is opened
  kRemains,  // files of a database without its CURRENT
};
absl::StatusOr<Content> Inspect(FileSystem& fs, const std::string& meta) {
  DOLMEN_ASSIGN_OR_RETURN(const bool exists, fs.Exists(meta));
  if (!exists) return Content::kNothing;
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.List(meta));
  if (std::find(names.begin(), names.end(), "CURRENT") != names.end()) return Content::kStore;
  for (const std::string& name : names) {
    if (!name.ends_with(".log") && !name.ends_with(".sst")) continue;
    DOLMEN_ASSIGN_OR_RETURN(const uint64_t size, fs.FileSize(JoinPath(meta, name)));
    if (size > 0) return Content::kRemains;
  }
  return Content::kNothing;
}

absl::Status Remains(const std::string& meta) {
  return MakeError(ErrorReason::kDamaged,
                   absl::StrCat(meta,
                                " holds data but its file CURRENT is missing; restore a checkpoint, or remove the "
                                "directory by hand if the namespace in it is not needed"));
}

// Removes a file or a tree; OK if missing.
absl::Status RemoveTree(FileSystem& fs, const std::string& path) {
  DOLMEN_ASSIGN_OR_RETURN(const bool exists, fs.Exists(path));
  if (!exists || fs.RemoveFile(path).ok()) return absl::OkStatus();
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.List(path));
  for (const std::string& name : names) DOLMEN_RETURN_IF_ERROR(RemoveTree(fs, JoinPath(path, name)));
  return fs.RemoveDirectory(path);
}

absl::StatusOr<std::unique_ptr<FileLock>> LockDirectory(FileSystem& fs, const std::string& directory) {
  absl::StatusOr<std::unique_ptr<FileLock>> lock = fs.Lock(JoinPath(directory, kLockName));
  if (ReasonOf(lock.status()) == ErrorReason::kBusy) {
    return MakeError(ErrorReason::kBusy, absl::StrCat("metadata directory ", directory,
                                                      " is in use by a running namenode; stop that one first (",
                                                      lock.status().message(), ")"));
  }
  return lock;
}

// Locks a directory that holds a database; creates nothing in another.
absl::StatusOr<std::unique_ptr<FileLock>> LockFormatted(FileSystem& fs, const std::string& directory,
                                                        const std::string& meta) {
  DOLMEN_ASSIGN_OR_RETURN(const bool exists, fs.Exists(directory));
  if (!exists) return NotFormatted(directory, "does not exist");
  DOLMEN_ASSIGN_OR_RETURN(const Content content, Inspect(fs, meta));
  if (content == Content::kNothing) return NotFormatted(directory, "holds no namespace");
  if (content == Content::kRemains) return Remains(meta);
  return LockDirectory(fs, directory);
}

// Refuses to format over a namespace that was not named, or over something that is not ours.
absl::Status CheckMayFormat(FileSystem& fs, const std::string& directory, const std::string& meta, Content content,
                            const MetadataDirectory::FormatRequest& request, const RocksDbMetaStore::Options& options) {
  if (content == Content::kRemains) return Remains(meta);
  if (content == Content::kNothing) {
    DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.List(directory));
    for (const std::string& name : names) {
      if (name == kLockName || name == kMetaName || name == kReplicasName || name == kDiscardedName ||
          name == kLostAndFound)
        continue;
      return MakeError(ErrorReason::kIllegalArgument,
                       absl::StrCat("not formatting ", directory, ": it holds \"", name,
                                    "\", which is not a namenode's; name an empty or a new directory"));
    }
    return absl::OkStatus();
  }
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<RocksDbMetaStore> store, RocksDbMetaStore::Open(fs, meta, options));
  const absl::StatusOr<NamespaceInfo> old = ReadNamespace(*store->View());
  if (ReasonOf(old.status()) == ErrorReason::kFileNotFound) return absl::OkStatus();  // an interrupted format
  DOLMEN_RETURN_IF_ERROR(old.status());
  if (request.force_cluster_id == old->cluster.value()) return absl::OkStatus();
  const std::string found = absl::StrCat("metadata directory ", directory, " holds the namespace of cluster ",
                                         old->cluster.value(), " (formatted by ", old->superuser, ")");
  if (!request.force_cluster_id.has_value()) {
    return MakeError(ErrorReason::kFileAlreadyExists,
                     absl::StrCat(found, "; to lose all its files for good, format with force and that cluster id"));
  }
  return MakeError(ErrorReason::kFileAlreadyExists,
                   absl::StrCat(found, ", not of the cluster \"", *request.force_cluster_id, "\" that was named"));
}

}  // namespace

absl::StatusOr<NamespaceInfo> MetadataDirectory::Format(FileSystem& fs, const std::string& directory,
                                                        const FormatRequest& request, const Options& options) {
  const std::string meta = JoinPath(directory, kMetaName);
  const std::string discarded = JoinPath(directory, kDiscardedName);
  DOLMEN_RETURN_IF_ERROR(fs.CreateDirectories(directory));
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<FileLock> lock, LockDirectory(fs, directory));
  DOLMEN_ASSIGN_OR_RETURN(const Content content, Inspect(fs, meta));
  DOLMEN_RETURN_IF_ERROR(CheckMayFormat(fs, directory, meta, content, request, options.store));

  DOLMEN_RETURN_IF_ERROR(RemoveTree(fs, discarded));
  DOLMEN_ASSIGN_OR_RETURN(const bool meta_exists, fs.Exists(meta));
  if (meta_exists) {
    DOLMEN_RETURN_IF_ERROR(fs.Rename(meta, discarded));
    DOLMEN_RETURN_IF_ERROR(fs.SyncDirectory(directory));
    DOLMEN_RETURN_IF_ERROR(RemoveTree(fs, discarded));
  }
  DOLMEN_RETURN_IF_ERROR(RemoveTree(fs, JoinPath(directory, kReplicasName)));
  DOLMEN_RETURN_IF_ERROR(fs.CreateDirectories(meta));
  DOLMEN_RETURN_IF_ERROR(fs.SyncDirectory(directory));
  DOLMEN_RETURN_IF_ERROR(fs.SyncDirectory(DirectoryOf(directory)));

  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<RocksDbMetaStore> store, RocksDbMetaStore::Create(meta, options.store));
  Random random(request.seed);
  const NamespaceInfo info = MintNamespace(&random, request.superuser, request.supergroup, request.now);
  DOLMEN_RETURN_IF_ERROR(store->Commit(FormatBatch(info)), "formatting " + directory);
  return info;
}

absl::StatusOr<MetadataDirectory::Checked> MetadataDirectory::Check(FileSystem& fs, const std::string& directory,
                                                                    const Options& options,
                                                                    absl::FunctionRef<void(std::string_view)> found) {
  const std::string meta = JoinPath(directory, kMetaName);
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<FileLock> lock, LockFormatted(fs, directory, meta));
  Checked checked;
  DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<RocksDbMetaStore> store,
                          RocksDbMetaStore::OpenReadOnly(fs, meta, options.store, &checked.logs));
  const std::shared_ptr<const MetaView> view = store->View();
  absl::StatusOr<NamespaceInfo> info = ReadNamespace(*view);
  if (ReasonOf(info.status()) == ErrorReason::kFileNotFound) return NotFormatted(directory, "holds no namespace");
  DOLMEN_RETURN_IF_ERROR(info.status(), directory);
  checked.info = *std::move(info);
  checked.last_commit = view->commit_number();
  DOLMEN_ASSIGN_OR_RETURN(checked.report, CheckNamespace(*view, found), "checking " + meta);
  return checked;
}

absl::StatusOr<std::unique_ptr<MetadataDirectory>> MetadataDirectory::Open(FileSystem& fs, const std::string& directory,
                                                                           WallTime now, uint64_t seed,
                                                                           Options options) {
  const std::string meta = JoinPath(directory, kMetaName);
  std::unique_ptr<MetadataDirectory> opened(new MetadataDirectory());
  DOLMEN_ASSIGN_OR_RETURN(opened->lock_, LockFormatted(fs, directory, meta));
  rocksdb::Env* const env = options.store.env;
  DOLMEN_ASSIGN_OR_RETURN(opened->store_, RocksDbMetaStore::Open(fs, meta, std::move(options.store)));
  absl::StatusOr<Start> start = PlanStart(*opened->store_->View(), now);
  if (ReasonOf(start.status()) == ErrorReason::kFileNotFound) return NotFormatted(directory, "holds no namespace");
  DOLMEN_RETURN_IF_ERROR(start.status(), directory);
  DOLMEN_RETURN_IF_ERROR(opened->store_->Commit(start->batch), "raising the epoch");
  opened->info_ = std::move(start->info);
  opened->counters_ = std::move(start->counters);
  opened->incarnation_ = Random(seed).Uuid();
  DOLMEN_ASSIGN_OR_RETURN(opened->replicas_,
                          RocksDbReplicaStore::Open(JoinPath(directory, kReplicasName), options.replica_store, env));
  return opened;
}

}  // namespace dolmen::namenode
