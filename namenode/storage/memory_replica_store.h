// Replica locations in memory: for tests and the simulation.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "common/mutex.h"
#include "namenode/core/meta_store.h"

namespace dolmen::namenode {

// Thread-safe. Nothing survives the object: to simulate a crash that kept the hints, keep the object.
class MemoryReplicaStore final : public ReplicaStore {
 public:
  absl::Status Write(const std::vector<ReplicaWrite>& writes) override;
  absl::StatusOr<std::optional<std::string>> Get(ReplicaFamily family, std::string_view key) const override;
  absl::Status Scan(ReplicaFamily family, std::string_view start, std::string_view end,
                    absl::FunctionRef<bool(std::string_view key, std::string_view value)> visit) const override;

 private:
  using Entries = std::map<std::string, std::string, std::less<>>;

  mutable Mutex mutex_;
  std::array<Entries, kReplicaFamilyCount> families_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dolmen::namenode
