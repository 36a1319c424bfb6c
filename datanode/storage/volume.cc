#include "datanode/storage/volume.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/error.h"
#include "spdlog/spdlog.h"

namespace dolmen::datanode {
namespace {

constexpr std::string_view kLockName = "in_use.lock";
constexpr std::string_view kBlockPrefix = "blk_";
constexpr std::string_view kMetaSuffix = ".meta";
constexpr std::string_view kProbeName = "probe.tmp";
constexpr std::string_view kSpareName = "VERSION.spare";

// More than VERSION ever takes, so that its blocks hold one (chosen).
constexpr size_t kSpareBytes = 16 << 10;

// After ENOSPC a volume is offered again when at least this much is free (chosen: one packet and some checksums).
constexpr uint64_t kSpaceIsBack = 2 << 20;

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || (text.size() > 1 && text[0] == '0')) {
    return std::nullopt;
  }
  return value;
}

// Names that a directory without VERSION may hold: ours from an interrupted first start, and the file system's own.
bool MayBeInFreshDirectory(std::string_view name) {
  return name == kLockName || name == "lost+found" || name == std::string(kIdentityFileName) + ".tmp";
}

std::string_view PlaceName(ReplicaPlace place) {
  return place == ReplicaPlace::kBeingWritten ? "current/being_written" : "temporary";
}

}  // namespace

std::optional<ReplicaFileName> ReplicaFileName::Parse(std::string_view name) {
  if (!name.starts_with(kBlockPrefix)) return std::nullopt;
  name.remove_prefix(kBlockPrefix.size());
  ReplicaFileName parsed;
  if (name.ends_with(kMetaSuffix)) {
    parsed.is_meta = true;
    name.remove_suffix(kMetaSuffix.size());
  }
  const size_t underscore = name.find('_');
  const std::optional<uint64_t> block = ParseNumber(name.substr(0, underscore));
  if (!block.has_value() || *block == 0) return std::nullopt;
  parsed.block = BlockId(*block);
  if (underscore != std::string_view::npos) {
    const std::optional<uint64_t> stamp = ParseNumber(name.substr(underscore + 1));
    if (!stamp.has_value()) return std::nullopt;
    parsed.stamp = GenerationStamp(*stamp);
  }
  return parsed;
}

std::string ReplicaFileName::ToString() const {
  std::string name = absl::StrCat(ToAbsl(kBlockPrefix), block.value());
  if (stamp.has_value()) absl::StrAppend(&name, "_", stamp->value());
  if (is_meta) name.append(kMetaSuffix);
  return name;
}

absl::Status CreateDirectoriesDurably(FileSystem& fs, const std::string& path) {
  std::vector<std::string> missing;  // innermost first
  for (std::string level = path; level != "/" && level != "."; level = DirectoryOf(level)) {
    DOLMEN_ASSIGN_OR_RETURN(const bool exists, fs.Exists(level));
    if (exists) break;
    missing.push_back(level);
  }
  DOLMEN_RETURN_IF_ERROR(fs.CreateDirectories(path));
  for (size_t i = missing.size(); i-- > 0;) DOLMEN_RETURN_IF_ERROR(fs.SyncDirectory(DirectoryOf(missing[i])));
  return absl::OkStatus();
}

absl::StatusOr<Volume::Found> Volume::Look(FileSystem& fs, const std::string& directory) {
  DOLMEN_RETURN_IF_ERROR(CreateDirectoriesDurably(fs, directory));
  Found found{.directory = directory};
  absl::StatusOr<std::unique_ptr<FileLock>> lock = fs.Lock(JoinPath(directory, kLockName));
  if (ReasonOf(lock.status()) == ErrorReason::kBusy) {
    return Annotate(lock.status(), "another datanode is using this directory");
  }
  DOLMEN_ASSIGN_OR_RETURN(found.lock, std::move(lock));
  const std::string identity_path = JoinPath(directory, kIdentityFileName);
  DOLMEN_ASSIGN_OR_RETURN(const bool has_identity, fs.Exists(identity_path));
  if (has_identity) {
    DOLMEN_ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(fs, identity_path));
    DOLMEN_ASSIGN_OR_RETURN(found.identity, DecodeVolumeIdentity(text), identity_path);
    return found;
  }
  DOLMEN_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.List(directory));
  for (const std::string& name : names) {
    if (MayBeInFreshDirectory(name)) continue;
    return MakeError(ErrorReason::kDamaged,
                     absl::StrCat("data directory ", directory, " has no VERSION file but is not empty (it holds ",
                                  name, "); restore VERSION, or give an empty directory"));
  }
  return found;
}

