// The benchmarks. Each starts a cluster and skeletons below `directory` and adds what it measures to `log`.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "tests/bench/options.h"
#include "tests/bench/result_log.h"

namespace dolmen::bench {

absl::Status RunMeta(const Options& options, const std::string& directory, ResultLog* log);
absl::Status RunIo(const Options& options, const std::string& directory, ResultLog* log);
absl::Status RunRestart(const Options& options, const std::string& directory, ResultLog* log);
absl::Status RunGrowth(const Options& options, const std::string& directory, ResultLog* log);

}  // namespace dolmen::bench
