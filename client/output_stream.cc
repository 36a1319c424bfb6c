#include "client/output_stream.h"

#include <map>
#include <utility>

#include "client/data_streams.h"
#include "client/serial_inbox.h"
#include "common/error.h"
#include "common/rpc/frames.h"

namespace dolmen::client {
namespace {

// How long a datanode may take to end a stream whose last packet it acknowledged.
constexpr std::chrono::seconds kEndOfStream{5};

WriterSettings SettingsFor(const ClientOptions& options) {
  WriterSettings settings;
  settings.window_packets = options.window_packets;
  settings.ack_timeout = options.stream_timeout;
  settings.setup_timeout = std::min<Duration>(settings.setup_timeout, options.stream_timeout);
  return settings;
}

// The file writer and what carries out its actions. Callbacks hold it, so that it outlives the stream object.
class WriterDriver : public std::enable_shared_from_this<WriterDriver> {
 public:
  WriterDriver(Runtime* runtime, WriterFile file)
      : runtime_(runtime),
        window_(runtime->options().window_packets),
        machine_(std::move(file), SettingsFor(runtime->options()), Random(runtime->NextSeed())),
        inbox_([this](WriteEvent event) { Handle(std::move(event)); }) {}

  void Post(WriteEvent event) { inbox_.Post(std::move(event)); }

  // Waits for room in the window. The writing thread only.
  absl::Status Add(BuiltPacket packet) {
    {
      MutexLock lock(&mutex_);
      while (status_.ok() && added_ - acknowledged_ >= window_) changed_.Wait(&mutex_);
      DOLMEN_RETURN_IF_ERROR(status_);
      ++added_;
    }
    Post(write_event::AddPacket{std::move(packet)});
    return absl::OkStatus();
  }

  // Posts Flush, Reopen or Close and waits for its answer.
  template <typename Event>
  write_action::OperationDone Run() {
    const uint64_t operation = ++next_operation_;
    Post(Event{operation});
    MutexLock lock(&mutex_);
    while (!answers_.contains(operation)) changed_.Wait(&mutex_);
    write_action::OperationDone answer = std::move(answers_.at(operation));
    answers_.erase(operation);
    return answer;
  }

  absl::Status status() {
    MutexLock lock(&mutex_);
    return status_;
  }

  void CancelTimer() {
    MutexLock lock(&mutex_);
    runtime_->loop()->CancelTimer(std::exchange(timer_, 0));
  }

 private:
  void Handle(WriteEvent event) {
    for (WriteAction& action : machine_.Step(std::move(event), runtime_->clock().Now())) {
      std::visit([this](auto& one) { Do(one); }, action);
    }
    MutexLock lock(&mutex_);
    if (acknowledged_ == machine_.packets_acknowledged() && status_ == machine_.status()) return;
    acknowledged_ = machine_.packets_acknowledged();
    status_ = machine_.status();
    changed_.SignalAll();
  }

  void Do(write_action::CallNamenode& action) {
    static constexpr const char* kNames[] = {"mkdirs", "create", "addBlock",       "abandonBlock", "complete",
                                             "rename", "delete", "set attributes", "fsync"};
    const std::string path = std::visit(
        [](const auto& request) -> std::string {
          if constexpr (requires { request.path; }) return request.path;
          return "";
        },
        action.request);
    std::string what = absl::StrCat(kNames[action.request.index()], " ", path);
    runtime_->namenode()->Mutate(
        std::move(action.request), std::move(what),
        [self = shared_from_this(), tag = action.tag](absl::StatusOr<protocol::MutationReply> answer) {
          self->Post(write_event::NamenodeAnswer{tag, std::move(answer)});
        });
  }

  void Do(write_action::OpenStream& action) {
    const uint64_t stream = action.stream;
    {
      MutexLock lock(&mutex_);
      streams_[stream] = nullptr;  // being connected
    }
    auto setup = std::make_shared<grpc::ByteBuffer>(rpc::EncodeWriteFrame(action.setup));
    runtime_->datanodes()->Connect(action.target.datanode,
                                   [self = shared_from_this(), stream, setup, uuid = action.target.datanode.uuid](
                                       absl::StatusOr<std::shared_ptr<grpc::Channel>> channel) {
                                     if (!channel.ok())
                                       return self->Post(write_event::StreamEnded{stream, channel.status()});
                                     self->Connected(stream, uuid, *std::move(channel), std::move(*setup));
                                   });
  }

