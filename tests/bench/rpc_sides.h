// A namenode and the skeleton beside it, as far as calls go: both are sent the same requests by the same driver.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error.h"
#include "tests/bench/result_log.h"
#include "tests/bench/rpc_driver.h"

namespace dolmen::bench {

struct RpcSide {
  std::string name;  // kOurs, "echo" or "committer"
  RpcDriver* driver = nullptr;
  std::vector<pid_t> processes;
};

// One load on one side, as a sample. `what` and `circumstance` go into it.
template <typename Request, typename Reply>
absl::StatusOr<Sample> MeasureCalls(const RpcSide& side, const std::string& what, const std::string& circumstance,
                                    RpcDriver::Prepare<Request, Reply> prepare, const RpcDriver::Load& load,
                                    const std::function<void(uint64_t, Request*)>& fill) {
  const Meter meter(side.processes);
  const RpcDriver::Outcome outcome = side.driver->Run<Request, Reply>(prepare, load, fill);
  const Cost cost = meter.Read();
  DOLMEN_RETURN_IF_ERROR(outcome.status, absl::StrCat(what, " on ", side.name));
  const double count = static_cast<double>(outcome.answered);
  return Sample{.what = what,
                .circumstance = circumstance,
                .side = side.name,
                .unit = "1/s",
                .value = count / outcome.seconds,
                .cpu = cost.cpu_seconds / count * 1e6,
                .cpu_unit = "us/op",
                .seconds = outcome.seconds};
}

}  // namespace dolmen::bench
