#include "client/append_stream.h"

#include <utility>
#include <variant>

#include "absl/cleanup/cleanup.h"
#include "client/core/file_appender.h"
#include "client/input_stream.h"
#include "client/output_stream.h"
#include "common/error.h"

namespace dolmen::client {
namespace {

// Carries out one action after the other, in the thread that appends.
class AppendDriver {
 public:
  explicit AppendDriver(Runtime* runtime) : runtime_(runtime) {}

  AppendEvent Do(append_action::Append& action) {
    return append_event::AppendAnswer{
        runtime_->namenode()->MutateAndWait<protocol::AppendReply>(action.request, What("append", action.request))};
  }
  AppendEvent Do(append_action::GetFileInfo& action) {
    return append_event::FileInfoAnswer{
        runtime_->namenode()->QueryAndWait<protocol::GetFileInfoReply>(action.request, What("stat", action.request))};
  }
  AppendEvent Do(append_action::RecoverLease& action) {
    return append_event::RecoverLeaseAnswer{runtime_->namenode()->MutateAndWait<protocol::RecoverLeaseReply>(
        action.request, What("recover lease of", action.request))};
  }
  AppendEvent Do(append_action::ReadPartialChunk& action) {
    const uint64_t length = action.file.length;
    const std::unique_ptr<InputStream> stream = MakeInputStream(runtime_, std::move(action.file));
    std::string bytes(action.bytes, '\0');
    size_t filled = 0;
    while (filled < bytes.size()) {
      const absl::StatusOr<size_t> read =
          stream->ReadAt(length - bytes.size() + filled, std::span<char>(bytes).subspan(filled));
      if (!read.ok()) return append_event::PartialChunk{read.status()};
      if (*read == 0) break;
      filled += *read;
    }
    bytes.resize(filled);
    return append_event::PartialChunk{std::move(bytes)};
  }
  AppendEvent Do(append_action::SetUp& action) {
    ReopenedStream reopened = ReopenOutputStream(runtime_, std::move(action.file.file), std::move(action.file.start));
    stream_ = std::move(reopened.stream);
    return append_event::SetUpDone{std::move(reopened.status), std::move(reopened.culprit)};
  }
  AppendEvent Do(append_action::WaitUntil& action) {
    runtime_->WaitUntil(action.at);
    return append_event::TimeCame{};
  }

  // Set up already, or begins with a new block.
  std::unique_ptr<OutputStream> Take(AppendedFile file) {
    if (stream_ == nullptr) stream_ = MakeOutputStream(runtime_, std::move(file.file), std::move(file.start));
    return std::move(stream_);
  }

 private:
  template <typename Request>
  static std::string What(const char* verb, const Request& request) {
    return absl::StrCat(verb, " ", request.path);
  }

  Runtime* const runtime_;
  std::unique_ptr<OutputStream> stream_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<OutputStream>> OpenForAppend(Runtime* runtime, const std::string& path,
                                                            const AppendOptions& options) {
  FileAppender appender(path, runtime->leases()->holder(), options.new_block, options.sync_on_close, AppenderSettings(),
                        Random(runtime->NextSeed()));
  // The lease is kept from the namenode's answer on, before there is a stream that keeps it.
  const uint64_t lease = runtime->leases()->FileOpened([](const absl::Status&) {});
  const absl::Cleanup end_lease = [&] { runtime->leases()->FileClosed(lease); };
  AppendDriver driver(runtime);
  AppendEvent event = append_event::Start();
  while (true) {
    AppendAction action = appender.Step(std::move(event), runtime->clock().Now());
    if (auto* done = std::get_if<append_action::Done>(&action)) {
      if (!done->result.ok()) return done->result.status();
      return driver.Take(*std::move(done->result));
    }
    event = std::visit(
        [&driver](auto& one) -> AppendEvent {
          if constexpr (std::is_same_v<std::decay_t<decltype(one)>, append_action::Done>)
            return append_event::Start();
          else
            return driver.Do(one);
        },
        action);
  }
}

}  // namespace dolmen::client