  void Connected(uint64_t stream, const DatanodeUuid& uuid, std::shared_ptr<grpc::Channel> channel,
                 grpc::ByteBuffer setup) {
    {
      MutexLock lock(&mutex_);
      if (!streams_.contains(stream)) return;  // closed in the meantime
    }
    const std::weak_ptr<WriterDriver> weak = weak_from_this();
    std::shared_ptr<StreamCall> call =
        StreamCall::Start(runtime_->loop(), std::move(channel), rpc::kWriteBlockMethod, StreamCall::Receiving::kAlways,
                          {.on_message =
                               [weak, stream](grpc::ByteBuffer message) {
                                 if (const auto self = weak.lock()) self->OnMessage(stream, std::move(message));
                               },
                           .on_end =
                               [weak, stream, uuid](absl::Status status) {
                                 const auto self = weak.lock();
                                 if (self == nullptr) return;
                                 if (ReasonOf(status) == ErrorReason::kUnreachable)
                                   self->runtime_->datanodes()->Forget(uuid);
                                 self->Post(write_event::StreamEnded{stream, std::move(status)});
                               }});
    bool wanted = false;
    {
      MutexLock lock(&mutex_);
      const auto place = streams_.find(stream);
      wanted = place != streams_.end();
      if (wanted) place->second = call;
    }
    if (!wanted) return call->Cancel();
    call->Write(std::move(setup));  // not earlier: its answer makes the machine use the stream
  }

  void OnMessage(uint64_t stream, grpc::ByteBuffer message) {
    absl::StatusOr<protocol::Ack> ack = rpc::DecodeAck(std::move(message));
    if (!ack.ok()) return Post(write_event::StreamEnded{stream, ack.status()});
    Post(write_event::AckArrived{stream, *std::move(ack)});
  }

  void Do(const write_action::SendPacket& action) {
    std::shared_ptr<StreamCall> call;
    {
      MutexLock lock(&mutex_);
      const auto place = streams_.find(action.stream);
      if (place != streams_.end()) call = place->second;
    }
    if (call != nullptr) call->Write(rpc::EncodePacket(action.packet));
  }

  void Do(const write_action::CloseStream& action) {
    std::shared_ptr<StreamCall> call;
    {
      MutexLock lock(&mutex_);
      const auto place = streams_.find(action.stream);
      if (place == streams_.end()) return;
      call = std::move(place->second);
      streams_.erase(place);
    }
    if (call == nullptr) return;
    if (action.cancel) return call->Cancel();
    call->WritesDone();
    EventLoop* const loop = runtime_->loop();
    const std::weak_ptr<StreamCall> weak = call;
    loop->RunAt(runtime_->clock().Now() + kEndOfStream, [weak] {
      if (const auto still = weak.lock()) still->Cancel();
    });
  }

  void Do(const write_action::WakeAt& action) {
    MutexLock lock(&mutex_);
    runtime_->loop()->CancelTimer(timer_);
    timer_ = runtime_->loop()->RunAt(action.at, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Post(write_event::Tick{});
    });
  }

  void Do(write_action::OperationDone& action) {
    MutexLock lock(&mutex_);
    const uint64_t operation = action.operation;
    answers_[operation] = std::move(action);
    changed_.SignalAll();
  }

  Runtime* const runtime_;
  const uint64_t window_;
  FileWriter machine_;  // in Handle only
  SerialInbox<WriteEvent> inbox_;
  uint64_t next_operation_ = 0;  // the writing thread's