absl::StatusOr<std::unique_ptr<Volume>> Volume::Start(FileSystem* fs, Found found, IdentityWrite write,
                                                      uint64_t reserved_bytes) {
  DOLMEN_CHECK(found.identity.has_value());
  const VolumeIdentity identity = *found.identity;
  std::unique_ptr<Volume> volume(new Volume(fs, std::move(found), reserved_bytes));
  // VERSION first: a directory without it must be empty, or it is refused.
  if (write != IdentityWrite::kNone) {
    const absl::Status written = volume->WriteIdentity(identity);
    const bool may_wait = write == IdentityWrite::kIfRoom && ReasonOf(written) == ErrorReason::kNoSpace;
    if (!written.ok() && !may_wait) return written;
  }
  for (const std::string& path :
       {volume->FinalizedRoot(), volume->DirectoryFor(ReplicaPlace::kBeingWritten, {}),
        volume->DirectoryFor(ReplicaPlace::kTemporary, {}), volume->TrashDirectory(), volume->QuarantineDirectory()}) {
    DOLMEN_RETURN_IF_ERROR(CreateDirectoriesDurably(*fs, path));
  }
  // Names made before an earlier crash may not be on disk yet.
  DOLMEN_RETURN_IF_ERROR(fs->SyncDirectory(JoinPath(volume->directory_, "current")));
  DOLMEN_RETURN_IF_ERROR(fs->SyncDirectory(volume->directory_));
  volume->MakeSpare();
  volume->RefreshSpace();
  return volume;
}

Volume::Volume(FileSystem* fs, Found found, uint64_t reserved_bytes)
    : fs_(fs),
      directory_(std::move(found.directory)),
      lock_(std::move(found.lock)),
      id_(found.identity->storage),
      type_(found.identity->type),
      kept_free_bytes_(reserved_bytes),
      identity_(*std::move(found.identity)) {}

std::string Volume::FinalizedRoot() const { return JoinPath(directory_, "current/finalized"); }
std::string Volume::TrashDirectory() const { return JoinPath(directory_, "trash"); }
std::string Volume::QuarantineDirectory() const { return JoinPath(directory_, "quarantine"); }

std::string Volume::DirectoryFor(ReplicaPlace place, BlockId block) const {
  if (place != ReplicaPlace::kFinalized) return JoinPath(directory_, PlaceName(place));
  const uint64_t id = block.value();
  return absl::StrCat(FinalizedRoot(), "/subdir", (id >> 16) & 31, "/subdir", (id >> 8) & 31);
}
std::string Volume::DataPath(ReplicaPlace place, BlockId block) const {
  return JoinPath(DirectoryFor(place, block), ReplicaFileName{.block = block}.ToString());
}
std::string Volume::MetaPath(ReplicaPlace place, BlockId block) const {
  return JoinPath(DirectoryFor(place, block), ReplicaFileName{.block = block, .is_meta = true}.ToString());
}
std::string Volume::TrashPath(BlockId block, GenerationStamp stamp, bool is_meta) const {
  return JoinPath(TrashDirectory(), ReplicaFileName{block, stamp, is_meta}.ToString());
}

