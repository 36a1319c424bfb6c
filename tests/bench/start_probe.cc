#include "tests/bench/start_probe.h"

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "client/dolmen/client.h"
#include "common/error.h"
#include "common/random.h"
#include "tests/bench/machine.h"
#include "tests/bench/rpc_driver.h"
#include "tests/bench/workload.h"

namespace dolmen::bench {
namespace {

constexpr std::chrono::milliseconds kPause{2};
// Longer than a fresh connection's first answer, shorter than anything of interest.
constexpr std::chrono::milliseconds kCallTimeout{1000};

// Asks until it succeeds.
class Asking {
 public:
  Asking(const char* what, const Stopwatch& watch, double limit, std::function<absl::Status()> ask)
      : what_(what), thread_([this, watch, limit, ask = std::move(ask)] {
          do {
            last_ = ask();
            seconds_ = watch.Elapsed();
            if (last_.ok()) return;
            std::this_thread::sleep_for(kPause);
          } while (seconds_ < limit);
        }) {}
  // Seconds until the answer.
  absl::StatusOr<double> Get() {
    thread_.join();
    if (!last_.ok()) return Annotate(last_, what_);
    return seconds_;
  }

 private:
  const char* const what_;
  absl::Status last_;
  double seconds_ = 0;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<StartTimes> ProbeStart(const std::string& uri, const std::string& stat_path,
                                      const std::string& create_path, const std::string& read_path,
                                      double limit_seconds) {
  DOLMEN_ASSIGN_OR_RETURN(const DolmenUri parsed, ParseDolmenUri(uri));
  using Stub = RpcDriver::Stub;
  const uint16_t port = parsed.port;
  const Stopwatch watch;
  // A new connection for each try: one that was refused would wait before it tries again.
  Asking stat("first stat", watch, limit_seconds, [&] {
    RpcDriver driver(port, 1, SeedFromOs());
    v1::GetFileInfoReply reply;
    DOLMEN_RETURN_IF_ERROR((driver.CallOnce<v1::GetFileInfoRequest, v1::GetFileInfoReply>(
        &Stub::PrepareAsyncGetFileInfo, [&](auto* request) { request->set_path(stat_path); }, &reply, kCallTimeout)));
    if (!reply.has_status()) return MakeError(ErrorReason::kFileNotFound, stat_path + " is gone");
    return absl::OkStatus();
  });
  Asking create("first create", watch, limit_seconds, [&] {
    RpcDriver driver(port, 1, SeedFromOs());
    v1::CreateReply reply;
    return driver.CallOnce<v1::CreateRequest, v1::CreateReply>(
        &Stub::PrepareAsyncCreate,
        [&](auto* request) {
          request->set_path(create_path);
          request->set_permission(0644);
          request->set_overwrite(true);  // an earlier try may have come through without its answer
          request->set_create_parents(true);
          request->set_replication(3);
          request->set_block_bytes(128 << 20);
          request->set_holder(Workload::kHolder);
        },
        &reply, kCallTimeout);
  });
  std::unique_ptr<Asking> read;
  if (!read_path.empty()) {
    read = std::make_unique<Asking>("first read", watch, limit_seconds, [&]() -> absl::Status {
      ClientOptions options;
      options.rpc_timeout = kCallTimeout;
      options.connect_timeout = kCallTimeout;
      DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<FileSystemClient> client, FileSystemClient::Connect(uri, options));
      DOLMEN_ASSIGN_OR_RETURN(const std::unique_ptr<InputStream> file, client->Open(read_path));
      std::string content(file->Length(), 0);
      DOLMEN_ASSIGN_OR_RETURN(const size_t size, file->ReadAt(0, std::span(content.data(), content.size())));
      if (size == 0) return MakeError(ErrorReason::kIo, read_path + " is empty");
      return file->Close();
    });
  }
  const absl::StatusOr<double> stat_seconds = stat.Get();
  const absl::StatusOr<double> create_seconds = create.Get();
  const absl::StatusOr<double> read_seconds = read != nullptr ? read->Get() : absl::StatusOr<double>(0.0);
  for (const auto* one : {&stat_seconds, &create_seconds, &read_seconds})
    if (!one->ok()) return one->status();
  return StartTimes{*stat_seconds, *create_seconds, *read_seconds};
}

}  // namespace dolmen::bench