  Mutex mutex_;
  CondVar changed_;
  std::map<uint64_t, std::shared_ptr<StreamCall>> streams_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, write_action::OperationDone> answers_ ABSL_GUARDED_BY(mutex_);
  uint64_t added_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t acknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  uint64_t timer_ ABSL_GUARDED_BY(mutex_) = 0;
};

class OutputStreamImpl final : public OutputStream {
 public:
  OutputStreamImpl(Runtime* runtime, WriterFile file, PacketStart start)
      : runtime_(runtime),
        path_(file.path),
        builder_(file.block_bytes, runtime->options().packet_bytes, runtime->packets(), std::move(start)),
        driver_(std::make_shared<WriterDriver>(runtime, std::move(file))) {
    lease_ = runtime_->leases()->FileOpened([weak = std::weak_ptr(driver_)](absl::Status why) {
      if (const auto driver = weak.lock()) driver->Post(write_event::LeaseLost{std::move(why)});
    });
  }

  ~OutputStreamImpl() override {
    if (!ended_) {
      driver_->Post(
          write_event::LeaseLost{MakeError(ErrorReason::kCancelled, "the stream went away without being closed")});
    }
    End();
  }

  // First of all, when the file goes on in its last block.
  write_action::OperationDone Reopen() { return driver_->Run<write_event::Reopen>(); }

  absl::Status Write(std::string_view data) override {
    DOLMEN_RETURN_IF_ERROR(CheckOpen());
    while (!data.empty()) {
      std::optional<BuiltPacket> packet = builder_.Append(&data);
      if (packet.has_value()) DOLMEN_RETURN_IF_ERROR(driver_->Add(*std::move(packet)));
    }
    return driver_->status();
  }

  absl::Status Flush() override { return FlushTo(/*sync=*/false); }
  absl::Status Sync() override { return FlushTo(/*sync=*/true); }

  absl::Status Close() override {
    if (ended_) return close_status_;
    std::optional<BuiltPacket> packet = builder_.Finish();
    if (packet.has_value()) close_status_ = driver_->Add(*std::move(packet));
    if (close_status_.ok()) close_status_ = driver_->Run<write_event::Close>().status;
    End();
    return close_status_;
  }

  void Abort() override {
    if (ended_) return;
    driver_->Post(write_event::Abort{});
    close_status_ = MakeError(ErrorReason::kCancelled, absl::StrCat(path_, ": the stream was aborted"));
    End();
  }

  uint64_t Position() const override { return builder_.position(); }

 private:
  absl::Status CheckOpen() {
    if (!ended_) return absl::OkStatus();
    if (!close_status_.ok()) return close_status_;
    return MakeError(ErrorReason::kCancelled, absl::StrCat(path_, ": the stream is closed"));
  }

  absl::Status FlushTo(bool sync) {
    DOLMEN_RETURN_IF_ERROR(CheckOpen());
    std::optional<BuiltPacket> packet = builder_.Flush(sync);
    if (packet.has_value()) DOLMEN_RETURN_IF_ERROR(driver_->Add(*std::move(packet)));
    return driver_->Run<write_event::Flush>().status;
  }

  void End() {
    if (std::exchange(ended_, true) && lease_ == 0) return;
    runtime_->leases()->FileClosed(std::exchange(lease_, 0));
    driver_->CancelTimer();
  }

  Runtime* const runtime_;
  const std::string path_;
  PacketBuilder builder_;
  const std::shared_ptr<WriterDriver> driver_;
  uint64_t lease_ = 0;
  bool ended_ = false;
  absl::Status close_status_;
};

}  // namespace

std::unique_ptr<OutputStream> MakeOutputStream(Runtime* runtime, WriterFile file, PacketStart start) {
  return std::make_unique<OutputStreamImpl>(runtime, std::move(file), std::move(start));
}

ReopenedStream ReopenOutputStream(Runtime* runtime, WriterFile file, PacketStart start) {
  auto stream = std::make_unique<OutputStreamImpl>(runtime, std::move(file), std::move(start));
  write_action::OperationDone done = stream->Reopen();
  if (!done.status.ok()) return {.status = std::move(done.status), .culprit = std::move(done.culprit)};
  return {.stream = std::move(stream)};
}

}  // namespace dolmen::client