absl::Status Volume::EnsureFinalizedDirectory(BlockId block) {
  const std::string path = DirectoryFor(ReplicaPlace::kFinalized, block);
  {
    MutexLock lock(&mutex_);
    if (finalized_directories_.contains(path)) return absl::OkStatus();
  }
  DOLMEN_RETURN_IF_ERROR(CreateDirectoriesDurably(*fs_, path));
  // It may exist only since just before a crash: its name and its parent's are synced once per process.
  DOLMEN_RETURN_IF_ERROR(fs_->SyncDirectory(DirectoryOf(path)));
  DOLMEN_RETURN_IF_ERROR(fs_->SyncDirectory(FinalizedRoot()));
  MutexLock lock(&mutex_);
  finalized_directories_.insert(path);
  return absl::OkStatus();
}

absl::Status Volume::Quarantine(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  for (;;) {
    uint64_t number;
    {
      MutexLock lock(&mutex_);
      number = ++quarantined_;
    }
    const std::string target = absl::StrCat(QuarantineDirectory(), "/", name, ".", number);
    DOLMEN_ASSIGN_OR_RETURN(const bool taken, fs_->Exists(target));
    if (taken) continue;
    spdlog::warn("moving {} to {}", path, target);
    return fs_->Rename(path, target);
  }
}

VolumeIdentity Volume::identity() const {
  MutexLock lock(&mutex_);
  return identity_;
}

absl::Status Volume::WriteIdentity(const VolumeIdentity& identity) {
  const std::string path = JoinPath(directory_, kIdentityFileName);
  const std::string content = EncodeVolumeIdentity(identity);
  absl::Status written = WriteFileDurably(*fs_, path, content);
  if (ReasonOf(written) == ErrorReason::kNoSpace && GiveUpSpare()) {
    written = WriteFileDurably(*fs_, path, content);
    MakeSpare();
  }
  if (!written.ok()) {
    NoteError(written);
    MutexLock lock(&mutex_);
    identity_is_behind_ = true;
    return Annotate(written, absl::StrCat("writing the identity of ", directory_));
  }
  MutexLock lock(&mutex_);
  identity_ = identity;
  identity_is_behind_ = false;
  return absl::OkStatus();
}

bool Volume::ShouldWriteIdentityAgain() const {
  MutexLock lock(&mutex_);
  return identity_is_behind_ && !full_ && !failed_;
}

bool Volume::GiveUpSpare() {
  if (!fs_->RemoveFile(JoinPath(directory_, kSpareName)).ok()) return false;
  // Some file systems give the room back only when the removal is on disk.
  return fs_->SyncDirectory(directory_).ok();
}

void Volume::MakeSpare() {
  const std::string path = JoinPath(directory_, kSpareName);
  const absl::StatusOr<uint64_t> size = fs_->FileSize(path);
  if (size.ok() && *size == kSpareBytes) return;
  const absl::Status made = [&]() -> absl::Status {
    DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs_->Open(path, OpenMode::kCreateOrOpen));
    DOLMEN_RETURN_IF_ERROR(file->WriteAt(0, std::string_view(std::string(kSpareBytes, '#'))));
    return file->Sync();
  }();
  LogIfError(made, "without it VERSION cannot be written when the disk is full");
}

absl::Status Volume::Reserve(uint64_t bytes) {
  MutexLock lock(&mutex_);
  if (failed_) return MakeError(ErrorReason::kIo, absl::StrCat("volume ", directory_, " is offline: ", failure_));
  const uint64_t taken = reserved_ + kept_free_bytes_;
  const uint64_t free = available_ > taken ? available_ - taken : 0;
  if (full_ || free < bytes) {
    return MakeError(ErrorReason::kNoSpace, absl::StrCat("volume ", directory_, " has ", full_ ? 0 : free,
                                                         " bytes left, ", bytes, " were asked for"));
  }
  reserved_ += bytes;
  return absl::OkStatus();
}

void Volume::Unreserve(uint64_t bytes) {
  MutexLock lock(&mutex_);
  DOLMEN_CHECK(bytes <= reserved_);
  reserved_ -= bytes;
}

void Volume::Consume(uint64_t bytes, uint64_t from_reservation) {
  MutexLock lock(&mutex_);
  DOLMEN_CHECK(from_reservation <= reserved_);
  reserved_ -= from_reservation;
  available_ -= std::min(available_, bytes);
}

