#include "common/faulty_file_system.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "common/power_loss_tracker.h"

namespace dolmen {
namespace {

// "//a/./b/" -> "/a/b", so that equal places have equal names.
std::string Normal(const std::string& path) {
  std::string normal = path.substr(0, 1) == "/" ? "/" : "";
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (!normal.empty() && normal.back() != '/') normal += '/';
    normal += part;
  }
  return normal.empty() ? "." : normal;
}

// What the rules decided for one call.
struct Injection {
  absl::Status error;  // not OK: fail with it
  bool short_write = false;
  bool flip_bit = false;
};

}  // namespace

struct FaultyFileSystem::State {
  State(FileSystem* base_fs, uint64_t seed) : base(base_fs), random(seed) {}

  struct Rule {
    FaultRule rule;
    uint64_t fired = 0;
    bool active = true;
  };

  // Asks the rules in the order they were added; the first that fires decides (after a delay others may still fire).
  Injection Consult(FileOperation operation, const char* call, const std::string& path) {
    Injection injection;
    int64_t delay_ms = 0;
    {
      MutexLock lock(&mutex);
      for (Rule& rule : rules) {
        FaultRule& spec = rule.rule;
        if (!rule.active || spec.operation != operation || spec.times == 0) continue;
        if (path.find(spec.path_contains) == std::string::npos) continue;
        if (spec.skip > 0) {
          --spec.skip;
          continue;
        }
        --spec.times;
        ++rule.fired;
        if (spec.fault == FileFault::kDelay) {
          delay_ms += spec.delay_ms;
          continue;
        }
        injection.short_write = spec.fault == FileFault::kShortWrite;
        injection.flip_bit = spec.fault == FileFault::kFlipBit;
        if (spec.fault == FileFault::kIoError) {
          injection.error =
              MakeError(ErrorReason::kIo, absl::StrCat(call, " ", path, ": Input/output error (injected)"));
        } else if (spec.fault == FileFault::kNoSpace) {
          injection.error =
              MakeError(ErrorReason::kNoSpace, absl::StrCat(call, " ", path, ": No space left on device (injected)"));
        } else if (spec.fault == FileFault::kBusy) {
          injection.error =
              MakeError(ErrorReason::kBusy, absl::StrCat(call, " ", path, ": Too many open files (injected)"));
        }
        break;
      }
    }
    if (delay_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    return injection;
  }

  uint64_t Draw(uint64_t bound) {
    MutexLock lock(&mutex);
    return random.Uniform(bound);
  }

  // Runs `call` with the tracker (null when not tracking). With one, calls are serialised: a change and its record
  // belong together, and only tests pay.
  template <typename Call>
  auto WithTracker(Call call) {
    if (!tracking.load(std::memory_order_acquire)) return call(static_cast<PowerLossTracker*>(nullptr));
    MutexLock lock(&tracker_mutex);
    return call(tracker.get());
  }

  FileSystem* const base;
  mutable Mutex mutex;
  std::vector<Rule> rules ABSL_GUARDED_BY(mutex);
  Random random ABSL_GUARDED_BY(mutex);
  // Lock order: tracker_mutex alone; never together with mutex.
  Mutex tracker_mutex;
  std::atomic<bool> tracking{false};
  std::unique_ptr<PowerLossTracker> tracker;  // set once, before `tracking`; its content under tracker_mutex
};

namespace {

// A template only because FaultyFileSystem::State is private.
template <typename State>
class FaultyFile final : public File {
 public:
  FaultyFile(std::shared_ptr<State> state, std::unique_ptr<File> base, std::string path,
             std::shared_ptr<TrackedFile> tracked)
      : state_(std::move(state)), base_(std::move(base)), path_(std::move(path)), tracked_(std::move(tracked)) {}

  ~FaultyFile() override {
    if (tracked_ == nullptr) return;
    state_->WithTracker([&](PowerLossTracker* tracker) {
      if (tracker != nullptr) tracker->Release(tracked_);
    });
  }

  absl::StatusOr<size_t> ReadAt(uint64_t offset, std::span<char> out) const override {
    const Injection injection = state_->Consult(FileOperation::kRead, "pread", path_);
    DOLMEN_RETURN_IF_ERROR(injection.error);
    DOLMEN_ASSIGN_OR_RETURN(const size_t got, base_->ReadAt(offset, out));
    if (injection.flip_bit && got > 0) FlipBit(out.data(), got);
    return got;
  }

  absl::Status WriteAt(uint64_t offset, std::string_view data) override {
    return WriteAt(offset, std::span<const std::string_view>(&data, 1));
  }

