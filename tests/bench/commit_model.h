// What the namenode writes for an operation, found out by letting its own core decide some: so many puts and deletes of
// so many bytes in each family, per batch and per operation. The committer skeleton writes the same.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "namenode/core/meta_store.h"

namespace dolmen::bench {

// Of a batch of n operations: per_batch + n * per_operation.
struct Linear {
  double per_batch = 0;
  double per_operation = 0;
  double Of(double operations) const { return per_batch + operations * per_operation; }
};
struct FamilyWrites {
  Linear puts, put_bytes, deletes, delete_bytes;
};
using OperationWrites = std::array<FamilyWrites, namenode::kFamilyCount>;
// By the name of the call: Create, Mkdirs, Rename, Delete.
using CommitModel = std::map<std::string, OperationWrites>;

absl::StatusOr<CommitModel> MeasureCommitModel();

// For handing it to the skeleton's process.
std::string ToText(const CommitModel& model);
absl::StatusOr<CommitModel> FromText(const std::string& text);

}  // namespace dolmen::bench
