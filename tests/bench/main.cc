// dolmen-bench: measures Dolmen beside bare programs that are given the same work.
#include <malloc.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "common/daemon.h"
#include "common/error.h"
#include "common/rpc/channel_arguments.h"
#include "tests/bench/benchmarks.h"
#include "tests/bench/machine.h"
#include "tests/bench/options.h"
#include "tests/bench/result_log.h"
#include "tests/bench/skeleton_process.h"
#include "tests/bench/skeleton_relay.h"
#include "tests/bench/skeleton_rpc.h"
#include "tests/bench/supervisor.h"

namespace dolmen::bench {
namespace {

constexpr int kBadUsage = 2;

int Fail(const absl::Status& why, int code) {
  std::fprintf(stderr, "dolmen-bench: %s\n", std::string(MessageOf(why)).c_str());
  return code;
}

absl::Status Measure(const Options& options, const std::string& directory, ResultLog* log) {
  if (options.command == "meta") return RunMeta(options, directory, log);
  if (options.command == "io") return RunIo(options, directory, log);
  if (options.command == "restart") return RunRestart(options, directory, log);
  return RunGrowth(options, directory, log);
}

int RunBenchmark(const Options& options, const std::vector<std::string>& args, const std::string& directory) {
  RaiseOpenFileLimit();
  absl::StatusOr<ResultLog> log = ResultLog::Open(options.json_file);
  if (!log.ok()) return Fail(log.status(), 1);
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&now));
  const std::string machine = DescribeMachine(directory);
  log->Header(JsonLine()
                  .Text("kind", "run")
                  .Text("command", absl::StrJoin(args, " "))
                  .Text("machine", machine)
                  .Text("date", date)
                  .Number("repeats", static_cast<double>(options.repeats)));
  if (absl::Status measured = Measure(options, directory, &*log); !measured.ok()) return Fail(measured, 1);
  const absl::StatusOr<std::string> table = log->Finish();
  if (!table.ok()) return Fail(table.status(), 1);
  std::printf("dolmen-bench %s, %s\n%s\nmedian (min..max) of %llu\n\n%s", absl::StrJoin(args, " ").c_str(), date,
              machine.c_str(), static_cast<unsigned long long>(options.repeats), table->c_str());
  return 0;
}

// As the daemons do, and for the skeletons as well (limits of the allocator decide how fast bytes flow).
void TuneAllocator() {
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  mallopt(M_TOP_PAD, 16 << 20);
}

int Main(const std::vector<std::string>& args) {
  TuneAllocator();
  rpc::TurnOffDeadlockSearch();  // as the daemons, for client and skeletons
  spdlog::set_default_logger(spdlog::stderr_logger_mt("dolmen-bench"));
  spdlog::set_level(spdlog::level::warn);
  if (args.size() == 3 && args[0] == kServeRpc) return Fail(ServeRpcSkeleton(args[1], args[2]), 1);
  if (args.size() == 5 && args[0] == kServeRelay) {
    return Fail(ServeRelaySkeleton(args[1], args[2], std::atoi(args[3].c_str()), args[4] == kRelayDirect), 1);
  }
  if (args.size() == 1 && (args[0] == "--help" || args[0] == "-h")) {
    std::fputs(UsageText().c_str(), stdout);
    return 0;
  }
  const bool supervised = args.size() > 2 && args[0] == kRunIn;
  const std::vector<std::string> words(args.begin() + (supervised ? 2 : 0), args.end());
  const absl::StatusOr<Options> options = ParseOptions(words);
  if (!options.ok()) return Fail(options.status(), kBadUsage);
  if (supervised) return RunBenchmark(*options, words, args[1]);
  return RunSupervised(options->directory, options->time_limit, words);
}

}  // namespace
}  // namespace dolmen::bench

int main(int argc, char** argv) { return dolmen::bench::Main(std::vector<std::string>(argv + 1, argv + argc)); }
