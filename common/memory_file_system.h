// A disk in memory for tests and the simulation, with the power-loss model of fault-scenarios.md (tag PL).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/file_system.h"
#include "common/random.h"

namespace dolmen {

// What stable storage holds is kept apart from what processes see. Sync() of a file makes its content stable;
// SyncDirectory makes the present names of that directory stable. PowerLoss() throws the rest away.
// A stable name can point to a file whose content was never synced: its content is then any prefix mixture, as on a
// real disk. Externally synchronised (one thread). Files opened before PowerLoss() or Crash() answer kIo afterwards.
class MemoryFileSystem final : public FileSystem {
 public:
  explicit MemoryFileSystem(uint64_t capacity_bytes = uint64_t{1} << 40);
  ~MemoryFileSystem() override;

  // The process died (kill -9): locks are released, open handles become invalid, all written bytes stay.
  void Crash();
  // The machine lost power: Crash(), and unsynced writes and unsynced directory entries are each independently kept,
  // dropped or (writes) torn at a 512-byte sector, as `random` decides.
  void PowerLoss(Random& random);
  // Bytes in use counted over distinct files.
  uint64_t used_bytes() const;
  void set_capacity(uint64_t capacity_bytes);
  // Rot: flips one bit of the file's content, stable and visible. For tests.
  absl::Status FlipBit(const std::string& path, uint64_t bit_index);

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status RemoveFile(const std::string& path) override;
  absl::Status RemoveDirectory(const std::string& path) override;
  absl::Status CreateDirectories(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& path) override;
  absl::StatusOr<bool> Exists(const std::string& path) override;
  absl::StatusOr<uint64_t> FileSize(const std::string& path) override;
  absl::StatusOr<DiskSpace> Space(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dolmen
