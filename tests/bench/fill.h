// Makes many empty files, closed, as fast as calls allow.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/rpc_sides.h"
#include "tests/bench/workload.h"

namespace dolmen::bench {

inline constexpr uint32_t kFillOutstanding = 64;

void FillCreateRequest(const std::string& path, v1::CreateRequest* request);

// Creates the tree's files number from <= i < to, with their directories. A namenode has them closed afterwards; a
// skeleton is only asked to create. The sample is of the creates alone.
absl::StatusOr<Sample> CreateFiles(const RpcSide& side, const std::string& what, const std::string& circumstance,
                                   const Tree& tree, uint64_t from, uint64_t to);

// Creates files without end in `root` until a call fails or `stop` says so.
void CreateUntilStopped(uint16_t port, const std::string& root, const std::function<bool()>& stop);

}  // namespace dolmen::bench
