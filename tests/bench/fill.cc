#include "tests/bench/fill.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "common/random.h"
#include "tests/bench/options.h"

namespace dolmen::bench {
namespace {

using Stub = RpcDriver::Stub;

// Open files at a time: they are closed before their leases run out, and their ids fit in memory.
constexpr uint64_t kPortion = 50'000;

}  // namespace

void FillCreateRequest(const std::string& path, v1::CreateRequest* request) {
  request->set_path(path);
  request->set_permission(0644);
  request->set_create_parents(true);
  request->set_replication(kDatanodes);
  request->set_block_bytes(128 << 20);
  request->set_holder(Workload::kHolder);
}

absl::StatusOr<Sample> CreateFiles(const RpcSide& side, const std::string& what, const std::string& circumstance,
                                   const Tree& tree, uint64_t from, uint64_t to) {
  RpcDriver& driver = *side.driver;
  std::vector<uint64_t> inodes;
  double seconds = 0, cpu_seconds = 0;
  for (uint64_t begin = from; begin < to; begin += kPortion) {
    const RpcDriver::Load load{.count = std::min(kPortion, to - begin), .outstanding = kFillOutstanding};
    inodes.assign(load.count, 0);
    const Meter meter(side.processes);
    const RpcDriver::Outcome created = driver.Run<v1::CreateRequest, v1::CreateReply>(
        &Stub::PrepareAsyncCreate, load,
        [&](uint64_t i, v1::CreateRequest* request) { FillCreateRequest(tree.File(begin + i), request); },
        [&](uint64_t i, const v1::CreateReply& reply) { inodes[i] = reply.status().inode(); });
    const Cost cost = meter.Read();
    DOLMEN_RETURN_IF_ERROR(created.status, absl::StrCat(what, " on ", side.name));
    seconds += created.seconds;
    cpu_seconds += cost.cpu_seconds;
    if (side.name != kOurs) continue;
    const RpcDriver::Outcome closed = driver.Run<v1::CompleteRequest, v1::CompleteReply>(
        &Stub::PrepareAsyncComplete, load, [&](uint64_t i, v1::CompleteRequest* request) {
          request->set_path(tree.File(begin + i));
          request->set_inode(inodes[i]);
          request->set_holder(Workload::kHolder);
        });
    DOLMEN_RETURN_IF_ERROR(closed.status, "closing files");
  }
  const double count = static_cast<double>(to - from);
  return Sample{.what = what,
                .circumstance = circumstance,
                .side = side.name,
                .unit = "1/s",
                .value = count / seconds,
                .cpu = cpu_seconds / count * 1e6,
                .cpu_unit = "us/op",
                .seconds = seconds};
}

void CreateUntilStopped(uint16_t port, const std::string& root, const std::function<bool()>& stop) {
  RpcDriver driver(port, 1, SeedFromOs());
  const Workload names{.root = root};
  // How it ends is not of interest: the server is killed in the middle.
  (void)driver.Run<v1::CreateRequest, v1::CreateReply>(
      &Stub::PrepareAsyncCreate, {.count = UINT64_MAX, .outstanding = kFillOutstanding, .stop = stop},
      [&](uint64_t i, v1::CreateRequest* request) { FillCreateRequest(names.File(i), request); });
}

}  // namespace dolmen::bench