  absl::Status WriteAt(uint64_t offset, std::span<const std::string_view> pieces) override {
    const Injection injection = state_->Consult(FileOperation::kWrite, "pwritev", path_);
    DOLMEN_RETURN_IF_ERROR(injection.error);
    uint64_t length = 0;
    for (const std::string_view piece : pieces) length += piece.size();
    if (length == 0) return absl::OkStatus();
    std::string changed;
    std::string_view changed_piece;
    if (injection.short_write || injection.flip_bit) {
      for (const std::string_view piece : pieces) changed += piece;
      if (injection.flip_bit) FlipBit(changed.data(), changed.size());
      if (injection.short_write) changed.resize(length / 2);
      length = changed.size();
      changed_piece = changed;
      pieces = std::span<const std::string_view>(&changed_piece, 1);
    }
    DOLMEN_RETURN_IF_ERROR(state_->WithTracker([&](PowerLossTracker* tracker) -> absl::Status {
      if (tracked_ != nullptr && tracker != nullptr)
        DOLMEN_RETURN_IF_ERROR(tracker->BeforeWrite(*tracked_, *base_, offset, length));
      return base_->WriteAt(offset, pieces);
    }));
    if (!injection.short_write) return absl::OkStatus();
    return MakeError(ErrorReason::kIo,
                     absl::StrCat("pwritev ", path_, ": Input/output error after ", length, " bytes (injected)"));
  }

  absl::Status Sync() override {
    const Injection injection = state_->Consult(FileOperation::kSync, "fdatasync", path_);
    return state_->WithTracker([&](PowerLossTracker* /*tracker*/) {
      absl::Status synced = injection.error.ok() ? base_->Sync() : injection.error;
      if (tracked_ != nullptr) {
        if (!synced.ok()) tracked_->sync_failed = true;
        if (synced.ok()) PowerLossTracker::Synced(*tracked_);
      }
      return synced;
    });
  }

  void StartWriteback(uint64_t offset, uint64_t length) override { base_->StartWriteback(offset, length); }

  absl::Status Truncate(uint64_t size) override {
    const Injection injection = state_->Consult(FileOperation::kTruncate, "ftruncate", path_);
    DOLMEN_RETURN_IF_ERROR(injection.error);
    return state_->WithTracker([&](PowerLossTracker* tracker) -> absl::Status {
      if (tracked_ != nullptr && tracker != nullptr)
        DOLMEN_RETURN_IF_ERROR(tracker->BeforeTruncate(*tracked_, *base_, size));
      return base_->Truncate(size);
    });
  }

  absl::StatusOr<uint64_t> Size() const override { return base_->Size(); }

 private:
  void FlipBit(char* bytes, size_t size) const {
    const uint64_t bit = state_->Draw(size * 8);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
  }

  const std::shared_ptr<State> state_;
  const std::unique_ptr<File> base_;
  const std::string path_;                // as opened; rules match it
  std::shared_ptr<TrackedFile> tracked_;  // null: not tracked
};

}  // namespace

FaultyFileSystem::FaultyFileSystem(FileSystem* base, uint64_t seed) : state_(std::make_shared<State>(base, seed)) {}

FaultyFileSystem::~FaultyFileSystem() = default;

int FaultyFileSystem::AddRule(const FaultRule& rule) {
  DOLMEN_CHECK(rule.fault != FileFault::kShortWrite || rule.operation == FileOperation::kWrite,
               "only writes can be short");
  DOLMEN_CHECK(rule.fault != FileFault::kFlipBit || rule.operation == FileOperation::kWrite ||
                   rule.operation == FileOperation::kRead,
               "only reads and writes can flip bits");
  MutexLock lock(&state_->mutex);
  state_->rules.push_back({rule});
  return static_cast<int>(state_->rules.size()) - 1;
}

uint64_t FaultyFileSystem::fired(int rule) const {
  MutexLock lock(&state_->mutex);
  return state_->rules.at(static_cast<size_t>(rule)).fired;
}

uint64_t FaultyFileSystem::fired_total() const {
  MutexLock lock(&state_->mutex);
  uint64_t total = 0;
  for (const State::Rule& rule : state_->rules) total += rule.fired;
  return total;
}

void FaultyFileSystem::ClearRules() {
  MutexLock lock(&state_->mutex);
  for (State::Rule& rule : state_->rules) rule.active = false;
}

void FaultyFileSystem::EnablePowerLossTracking() {
  MutexLock lock(&state_->tracker_mutex);
  if (state_->tracker == nullptr) state_->tracker = std::make_unique<PowerLossTracker>(state_->base);
  state_->tracking.store(true, std::memory_order_release);
}

absl::Status FaultyFileSystem::DropUnsynced() {
  return state_->WithTracker([](PowerLossTracker* tracker) {
    DOLMEN_CHECK(tracker != nullptr, "DropUnsynced needs EnablePowerLossTracking first");
    return tracker->DropUnsynced();
  });
}

absl::StatusOr<std::unique_ptr<File>> FaultyFileSystem::Open(const std::string& path, OpenMode mode) {
  DOLMEN_RETURN_IF_ERROR(state_->Consult(FileOperation::kOpen, "open", path).error);
  return state_->WithTracker([&](PowerLossTracker* tracker) -> absl::StatusOr<std::unique_ptr<File>> {
    std::shared_ptr<TrackedFile> tracked;
    bool creates = false;
    if (tracker != nullptr && (mode == OpenMode::kCreateNew || mode == OpenMode::kCreateOrOpen)) {
      DOLMEN_ASSIGN_OR_RETURN(const bool exists, state_->base->Exists(path));
      creates = !exists;
    }
    DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<File> file, state_->base->Open(path, mode));
    if (tracker != nullptr) {
      if (creates) tracker->Created(Normal(path));
      if (mode != OpenMode::kRead) tracked = tracker->Track(Normal(path));
    }
    return std::make_unique<FaultyFile<State>>(state_, std::move(file), path, std::move(tracked));
  });
}