void Volume::RefreshSpace() {
  if (failed()) return;
  const absl::StatusOr<DiskSpace> space = fs_->Space(directory_);
  if (!space.ok()) {
    NoteError(space.status());
    return;
  }
  {
    MutexLock lock(&mutex_);
    capacity_ = space->capacity_bytes;
    available_ = space->available_bytes;
    if (!full_ || available_ < kept_free_bytes_ + kSpaceIsBack) return;
    full_ = false;
    spdlog::info("volume {}: space is back, {} bytes are free", directory_, available_);
  }
  MakeSpare();
}

uint64_t Volume::RemainingBytes() const {
  MutexLock lock(&mutex_);
  const uint64_t taken = reserved_ + kept_free_bytes_;
  return failed_ || full_ || available_ <= taken ? 0 : available_ - taken;
}

bool Volume::IsShortOfSpace() const {
  MutexLock lock(&mutex_);
  const uint64_t taken = reserved_ + kept_free_bytes_;
  return !failed_ && (full_ || available_ <= taken || available_ - taken < capacity_ / 20);
}

void Volume::AddReplica(uint64_t bytes) {
  MutexLock lock(&mutex_);
  used_ += bytes;
  ++replicas_;
}

void Volume::RemoveReplica(uint64_t bytes) {
  MutexLock lock(&mutex_);
  used_ -= std::min(used_, bytes);
  if (replicas_ > 0) --replicas_;
}

protocol::StorageReport Volume::Report() const {
  const uint64_t remaining = RemainingBytes();
  MutexLock lock(&mutex_);
  return {.id = id_,
          .type = type_,
          .failed = failed_,
          .capacity_bytes = capacity_,
          .used_bytes = failed_ ? 0 : used_,
          .remaining_bytes = remaining,
          .block_count = failed_ ? 0 : replicas_};
}

absl::Status Volume::Probe() {
  const std::string path = JoinPath(directory_, kProbeName);
  const std::string content = "probe";
  {
    DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<File> file, fs_->Open(path, OpenMode::kCreateOrOpen));
    DOLMEN_RETURN_IF_ERROR(file->WriteAt(0, std::string_view(content)));
    DOLMEN_RETURN_IF_ERROR(file->Sync());
    std::string back(content.size(), '\0');
    DOLMEN_ASSIGN_OR_RETURN(const size_t got, file->ReadAt(0, back));
    if (got != content.size() || back != content)
      return MakeError(ErrorReason::kIo, "probe file reads back differently");
  }
  return fs_->RemoveFile(path);
}

void Volume::NoteError(const absl::Status& error) {
  const ErrorReason reason = ReasonOf(error);
  if (reason == ErrorReason::kNoSpace) {
    MutexLock lock(&mutex_);
    if (!full_) spdlog::warn("volume {} is full, left out until space is back: {}", directory_, MessageOf(error));
    full_ = true;
    return;
  }
  if (reason != ErrorReason::kIo) return;
  MutexLock one_probe(&probe_mutex_);
  if (failed()) return;
  const absl::Status probed = Probe();
  const ErrorReason found = ReasonOf(probed);
  if (probed.ok() || found == ErrorReason::kNoSpace || found == ErrorReason::kBusy) {
    spdlog::warn("volume {}: {}; a probe finds no fault of the disk, so the volume stays", directory_,
                 MessageOf(error));
    return;
  }
  Fail(absl::StrCat(error.message(), "; probe: ", probed.message()));
}

void Volume::Fail(std::string_view reason) {
  MutexLock lock(&mutex_);
  if (failed_) return;
  failed_ = true;
  failure_ = std::string(reason);
  spdlog::error("volume {} is taken offline: {}", directory_, failure_);
}

bool Volume::failed() const {
  MutexLock lock(&mutex_);
  return failed_;
}

std::string Volume::failure() const {
  MutexLock lock(&mutex_);
  return failure_;
}

}  // namespace dolmen::datanode