absl::Status FaultyFileSystem::Rename(const std::string& from, const std::string& to) {
  // Rules match either name.
  DOLMEN_RETURN_IF_ERROR(state_->Consult(FileOperation::kRename, "rename", absl::StrCat(from, " to ", to)).error);
  return state_->WithTracker([&](PowerLossTracker* tracker) {
    return tracker != nullptr ? tracker->Rename(Normal(from), Normal(to)) : state_->base->Rename(from, to);
  });
}

absl::Status FaultyFileSystem::RemoveFile(const std::string& path) {
  DOLMEN_RETURN_IF_ERROR(state_->Consult(FileOperation::kRemove, "unlink", path).error);
  return state_->WithTracker([&](PowerLossTracker* tracker) {
    return tracker != nullptr ? tracker->RemoveFile(Normal(path)) : state_->base->RemoveFile(path);
  });
}

absl::Status FaultyFileSystem::RemoveDirectory(const std::string& path) {
  DOLMEN_RETURN_IF_ERROR(state_->Consult(FileOperation::kRemove, "rmdir", path).error);
  return state_->WithTracker([&](PowerLossTracker* tracker) {
    return tracker != nullptr ? tracker->RemoveDirectory(Normal(path)) : state_->base->RemoveDirectory(path);
  });
}

absl::Status FaultyFileSystem::CreateDirectories(const std::string& path) {
  DOLMEN_RETURN_IF_ERROR(state_->Consult(FileOperation::kCreateDirectory, "mkdir", path).error);
  return state_->WithTracker([&](PowerLossTracker* tracker) {
    return tracker != nullptr ? tracker->CreateDirectories(Normal(path)) : state_->base->CreateDirectories(path);
  });
}

absl::Status FaultyFileSystem::SyncDirectory(const std::string& path) {
  DOLMEN_RETURN_IF_ERROR(state_->Consult(FileOperation::kSyncDirectory, "fsync", path).error);
  return state_->WithTracker([&](PowerLossTracker* tracker) -> absl::Status {
    DOLMEN_RETURN_IF_ERROR(state_->base->SyncDirectory(path));
    return tracker != nullptr ? tracker->DirectorySynced(Normal(path)) : absl::OkStatus();
  });
}

absl::StatusOr<std::vector<std::string>> FaultyFileSystem::List(const std::string& path) {
  DOLMEN_RETURN_IF_ERROR(state_->Consult(FileOperation::kList, "opendir", path).error);
  DOLMEN_ASSIGN_OR_RETURN(std::vector<std::string> names, state_->base->List(path));
  std::erase_if(names, PowerLossTracker::IsSide);
  return names;
}

absl::StatusOr<bool> FaultyFileSystem::Exists(const std::string& path) {
  DOLMEN_RETURN_IF_ERROR(state_->Consult(FileOperation::kList, "stat", path).error);
  return state_->base->Exists(path);
}

absl::StatusOr<uint64_t> FaultyFileSystem::FileSize(const std::string& path) {
  DOLMEN_RETURN_IF_ERROR(state_->Consult(FileOperation::kList, "stat", path).error);
  return state_->base->FileSize(path);
}

absl::StatusOr<DiskSpace> FaultyFileSystem::Space(const std::string& path) {
  DOLMEN_RETURN_IF_ERROR(state_->Consult(FileOperation::kSpace, "statvfs", path).error);
  return state_->base->Space(path);
}

absl::StatusOr<std::unique_ptr<FileLock>> FaultyFileSystem::Lock(const std::string& path) {
  DOLMEN_RETURN_IF_ERROR(state_->Consult(FileOperation::kLock, "lock", path).error);
  return state_->WithTracker([&](PowerLossTracker* tracker) -> absl::StatusOr<std::unique_ptr<FileLock>> {
    bool existed = true;
    if (tracker != nullptr) {
      DOLMEN_ASSIGN_OR_RETURN(existed, state_->base->Exists(path));
    }
    DOLMEN_ASSIGN_OR_RETURN(std::unique_ptr<FileLock> lock, state_->base->Lock(path));
    if (!existed) tracker->Created(Normal(path));
    return lock;
  });
}

}  // namespace dolmen
